//! Frame to send: headers, and slices of the send buffer.

use tidewire_wire::EthernetHeader;

use crate::offload::TxOffload;
use crate::types::{ConnId, MAX_SLICES, Slices};

/// Room for the longest header chain: Ethernet, IPv6 and a TCP header full of options.
pub(crate) const MAX_HEADER: usize = EthernetHeader::LEN + 40 + 60;

/// One frame to send: headers, and slices of the send buffer for the payload.
///
/// It borrows the stack, so that a driver hands the pieces to a gathering write without copying
/// them; a driver whose device refuses the frame for now keeps a copy ([`copy_to`](Self::copy_to)).
#[derive(Debug)]
pub struct Transmit<'a> {
    pub(crate) header: [u8; MAX_HEADER],
    pub(crate) header_len: usize,
    pub(crate) payload: Slices<'a>,
    pub(crate) offload: TxOffload,
    pub(crate) conn: Option<ConnId>,
}

impl Transmit<'_> {
    /// The headers, from Ethernet to TCP; empty for frames that the stack built whole.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }

    /// The payload, in order; up to [`Transmit::MAX_SLICES`] pieces.
    #[must_use]
    pub fn payload(&self) -> &[&[u8]] {
        self.payload.as_slice()
    }

    /// Most pieces of a payload.
    pub const MAX_SLICES: usize = MAX_SLICES;

    /// The frame's length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.header_len + self.payload.len()
    }

    /// What the device must still do.
    #[must_use]
    pub fn offload(&self) -> TxOffload {
        self.offload
    }

    /// The connection it belongs to; none for ARP, ICMP and replies of no connection.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        self.conn
    }

    /// Copies the whole frame to the start of `into` and returns its length, or `None` when `into`
    /// is too short.
    pub fn copy_to(&self, into: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        for piece in core::iter::once(self.header()).chain(self.payload().iter().copied()) {
            into.get_mut(at..at + piece.len())?.copy_from_slice(piece);
            at += piece.len();
        }
        Some(at)
    }
}
