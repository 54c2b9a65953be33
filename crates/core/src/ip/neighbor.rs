//! Neighbour cache: link addresses of on-link hosts, for ARP and NDP.
//!
//! Both use the reachability states of RFC 4861 §7.3.2, with which ARP meets RFC 1122 §2.3.2.1:
//! stale entries are polled by unicast, and removed when that is not answered.
//!
//! Each entry has a short queue of its own, so that a neighbour that does not answer delays only
//! the packets and connections that wait for it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::MacAddr;

use crate::time::{Duration, Instant};
use crate::types::ConnId;

/// How long a confirmation is good for (RFC 4861 §10, REACHABLE_TIME). DEVIATION(RFC 4861 §6.3.2):
/// not drawn at random, which keeps hosts from asking in step; here each entry starts with its own
/// traffic, and traffic confirms it.
const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// How long traffic to a stale neighbour may confirm it before it is asked (RFC 4861 §10,
/// DELAY_FIRST_PROBE_TIME).
const DELAY_FIRST_PROBE_TIME: Duration = Duration::from_secs(5);
/// Time between requests (RFC 4861 §10, RETRANS_TIMER; RFC 1122 §2.3.2.1 allows one a second).
const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// Requests before giving up (RFC 4861 §10, MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT).
const MAX_SOLICIT: u8 = 3;
/// Packets held per unresolved neighbour; a newer one displaces the oldest.
const MAX_PARKED: usize = 4;

/// Reachability state of a neighbour (RFC 4861 §7.3.2).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum State {
    /// Requested, no answer yet.
    Incomplete,
    /// Confirmed within the last [`REACHABLE_TIME`].
    Reachable(MacAddr),
    /// Known, but not confirmed recently: used, and verified on use.
    Stale(MacAddr),
    /// In use again since it was stale: traffic may confirm it.
    Delay(MacAddr),
    /// Used while a unicast request verifies it.
    Probe(MacAddr),
}

impl State {
    fn mac(self) -> Option<MacAddr> {
        match self {
            Self::Incomplete => None,
            Self::Reachable(mac) | Self::Stale(mac) | Self::Delay(mac) | Self::Probe(mac) => {
                Some(mac)
            }
        }
    }

    /// Whether a request is out.
    fn is_asked_for(self) -> bool {
        matches!(self, Self::Incomplete | Self::Probe(_))
    }
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// When to look at it again; none while stale.
    deadline: Option<Instant>,
    solicits: u8,
    last_used: Instant,
    /// When the address was learned, or doubted: only later evidence confirms it.
    evidence_from: Instant,
    /// The latest confirmation.
    confirmed: Instant,
    parked: VecDeque<Vec<u8>>,
    waiting: Vec<ConnId>,
}

/// A link address of a neighbour, as a message states it; the message may be forged.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    /// The address, if it says one.
    pub(crate) mac: Option<MacAddr>,
    /// In answer to a request, so it says.
    pub(crate) solicited: bool,
    /// To replace another address that is known (the O flag of RFC 4861 §4.4).
    pub(crate) overrides: bool,
}

impl Claim {
    /// An unsolicited claim that does not replace a known address.
    pub(crate) const fn weak(mac: MacAddr) -> Self {
        Self {
            mac: Some(mac),
            solicited: false,
            overrides: false,
        }
    }

    /// An unsolicited claim that replaces a known address.
    pub(crate) const fn overriding(mac: MacAddr) -> Self {
        Self {
            overrides: true,
            ..Self::weak(mac)
        }
    }
}

/// Result of a resolution.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Resolution {
    /// To this address.
    Known(MacAddr),
    /// Not known yet: a request is out.
    Pending,
    /// Not known: the cache is full of neighbours in use.
    Full,
}

/// A request to send: to all hosts of the link, or to the address that is being verified.
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
    /// The stale ones by when they were used last: the first makes room.
    stale: BTreeSet<(Instant, IpAddr)>,
    /// How many are incomplete.
    incomplete: usize,
    requests: VecDeque<Request>,
    /// Bytes of all packets that are held.
    parked: usize,
    capacity: usize,
}

