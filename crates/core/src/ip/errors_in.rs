//! Received ICMP errors: what they report, and which segment they quote.
//!
//! RFC 5461 says what they may do to TCP, RFC 5927 what attackers do with them; RFC 1191 and
//! RFC 8201 are path MTU discovery.
//!
//! DEVIATION(RFC 5927 §7.2): a report that a packet is too big is acted on at once, without waiting
//! for its data to be late. A forged report has to quote a sequence number in flight, and cannot
//! lower the path MTU below its floor.

use core::net::IpAddr;

use tidewire_wire::{Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, Ipv6Header, SeqNum};

use super::network::{Received, Upcall};
use super::report::{Quoted, Report};
use crate::error::ConnError;
use crate::types::{DropReason, FourTuple};

/// What an ICMPv4 message reports, and the packet it quotes; `None` for messages that are not
/// errors.
pub(super) fn report_of_icmpv4<'a>(message: &Icmpv4Message<'a>) -> Option<(Report, &'a [u8])> {
    use ConnError::{HostUnreachable, NetworkUnreachable, Refused};
    Some(match *message {
        Icmpv4Message::Unreachable {
            code,
            next_hop_mtu,
            quoted,
        } => {
            // As Linux maps them (RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1).
            let report = match code {
                0 | 6 | 9 | 11 => Report::Unreachable(NetworkUnreachable),
                2 | 3 => Report::Unreachable(Refused),
                4 => Report::TooBig(next_hop_mtu.into()),
                _ => Report::Unreachable(HostUnreachable),
            };
            (report, quoted)
        }
        // Source Quench is none of these, and so ignored (RFC 9293 §3.9.2.2, MUST-55).
        Icmpv4Message::TimeExceeded { quoted, .. }
        | Icmpv4Message::ParameterProblem { quoted, .. } => {
            (Report::Unreachable(HostUnreachable), quoted)
        }
        _ => return None,
    })
}

/// What an ICMPv6 message reports, and the packet it quotes; `None` for messages that are not
/// errors.
pub(super) fn report_of_icmpv6<'a>(message: &Icmpv6Message<'a>) -> Option<(Report, &'a [u8])> {
    use ConnError::{HostUnreachable, NetworkUnreachable, Refused};
    Some(match *message {
        Icmpv6Message::Unreachable { code, quoted } => {
            let error = match code {
                0 => NetworkUnreachable,
                Icmpv6Message::CODE_PORT_UNREACHABLE => Refused,
                _ => HostUnreachable,
            };
            (Report::Unreachable(error), quoted)
        }
        // RFC 8201 §4: never below the minimum link MTU, and IPv6 routers always know.
        Icmpv6Message::PacketTooBig { mtu, quoted } => (Report::TooBig(mtu.max(1)), quoted),
        // RFC 4443 §3.4, code 1: the protocol is not known there.
        Icmpv6Message::ParameterProblem {
            code: 1, quoted, ..
        } => (Report::Unreachable(Refused), quoted),
        Icmpv6Message::TimeExceeded { quoted, .. }
        | Icmpv6Message::ParameterProblem { quoted, .. } => {
            (Report::Unreachable(HostUnreachable), quoted)
        }
        _ => return None,
    })
}

/// The TCP segment at the start of `packet`, one of ours, which may be cut anywhere behind the
/// sequence number.
fn quoted_segment(packet: &[u8]) -> Option<Quoted> {
    let (src, dst, len, segment): (IpAddr, IpAddr, u32, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let (ip, at) = Ipv4Header::parse_quoted(packet).ok()?;
            if ip.protocol != IpProtocol::TCP || ip.is_fragment() {
                return None;
            }
            let len = u32::from(ip.total_len);
            (ip.src.into(), ip.dst.into(), len, packet.get(at..)?)
        }
        6 => {
            let (ip, at) = Ipv6Header::parse_quoted(packet).ok()?;
            // Ours have no extension headers.
            if ip.next_header != IpProtocol::TCP {
                return None;
            }
            let len = u32::from(ip.payload_len) + Ipv6Header::LEN as u32;
            (ip.src.into(), ip.dst.into(), len, packet.get(at..)?)
        }
        _ => return None,
    };
    let &[a, b, c, d, e, f, g, h] = segment.first_chunk::<8>()?;
    Some(Quoted {
        tuple: FourTuple {
            local: src,
            remote: dst,
            local_port: u16::from_be_bytes([a, b]),
            remote_port: u16::from_be_bytes([c, d]),
        },
        seq: SeqNum::new(u32::from_be_bytes([e, f, g, h])),
        len,
    })
}

/// An ICMP error that quotes `packet`. It counts where that is a TCP segment of ours, which TCP
/// then has to find in flight (RFC 9293 §3.9.2.2, MUST-54; RFC 5927 §4.1).
pub(super) fn icmp_error(report: Report, packet: &[u8]) -> Received {
    let quoted = quoted_segment(packet).ok_or(DropReason::IcmpIgnored)?;
    Ok(Upcall::IcmpError { report, quoted })
}
