//! Software receive coalescing: consecutive segments of a flow become one super-frame.
//!
//! The rules are those of generic receive offload: what is merged must be what segmentation would
//! cut again into the same frames. Anything else passes unchanged, and the order within a flow is
//! kept.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;
use tidewire_wire::{
    Checksum, EtherType, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, SeqNum, TcpFlags,
    TcpHeader, verify_tcp,
};

use super::segment::{complete_ipv4_checksum, put};
use super::{RxChecksum, RxMeta};

/// Gathers received frames into super-frames.
///
/// Between [`push`](Self::push) and [`flush`](Self::flush) frames are held back: flush at the end
/// of every batch.
#[derive(Debug, Default)]
pub struct Coalescer {
    /// Oldest first; one entry per flow at most.
    held: VecDeque<Held>,
}

impl Coalescer {
    /// A coalescer that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: VecDeque::new(),
        }
    }

    /// Takes a frame as it was on the wire, Ethernet header first, and hands to `emit` the frames
    /// that cannot grow any more.
    ///
    /// A merged frame is [`RxChecksum::Partial`]: each checksum was verified, its own field holds
    /// the pseudo-header sum. `segment_len` is the payload length of its segments.
    pub fn push(&mut self, frame: Bytes, emit: &mut impl FnMut(Bytes, RxMeta)) {
        let Some(segment) = Segment::parse(&frame) else {
            // A reset, or a bare ACK, must not overtake the data before it.
            if let Some(flow) = Flow::of(&frame) {
                self.release(&flow, emit);
            }
            emit(frame, RxMeta::default());
            return;
        };
        if let Some(held) = self
            .held
            .iter_mut()
            .find(|held| held.segment.flow == segment.flow)
            && held.append(&segment, &frame)
        {
            if held.is_complete() {
                self.release(&segment.flow, emit);
            }
            return;
        }
        self.release(&segment.flow, emit);
        if self.held.len() == MAX_FLOWS
            && let Some(oldest) = self.held.pop_front()
        {
            oldest.emit(emit);
        }
        let held = Held::new(segment, frame);
        if held.is_complete() {
            held.emit(emit);
        } else {
            self.held.push_back(held);
        }
    }

    /// Hands over everything that is held.
    pub fn flush(&mut self, emit: &mut impl FnMut(Bytes, RxMeta)) {
        for held in self.held.drain(..) {
            held.emit(emit);
        }
    }

    fn release(&mut self, flow: &Flow, emit: &mut impl FnMut(Bytes, RxMeta)) {
        let position = self.held.iter().position(|held| held.segment.flow == *flow);
        if let Some(held) = position.and_then(|at| self.held.remove(at)) {
            held.emit(emit);
        }
    }
}

/// Flows held at once; Linux' GRO has 8 per bucket.
const MAX_FLOWS: usize = 8;

/// Largest super-frame, Ethernet header included.
const MAX_FRAME: usize = 65_535;

/// The ends of a connection, as a frame names them.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
struct Flow {
    src: IpAddr,
    dst: IpAddr,
    src_port: u16,
    dst_port: u16,
}

/// Where the parts of a TCP frame stand.
struct Layout {
    ip: usize,
    tcp: usize,
    /// Where the packet ends; Ethernet padding may follow.
    end: usize,
    flow: Flow,
    header: TcpHeader,
    header_len: usize,
}

