//! Own addresses on the link: probes, conflicts, announcements (RFC 5227, RFC 4862).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use tidewire_wire::{ArpOperation, MacAddr};

use super::network::Network;
use crate::time::{Duration, Instant};

/// Announcements of an address, and the time between them (RFC 5227 §1.1; RFC 4861 §7.2.6 allows three, a second apart).
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// Announcements to come, and what the link said of the own addresses.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    next: Option<Instant>,
    left: u8,
    /// Own addresses that the link is being asked for: not answered for yet.
    tentative: Vec<IpAddr>,
    /// The own address that another host claimed last, and its link address.
    conflict: Option<(IpAddr, MacAddr)>,
}

impl Announcer {
    /// The addresses are ours: the first announcement is due at once.
    fn start(&mut self, now: Instant) {
        self.next = Some(now);
        self.left = ANNOUNCE_NUM;
        self.tentative.clear();
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

impl Network {
    /// Asks the link whether another host uses `address` (RFC 5227 §2.1.1, RFC 4862 §5.4.2), which is tentative from
    /// now on where it is an own one.
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

    /// Whether a request is for a tentative address, which must not be answered. Who probes it as well is in conflict
    /// with us (RFC 5227 §2.1.1, RFC 4862 §5.4.3), unless the link brought our own probe back.
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

    /// Announces the own addresses if it is time to.
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
