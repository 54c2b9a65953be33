//! ICMP for IPv4: echo (RFC 1122 3.2.2.6).

use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::{Icmpv4Message, IpProtocol, Ipv4Header};

use crate::stack::{DropReason, Stack};
use crate::time::Instant;

impl Stack {
    /// An ICMP message to one of our addresses arrived.
    pub(crate) fn handle_icmpv4(&mut self, now: Instant, ip: &Ipv4Header, bytes: &[u8]) {
        let Ok(message) = Icmpv4Message::parse(bytes) else {
            return self.drop_frame(DropReason::Malformed);
        };
        match message {
            Icmpv4Message::EchoRequest { id, seq, data } => {
                self.send_icmpv4(now, ip, &Icmpv4Message::EchoReply { id, seq, data });
            }
            _ => self.drop_frame(DropReason::UnknownProtocol),
        }
    }

    fn send_icmpv4(&mut self, now: Instant, to: &Ipv4Header, message: &Icmpv4Message<'_>) {
        let len = Ipv4Header::MIN_LEN + message.buffer_len();
        let Ok(total_len) = u16::try_from(len) else {
            return self.drop_frame(DropReason::Malformed);
        };
        if u32::from(total_len) > self.link().ip_mtu {
            // A reply longer than the link carries would need fragments, which this stack does not send.
            return self.drop_frame(DropReason::Fragment);
        }
        let header = Ipv4Header {
            tos: to.tos,
            total_len,
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: crate::stack::TTL,
            protocol: IpProtocol::ICMP,
            src: to.dst,
            dst: to.src,
            options_len: 0,
        };
        let mut packet: Vec<u8> = alloc::vec![0; len];
        if let Ok(at) = header.emit(&mut packet)
            && let Some(rest) = packet.get_mut(at..)
            && message.emit(rest).is_ok()
        {
            self.send_packet(now, IpAddr::V4(to.src), packet);
        }
    }
}