impl Layout {
    /// A whole TCP segment in IP without options, extension headers and fragmentation.
    fn parse(frame: &[u8]) -> Option<Self> {
        let (ethernet, ip) = EthernetHeader::parse(frame).ok()?;
        let packet = frame.get(ip..)?;
        let (src, dst, range): (IpAddr, IpAddr, _) = match ethernet.ether_type {
            EtherType::IPV4 => {
                let (header, _) = Ipv4Header::parse(packet).ok()?;
                if header.protocol != IpProtocol::TCP
                    || header.is_fragment()
                    || header.options_len != 0
                {
                    return None;
                }
                (
                    header.src.into(),
                    header.dst.into(),
                    header.payload_range(packet.len()),
                )
            }
            EtherType::IPV6 => {
                let (header, _) = Ipv6Header::parse(packet).ok()?;
                if header.next_header != IpProtocol::TCP {
                    return None;
                }
                (
                    header.src.into(),
                    header.dst.into(),
                    header.payload_range(packet.len()),
                )
            }
            _ => return None,
        };
        let (header, _, header_len) = TcpHeader::parse(packet.get(range.clone())?).ok()?;
        let flow = Flow {
            src,
            dst,
            src_port: header.src_port,
            dst_port: header.dst_port,
        };
        Some(Self {
            ip,
            tcp: ip + range.start,
            end: ip + range.end,
            flow,
            header,
            header_len,
        })
    }
}

impl Flow {
    fn of(frame: &[u8]) -> Option<Self> {
        Layout::parse(frame).map(|layout| layout.flow)
    }
}

/// A data segment that may be merged with others.
#[derive(Copy, Clone, Debug)]
struct Segment {
    flow: Flow,
    ip: usize,
    tcp: usize,
    /// Where the payload stands.
    payload: usize,
    header: TcpHeader,
    payload_len: usize,
}

impl Segment {
    fn parse(frame: &[u8]) -> Option<Self> {
        let Layout {
            ip,
            tcp,
            end,
            flow,
            header,
            header_len,
        } = Layout::parse(frame)?;
        let mergeable = TcpFlags::ACK
            | TcpFlags::PSH
            | TcpFlags::FIN
            | TcpFlags::ECE
            | TcpFlags::CWR
            | TcpFlags::AE;
        let payload = tcp.checked_add(header_len)?;
        let payload_len = end.checked_sub(payload)?;
        let plain =
            header.flags.contains(TcpFlags::ACK) && header.flags.difference(mergeable).is_empty();
        if !plain
            || payload_len == 0
            || end != frame.len()
            || !verify_tcp(flow.src, flow.dst, frame.get(tcp..end)?)
        {
            return None;
        }
        Some(Self {
            flow,
            ip,
            tcp,
            payload,
            header,
            payload_len,
        })
    }

    /// Whether this must be the last of a super-frame: PSH and FIN stand nowhere else.
    fn is_last(&self) -> bool {
        self.header.flags.intersects(TcpFlags::PSH | TcpFlags::FIN)
    }
}

/// A segment, and those that were appended to it.
#[derive(Debug)]
struct Held {
    /// The first one, with the flags of all.
    segment: Segment,
    first: Bytes,
    /// The super-frame; empty while the first segment is alone.
    merged: Vec<u8>,
    next_seq: SeqNum,
    next_ipv4_id: u16,
    complete: bool,
}

