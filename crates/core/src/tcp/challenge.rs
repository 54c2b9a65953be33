//! How often suspicious segments are answered (RFC 5961 7).

use crate::time::{Duration, Instant};

/// Least time between two answers, as Linux has it.
const INTERVAL: Duration = Duration::from_millis(500);

/// The limit of one connection. There is no global one: it would tell one peer about another
/// (CVE-2016-5696).
#[derive(Copy, Clone, Debug, Default)]
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
