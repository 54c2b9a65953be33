//! Own addresses: asking whether somebody has one already, and telling the link where ours are (RFC 5227, RFC 4862).

use core::net::{IpAddr, Ipv4Addr};

use tidewire_wire::{ArpOperation, MacAddr};

use crate::stack::Stack;
use crate::time::{Duration, Instant};

/// Announcements of an address, and the time between them (RFC 5227 §1.1; RFC 4861 §7.2.6 allows three, a second apart).
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
    fn start(&mut self, now: Instant) {
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
    /// Asks the link whether somebody else uses `address`: an ARP probe (RFC 5227 §2.1.1), or a Neighbor Solicitation
    /// from nobody (RFC 4862 §5.4.2). See [`address_conflict`](Self::address_conflict).
    ///
    /// Until [`announce_addresses`](Self::announce_addresses) an own address that was asked for is tentative: the stack
    /// does not answer for it, and whoever asks for it as well is in conflict with us (RFC 5227 §2.1.1, RFC 4862 §5.4.3).
    pub fn probe_address(&mut self, now: Instant, address: IpAddr) {
        self.take_time(now);
        if self.is_own(address) && !self.tentative.contains(&address) {
            self.tentative.push(address);
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

    /// Tells the link where the own addresses are, now and once more (RFC 5227 §2.3, RFC 4861 §7.2.6): hosts that know
    /// them at another MAC address, as after a restart, need not wait for that to expire.
    pub fn announce_addresses(&mut self, now: Instant) {
        let now = self.take_time(now);
        self.tentative.clear();
        self.announcer.start(now);
        self.make_announcements(now);
    }

    /// Whether somebody asked for an address that is tentative, which must not be answered. Who probes it as well is in
    /// conflict with us (RFC 5227 §2.1.1, RFC 4862 §5.4.3), unless the link brought our own probe back.
    pub(crate) fn must_not_answer(
        &mut self,
        target: IpAddr,
        is_probe: bool,
        from: MacAddr,
    ) -> bool {
        let is_tentative = self.tentative.contains(&target);
        if is_tentative && is_probe && from != self.link().mac {
            self.note_conflict(target, from);
        }
        is_tentative
    }

    /// The own address that somebody else claimed last, and who.
    #[must_use]
    pub fn address_conflict(&self) -> Option<(IpAddr, MacAddr)> {
        self.conflict
    }

    pub(crate) fn note_conflict(&mut self, address: IpAddr, mac: MacAddr) {
        self.conflict = Some((address, mac));
    }

    /// Announces the own addresses if it is time to.
    pub(crate) fn make_announcements(&mut self, now: Instant) {
        if !self.announcer.take_due(now) {
            return;
        }
        let addresses = self.config().addresses.clone();
        for cidr in addresses {
            match cidr.address {
                IpAddr::V4(address) => {
                    self.send_arp(ArpOperation::Request, address, address, MacAddr::BROADCAST);
                }
                IpAddr::V6(address) => self.send_announcement(address),
            }
        }
    }
}
