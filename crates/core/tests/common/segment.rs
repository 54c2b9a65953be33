//! Test segments: to inject, or to compare with the segments sent.
//!
//! Sequence numbers are relative to the ISN of the side that counts them, as in RFC 9293: 0 is the
//! SYN, 1 the first byte.

use tidewire_core::wire::TcpFlags;

pub(crate) const FIN: TcpFlags = TcpFlags::FIN;
pub(crate) const SYN: TcpFlags = TcpFlags::SYN;
pub(crate) const RST: TcpFlags = TcpFlags::RST;
pub(crate) const PSH: TcpFlags = TcpFlags::PSH;
pub(crate) const ACK: TcpFlags = TcpFlags::ACK;
pub(crate) const URG: TcpFlags = TcpFlags::URG;
pub(crate) const SYN_ACK: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);
pub(crate) const FIN_ACK: TcpFlags = TcpFlags::FIN.union(TcpFlags::ACK);
pub(crate) const RST_ACK: TcpFlags = TcpFlags::RST.union(TcpFlags::ACK);
pub(crate) const NONE: TcpFlags = TcpFlags::EMPTY;

/// A segment. When injected, fields left out have the values of a correct peer; when compared,
/// fields left out may have any value.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) flags: TcpFlags,
    pub(crate) seq: Option<i64>,
    pub(crate) ack: Option<i64>,
    pub(crate) window: Option<u16>,
    pub(crate) len: Option<usize>,
    pub(crate) fill: Option<u8>,
    /// `Some(None)`: without the option.
    pub(crate) timestamps: Option<Option<(u32, u32)>>,
    pub(crate) sack: Option<Vec<(i64, i64)>>,
    pub(crate) mss: Option<u16>,
    pub(crate) wscale: Option<u8>,
    pub(crate) sack_permitted: Option<bool>,
    pub(crate) push: Option<bool>,
}

/// A segment with these flags. PSH is compared only where [`Segment::push`] asks for it.
pub(crate) fn seg(flags: TcpFlags) -> Segment {
    Segment {
        flags,
        seq: None,
        ack: None,
        window: None,
        len: None,
        fill: None,
        timestamps: None,
        sack: None,
        mss: None,
        wscale: None,
        sack_permitted: None,
        push: None,
    }
}

impl Segment {
    pub(crate) fn seq(self, seq: i64) -> Self {
        let seq = Some(seq);
        Self { seq, ..self }
    }

    pub(crate) fn ack(self, ack: i64) -> Self {
        let ack = Some(ack);
        Self { ack, ..self }
    }

    /// The window field as it stands.
    pub(crate) fn win(self, window: u16) -> Self {
        let window = Some(window);
        Self { window, ..self }
    }

    /// Payload of this length. Its bytes are those of the test pattern at its place in the stream.
    pub(crate) fn len(self, len: usize) -> Self {
        let len = Some(len);
        Self { len, ..self }
    }

    /// Payload that is this byte all over.
    pub(crate) fn fill(self, byte: u8) -> Self {
        let fill = Some(byte);
        Self { fill, ..self }
    }

    /// TSval and TSecr.
    pub(crate) fn ts(self, value: u32, echo: u32) -> Self {
        let timestamps = Some(Some((value, echo)));
        Self { timestamps, ..self }
    }

    pub(crate) fn no_ts(self) -> Self {
        let timestamps = Some(None);
        Self { timestamps, ..self }
    }

    /// SACK blocks in this order; none: no such option.
    pub(crate) fn sack(self, blocks: &[(i64, i64)]) -> Self {
        let sack = Some(blocks.to_vec());
        Self { sack, ..self }
    }

    pub(crate) fn mss(self, mss: u16) -> Self {
        let mss = Some(mss);
        Self { mss, ..self }
    }

    pub(crate) fn wscale(self, shift: u8) -> Self {
        let wscale = Some(shift);
        Self { wscale, ..self }
    }

    pub(crate) fn sack_permitted(self, permitted: bool) -> Self {
        let sack_permitted = Some(permitted);
        Self {
            sack_permitted,
            ..self
        }
    }

    pub(crate) fn push(self, push: bool) -> Self {
        let push = Some(push);
        Self { push, ..self }
    }
}

/// The byte at a place of either stream: 1 is the first. Neighbouring segments differ, so that a
/// misplaced one shows.
pub(crate) fn pattern(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}
