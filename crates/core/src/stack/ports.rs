//! Ephemeral ports (RFC 6056 §3.3.4, algorithm 4).
//!
//! Each destination has a secret offset, and one of many counters. The ports towards one
//! destination reveal neither those towards another, nor how many there are.
//!
//! The same local port serves any number of destinations. A search looks at each port of the range
//! once. That it found none is remembered for a while, so that repeated attempts do not cost a
//! search each.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::time::{Duration, Instant};
use crate::types::{FourTuple, HashKey};

/// Number of counters. RFC 6056 §3.3.4 asks for 10 at least; with so many, two destinations seldom
/// share one, and finding out which do takes more probes than there are ports (CVE-2022-1012).
const COUNTERS: usize = 1 << 16;
/// Most destinations that count as exhausted.
const MAX_EXHAUSTED: usize = 64;
/// How long a destination counts as exhausted: a TIME-WAIT record may become reusable meanwhile.
const EXHAUSTED_FOR: Duration = Duration::from_secs(1);
/// With more ports freed than this, a search finds one soon anyway.
const MANY_FREED: usize = 1_024;

/// Local address, remote address, remote port.
pub(super) type Destination = (IpAddr, IpAddr, u16);

/// The allocator.
#[derive(Debug)]
pub(super) struct Ports {
    range: RangeInclusive<u16>,
    key: HashKey,
    /// Allocated with the first connect.
    counters: Vec<u16>,
    /// Destinations without a free port: since when, and which ports became free since.
    exhausted: BTreeMap<Destination, Exhausted>,
}

#[derive(Debug)]
struct Exhausted {
    since: Instant,
    freed: Vec<u16>,
}

/// A port, and how the counters go on if it is taken.
#[derive(Copy, Clone, Debug)]
pub(super) struct Choice {
    pub(super) port: u16,
    /// Ports that were looked at before it.
    skipped: u16,
}

impl Ports {
    pub(super) fn new(range: RangeInclusive<u16>, key: HashKey) -> Self {
        Self {
            range,
            key,
            counters: Vec::new(),
            exhausted: BTreeMap::new(),
        }
    }

    /// A port towards `to` that `is_free`, or `None` when no port of the range is. Each is tried
    /// once. The search changes nothing; its outcome is handed to [`take`](Self::take) or
    /// [`note_exhausted`](Self::note_exhausted).
    pub(super) fn find(
        &self,
        now: Instant,
        to: Destination,
        is_free: impl Fn(u16) -> bool,
    ) -> Option<Choice> {
        if let Some(known) = self.exhausted.get(&to)
            && now.duration_since(known.since) < EXHAUSTED_FOR
        {
            let free = known
                .freed
                .iter()
                .rev()
                .copied()
                .find(|&port| is_free(port));
            return free.map(|port| Choice { port, skipped: 0 });
        }
        let first = u32::from(*self.range.start());
        let count = u32::from(*self.range.end()).saturating_sub(first) + 1;
        let (offset, slot) = self.place(to);
        let start = offset.wrapping_add(u32::from(self.counters.get(slot).copied().unwrap_or(0)));
        (0..count).find_map(|step| {
            let port = u16::try_from(first + start.wrapping_add(step) % count).ok()?;
            let skipped = u16::try_from(step).unwrap_or(u16::MAX);
            is_free(port).then_some(Choice { port, skipped })
        })
    }

    /// The port of a choice is used now. The counter moves past it, and up to seven further: how
    /// far apart two ports are does not tell how many connections lie between them
    /// (RFC 6056 §3.3.5).
    pub(super) fn take(&mut self, to: Destination, choice: Choice) {
        if let Some(known) = self.exhausted.get_mut(&to) {
            known.freed.retain(|&port| port != choice.port);
        }
        if self.counters.is_empty() {
            self.counters = alloc::vec![0; COUNTERS];
        }
        let (_, slot) = self.place(to);
        if let Some(counter) = self.counters.get_mut(slot) {
            let noise = self.key.hash(&(to, *counter)) as u16 & 7;
            *counter = counter.wrapping_add(choice.skipped).wrapping_add(1 + noise);
        }
    }

    /// A search towards `to` found nothing.
    pub(super) fn note_exhausted(&mut self, now: Instant, to: Destination) {
        if let Some(known) = self.exhausted.get(&to)
            && now.duration_since(known.since) < EXHAUSTED_FOR
        {
            return;
        }
        self.exhausted
            .retain(|_, known| now.duration_since(known.since) < EXHAUSTED_FOR);
        if self.exhausted.len() < MAX_EXHAUSTED {
            let (since, freed) = (now, Vec::new());
            self.exhausted.insert(to, Exhausted { since, freed });
        }
    }

    /// A 4-tuple is free again.
    pub(super) fn on_freed(&mut self, tuple: &FourTuple) {
        if self.exhausted.is_empty() {
            return;
        }
        let to = (tuple.local, tuple.remote, tuple.remote_port);
        if let Some(known) = self.exhausted.get_mut(&to)
            && self.range.contains(&tuple.local_port)
        {
            known.freed.push(tuple.local_port);
            if known.freed.len() >= MANY_FREED {
                self.exhausted.remove(&to);
            }
        }
    }

