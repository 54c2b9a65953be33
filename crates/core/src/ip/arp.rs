//! ARP (RFC 826), with address conflict detection as far as a host must (RFC 5227).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use tidewire_wire::{ArpOperation, ArpPacket, EtherType, EthernetHeader, MacAddr};

use super::neighbor::Claim;
use super::network::{Network, Received, Upcall};
use crate::time::Instant;
use crate::types::DropReason;

impl Network {
    /// An ARP packet arrived.
    pub(super) fn handle_arp(&mut self, now: Instant, bytes: &[u8]) -> Received {
        let packet = ArpPacket::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let sender = IpAddr::V4(packet.sender_ip);
        if packet.sender_mac.is_multicast() || packet.sender_mac == self.link.mac {
            return Err(DropReason::BadSource);
        }
        if self.is_own(sender) {
            // Another host uses our address (RFC 5227 §2.4). The conflict is noted; the stack
            // defends the address only by answering requests for it as before.
            self.note_conflict(sender, packet.sender_mac);
            return Err(DropReason::BadSource);
        }
        let target = IpAddr::V4(packet.target_ip);
        let target_is_own = self.is_own(target);
        let is_probe = packet.sender_ip.is_unspecified();
        if packet.operation == ArpOperation::Request
            && self.must_not_answer(target, is_probe, packet.sender_mac)
        {
            return Err(DropReason::BadSource);
        }
        match packet.operation {
            ArpOperation::Request if target_is_own => {
                let mut upcall = Upcall::None;
                if !is_probe && self.is_on_link(sender) {
                    let claim = Claim::weak(packet.sender_mac);
                    let waiters = self.neighbors.on_request(now, sender, claim);
                    upcall = self.release(now, waiters);
                }
                self.send_arp(
                    ArpOperation::Reply,
                    packet.target_ip,
                    packet.sender_ip,
                    packet.sender_mac,
                );
                Ok(upcall)
            }
            ArpOperation::Reply if !is_probe => {
                let claim = Claim {
                    solicited: target_is_own,
                    ..Claim::weak(packet.sender_mac)
                };
                let waiters = self.neighbors.on_answer(now, sender, claim);
                if waiters.is_none() {
                    return Err(DropReason::UnsolicitedNeighbor);
                }
                Ok(self.release(now, waiters))
            }
            // A gratuitous request: a host in the cache may have another MAC address.
            ArpOperation::Request if packet.sender_ip == packet.target_ip => {
                let claim = Claim::weak(packet.sender_mac);
                let waiters = self.neighbors.on_answer(now, sender, claim);
                Ok(self.release(now, waiters))
            }
            _ => Ok(Upcall::None),
        }
    }

    /// Sends an ARP packet; a request without sender address is a probe (RFC 5227 §1.1).
    pub(super) fn send_arp(
        &mut self,
        operation: ArpOperation,
        sender: Ipv4Addr,
        target: Ipv4Addr,
        to: MacAddr,
    ) {
        let own = self.link.mac;
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