impl Held {
    fn new(segment: Segment, first: Bytes) -> Self {
        let next_seq = advance(segment.header.seq, segment.payload_len);
        let next_ipv4_id = ipv4_id(&first, segment.ip).wrapping_add(1);
        Self {
            segment,
            first,
            merged: Vec::new(),
            next_seq,
            next_ipv4_id,
            complete: segment.is_last(),
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    /// Appends a segment of the same flow where the rules allow it, and says whether they did.
    fn append(&mut self, next: &Segment, frame: &[u8]) -> bool {
        let len = if self.merged.is_empty() {
            self.first.len()
        } else {
            self.merged.len()
        };
        if self.complete
            || next.payload_len > self.segment.payload_len
            || len + next.payload_len > MAX_FRAME
            || next.header.seq != self.next_seq
            || next.header.flags.contains(TcpFlags::CWR)
            || !self.same_headers(next, frame)
        {
            return false;
        }
        if self.merged.is_empty() {
            self.merged.extend_from_slice(&self.first);
        }
        self.merged
            .extend_from_slice(frame.get(next.payload..).unwrap_or_default());
        self.segment.header.flags |= next.header.flags;
        self.next_seq = advance(self.next_seq, next.payload_len);
        self.next_ipv4_id = self.next_ipv4_id.wrapping_add(1);
        self.complete = next.is_last() || next.payload_len < self.segment.payload_len;
        true
    }

    /// Whether `next` has the headers that segmentation would give it, lengths, checksums and
    /// sequence number aside.
    fn same_headers(&self, next: &Segment, frame: &[u8]) -> bool {
        let first = &self.segment;
        let stays = TcpFlags::ECE | TcpFlags::AE;
        if (first.ip, first.tcp, first.payload) != (next.ip, next.tcp, next.payload)
            || first.header.ack != next.header.ack
            || first.header.window != next.header.window
            || first.header.flags.bits() & stays.bits() != next.header.flags.bits() & stays.bits()
        {
            return false;
        }
        let same = |from: usize, to: usize| self.first.get(from..to) == frame.get(from..to);
        // Ethernet, and the options.
        if !same(0, first.ip) || !same(first.tcp + TcpHeader::MIN_LEN, first.payload) {
            return false;
        }
        let ip = first.ip;
        if first.flow.src.is_ipv6() {
            // Version, class and label; the limit of hops. The rest is length and addresses.
            return same(ip, ip + 4) && same(ip + 6, ip + 8);
        }
        // RFC 6864 §4.1: with DF the identification of a datagram means nothing.
        let dont_fragment = self.first.get(ip + 6).is_some_and(|byte| byte & 0x40 != 0);
        let id = dont_fragment || ipv4_id(frame, ip) == self.next_ipv4_id;
        id && same(ip, ip + 2) && same(ip + 6, ip + 9)
    }

    fn emit(mut self, emit: &mut impl FnMut(Bytes, RxMeta)) {
        if self.merged.is_empty() {
            return emit(
                self.first,
                RxMeta {
                    checksum: RxChecksum::Verified,
                    segment_len: None,
                },
            );
        }
        let segment_len = u16::try_from(self.segment.payload_len).ok();
        // Offsets were verified when the first segment was parsed; the frame has only grown since.
        if self.complete_headers().is_some() {
            emit(
                Bytes::from(self.merged),
                RxMeta {
                    checksum: RxChecksum::Partial,
                    segment_len,
                },
            );
        }
    }

    fn complete_headers(&mut self) -> Option<()> {
        let Segment {
            flow,
            ip,
            tcp,
            header,
            ..
        } = self.segment;
        let frame = &mut self.merged;
        let packet_len = frame.len().checked_sub(ip)?;
        if flow.src.is_ipv6() {
            put(
                frame,
                ip + 4,
                &u16::try_from(packet_len - Ipv6Header::LEN)
                    .ok()?
                    .to_be_bytes(),
            )?;
        } else {
            put(
                frame,
                ip + 2,
                &u16::try_from(packet_len).ok()?.to_be_bytes(),
            )?;
            complete_ipv4_checksum(frame, ip)?;
        }
        let offset_and_flags = u16::from_be_bytes([*frame.get(tcp + 12)?, 0]) | header.flags.bits();
        put(frame, tcp + 12, &offset_and_flags.to_be_bytes())?;
        let segment_len = u32::try_from(frame.len() - tcp).ok()?;
        let sum = Checksum::pseudo_header(flow.src, flow.dst, IpProtocol::TCP, segment_len);
        put(
            frame,
            tcp + TcpHeader::CHECKSUM_OFFSET,
            &sum.fold().to_be_bytes(),
        )
    }
}

fn ipv4_id(frame: &[u8], ip: usize) -> u16 {
    let field = frame.get(ip + 4..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |&bytes| u16::from_be_bytes(bytes))
}

fn advance(seq: SeqNum, len: usize) -> SeqNum {
    // A frame is never longer than 65,535 bytes here.
    seq.add(u32::try_from(len).unwrap_or(u32::MAX))
}
