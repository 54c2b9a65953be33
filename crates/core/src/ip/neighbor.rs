//! The neighbour cache: link addresses of on-link hosts, with reachability as in RFC 4861 7.3, also for ARP (RFC 1122
//! 2.3.2).
//!
//! A neighbour that does not answer holds up nobody but those who wait for it: each entry has its own short queue.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::MacAddr;

use crate::stack::ConnId;
use crate::time::{Duration, Instant};

/// How long an answer is good for (RFC 4861 10, REACHABLE_TIME).
const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// Time between requests (RFC 4861 10, RETRANS_TIMER; RFC 1122 2.3.2.1 allows one a second).
const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// Requests before giving up.
const MAX_SOLICIT: u8 = 3;
/// Packets held per unresolved neighbour; a newer one displaces the oldest.
const MAX_PARKED: usize = 4;
/// Requests waiting to be sent.
const MAX_REQUESTS: usize = 64;

/// What the cache knows of a neighbour.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum State {
    /// Asked for, no answer yet.
    Incomplete,
    /// It answered lately.
    Reachable(MacAddr),
    /// It answered, or showed itself, some time ago: used, and verified on use.
    Stale(MacAddr),
    /// Being verified, and used meanwhile.
    Probe(MacAddr),
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// When to look at it again; none while stale.
    deadline: Option<Instant>,
    solicits: u8,
    last_used: Instant,
    parked: VecDeque<Vec<u8>>,
    waiting: Vec<ConnId>,
}

/// The answer to "where do I send this?".
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Resolution {
    /// To this address.
    Known(MacAddr),
    /// Nowhere yet: it has been asked for.
    Pending,
    /// Nowhere: the cache is full of neighbours in use.
    Full,
}

/// A request to send: to everybody, or to the address that is being verified.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Request {
    pub(crate) target: IpAddr,
    pub(crate) to: Option<MacAddr>,
}

/// What waited for a neighbour.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    pub(crate) packets: VecDeque<Vec<u8>>,
    pub(crate) conns: Vec<ConnId>,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct NeighborCache {
    entries: BTreeMap<IpAddr, Entry>,
    deadlines: BTreeSet<(Instant, IpAddr)>,
    requests: VecDeque<Request>,
    capacity: usize,
}