impl NeighborCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            stale: BTreeSet::new(),
            incomplete: 0,
            requests: VecDeque::new(),
            parked: 0,
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

    /// The link address of `ip`; asks for it where it is unknown or doubtful. `progress` is when
    /// the newest of what is known to have arrived there was sent: it confirms the neighbour
    /// (RFC 4861 §7.3.1).
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        ip: IpAddr,
        progress: Option<Instant>,
    ) -> Resolution {
        let Some(entry) = self.entries.get_mut(&ip) else {
            if !self.has_room_to_ask() || !self.make_room() {
                return Resolution::Full;
            }
            self.insert(now, ip, State::Incomplete);
            self.solicit(now, ip);
            return Resolution::Pending;
        };
        let Some(mac) = entry.state.mac() else {
            return Resolution::Pending;
        };
        let hint = progress
            .filter(|at| *at >= entry.evidence_from && now.duration_since(*at) < REACHABLE_TIME);
        if let Some(at) = hint {
            entry.confirmed = entry.confirmed.max(at);
        }
        match (entry.state, hint) {
            // Its deadline looks at the confirmation.
            (State::Reachable(_), _) => {}
            (_, Some(at)) => self.set(now, ip, State::Reachable(mac), Some(at + REACHABLE_TIME)),
            (State::Stale(_), None) => {
                let deadline = now + DELAY_FIRST_PROBE_TIME;
                self.set(now, ip, State::Delay(mac), Some(deadline));
            }
            _ => {}
        }
        Resolution::Known(mac)
    }

    /// Holds a packet until `ip` is resolved; returns one that it displaced.
    pub(crate) fn park(&mut self, ip: IpAddr, packet: Vec<u8>) -> Option<Vec<u8>> {
        let entry = self.entries.get_mut(&ip)?;
        self.parked += packet.len();
        entry.parked.push_back(packet);
        if entry.parked.len() <= MAX_PARKED {
            return None;
        }
        let displaced = entry.parked.pop_front()?;
        self.parked -= displaced.len();
        Some(displaced)
    }

    /// Bytes of all packets that wait for a neighbour.
    pub(crate) fn parked_bytes(&self) -> usize {
        self.parked
    }

    /// Remembers a connection that has something to send to `ip`.
    pub(crate) fn wait(&mut self, ip: IpAddr, conn: ConnId) {
        if let Some(entry) = self.entries.get_mut(&ip) {
            entry.waiting.push(conn);
        }
    }

    /// Takes a claim about `ip` (RFC 4861 §7.2.5). Returns what waited for it, or `None` where the
    /// cache has no entry.
    pub(crate) fn on_answer(&mut self, now: Instant, ip: IpAddr, claim: Claim) -> Option<Waiters> {
        let entry = self.entries.get_mut(&ip)?;
        let state = entry.state;
        // An unsolicited claim does not confirm reachability, whatever its flags say.
        let confirms = claim.solicited && state.is_asked_for();
        let mac = match (state.mac(), claim.mac) {
            (None, None) => return Some(Waiters::default()),
            (None, Some(mac)) => mac,
            (Some(known), Some(mac)) if mac != known && !claim.overrides => {
                // Another address does not replace the known one, which is verified when it is used
                // next. If that fails, the entry goes, and the next packet asks all hosts of the
                // link.
                if matches!(state, State::Reachable(_)) {
                    entry.evidence_from = now;
                    self.set(now, ip, State::Stale(known), None);
                }
                return Some(Waiters::default());
            }
            (Some(known), mac) => mac.unwrap_or(known),
        };
        if state.mac() != Some(mac) {
            entry.evidence_from = now;
        }
        if confirms {
            entry.confirmed = now;
            self.set(now, ip, State::Reachable(mac), Some(now + REACHABLE_TIME));
        } else if state.mac() != Some(mac) {
            self.set(now, ip, State::Stale(mac), None);
        }
        let entry = self.entries.get_mut(&ip)?;
        self.parked -= bytes_of(&entry.parked);
        Some(Waiters {
            packets: core::mem::take(&mut entry.parked),
            conns: core::mem::take(&mut entry.waiting),
        })
    }

    /// A host asked for one of our addresses, and so is about to send (RFC 826, RFC 4861 §7.2.3).
    pub(crate) fn on_request(&mut self, now: Instant, ip: IpAddr, claim: Claim) -> Option<Waiters> {
        if self.entries.contains_key(&ip) {
            return self.on_answer(now, ip, claim);
        }
        if let Some(mac) = claim.mac
            && self.make_room()
        {
            self.insert(now, ip, State::Stale(mac));
        }
        None
    }

    /// Handles what is due. Returns what waited for each neighbour that did not answer.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Vec<Waiters> {
        let mut failed = Vec::new();
        while let Some(&(_, ip)) = self.deadlines.first().filter(|&&(at, _)| at <= now) {
            let Some(entry) = self.entries.get(&ip) else {
                self.deadlines.pop_first();
                continue;
            };
            let (state, solicits) = (entry.state, entry.solicits);
            let good_until = entry.confirmed + REACHABLE_TIME;
            match state {
                State::Reachable(_) if good_until > now => {
                    self.set(now, ip, state, Some(good_until));
                }
                State::Reachable(mac) | State::Stale(mac) => {
                    self.set(now, ip, State::Stale(mac), None);
                }
                State::Delay(mac) => {
                    self.set(now, ip, State::Probe(mac), None);
                    self.solicit(now, ip);
                }
                State::Incomplete | State::Probe(_) if solicits < MAX_SOLICIT => {
                    self.solicit(now, ip);
                }
                State::Incomplete | State::Probe(_) => {
                    if let Some(entry) = self.remove(ip) {
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
            evidence_from: now,
            confirmed: Instant::ZERO,
            parked: VecDeque::new(),
            waiting: Vec::new(),
        };
        self.incomplete += usize::from(state == State::Incomplete);
        if matches!(state, State::Stale(_)) {
            self.stale.insert((now, ip));
        }
        self.entries.insert(ip, entry);
    }

    fn remove(&mut self, ip: IpAddr) -> Option<Entry> {
        let entry = self.entries.remove(&ip)?;
        self.parked -= bytes_of(&entry.parked);
        self.incomplete -= usize::from(entry.state == State::Incomplete);
        self.stale.remove(&(entry.last_used, ip));
        if let Some(at) = entry.deadline {
            self.deadlines.remove(&(at, ip));
        }
        Some(entry)
    }

    /// Sends a request for `ip`, to all hosts of the link or to its last known address, and waits
    /// for the answer.
    fn solicit(&mut self, now: Instant, ip: IpAddr) {
        let Some(entry) = self.entries.get_mut(&ip) else {
            return;
        };
        entry.solicits = entry.solicits.saturating_add(1);
        let state = entry.state;
        // At most one a second for each entry: there is room for as many as there are entries, so
        // that what was counted is sent, unless the link is down.
        if self.requests.len() < self.capacity {
            let to = state.mac();
            self.requests.push_back(Request { target: ip, to });
        }
        self.set(now, ip, state, Some(now + RETRANS_TIMER));
    }

    /// Moves an entry to a state, and keeps the indices consistent.
    fn set(&mut self, now: Instant, ip: IpAddr, state: State, deadline: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&ip) else {
            return;
        };
        let old = core::mem::replace(&mut entry.state, state);
        self.incomplete -= usize::from(old == State::Incomplete);
        self.incomplete += usize::from(state == State::Incomplete);
        if !state.is_asked_for() {
            entry.solicits = 0;
        }
        self.stale.remove(&(entry.last_used, ip));
        entry.last_used = now;
        if matches!(state, State::Stale(_)) {
            self.stale.insert((now, ip));
        }
        if let Some(old) = entry.deadline {
            self.deadlines.remove(&(old, ip));
        }
        entry.deadline = deadline;
        if let Some(at) = deadline {
            self.deadlines.insert((at, ip));
        }
    }

    /// Unanswered requests may take half of the cache (RFC 6583), so that a scan of a prefix does
    /// not displace neighbours in use.
    fn has_room_to_ask(&self) -> bool {
        self.incomplete < (self.capacity / 2).max(1)
    }

    /// Makes room for one entry: the stale neighbour that was used longest ago goes. Neighbours in
    /// use stay.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < self.capacity {
            return true;
        }
        let Some(&(_, oldest)) = self.stale.first() else {
            return false;
        };
        self.remove(oldest).is_some()
    }
}

fn bytes_of(packets: &VecDeque<Vec<u8>>) -> usize {
    packets.iter().map(Vec::len).sum()
}

#[cfg(test)]
mod tests;
