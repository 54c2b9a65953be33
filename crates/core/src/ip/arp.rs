//! ARP (RFC 826), with address conflict detection as far as a host must (RFC 5227).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use tidewire_wire::{ArpOperation, ArpPacket, EtherType, EthernetHeader, MacAddr};

use crate::stack::{DropReason, Stack};
use crate::time::{Duration, Instant};

/// Announcements of an address, and the time between them (RFC 5227 1.1).
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// When to announce the own addresses again.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Announcer {
    next: Option<Instant>,
    left: u8,
}

impl Announcer {
    /// Starts over: the first announcement is due at once.
    pub(crate) fn start(&mut self, now: Instant) {
        *self = Self {
            next: Some(now),
            left: ANNOUNCE_NUM,
        };
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Whether an announcement is due; counts as made.
    fn take_due(&mut self, now: Instant) -> bool {
        if self.next.take_if(|at| *at <= now).is_none() {
            return false;
        }
        self.left = self.left.saturating_sub(1);
        self.next = (self.left > 0).then(|| now + ANNOUNCE_INTERVAL);
        true
    }
}

impl Stack {
    /// Announces the own addresses if it is time to (RFC 5227 2.3).
    pub(crate) fn make_announcements(&mut self, now: Instant) {
        if !self.announcer.take_due(now) {
            return;
        }
        let addresses = self.config().addresses.clone();
        for cidr in addresses {
            if let IpAddr::V4(address) = cidr.address {
                self.send_arp(ArpOperation::Request, address, address, MacAddr::BROADCAST);
            }
        }
    }

    /// An ARP packet arrived.
    pub(crate) fn handle_arp(&mut self, now: Instant, bytes: &[u8]) {
        let Ok(packet) = ArpPacket::parse(bytes) else {
            return self.drop_frame(DropReason::Malformed);
        };
        let sender = IpAddr::V4(packet.sender_ip);
        if packet.sender_mac.is_multicast() || packet.sender_mac == self.link().mac {
            return self.drop_frame(DropReason::BadSource);
        }
        if self.is_own(sender) {
            // Somebody else uses our address (RFC 5227 2.4). It is reported, and defended by answering on.
            self.note_conflict(sender, packet.sender_mac);
            return self.drop_frame(DropReason::BadSource);
        }
        let target_is_own = self.is_own(IpAddr::V4(packet.target_ip));
        let is_probe = packet.sender_ip.is_unspecified();
        match packet.operation {
            ArpOperation::Request if target_is_own => {
                if !is_probe && self.is_on_link(sender) {
                    let waiters = self.neighbors.on_request(now, sender, packet.sender_mac);
                    self.release(waiters);
                }
                self.send_arp(
                    ArpOperation::Reply,
                    packet.target_ip,
                    packet.sender_ip,
                    packet.sender_mac,
                );
            }
            ArpOperation::Reply if !is_probe => {
                let solicited = target_is_own;
                let waiters = self
                    .neighbors
                    .on_answer(now, sender, packet.sender_mac, solicited);
                if waiters.is_none() {
                    return self.drop_frame(DropReason::UnsolicitedNeighbor);
                }
                self.release(waiters);
            }
            // A gratuitous request of a host we know: it may have moved.
            ArpOperation::Request if packet.sender_ip == packet.target_ip => {
                let waiters = self
                    .neighbors
                    .on_answer(now, sender, packet.sender_mac, false);
                self.release(waiters);
            }
            _ => {}
        }
    }

    /// Sends the requests that the neighbour cache wants sent.
    pub(crate) fn flush_neighbor_requests(&mut self) {
        while let Some(request) = self.neighbors.pop_request() {
            let IpAddr::V4(target) = request.target else {
                continue;
            };
            let Some(IpAddr::V4(source)) = self.source_for(request.target) else {
                continue;
            };
            self.send_arp(
                ArpOperation::Request,
                source,
                target,
                request.to.unwrap_or(MacAddr::BROADCAST),
            );
        }
    }

    /// Sends an ARP packet; a request without sender address is a probe (RFC 5227 1.1).
    pub(crate) fn send_arp(
        &mut self,
        operation: ArpOperation,
        sender: Ipv4Addr,
        target: Ipv4Addr,
        to: MacAddr,
    ) {
        let own = self.link().mac;
        let target_mac = if operation == ArpOperation::Request {
            MacAddr([0; 6])
        } else {
            to
        };
        let packet = ArpPacket {
            operation,
            sender_mac: own,
            sender_ip: sender,
            target_mac,
            target_ip: target,
        };
        let mut frame: Vec<u8> = alloc::vec![0; EthernetHeader::LEN + ArpPacket::LEN];
        let ethernet = EthernetHeader {
            dst: to,
            src: own,
            vlan: None,
            ether_type: EtherType::ARP,
        };
        if let Ok(at) = ethernet.emit(&mut frame)
            && let Some(rest) = frame.get_mut(at..)
            && packet.emit(rest).is_ok()
        {
            self.queue_frame(frame);
        }
    }
}
