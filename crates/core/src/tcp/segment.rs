//! Segments without IP: received segments, resets, and plans of segments to send.

use core::ops::Range;

use tidewire_wire::{SeqNum, TcpFlags, TcpHeader, TcpOptions};

use crate::types::IpFields;

/// A received segment without its payload.
#[derive(Copy, Clone, Debug)]
pub(crate) struct SegmentIn {
    pub(crate) header: TcpHeader,
    pub(crate) options: TcpOptions,
    pub(crate) payload_len: usize,
    /// Payload length of each segment on the wire, where the frame is a super-frame of several.
    pub(crate) segment_len: Option<u16>,
}

impl SegmentIn {
    pub(crate) fn has(&self, flags: TcpFlags) -> bool {
        self.header.flags.contains(flags)
    }

    /// SEG.LEN: SYN and FIN count (RFC 9293 §3.4).
    pub(crate) fn len(&self) -> u64 {
        self.payload_len as u64
            + u64::from(self.has(TcpFlags::SYN))
            + u64::from(self.has(TcpFlags::FIN))
    }

    /// The same segment without its SYN: the sequence number is the next one, and the window is
    /// converted to the scale of other segments.
    pub(crate) fn without_syn(&self, shift: u8) -> Self {
        let mut segment = *self;
        segment.header.flags = segment.header.flags.difference(TcpFlags::SYN);
        segment.header.seq += 1;
        segment.header.window >>= shift;
        segment
    }

    /// Number of segments on the wire.
    pub(crate) fn wire_segments(&self) -> u64 {
        match self.segment_len {
            Some(len) if len > 0 => (self.payload_len as u64).div_ceil(u64::from(len)).max(1),
            _ => 1,
        }
    }

    /// The reset that answers this segment (RFC 9293 §3.10.7.1); `None` if the segment is a reset.
    pub(crate) fn reset(&self) -> Option<ResetReply> {
        if self.has(TcpFlags::RST) {
            return None;
        }
        Some(if self.has(TcpFlags::ACK) {
            ResetReply {
                seq: self.header.ack,
                ack: None,
            }
        } else {
            // Truncation is the arithmetic of sequence space.
            ResetReply {
                seq: SeqNum::new(0),
                ack: Some(self.header.seq.add(self.len() as u32)),
            }
        })
    }
}

/// A reset to send outside of any connection.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct ResetReply {
    pub(crate) seq: SeqNum,
    pub(crate) ack: Option<SeqNum>,
}

/// A segment to send, which may be a super-segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentPlan {
    pub(crate) seq: SeqNum,
    /// SEG.ACK; sent with the ACK flag.
    pub(crate) ack: SeqNum,
    pub(crate) flags: TcpFlags,
    pub(crate) window: u16,
    pub(crate) options: TcpOptions,
    /// Positions of the payload in the send buffer.
    pub(crate) payload: Range<u64>,
    /// Payload length of each segment on the wire.
    pub(crate) mss: u32,
    pub(crate) retransmission: bool,
    pub(crate) ip: IpFields,
}

impl SegmentPlan {
    /// A segment without payload, from SEG.SEQ and SEG.ACK, where there is no control block.
    pub(crate) fn control(
        (seq, ack): (SeqNum, SeqNum),
        flags: TcpFlags,
        window: u16,
        options: TcpOptions,
        ip: IpFields,
    ) -> Self {
        let (payload, mss, retransmission) = (0..0, 0, false);
        Self {
            seq,
            ack,
            flags,
            window,
            options,
            payload,
            mss,
            retransmission,
            ip,
        }
    }

    pub(crate) fn payload_len(&self) -> usize {
        usize::try_from(self.payload.end - self.payload.start).unwrap_or(usize::MAX)
    }
}
