//! Timestamps (RFC 7323): our clock with its offset, and the peer's newest value.

use crate::time::Instant;

/// State of the timestamps option (RFC 7323).
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct TimestampState {
    /// Offset added to our clock, so that the timestamps reveal nothing about other connections
    /// (RFC 7323 §7.1).
    pub(crate) offset: u32,
    /// TS.Recent and when it was set.
    pub(crate) recent: u32,
    pub(crate) recent_at: Instant,
}

impl TimestampState {
    /// TSval at `now`.
    pub(crate) fn value(&self, now: Instant) -> u32 {
        timestamp_value(now, self.offset)
    }
}

/// TSval at `now` (RFC 7323 §5.4): a clock of 1 ms with the connection's offset. It wraps.
pub(crate) fn timestamp_value(now: Instant, offset: u32) -> u32 {
    ((now.as_nanos() / 1_000_000) as u32).wrapping_add(offset)
}
