//! Offloads: the work on a frame that the device did, or is asked to do.
//!
//! [`segment`] and [`Coalescer`] do in software what a device without these offloads cannot.

mod coalesce;
mod segment;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use core::ops::Range;

pub use coalesce::Coalescer;
pub use segment::segment;

/// How far a received frame's TCP checksum can be trusted.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum RxChecksum {
    /// Not verified: the stack does it.
    #[default]
    Unverified,
    /// The device verified it (virtio `DATA_VALID`).
    Verified,
    /// The sender, on this host, left it to a device, and the frame came here without passing one
    /// (virtio `NEEDS_CSUM`): the field holds only the pseudo-header sum, the bytes never left
    /// memory, and there is nothing to verify.
    Partial,
}

/// What the device says of a received frame.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct RxMeta {
    /// The checksum's state.
    pub checksum: RxChecksum,
    /// For a super-frame, the payload bytes of each wire segment but the last; `None` for a frame
    /// as it was on the wire.
    pub segment_len: Option<u16>,
}

/// What the device must still do with a frame to send.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub enum TxOffload {
    /// Nothing, the frame is complete.
    #[default]
    None,
    /// Complete the checksum: sum from `start` to the end of the frame, store it at
    /// `start + offset`. The field holds the folded pseudo-header sum.
    Checksum {
        /// Offset of the transport header in the frame.
        start: u16,
        /// Offset of the checksum field in the transport header.
        offset: u16,
    },
    /// Cut the TCP payload into pieces of `mss` bytes and complete each piece's headers and
    /// checksum.
    Tcp {
        /// IPv6 (true) or IPv4.
        v6: bool,
        /// Bytes of Ethernet, IP and TCP headers together.
        header_len: u16,
        /// Payload bytes of each piece but the last.
        mss: u16,
        /// Offset of the TCP header in the frame.
        start: u16,
        /// Offset of the checksum field in the TCP header.
        offset: u16,
    },
}

impl From<TxOffload> for RxMeta {
    /// The metadata of a frame that came to a receiver on the same host without passing a device:
    /// the work that was left to the device is not done.
    fn from(offload: TxOffload) -> Self {
        let segment_len = match offload {
            TxOffload::None => return Self::default(),
            TxOffload::Checksum { .. } => None,
            TxOffload::Tcp { mss, .. } => Some(mss),
        };
        Self {
            checksum: RxChecksum::Partial,
            segment_len,
        }
    }
}

/// A received frame and the buffer that holds it.
///
/// The stack parses [`bytes`](Self::bytes) and, when a payload is large enough to be worth the
/// memory it pins, keeps it by reference through [`adopt`](Self::adopt) instead of copying it.
pub trait FrameBuffer {
    /// The frame, from the Ethernet header on.
    fn bytes(&self) -> &[u8];

    /// Bytes of memory that an adopted part keeps alive: what the receive buffer is charged for it.
    fn truesize(&self) -> usize;

    /// Hands over `range` of the frame by reference. Called at most once per frame, with a range
    /// inside it.
    fn adopt(&mut self, range: Range<usize>) -> Bytes;
}

/// A borrowed frame: adopting it copies.
impl FrameBuffer for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn truesize(&self) -> usize {
        usize::MAX
    }

    fn adopt(&mut self, range: Range<usize>) -> Bytes {
        Bytes::copy_from_slice(self.get(range).unwrap_or_default())
    }
}

/// A frame in a buffer of its own.
impl FrameBuffer for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn truesize(&self) -> usize {
        self.len()
    }

    fn adopt(&mut self, range: Range<usize>) -> Bytes {
        if range.start <= range.end && range.end <= self.len() {
            self.slice(range)
        } else {
            Self::new()
        }
    }
}
