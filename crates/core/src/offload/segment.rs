//! Software segmentation: the offloads of a device, done in software.
//!
//! A driver falls back to it where its device cannot segment, a simulation uses it to put frames of
//! the link's MTU on a wire. The rules are those of Linux' generic segmentation offload; the
//! inverse is [`Coalescer`](super::Coalescer).

use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::{
    Checksum, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, TcpFlags, transport_checksum,
};

use super::TxOffload;

/// Does in software what `offload` asks for and hands every frame that results to `emit`, in order;
/// returns how many there were.
///
/// A TCP super-frame is cut into pieces of `mss` payload bytes, the last may be shorter: sequence
/// numbers advance, the IPv4 identification counts up, lengths and checksums are completed, CWR
/// stays on the first piece only (RFC 3168 §6.1.2), PSH and FIN on the last only; options are the
/// same on all. `frame` starts at the Ethernet header.
///
/// Nothing is emitted, and 0 returned, where `offload` contradicts the frame: offsets beyond its
/// end, an MSS of 0, another IP version.
pub fn segment(frame: &[u8], offload: TxOffload, mut emit: impl FnMut(&[u8])) -> usize {
    match offload {
        TxOffload::None => {
            emit(frame);
            1
        }
        TxOffload::Checksum { start, offset } => {
            match complete_checksum(frame, start.into(), offset.into()) {
                Some(complete) => {
                    emit(&complete);
                    1
                }
                None => 0,
            }
        }
        TxOffload::Tcp {
            v6,
            header_len,
            mss,
            start,
            offset,
        } => {
            let Some(cutter) =
                Cutter::new(frame, v6, header_len.into(), start.into(), offset.into())
            else {
                return 0;
            };
            cutter.cut(mss.into(), &mut emit).unwrap_or(0)
        }
    }
}

/// The frame with its transport checksum filled in; the field holds the pseudo-header sum up to
/// now.
fn complete_checksum(frame: &[u8], start: usize, offset: usize) -> Option<Vec<u8>> {
    let mut sum = Checksum::new();
    sum.add_bytes(frame.get(start..)?);
    let mut complete = frame.to_vec();
    put(
        &mut complete,
        start.checked_add(offset)?,
        &sum.finish().to_be_bytes(),
    )?;
    Some(complete)
}

/// A super-frame, with the places of what differs from piece to piece.
struct Cutter<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    /// Where the IP header stands.
    ip: usize,
    /// Where the TCP header stands.
    tcp: usize,
    /// Where the TCP checksum stands.
    checksum: usize,
    src: IpAddr,
    dst: IpAddr,
    ipv4_id: u16,
    seq: u32,
    /// Data offset, reserved bits and flags, as they stand in the header.
    flags: u16,
}

impl<'a> Cutter<'a> {
    fn new(
        frame: &'a [u8],
        v6: bool,
        header_len: usize,
        tcp: usize,
        checksum: usize,
    ) -> Option<Self> {
        let (headers, payload) = frame.split_at_checked(header_len)?;
        let (_, ip) = EthernetHeader::parse(headers).ok()?;
        let packet = headers.get(ip..)?;
        let (src, dst, ipv4_id, ip_len) = if v6 {
            let (header, len) = Ipv6Header::parse_quoted(packet).ok()?;
            (header.src.into(), header.dst.into(), 0, len)
        } else {
            let (header, len) = Ipv4Header::parse_quoted(packet).ok()?;
            (header.src.into(), header.dst.into(), header.id, len)
        };
        if tcp < ip.checked_add(ip_len)?
            || checksum.checked_add(2)? > headers.len().checked_sub(tcp)?
        {
            return None;
        }
        let seq = u32::from_be_bytes(*headers.get(tcp.checked_add(4)?..)?.first_chunk()?);
        let flags = u16::from_be_bytes(*headers.get(tcp.checked_add(12)?..)?.first_chunk()?);
        let checksum = tcp.checked_add(checksum)?;
        Some(Self {
            headers,
            payload,
            ip,
            tcp,
            checksum,
            src,
            dst,
            ipv4_id,
            seq,
            flags,
        })
    }

    /// Emits the pieces and counts them.
    fn cut(&self, mss: usize, emit: &mut impl FnMut(&[u8])) -> Option<usize> {
        if mss == 0 {
            return None;
        }
        let count = self.payload.len().div_ceil(mss).max(1);
        let mut piece = Vec::with_capacity(self.headers.len() + mss.min(self.payload.len()));
        let mut rest = self.payload;
        for index in 0..count {
            let (data, after) = rest.split_at_checked(mss).unwrap_or((rest, &[]));
            let offset = self.payload.len() - rest.len();
            rest = after;
            piece.clear();
            piece.extend_from_slice(self.headers);
            piece.extend_from_slice(data);
            self.patch_ip(&mut piece, index)?;
            self.patch_tcp(&mut piece, offset, index == 0, index + 1 == count)?;
            emit(&piece);
        }
        Some(count)
    }

    fn patch_ip(&self, piece: &mut [u8], index: usize) -> Option<()> {
        let packet_len = piece.len().checked_sub(self.ip)?;
        if self.src.is_ipv6() {
            let payload_len = u16::try_from(packet_len.checked_sub(Ipv6Header::LEN)?).ok()?;
            return put(piece, self.ip + 4, &payload_len.to_be_bytes());
        }
        let total_len = u16::try_from(packet_len).ok()?;
        // Modulo 2^16, as the field is.
        let id = self.ipv4_id.wrapping_add((index & 0xffff) as u16);
        put(piece, self.ip + 2, &total_len.to_be_bytes())?;
        put(piece, self.ip + 4, &id.to_be_bytes())?;
        complete_ipv4_checksum(piece, self.ip)
    }

    fn patch_tcp(&self, piece: &mut [u8], offset: usize, first: bool, last: bool) -> Option<()> {
        let seq = self.seq.wrapping_add(u32::try_from(offset).ok()?);
        let mut flags = self.flags;
        if !first {
            flags &= !TcpFlags::CWR.bits();
        }
        if !last {
            flags &= !(TcpFlags::PSH | TcpFlags::FIN).bits();
        }
        put(piece, self.tcp + 4, &seq.to_be_bytes())?;
        put(piece, self.tcp + 12, &flags.to_be_bytes())?;
        put(piece, self.checksum, &[0, 0])?;
        let sum = transport_checksum(self.src, self.dst, IpProtocol::TCP, piece.get(self.tcp..)?);
        put(piece, self.checksum, &sum.to_be_bytes())
    }
}

/// Writes the header checksum of the IPv4 header at `ip`.
pub(super) fn complete_ipv4_checksum(frame: &mut [u8], ip: usize) -> Option<()> {
    put(frame, ip + 10, &[0, 0])?;
    let header_len = usize::from(frame.get(ip)? & 0x0f) << 2;
    let mut sum = Checksum::new();
    sum.add_bytes(frame.get(ip..ip + header_len)?);
    put(frame, ip + 10, &sum.finish().to_be_bytes())
}

/// Overwrites the bytes at `at`.
pub(super) fn put(frame: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    frame
        .get_mut(at..at.checked_add(bytes.len())?)?
        .copy_from_slice(bytes);
    Some(())
}