    /// A local port is free again, towards every destination.
    pub(super) fn on_local_port_freed(&mut self) {
        self.exhausted.clear();
    }

    /// The secret offset of a destination and the counter it uses: F and G of RFC 6056 §3.3.4.
    fn place(&self, to: Destination) -> (u32, usize) {
        let hash = self.key.hash(&to);
        (hash as u32, (hash >> 32) as usize % COUNTERS)
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNTERS, Destination, Ports};
    use crate::time::{Duration, Instant};
    use crate::types::{FourTuple, HashKey, Secret};
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use core::cell::Cell;
    use core::net::{IpAddr, Ipv4Addr};

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn to(port: u16) -> Destination {
        (LOCAL, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), port)
    }

    fn ports(first: u16, last: u16) -> Ports {
        Ports::new(first..=last, HashKey::derive(&Secret::new([3; 16]), 3))
    }

    fn take(ports: &mut Ports, to: Destination, taken: &BTreeSet<u16>) -> Option<u16> {
        let choice = ports.find(Instant::ZERO, to, |port| !taken.contains(&port))?;
        ports.take(to, choice);
        Some(choice.port)
    }

    #[test]
    fn every_port_is_given_once_and_then_none() {
        let mut ports = ports(1000, 1099);
        let mut taken = BTreeSet::new();
        while let Some(port) = take(&mut ports, to(80), &taken) {
            assert!(taken.insert(port));
        }
        assert!(taken.into_iter().eq(1000..=1099));
    }

    #[test]
    fn the_whole_range_of_ports_is_used() {
        let mut ports = ports(1, u16::MAX);
        let mut taken = BTreeSet::new();
        while let Some(port) = take(&mut ports, to(80), &taken) {
            assert!(taken.insert(port));
        }
        assert_eq!(taken.len(), 65_535);
    }

    /// RFC 6056 §3.3.4: what one destination sees does not depend on how much goes on with others.
    #[test]
    fn ports_towards_one_destination_tell_nothing_of_another() {
        let seen = |busy: usize| -> Vec<u16> {
            let mut ports = ports(32_768, 65_535);
            let none = BTreeSet::new();
            (0..20)
                .filter_map(|_| {
                    (0..busy).for_each(|n| {
                        take(&mut ports, to(1_000 + n as u16), &none);
                    });
                    take(&mut ports, to(80), &none)
                })
                .collect()
        };
        assert_eq!(seen(0), seen(50));
    }

    #[test]
    fn ports_start_all_over_the_range_and_move_on_by_uneven_steps() {
        let mut ports = ports(32_768, 65_535);
        let none = BTreeSet::new();
        let mut halves = [0; 2];
        for port in 1..=1_000 {
            let first = take(&mut ports, to(port), &none).unwrap();
            halves[usize::from(first >= 49_152)] += 1;
        }
        assert!(
            halves.iter().all(|&n| (400..600).contains(&n)),
            "{halves:?}"
        );
        let row: Vec<u16> = (0..100)
            .filter_map(|_| take(&mut ports, to(80), &none))
            .collect();
        let steps: BTreeSet<u16> = row
            .windows(2)
            .map(|pair| pair[1].wrapping_sub(pair[0]))
            .collect();
        assert!(steps.len() >= 8, "{steps:?}");
    }

    #[test]
    fn another_secret_gives_other_ports() {
        let first = |secret: u8| {
            let mut ports = Ports::new(
                32_768..=65_535,
                HashKey::derive(&Secret::new([secret; 16]), 3),
            );
            (1..50)
                .filter_map(|n| take(&mut ports, to(n), &BTreeSet::new()))
                .collect::<Vec<_>>()
        };
        assert_ne!(first(1), first(2));
        assert_eq!(first(1), first(1));
    }

    /// Exhaustion is found out by one search a second and destination, not by each attempt.
    #[test]
    fn attempts_at_an_exhausted_destination_are_cheap() {
        let mut ports = ports(1, u16::MAX);
        let looked = Cell::new(0);
        let mut now = Instant::ZERO;
        for _ in 0..1_000 {
            let found = ports.find(now, to(80), |_| {
                looked.set(looked.get() + 1);
                false
            });
            assert!(found.is_none());
            ports.note_exhausted(now, to(80));
            now += Duration::from_micros(900);
        }
        assert_eq!(looked.get(), 65_535);
        // A port that becomes free is found at once.
        ports.on_freed(&FourTuple {
            local: to(80).0,
            remote: to(80).1,
            local_port: 7,
            remote_port: 80,
        });
        let choice = ports.find(now, to(80), |port| port == 7).unwrap();
        assert_eq!(choice.port, 7);
        ports.take(to(80), choice);
        assert!(
            ports.find(now, to(80), |_| true).is_none(),
            "it was the only one"
        );
        let now = now + Duration::from_secs(1);
        assert!(
            ports.find(now, to(80), |port| port == 9).is_some(),
            "it is looked again"
        );
    }

    #[test]
    fn counters_cost_nothing_before_the_first_connect() {
        let mut ports = ports(1_000, 2_000);
        assert_eq!(ports.counters.capacity(), 0);
        take(&mut ports, to(80), &BTreeSet::new());
        assert_eq!(ports.counters.len(), COUNTERS);
    }
}
