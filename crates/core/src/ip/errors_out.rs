//! Sent ICMP errors: unknown protocols, and IPv6 headers that are not understood.
//!
//! The sources are RFC 1122 §3.2.2.1, RFC 8200 §4 and RFC 4443 §3.4. Other errors are for routers
//! or for UDP to send: a segment to a TCP port without listener is answered with a reset.

use core::net::IpAddr;

use tidewire_wire::{
    Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, Ipv6Header, Malformed, ParseError,
};

use super::icmp::IcmpMessage;
use super::network::Network;
use super::packet::{Ends, ip_header_len};
use crate::time::Instant;

/// Longest error over IPv4 (RFC 1812 §4.3.2.3) and over IPv6 (RFC 4443 §2.4 (c)).
const MOST_IPV4: usize = 576;
const MOST_IPV6: usize = 1280;
/// ICMP type, code, checksum, and a word that depends on the type.
const ICMP_HEADER: usize = 8;

/// Codes of an ICMPv6 parameter problem (RFC 4443 §3.4).
const ERRONEOUS_FIELD: u8 = 0;
const UNKNOWN_NEXT_HEADER: u8 = 1;
const UNKNOWN_OPTION: u8 = 2;

impl Network {
    /// A packet from a host to one of our addresses carries an unsupported protocol.
    pub(super) fn refuse_protocol_v4(&mut self, now: Instant, ip: &Ipv4Header, packet: &[u8]) {
        let ends = Ends {
            src: ip.dst.into(),
            dst: ip.src.into(),
        };
        let most = MOST_IPV4 - ip_header_len(ends.dst) - ICMP_HEADER;
        let quoted = packet.get(..usize::from(ip.total_len)).unwrap_or(packet);
        let message = Icmpv4Message::Unreachable {
            code: Icmpv4Message::CODE_PROTOCOL_UNREACHABLE,
            next_hop_mtu: 0,
            quoted: quoted.get(..most).unwrap_or(quoted),
        };
        self.send_icmp_error(now, ends, IcmpMessage::V4(message));
    }

    /// As above; `offset` is where the protocol's header starts in what follows the IPv6 header.
    pub(super) fn refuse_protocol_v6(
        &mut self,
        now: Instant,
        ip: &Ipv6Header,
        packet: &[u8],
        offset: usize,
    ) {
        let pointer = next_header_field(ip, packet, offset);
        if !ip.dst.is_multicast() {
            self.send_parameter_problem(now, ip, packet, (UNKNOWN_NEXT_HEADER, pointer));
        }
    }

    /// The extension headers of a packet to us do not parse; some of the reasons have to be
    /// reported.
    pub(super) fn refuse_extensions(
        &mut self,
        now: Instant,
        ip: &Ipv6Header,
        packet: &[u8],
        error: &ParseError,
    ) {
        let ParseError::Malformed { offset, what, .. } = *error else {
            return;
        };
        let at = Ipv6Header::LEN + offset;
        let byte = |at: usize| packet.get(at).copied().unwrap_or_default();
        let mut answers_groups = false;
        let problem = match what {
            // RFC 8200 §4.2: the two high bits of the option's type say whether, and whether to
            // groups too.
            Malformed::UnrecognizedOption if byte(at) >> 6 > 1 => {
                answers_groups = byte(at) >> 6 == 2;
                (UNKNOWN_OPTION, at)
            }
            // RFC 5095 §3, RFC 8200 §4.4: the pointer is to the routing type.
            Malformed::RoutingType0 if byte(at + 1) != 0 => (ERRONEOUS_FIELD, at),
            Malformed::SegmentsLeft => (ERRONEOUS_FIELD, at.saturating_sub(1)),
            // RFC 8200 §4.1: as a next header that is not known.
            Malformed::HopByHopPosition => {
                let pointer = next_header_field(ip, packet, offset);
                (UNKNOWN_NEXT_HEADER, pointer)
            }
            _ => return,
        };
        if answers_groups || !ip.dst.is_multicast() {
            self.send_parameter_problem(now, ip, packet, problem);
        }
    }

    fn send_parameter_problem(
        &mut self,
        now: Instant,
        ip: &Ipv6Header,
        packet: &[u8],
        (code, pointer): (u8, usize),
    ) {
        let dst = IpAddr::V6(ip.src);
        // RFC 4443 §2.2: from the address that was asked, where it is a host's.
        let src = if ip.dst.is_multicast() {
            self.source_for(dst)
        } else {
            Some(ip.dst.into())
        };
        let (Some(src), Ok(pointer)) = (src, u32::try_from(pointer)) else {
            return;
        };
        let whole = ip.payload_range(packet.len()).end;
        let quoted = packet.get(..whole).unwrap_or(packet);
        let most = MOST_IPV6 - Ipv6Header::LEN - ICMP_HEADER;
        let message = Icmpv6Message::ParameterProblem {
            code,
            pointer,
            quoted: quoted.get(..most).unwrap_or(quoted),
        };
        self.send_icmp_error(now, Ends { src, dst }, IcmpMessage::V6(message));
    }

    /// Sends an error within the rate limit, and only to a host (RFC 1122 §3.2.2, RFC 4443 §2.4
    /// (e)): not to an unspecified, multicast or own address.
    fn send_icmp_error(&mut self, now: Instant, ends: Ends, message: IcmpMessage<'_>) {
        let to = ends.dst;
        if to.is_unspecified() || to.is_multicast() || self.is_own(to) {
            return;
        }
        if self.error_limit.allow(now) {
            self.stats.icmp_errors_out += 1;
            self.send_icmp(now, ends, 0, message);
        }
    }
}

/// Offset in the packet of the next-header field that names the header at `offset` behind the IPv6
/// header. The headers before it are well-formed.
fn next_header_field(ip: &Ipv6Header, packet: &[u8], offset: usize) -> usize {
    /// Of the next-header field in the IPv6 header.
    const FIRST: usize = 6;
    let mut field = FIRST;
    let mut kind = ip.next_header;
    let mut at = 0;
    while at < offset {
        field = Ipv6Header::LEN + at;
        let Some(&[next, len]) = packet.get(field..).and_then(|rest| rest.first_chunk()) else {
            break;
        };
        at += match kind {
            IpProtocol::FRAGMENT => 8,
            _ => (usize::from(len) + 1) * 8,
        };
        kind = IpProtocol(next);
    }
    field
}
