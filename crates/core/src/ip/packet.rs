//! Packets as this host builds them: Ethernet and IP headers of both versions.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;

use tidewire_wire::{EtherType, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, MacAddr};

use crate::types::IpFields;

/// Both ends of a packet.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ends {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
}

/// An Ethernet header without tag.
pub(crate) fn ethernet(src: MacAddr, dst: MacAddr, ether_type: EtherType) -> EthernetHeader {
    EthernetHeader {
        dst,
        src,
        vlan: None,
        ether_type,
    }
}

/// The type of frames to this address.
pub(crate) fn ether_type(to: IpAddr) -> EtherType {
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

/// Writes the IP header in front of `payload_len` bytes and returns its length; `None` where that
/// is more than a packet holds, or the ends are of two versions.
pub(crate) fn emit_ip(
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
                // RFC 6864 §4.1: with DF the identification means nothing; a constant does not
                // reveal how much we send.
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

/// Addresses, protocol and payload of a packet.
pub(crate) struct Datagram {
    pub(crate) ends: Ends,
    pub(crate) protocol: IpProtocol,
    /// Where its payload is.
    pub(crate) body: Range<usize>,
}

impl Datagram {
    /// Parses a packet that this stack built: without options, extension headers or fragments.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        Some(match packet.first()? >> 4 {
            4 => {
                let (ip, _) = Ipv4Header::parse(packet).ok()?;
                Self {
                    ends: Ends {
                        src: ip.src.into(),
                        dst: ip.dst.into(),
                    },
                    protocol: ip.protocol,
                    body: ip.payload_range(packet.len()),
                }
            }
            _ => {
                let (ip, _) = Ipv6Header::parse(packet).ok()?;
                Self {
                    ends: Ends {
                        src: ip.src.into(),
                        dst: ip.dst.into(),
                    },
                    protocol: ip.next_header,
                    body: ip.payload_range(packet.len()),
                }
            }
        })
    }
}

/// Destination of a packet that this stack built.
pub(super) fn destination_of(packet: &[u8]) -> Option<IpAddr> {
    Some(Datagram::parse(packet)?.ends.dst)
}
