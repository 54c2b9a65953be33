//! Own addresses on the link: probes, conflicts, announcements (RFC 5227, RFC 4862).

use core::net::{IpAddr, Ipv4Addr};

use tidewire_wire::{ArpOperation, MacAddr};

use super::network::Network;
use crate::time::Instant;

impl Network {
    /// Asks the link whether another host uses `address` (RFC 5227 §2.1.1, RFC 4862 §5.4.2), which
    /// is tentative from now on where it is an own one.
    pub(crate) fn probe_address(&mut self, address: IpAddr) {
        if self.is_own(address) && !self.announcer.tentative.contains(&address) {
            self.announcer.tentative.push(address);
        }
        match address {
            IpAddr::V4(address) => self.send_arp(
                ArpOperation::Request,
                Ipv4Addr::UNSPECIFIED,
                address,
                MacAddr::BROADCAST,
            ),
            IpAddr::V6(address) => self.send_probe(address),
        }
    }

    /// Announces the own addresses, now and once more (RFC 5227 §2.3, RFC 4861 §7.2.6).
    pub(crate) fn announce_addresses(&mut self, now: Instant) {
        self.announcer.start(now);
        self.make_announcements(now);
    }

    /// Whether a request is for a tentative address, which must not be answered. Another host that
    /// probes it is in conflict with this one (RFC 5227 §2.1.1, RFC 4862 §5.4.3); a probe from our
    /// own MAC address is ours, which the link brought back.
    pub(super) fn must_not_answer(
        &mut self,
        target: IpAddr,
        is_probe: bool,
        from: MacAddr,
    ) -> bool {
        let is_tentative = self.announcer.tentative.contains(&target);
        if is_tentative && is_probe && from != self.link.mac {
            self.note_conflict(target, from);
        }
        is_tentative
    }

    /// The own address that another host claimed last, and its link address.
    pub(crate) fn address_conflict(&self) -> Option<(IpAddr, MacAddr)> {
        self.announcer.conflict
    }

    pub(super) fn note_conflict(&mut self, address: IpAddr, mac: MacAddr) {
        self.announcer.conflict = Some((address, mac));
    }

    /// Announces the own addresses where that is due.
    pub(super) fn make_announcements(&mut self, now: Instant) {
        if !self.announcer.take_due(now) {
            return;
        }
        for index in 0..self.addresses.len() {
            match self.addresses.get(index).map(|cidr| cidr.address) {
                Some(IpAddr::V4(address)) => {
                    self.send_arp(ArpOperation::Request, address, address, MacAddr::BROADCAST);
                }
                Some(IpAddr::V6(address)) => self.send_announcement(address),
                None => {}
            }
        }
    }
}
