//! The headers in front of what is sent: Ethernet, IP of either version, TCP.

use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::{
    Checksum, EtherType, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, MacAddr, TcpHeader,
    TcpOptions,
};

use super::transmit::MAX_HEADER;
use crate::offload::TxOffload;
use crate::tcp::segment::SegmentPlan;
use crate::types::FourTuple;
use crate::types::IpFields;
use crate::types::LinkCaps;

/// The checksum field's offset in a TCP header. It is always filled in, here or by the device (MUST-2).
const TCP_CHECKSUM: u16 = 16;

/// Both ends of a packet.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ends {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
}

/// A complete set of headers.
pub(super) struct Headers {
    pub(super) bytes: [u8; MAX_HEADER],
    pub(super) len: usize,
    pub(super) offload: TxOffload,
}

impl Headers {
    /// The headers of a segment; `to` is the next hop's link address, and `tx_checksum` leaves the checksum to the
    /// device.
    pub(super) fn new(
        link: &LinkCaps,
        to: MacAddr,
        tuple: &FourTuple,
        plan: &SegmentPlan,
        payload: &[&[u8]],
        tx_checksum: bool,
    ) -> Option<Self> {
        let payload_len: usize = payload.iter().map(|piece| piece.len()).sum();
        let mut bytes = [0; MAX_HEADER];
        let ip_at = ethernet(link.mac, to, ether_type(tuple.remote))
            .emit(&mut bytes)
            .ok()?;
        let tcp_len = TcpHeader::MIN_LEN + plan.options.emitted_len();
        let ends = Ends {
            src: tuple.local,
            dst: tuple.remote,
        };
        let ip_payload = tcp_len + payload_len;
        let ip = bytes.get_mut(ip_at..)?;
        let tcp_at = ip_at + emit_ip(ends, IpProtocol::TCP, ip_payload, plan.ip, ip)?;
        emit_tcp(tuple, plan, bytes.get_mut(tcp_at..)?)?;
        let len = tcp_at + tcp_len;
        let offload = if tx_checksum {
            offload(tuple.remote, plan, payload_len, (tcp_at, len))?
        } else {
            TxOffload::None
        };

        let total = u32::try_from(ip_payload).ok()?;
        let mut sum = Checksum::pseudo_header(ends.src, ends.dst, IpProtocol::TCP, total);
        let field = if offload == TxOffload::None {
            sum.add_bytes(bytes.get(tcp_at..len)?);
            payload.iter().for_each(|piece| sum.add_bytes(piece));
            sum.finish()
        } else {
            // The device sums the rest.
            sum.fold()
        };
        let at = tcp_at + usize::from(TCP_CHECKSUM);
        bytes
            .get_mut(at..at + 2)?
            .copy_from_slice(&field.to_be_bytes());
        Some(Self {
            bytes,
            len,
            offload,
        })
    }

    /// The headers without the Ethernet header: a packet without payload.
    pub(super) fn packet(&self) -> Option<Vec<u8>> {
        Some(self.bytes.get(EthernetHeader::LEN..self.len)?.to_vec())
    }
}

/// An Ethernet header without tag.
pub(super) fn ethernet(src: MacAddr, dst: MacAddr, ether_type: EtherType) -> EthernetHeader {
    EthernetHeader {
        dst,
        src,
        vlan: None,
        ether_type,
    }
}

/// The type of frames to this address.
pub(super) fn ether_type(to: IpAddr) -> EtherType {
    if to.is_ipv4() {
        EtherType::IPV4
    } else {
        EtherType::IPV6
    }
}

/// Bytes of an IP header without options or extension headers, as everything sent has it.
pub(crate) fn ip_header_len(address: IpAddr) -> usize {
    if address.is_ipv4() {
        Ipv4Header::MIN_LEN
    } else {
        Ipv6Header::LEN
    }
}

/// Writes the IP header in front of `payload_len` bytes and returns its length; `None` where that is more than a packet
/// holds, or the ends are of two versions.
fn emit_ip(
    ends: Ends,
    protocol: IpProtocol,
    payload_len: usize,
    fields: IpFields,
    into: &mut [u8],
) -> Option<usize> {
    match (ends.src, ends.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Header {
                tos: fields.traffic_class,
                total_len: u16::try_from(Ipv4Header::MIN_LEN + payload_len).ok()?,
                // RFC 6864 §4.1: with DF the identification means nothing; a constant tells nobody how much we send.
                id: 0,
                dont_fragment: true,
                more_fragments: false,
                fragment_offset: 0,
                ttl: fields.hop_limit,
                protocol,
                src,
                dst,
                options_len: 0,
            };
            header.emit(into).ok()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = Ipv6Header {
                traffic_class: fields.traffic_class,
                // RFC 6437 §3: 0 where flows are not labelled.
                flow_label: 0,
                payload_len: u16::try_from(payload_len).ok()?,
                next_header: protocol,
                hop_limit: fields.hop_limit,
                src,
                dst,
            };
            header.emit(into).ok()
        }
        _ => None,
    }
}

/// A whole packet whose payload of `len` bytes `emit` writes.
pub(crate) fn build_packet(
    ends: Ends,
    protocol: IpProtocol,
    fields: IpFields,
    len: usize,
    emit: impl FnOnce(&mut [u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut packet: Vec<u8> = alloc::vec![0; ip_header_len(ends.dst) + len];
    let at = emit_ip(ends, protocol, len, fields, &mut packet)?;
    emit(packet.get_mut(at..)?).then_some(packet)
}

/// The TCP header of a segment to send.
pub(super) fn tcp_header(tuple: &FourTuple, plan: &SegmentPlan) -> TcpHeader {
    TcpHeader {
        src_port: tuple.local_port,
        dst_port: tuple.remote_port,
        seq: plan.seq,
        ack: plan.ack,
        flags: plan.flags,
        window: plan.window,
        checksum: 0,
        urgent: 0,
    }
}

/// Writes the TCP header with options and an empty checksum field.
fn emit_tcp(tuple: &FourTuple, plan: &SegmentPlan, into: &mut [u8]) -> Option<usize> {
    let mut options = [0; TcpOptions::MAX_LEN];
    let options_len = plan.options.emit(&mut options).ok()?;
    tcp_header(tuple, plan)
        .emit(options.get(..options_len)?, into)
        .ok()
}

/// What the device must do with a frame to `to` whose TCP header is at `tcp_at` and whose payload begins at
/// `header_len`.
fn offload(
    to: IpAddr,
    plan: &SegmentPlan,
    payload_len: usize,
    (tcp_at, header_len): (usize, usize),
) -> Option<TxOffload> {
    let (start, offset) = (u16::try_from(tcp_at).ok()?, TCP_CHECKSUM);
    if payload_len <= plan.mss as usize {
        return Some(TxOffload::Checksum { start, offset });
    }
    Some(TxOffload::Tcp {
        v6: to.is_ipv6(),
        header_len: u16::try_from(header_len).ok()?,
        mss: u16::try_from(plan.mss).unwrap_or(u16::MAX),
        start,
        offset,
    })
}
