//! Pacing: at the rate of a congestion controller that has one, each byte takes its time on the way out.

use super::Held;
use crate::tcp::info::SendLimit;
use crate::tcp::tcb::Connection;
use crate::time::{Duration, Instant};

/// How far a sender that comes late may catch up. Timers are as coarse as a millisecond; a pace that each late one
/// lowered would never be kept.
const CATCH_UP: Duration = Duration::from_millis(2);

impl Connection {
    /// The rate in bytes per second; a controller that says zero has none.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        self.congestion.pacing_rate().filter(|&rate| rate > 0)
    }

    /// Whether the next segment has to wait for its time.
    pub(super) fn check_pace(&self, now: Instant) -> Result<(), Held> {
        if self.pacing_rate().is_none() || self.snd.pace_at <= now {
            return Ok(());
        }
        Err(Held {
            limit: SendLimit::Pacing,
            until: Some(self.snd.pace_at),
        })
    }

    /// So many bytes leave now; the next ones have to wait for as long as these take at the controller's rate.
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