impl NeighborCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            requests: VecDeque::new(),
            capacity,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// The next request to send.
    pub(crate) fn pop_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// The link address of `ip`; asks for it where it is unknown or doubtful.
    pub(crate) fn resolve(&mut self, now: Instant, ip: IpAddr) -> Resolution {
        if let Some(entry) = self.entries.get_mut(&ip) {
            entry.last_used = now;
            return match entry.state {
                State::Incomplete => Resolution::Pending,
                State::Reachable(mac) | State::Probe(mac) => Resolution::Known(mac),
                State::Stale(mac) => {
                    self.solicit(now, ip, State::Probe(mac));
                    Resolution::Known(mac)
                }
            };
        }
        if !self.make_room() {
            return Resolution::Full;
        }
        self.insert(now, ip, State::Incomplete);
        self.solicit(now, ip, State::Incomplete);
        Resolution::Pending
    }

    /// Holds a packet until `ip` is resolved; returns one that it displaced.
    pub(crate) fn park(&mut self, ip: IpAddr, packet: Vec<u8>) -> Option<Vec<u8>> {
        let entry = self.entries.get_mut(&ip)?;
        entry.parked.push_back(packet);
        if entry.parked.len() > MAX_PARKED {
            entry.parked.pop_front()
        } else {
            None
        }
    }

    /// Remembers a connection that has something to send to `ip`.
    pub(crate) fn wait(&mut self, ip: IpAddr, conn: ConnId) {
        if let Some(entry) = self.entries.get_mut(&ip) {
            entry.waiting.push(conn);
        }
    }

    /// A neighbour said where it is. `solicited`: in answer to us. Returns who waited, or `None` when
    /// nobody asked.
    pub(crate) fn on_answer(
        &mut self,
        now: Instant,
        ip: IpAddr,
        mac: MacAddr,
        solicited: bool,
    ) -> Option<Waiters> {
        let entry = self.entries.get_mut(&ip)?;
        let is_known = match entry.state {
            State::Incomplete => true,
            State::Reachable(known) | State::Stale(known) | State::Probe(known) => known == mac,
        };
        match entry.state {
            // Another address than the known one moves nothing. The known one has to prove itself when
            // it is used next; if it is gone, everybody is asked again.
            State::Reachable(known) if !is_known => {
                entry.state = State::Stale(known);
                self.set_deadline(ip, None);
                return Some(Waiters::default());
            }
            _ if !is_known => return Some(Waiters::default()),
            // RFC 4861 7.2.5: what nobody asked for says nothing about reachability.
            State::Incomplete if !solicited => {
                entry.state = State::Stale(mac);
                entry.solicits = 0;
                self.set_deadline(ip, None);
            }
            _ if !solicited => {}
            _ => {
                entry.state = State::Reachable(mac);
                entry.solicits = 0;
                self.set_deadline(ip, Some(now + REACHABLE_TIME));
            }
        }
        let entry = self.entries.get_mut(&ip)?;
        Some(Waiters {
            packets: core::mem::take(&mut entry.parked),
            conns: core::mem::take(&mut entry.waiting),
        })
    }

    /// A host asked for us: it will talk to us soon (RFC 826).
    pub(crate) fn on_request(&mut self, now: Instant, ip: IpAddr, mac: MacAddr) -> Option<Waiters> {
        if self.entries.contains_key(&ip) {
            return self.on_answer(now, ip, mac, false);
        }
        if self.make_room() {
            self.insert(now, ip, State::Stale(mac));
        }
        None
    }

    /// Handles what is due. Returns who waited for each neighbour that did not answer.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Vec<Waiters> {
        let mut failed = Vec::new();
        while let Some(&(at, ip)) = self.deadlines.first().filter(|&&(at, _)| at <= now) {
            self.deadlines.remove(&(at, ip));
            let Some(entry) = self.entries.get_mut(&ip) else {
                continue;
            };
            entry.deadline = None;
            match entry.state {
                State::Reachable(mac) => entry.state = State::Stale(mac),
                State::Stale(_) => {}
                State::Incomplete | State::Probe(_) if entry.solicits < MAX_SOLICIT => {
                    let state = entry.state;
                    self.solicit(now, ip, state);
                }
                State::Incomplete | State::Probe(_) => {
                    if let Some(entry) = self.entries.remove(&ip) {
                        failed.push(Waiters {
                            packets: entry.parked,
                            conns: entry.waiting,
                        });
                    }
                }
            }
        }
        failed
    }

    fn insert(&mut self, now: Instant, ip: IpAddr, state: State) {
        let entry = Entry {
            state,
            deadline: None,
            solicits: 0,
            last_used: now,
            parked: VecDeque::new(),
            waiting: Vec::new(),
        };
        self.entries.insert(ip, entry);
    }

    fn solicit(&mut self, now: Instant, ip: IpAddr, state: State) {
        let Some(entry) = self.entries.get_mut(&ip) else {
            return;
        };
        entry.state = state;
        entry.solicits = entry.solicits.saturating_add(1);
        let to = match state {
            State::Probe(mac) => Some(mac),
            _ => None,
        };
        if self.requests.len() < MAX_REQUESTS {
            self.requests.push_back(Request { target: ip, to });
        }
        self.set_deadline(ip, Some(now + RETRANS_TIMER));
    }

    fn set_deadline(&mut self, ip: IpAddr, deadline: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&ip) else {
            return;
        };
        if let Some(old) = entry.deadline {
            self.deadlines.remove(&(old, ip));
        }
        entry.deadline = deadline;
        if let Some(at) = deadline {
            self.deadlines.insert((at, ip));
        }
    }

    /// Makes room for one entry: the stale neighbour that was used longest ago goes. Neighbours in use stay, and
    /// unanswered requests may take half of the cache (RFC 6583).
    fn make_room(&mut self) -> bool {
        let incomplete = self
            .entries
            .values()
            .filter(|entry| entry.state == State::Incomplete)
            .count();
        if incomplete >= (self.capacity / 2).max(1) {
            return false;
        }
        if self.entries.len() < self.capacity {
            return true;
        }
        let stale = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.state, State::Stale(_)));
        let Some(oldest) = stale
            .min_by_key(|(_, entry)| entry.last_used)
            .map(|(&ip, _)| ip)
        else {
            return false;
        };
        self.entries.remove(&oldest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{NeighborCache, Request, Resolution};
    use crate::time::{Duration, Instant};
    use core::net::{IpAddr, Ipv4Addr};
    use tidewire_wire::MacAddr;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn ip(n: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn asks_three_times_then_gives_up() {
        let mut cache = NeighborCache::new(8);
        assert_eq!(cache.resolve(at(0), ip(1)), Resolution::Pending);
        assert!(cache.park(ip(1), alloc::vec![1]).is_none());
        for second in 1..3 {
            assert!(cache.pop_request().is_some());
            assert!(cache.on_timeout(at(second)).is_empty());
        }
        assert!(cache.pop_request().is_some());
        let failed = cache.on_timeout(at(3));
        assert_eq!((failed.len(), failed[0].packets.len()), (1, 1));
        assert!(cache.pop_request().is_none() && cache.next_deadline().is_none());
    }

    #[test]
    fn an_answer_is_good_for_a_while_then_verified_on_use() {
        let mut cache = NeighborCache::new(8);
        cache.resolve(at(0), ip(1));
        cache.pop_request();
        assert!(cache.on_answer(at(0), ip(1), MAC, true).is_some());
        assert_eq!(cache.resolve(at(1), ip(1)), Resolution::Known(MAC));
        cache.on_timeout(at(31));
        assert_eq!(
            (cache.resolve(at(31), ip(1)), cache.pop_request()),
            (
                Resolution::Known(MAC),
                Some(Request {
                    target: ip(1),
                    to: Some(MAC)
                })
            )
        );
    }

    #[test]
    fn nobody_is_moved_by_an_answer_that_nobody_asked_for() {
        let mut cache = NeighborCache::new(8);
        assert!(
            cache.on_answer(at(0), ip(1), MAC, true).is_none(),
            "no entry is made"
        );
        cache.resolve(at(0), ip(1));
        cache.on_answer(at(0), ip(1), MAC, true);
        cache.on_answer(at(1), ip(1), OTHER, true);
        assert_eq!(cache.resolve(at(1), ip(1)), Resolution::Known(MAC));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_those_in_use() {
        let mut cache = NeighborCache::new(8);
        cache.resolve(at(0), ip(1));
        cache.on_answer(at(0), ip(1), MAC, true);
        for n in 2..250 {
            cache.resolve(at(0), ip(n));
            cache.on_request(at(0), ip(n), OTHER);
        }
        assert!(cache.entries.len() <= 8);
        assert_eq!(cache.resolve(at(0), ip(1)), Resolution::Known(MAC));
    }
}
