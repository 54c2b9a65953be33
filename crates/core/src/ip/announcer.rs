//! Announcer: when the own addresses are announced again, and what the link said of them (RFC 5227,
//! RFC 4862).

use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::MacAddr;

use crate::time::{Duration, Instant};

/// Announcements of an address, and the time between them (RFC 5227 §1.1; RFC 4861 §7.2.6 allows
/// three, a second apart).
const ANNOUNCE_NUM: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// Pending announcements, tentative addresses, and the last address conflict.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    next: Option<Instant>,
    left: u8,
    /// Own addresses being probed: requests for them are not answered yet.
    pub(super) tentative: Vec<IpAddr>,
    /// The own address that another host claimed last, and its link address.
    pub(super) conflict: Option<(IpAddr, MacAddr)>,
}

impl Announcer {
    /// Ends the probes and starts the announcements; the first is due at once.
    pub(super) fn start(&mut self, now: Instant) {
        self.next = Some(now);
        self.left = ANNOUNCE_NUM;
        self.tentative.clear();
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Whether an announcement is due; counts as made.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        if self.next.take_if(|at| *at <= now).is_none() {
            return false;
        }
        self.left = self.left.saturating_sub(1);
        self.next = (self.left > 0).then(|| now + ANNOUNCE_INTERVAL);
        true
    }
}
