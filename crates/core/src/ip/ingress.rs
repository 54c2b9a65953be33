//! Ingress below TCP: Ethernet and IP of both versions.

use core::net::IpAddr;

use tidewire_wire::{
    EtherType, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, MacAddr, walk_extensions,
};

use super::network::{Network, Received, Upcall};
use super::packet::Ends;
use crate::time::Instant;
use crate::types::DropReason;

impl Network {
    /// Handles a received frame as far as it is the network layer's, and returns what is TCP's.
    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) -> Received {
        let (ethernet, at) = EthernetHeader::parse(bytes).map_err(|_| DropReason::Malformed)?;
        // A tag may carry a priority; another VLAN is another link (IEEE 802.1Q 9.6: VID 0 is no
        // VLAN).
        let is_of_vlan = ethernet.vlan.is_some_and(|tag| tag.id() != 0);
        if ethernet.dst != self.link.mac && !ethernet.dst.is_multicast()
            || ethernet.src.is_multicast()
            || is_of_vlan
        {
            return Err(DropReason::NotForUs);
        }
        let rest = bytes.get(at..).unwrap_or_default();
        match ethernet.ether_type {
            EtherType::ARP => self.handle_arp(now, rest),
            EtherType::IPV4 => {
                // RFC 1122 §3.3.6 (MUST-57): a unicast IP packet in a link-layer broadcast is
                // dropped.
                if ethernet.dst.is_multicast() {
                    return Err(DropReason::NotForUs);
                }
                self.handle_ipv4(now, rest, at)
            }
            EtherType::IPV6 => self.handle_ipv6(now, rest, at, &ethernet),
            _ => Err(DropReason::UnknownProtocol),
        }
    }

    /// An IPv4 packet, at `at` of its frame.
    fn handle_ipv4(&mut self, now: Instant, packet: &[u8], at: usize) -> Received {
        let (ip, _) = Ipv4Header::parse(packet).map_err(|_| DropReason::Malformed)?;
        if !self.is_own(IpAddr::V4(ip.dst)) {
            return Err(DropReason::NotForUs);
        }
        let source = ip.src;
        // RFC 1122 §3.2.1.3 (MUST-63): addresses that are never a host's. An own address from the
        // wire is spoofed or looped (LAND attack).
        if source.is_unspecified()
            || source.is_multicast()
            || source.is_broadcast()
            || source.is_loopback()
            || self.is_subnet_broadcast(IpAddr::V4(source))
            || self.is_own(IpAddr::V4(source))
        {
            return Err(DropReason::BadSource);
        }
        if ip.is_fragment() {
            return Err(DropReason::Fragment);
        }
        let body = ip.payload_range(packet.len());
        match ip.protocol {
            IpProtocol::TCP => Ok(Upcall::Segment {
                ends: Ends {
                    src: ip.src.into(),
                    dst: ip.dst.into(),
                },
                range: at + body.start..at + body.end,
            }),
            IpProtocol::ICMP => {
                let message = packet.get(body).unwrap_or_default();
                self.handle_icmpv4(now, &ip, message)
            }
            _ => {
                self.refuse_protocol_v4(now, &ip, packet);
                Err(DropReason::UnknownProtocol)
            }
        }
    }

    /// An IPv6 packet, at `at` of its frame.
    fn handle_ipv6(
        &mut self,
        now: Instant,
        packet: &[u8],
        at: usize,
        ethernet: &EthernetHeader,
    ) -> Received {
        let (ip, _) = Ipv6Header::parse(packet).map_err(|_| DropReason::Malformed)?;
        if !self.is_for_us(&ip, ethernet.dst) {
            return Err(DropReason::NotForUs);
        }
        let source = ip.src;
        // RFC 4291 §2.5.2, §2.5.3, §2.7: addresses that no host on a wire has. One that stands for
        // an IPv4 address (2.5.5.2) would make an IPv6 peer look like an IPv4 one.
        if source.is_multicast() || source.is_loopback() || source.to_ipv4_mapped().is_some() {
            return Err(DropReason::BadSource);
        }
        let body = ip.payload_range(packet.len());
        let payload = packet.get(body.clone()).unwrap_or_default();
        let walk = match walk_extensions(ip.next_header, payload) {
            Ok(walk) => walk,
            Err(error) => {
                self.refuse_extensions(now, &ip, packet, &error);
                return Err(DropReason::Malformed);
            }
        };
        // RFC 6946: a fragment that is the whole packet is one.
        if walk.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
            return Err(DropReason::Fragment);
        }
        let is_own_or_unspecified = source.is_unspecified() || self.is_own(IpAddr::V6(source));
        match walk.protocol {
            IpProtocol::ICMPV6 => {
                let message = payload.get(walk.offset..).unwrap_or_default();
                self.handle_icmpv6(now, &ip, ethernet.src, message)
            }
            // An own address from the wire is spoofed or looped (LAND attack).
            _ if is_own_or_unspecified => Err(DropReason::BadSource),
            IpProtocol::TCP if ip.dst.is_multicast() => Err(DropReason::NotForUs),
            IpProtocol::TCP => Ok(Upcall::Segment {
                ends: Ends {
                    src: ip.src.into(),
                    dst: ip.dst.into(),
                },
                range: at + body.start + walk.offset..at + body.end,
            }),
            protocol => {
                if protocol != IpProtocol::NO_NEXT {
                    self.refuse_protocol_v6(now, &ip, packet, walk.offset);
                }
                Err(DropReason::UnknownProtocol)
            }
        }
    }

    /// Whether an IPv6 packet in a frame to `mac` is to one of our addresses, or to a group that we
    /// are in.
    fn is_for_us(&self, ip: &Ipv6Header, mac: MacAddr) -> bool {
        let is_unicast_frame = mac == self.link.mac;
        if ip.dst.is_multicast() {
            let is_frame_to_group = mac == MacAddr::ipv6_multicast(ip.dst);
            (is_frame_to_group || is_unicast_frame) && self.is_own_group(ip.dst)
        } else {
            is_unicast_frame && self.is_own(IpAddr::V6(ip.dst))
        }
    }
}
