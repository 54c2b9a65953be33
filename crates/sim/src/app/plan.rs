//! Plan of one end of a connection: amounts, pauses, options, ending.

use std::ops::RangeInclusive;

use tidewire_core::{Duration, KeepAlive};

/// What a [`Peer`](crate::Peer) does with its connection. Chances are in parts per million per
/// chunk.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes to send.
    pub send: u64,
    /// Size of each write.
    pub write_chunk: RangeInclusive<u64>,
    /// Size of each read.
    pub read_chunk: RangeInclusive<u64>,
    /// Chance of handing bytes over by reference (`write_bytes`, `read_chunk`) instead of copying
    /// them.
    pub by_reference_ppm: u32,
    /// Chance of pausing after a chunk.
    pub stall_ppm: u32,
    /// Longest pause.
    pub stall: Duration,
    /// Set once the connection is established; the stack's default without.
    pub keepalive: Option<KeepAlive>,
    /// Set once the connection is established; the stack's default without.
    pub user_timeout: Option<Duration>,
    /// How it ends.
    pub ending: Ending,
}

impl Plan {
    /// Sends `send` bytes in large chunks without a pause, then shuts down, and reads to the end
    /// meanwhile.
    #[must_use]
    pub const fn bulk(send: u64) -> Self {
        let chunk = 16_384..=65_536;
        Self {
            send,
            write_chunk: chunk,
            read_chunk: 16_384..=65_536,
            by_reference_ppm: 0,
            stall_ppm: 0,
            stall: Duration::ZERO,
            keepalive: None,
            user_timeout: None,
            ending: Ending::HalfClose,
        }
    }

    /// Whether the connection may time out though its peer is there: with a user timeout, or with
    /// probes that a link may lose all.
    pub(crate) fn may_time_out(&self) -> bool {
        self.user_timeout.is_some()
            || self
                .keepalive
                .is_some_and(|probes| asks_for(probes) < PATIENT)
    }

    /// Whether keep-alive finds out that the peer is gone before a program with a timeout of its
    /// own would.
    pub(crate) fn notices_loss(&self) -> bool {
        self.keepalive
            .is_some_and(|probes| probes.idle + asks_for(probes) < NOTICED)
    }
}

/// How a [`Peer`](crate::Peer) ends its connection.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Shuts its write side down after the last byte, reads to the end of the other, closes.
    HalfClose,
    /// Sends everything, reads to the end, and closes only then. Not for both ends.
    ReadFirst,
    /// Closes after the last byte. Only where the other end sends nothing.
    CloseAtOnce,
    /// Resets the connection after this many bytes, once some of them have arrived.
    Abort {
        /// Bytes written before.
        after: u64,
    },
    /// Closes after the last byte with a linger time (SO_LINGER): zero resets the connection once
    /// some bytes have arrived, another one leaves the stack so long to deliver the rest. Only
    /// where the other end sends nothing.
    Linger(Duration),
}

/// For how long probes are sent.
fn asks_for(probes: KeepAlive) -> Duration {
    probes.interval.saturating_mul(probes.count.into())
}

/// Probes for so long get an answer sooner or later, whatever a link loses, once its faults have
/// stopped.
const PATIENT: Duration = Duration::from_secs(25);
const NOTICED: Duration = Duration::from_secs(80);
