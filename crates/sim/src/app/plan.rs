//! What an end of a connection is to do.

use std::ops::RangeInclusive;

use tidewire_core::Duration;

/// What a [`Peer`](crate::Peer) does with its connection. Chances are in parts per million per chunk.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes to send.
    pub send: u64,
    /// Size of each write.
    pub write_chunk: RangeInclusive<u64>,
    /// Size of each read.
    pub read_chunk: RangeInclusive<u64>,
    /// Chance of handing bytes over by reference (`write_bytes`, `read_chunk`) instead of copying them.
    pub by_reference_ppm: u32,
    /// Chance of pausing after a chunk.
    pub stall_ppm: u32,
    /// Longest pause.
    pub stall: Duration,
    /// How it ends.
    pub ending: Ending,
}

impl Plan {
    /// Sends `send` bytes in large chunks without a pause, then shuts down, and reads to the end meanwhile.
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
            ending: Ending::HalfClose,
        }
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
}
