//! Pacing: departure times at the rate of a congestion controller that has one.

use super::Held;
use crate::tcp::info::SendLimit;
use crate::tcp::tcb::Connection;
use crate::time::{Duration, Instant};

/// Lateness that a sender may make up for. Timers are as coarse as a millisecond; without it each
/// late timer would lower the rate.
const CATCH_UP: Duration = Duration::from_millis(2);

impl Connection {
    /// The rate in bytes per second; `None` if the controller has none, or returns zero.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        self.congestion.pacing_rate().filter(|&rate| rate > 0)
    }

    /// Holds the next segment back until its departure time.
    pub(super) fn check_pace(&self, now: Instant) -> Result<(), Held> {
        if self.pacing_rate().is_none() || self.snd.pace_at <= now {
            return Ok(());
        }
        Err(Held {
            until: Some(self.snd.pace_at),
            ..SendLimit::Pacing.into()
        })
    }

    /// Accounts for `bytes` sent at `now`: the next ones wait for the time that these take at the
    /// pacing rate.
    pub(super) fn note_pace(&mut self, now: Instant, bytes: u64) {
        let Some(rate) = self.pacing_rate() else {
            return;
        };
        let nanos = bytes.saturating_mul(1_000_000_000) / rate;
        let earliest = now.as_nanos().saturating_sub(CATCH_UP.as_nanos());
        let from = self.snd.pace_at.max(Instant::from_nanos(earliest));
        self.snd.pace_at = from + Duration::from_nanos(nanos);
    }
}
