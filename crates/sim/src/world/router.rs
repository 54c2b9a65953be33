//! Router on the path of a link: ICMP errors for packets above the path MTU.

use std::net::IpAddr;

use bytes::Bytes;
use tidewire_wire::{
    EthernetHeader, Frame, Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, Ipv6Header,
};

/// The error about a frame whose packet is longer than `path_mtu` (RFC 1191 §4, RFC 4443 §3.2),
/// addressed to its sender. The source is the destination of that packet, as from a router behind
/// address translation.
pub(super) fn too_big(frame: &[u8], path_mtu: u32) -> Option<Bytes> {
    let parsed = Frame::parse(frame).ok()?;
    let ethernet = parsed.ethernet;
    let packet = frame.get(ethernet.len()..)?;
    if packet.len() <= path_mtu as usize {
        return None;
    }
    let (back_to, from) = parsed.addresses()?;
    let mut error = vec![0; MOST];
    let header = EthernetHeader {
        dst: ethernet.src,
        src: ethernet.dst,
        ..ethernet
    };
    let at = header.emit(&mut error).ok()?;
    let into = error.get_mut(at..)?;
    let len = match (from, back_to) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let message = Icmpv4Message::Unreachable {
                code: Icmpv4Message::CODE_FRAGMENTATION_NEEDED,
                next_hop_mtu: u16::try_from(path_mtu).unwrap_or(u16::MAX),
                quoted: packet.get(..QUOTED_IPV4).unwrap_or(packet),
            };
            let ip = Ipv4Header {
                tos: 0,
                total_len: (Ipv4Header::MIN_LEN + message.buffer_len()) as u16,
                id: 0,
                dont_fragment: false,
                more_fragments: false,
                fragment_offset: 0,
                ttl: 64,
                protocol: IpProtocol::ICMP,
                src,
                dst,
                options_len: 0,
            };
            let ip_len = ip.emit(into).ok()?;
            ip_len + message.emit(into.get_mut(ip_len..)?).ok()?
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let message = Icmpv6Message::PacketTooBig {
                mtu: path_mtu,
                quoted: packet.get(..QUOTED_IPV6).unwrap_or(packet),
            };
            let ip = Ipv6Header {
                traffic_class: 0,
                flow_label: 0,
                payload_len: message.buffer_len() as u16,
                next_header: IpProtocol::ICMPV6,
                hop_limit: 64,
                src,
                dst,
            };
            let ip_len = ip.emit(into).ok()?;
            ip_len + message.emit(src, dst, into.get_mut(ip_len..)?).ok()?
        }
        _ => return None,
    };
    error.truncate(at + len);
    Some(error.into())
}

/// Longest error, its Ethernet header included.
const MOST: usize = 1_300;
/// The headers, and enough to find the connection (RFC 792); routers may quote more
/// (RFC 1812 §4.3.2.3).
const QUOTED_IPV4: usize = 28;
/// As much as fits the least MTU (RFC 4443 §3.2).
const QUOTED_IPV6: usize = 1_280 - 48;
