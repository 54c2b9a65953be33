//! Limit of the ICMP errors that this host sends: a token bucket (RFC 4443 §2.4 (f)).

use crate::time::{Duration, Instant};

/// Errors that may be sent in a row, and the time in which one more may (RFC 4443 §2.4 (f), a token
/// bucket).
const BURST: u8 = 10;
const INTERVAL: Duration = Duration::from_millis(100);

/// Rate limit of sent errors.
#[derive(Copy, Clone, Debug)]
pub(crate) struct ErrorLimit {
    left: u8,
    /// When the count was true.
    at: Instant,
}

impl ErrorLimit {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
        }
    }

    /// Whether one more error may leave; counts as sent if so.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.at).as_nanos() / INTERVAL.as_nanos();
        if earned > 0 {
            self.left = u8::try_from(earned)
                .map_or(BURST, |earned| self.left.saturating_add(earned).min(BURST));
            self.at = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, ErrorLimit};
    use crate::time::{Duration, Instant};

    #[test]
    fn errors_are_sent_in_short_bursts_and_then_rarely() {
        let mut limit = ErrorLimit::new(Instant::ZERO);
        let count = |limit: &mut ErrorLimit, now| (0..100).filter(|_| limit.allow(now)).count();
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        assert_eq!(count(&mut limit, at(0)), usize::from(BURST));
        assert_eq!(count(&mut limit, at(99)), 0);
        assert_eq!(count(&mut limit, at(300)), 3);
        assert_eq!(count(&mut limit, at(1_000_000)), usize::from(BURST));
    }
}
