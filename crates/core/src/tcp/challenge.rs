//! Challenge ACK limits (RFC 5961 §7): for each connection, and for the stack.

use crate::time::{Duration, Instant};
use crate::types::HashKey;

/// Least time between two answers of a connection, as Linux has it.
const INTERVAL: Duration = Duration::from_millis(500);

/// The limit of one connection.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChallengeLimit {
    last: Option<Instant>,
}

impl ChallengeLimit {
    /// Whether a suspicious segment may be answered now; counts as an answer if so.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let allowed = self
            .last
            .is_none_or(|last| now.duration_since(last) >= INTERVAL);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

/// The limit of the whole stack, for an attack on very many connections at once.
///
/// The number of answers in a second is secret and changes every second, between half of the limit
/// and all of it. With a fixed number an attacker could count the answers that another peer caused,
/// and so find its sequence numbers (CVE-2016-5696).
#[derive(Debug)]
pub(crate) struct ChallengeBudget {
    key: HashKey,
    per_second: u32,
    second: u64,
    left: u32,
}

impl ChallengeBudget {
    pub(crate) fn new(per_second: u32, key: HashKey) -> Self {
        Self {
            key,
            per_second,
            second: u64::MAX,
            left: 0,
        }
    }

    /// Whether another answer may leave now; counts as one if so.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        if self.second != second {
            let half = self.per_second.div_ceil(2);
            let rest = u64::from(self.per_second - half) + 1;
            self.second = second;
            // The remainder is below 2^32.
            self.left = half + (self.key.hash(&second) % rest) as u32;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::ChallengeBudget;
    use crate::time::{Duration, Instant};
    use crate::types::{HashKey, Secret};
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    fn allowed_in_each_second(secret: u8) -> Vec<usize> {
        let mut budget = ChallengeBudget::new(100, HashKey::derive(&Secret::new([secret; 16]), 4));
        (0..50)
            .map(|second| {
                let now = Instant::ZERO + Duration::from_secs(second);
                (0..1_000).filter(|_| budget.allow(now)).count()
            })
            .collect()
    }

    #[test]
    fn the_budget_of_a_second_is_between_half_and_all_and_cannot_be_foretold() {
        let counts = allowed_in_each_second(1);
        assert!(counts.iter().all(|n| (50..=100).contains(n)), "{counts:?}");
        let different: BTreeSet<_> = counts.iter().collect();
        assert!(different.len() > 15, "{counts:?}");
        assert_ne!(counts, allowed_in_each_second(2));
    }

    #[test]
    fn the_least_budget_is_one() {
        let mut budget = ChallengeBudget::new(1, HashKey::derive(&Secret::new([1; 16]), 4));
        assert!(budget.allow(Instant::ZERO) && !budget.allow(Instant::ZERO));
    }
}
