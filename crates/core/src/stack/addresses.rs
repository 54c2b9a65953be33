//! Own addresses, as seen by the driver: probes, announcements, conflicts.

use core::net::IpAddr;

use tidewire_wire::MacAddr;

use super::Stack;
use crate::time::Instant;

impl Stack {
    /// Asks the link whether another host uses `address`: an ARP probe (RFC 5227 §2.1.1), or a
    /// Neighbor Solicitation from the unspecified address (RFC 4862 §5.4.2). See
    /// [`address_conflict`](Self::address_conflict).
    ///
    /// From then until [`announce_addresses`](Self::announce_addresses) an own address is
    /// tentative: the stack does not answer for it, and another host that probes it is in conflict
    /// with this one (RFC 5227 §2.1.1, RFC 4862 §5.4.3).
    pub fn probe_address(&mut self, now: Instant, address: IpAddr) {
        self.advance(now);
        self.net.probe_address(address);
    }

    /// Announces the own addresses, now and once more (RFC 5227 §2.3, RFC 4861 §7.2.6): hosts that
    /// know them at another MAC address, as after a restart, need not wait for that entry to
    /// expire.
    pub fn announce_addresses(&mut self, now: Instant) {
        self.advance(now);
        self.net.announce_addresses(self.now);
    }

    /// The own address that another host claimed last, and its link address.
    #[must_use]
    pub fn address_conflict(&self) -> Option<(IpAddr, MacAddr)> {
        self.net.address_conflict()
    }
}
