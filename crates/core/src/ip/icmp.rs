//! ICMP of both versions: dispatch, and echo (RFC 1122 §3.2.2.6, RFC 4443 §4.2).

use core::net::IpAddr;

use tidewire_wire::{
    Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, Ipv6Header, MacAddr, ParseError,
};

use super::errors_in::{icmp_error, report_of_icmpv4, report_of_icmpv6};
use super::network::{Network, Received, Upcall};
use super::packet::{Ends, build_packet, ip_header_len};
use crate::time::Instant;
use crate::types::{DropReason, IpFields};

impl Network {
    /// An ICMP message to one of our addresses arrived.
    pub(super) fn handle_icmpv4(
        &mut self,
        now: Instant,
        ip: &Ipv4Header,
        bytes: &[u8],
    ) -> Received {
        let message = Icmpv4Message::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let ends = Ends {
            src: ip.dst.into(),
            dst: ip.src.into(),
        };
        match message {
            Icmpv4Message::EchoRequest { id, seq, data } => {
                let reply = Icmpv4Message::EchoReply { id, seq, data };
                self.send_icmp(now, ends, ip.tos, IcmpMessage::V4(reply));
                Ok(Upcall::None)
            }
            _ => match report_of_icmpv4(&message) {
                Some((report, packet)) => icmp_error(report, packet),
                None => Err(DropReason::IcmpIgnored),
            },
        }
    }

    /// An ICMPv6 message to one of our addresses or groups arrived, in a frame from `from`.
    pub(super) fn handle_icmpv6(
        &mut self,
        now: Instant,
        ip: &Ipv6Header,
        from: MacAddr,
        bytes: &[u8],
    ) -> Received {
        let message =
            Icmpv6Message::parse(ip.src, ip.dst, bytes).map_err(|error| reason_of(&error))?;
        match message {
            Icmpv6Message::NeighborSolicit(solicit) => {
                return self.handle_solicit(now, ip, from, &solicit);
            }
            Icmpv6Message::NeighborAdvert(advert) => {
                return self.handle_advert(now, ip, from, &advert);
            }
            // Any other message must have a source, and one that is not ours.
            _ if ip.src.is_unspecified() || self.is_own(ip.src.into()) => {
                return Err(DropReason::BadSource);
            }
            _ => {}
        }
        match message {
            Icmpv6Message::EchoRequest { id, seq, data } => {
                let dst = IpAddr::V6(ip.src);
                // RFC 4443 §4.2: a request to a group is answered from an own address.
                let src = if ip.dst.is_multicast() {
                    self.source_for(dst)
                } else {
                    Some(ip.dst.into())
                };
                let Some(src) = src else {
                    return Err(DropReason::BadSource);
                };
                let reply = Icmpv6Message::EchoReply { id, seq, data };
                let ends = Ends { src, dst };
                self.send_icmp(now, ends, ip.traffic_class, IcmpMessage::V6(reply));
                Ok(Upcall::None)
            }
            // Router advertisements and redirects are ignored, as prefixes and gateways are
            // configured.
            _ => match report_of_icmpv6(&message) {
                Some((report, packet)) => icmp_error(report, packet),
                None => Err(DropReason::IcmpIgnored),
            },
        }
    }

    pub(super) fn send_icmp(
        &mut self,
        now: Instant,
        ends: Ends,
        traffic_class: u8,
        message: IcmpMessage<'_>,
    ) {
        let len = message.len();
        if ip_header_len(ends.dst) + len > self.link.ip_mtu as usize {
            // A reply longer than the link carries would need fragments, which this stack does not
            // send.
            return self.stats.count_drop(DropReason::Fragment);
        }
        let fields = IpFields {
            traffic_class,
            ..IpFields::DEFAULT
        };
        let packet = build_packet(ends, message.protocol(), fields, len, |into| {
            message.emit(ends, into)
        });
        if let Some(packet) = packet {
            self.send_packet(now, ends.dst, packet);
        }
    }
}

/// A message of either version.
#[derive(Copy, Clone, Debug)]
pub(crate) enum IcmpMessage<'a> {
    V4(Icmpv4Message<'a>),
    V6(Icmpv6Message<'a>),
}

impl IcmpMessage<'_> {
    fn protocol(&self) -> IpProtocol {
        match self {
            Self::V4(_) => IpProtocol::ICMP,
            Self::V6(_) => IpProtocol::ICMPV6,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::V4(message) => message.buffer_len(),
            Self::V6(message) => message.buffer_len(),
        }
    }

    /// Writes the message; false where the ends are of the other version.
    fn emit(&self, ends: Ends, into: &mut [u8]) -> bool {
        match (self, ends.src, ends.dst) {
            (Self::V4(message), _, _) => message.emit(into).is_ok(),
            (Self::V6(message), IpAddr::V6(src), IpAddr::V6(dst)) => {
                message.emit(src, dst, into).is_ok()
            }
            _ => false,
        }
    }
}

/// A message that does not parse is malformed, or its checksum is wrong.
fn reason_of(error: &ParseError) -> DropReason {
    match error {
        ParseError::Malformed {
            what: tidewire_wire::Malformed::Checksum,
            ..
        } => DropReason::BadChecksum,
        _ => DropReason::Malformed,
    }
}
