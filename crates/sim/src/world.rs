//! World: hosts, links, one clock, one heap of events.

mod network;
mod router;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use tidewire_core::{ConfigError, ConnError, Event, Instant, Stack};
use tidewire_wire::MacAddr;

use crate::app::{App, Ledger};
use crate::host::{Host, HostConfig, HostId};
use crate::laws::{Breach, Cause, Flows, Law, Remark, Tail, Violation};
use crate::link::LinkConfig;
use crate::pcap::{Capture, Crossing};
use crate::rng::{GOLDEN_GAMMA, Rng, mix};
use network::{End, Line, Link};

/// Names a link of a world.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct LinkId(usize);

/// Hosts on links, in virtual time.
///
/// Everything that happens is an event in one heap, ordered by time and then by insertion; all
/// chance comes from the seed. The same calls on worlds of the same seed give the same bytes, on
/// every machine. After every event the [laws](crate#laws) are checked; the first broken one ends
/// the run.
///
/// # Example
///
/// ```
/// use tidewire_core::{Duration, Instant, IpCidr};
/// use tidewire_sim::{HostConfig, LinkConfig, Peer, Plan, Server, World};
///
/// let mut world = World::new(1);
/// let a = world.add_host(HostConfig::new(IpCidr::new([10, 0, 0, 1].into(), 24)))?;
/// let b = world.add_host(HostConfig::new(IpCidr::new([10, 0, 0, 2].into(), 24)))?;
/// let delay = LinkConfig::with_delay(Duration::from_millis(5));
/// world.link(a, b, LinkConfig { loss_ppm: 10_000, ..delay });
/// let port = ([10, 0, 0, 2], 80).into();
/// world.add_app(b, Server::new(port, 1, |_| Plan::bulk(0)))?;
/// world.add_app(a, Peer::connecting(port, Plan::bulk(1_000_000)))?;
/// assert!(world.run_until_done(Instant::ZERO + Duration::from_secs(60))?);
/// assert_eq!(world.bytes_read(), 1_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct World {
    seed: u64,
    pub(crate) now: Instant,
    rng: Rng,
    events: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    pub(crate) hosts: Vec<Host>,
    pipes: Vec<Line>,
    links: Vec<Link>,
    pub(crate) flows: Flows,
    pub(crate) ledger: Ledger,
    tail: Tail,
    capture: Option<(Capture, usize)>,
    digest: u64,
}

/// An event with its place in the order.
#[derive(Debug)]
struct Scheduled {
    at: Instant,
    order: u64,
    happening: Happening,
}

#[derive(Debug)]
pub(crate) enum Happening {
    /// A frame comes out of a pipe.
    Arrive {
        pipe: usize,
        frame: Bytes,
        corrupted: bool,
    },
    /// A stack's deadline may have passed.
    Timer { host: usize },
    /// An interface hands over what it has gathered.
    Batch { host: usize },
    /// An application asked to be run.
    Wake { host: usize, app: usize },
    /// A link changes.
    Configure { link: LinkId, config: LinkConfig },
    /// A host's interface gets another MAC address.
    Readdress { host: usize, mac: MacAddr },
    /// A host restarts with these applications.
    Reboot {
        host: HostId,
        apps: Vec<Box<dyn App>>,
    },
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl World {
    /// An empty world at time zero.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::ZERO,
            rng: Rng::new(seed),
            events: BinaryHeap::new(),
            scheduled: 0,
            hosts: Vec::new(),
            pipes: Vec::new(),
            links: Vec::new(),
            flows: Flows::default(),
            ledger: Ledger::default(),
            tail: Tail::default(),
            capture: None,
            digest: 0,
        }
    }

    /// Adds a host; it has no link yet.
    ///
    /// # Errors
    /// Those of [`Stack::new`].
    pub fn add_host(&mut self, config: HostConfig) -> Result<HostId, ConfigError> {
        let mut host = Host::new(config, self.rng.fork(), self.now)?;
        let caps = host.link_caps(host.config.stack.link.ip_mtu, false);
        host.stack.set_link(self.now, caps)?;
        self.hosts.push(host);
        Ok(HostId(self.hosts.len() - 1))
    }

    /// Gives the host's interface another MAC address at `at`, which the host then announces: a
    /// card was replaced, or the machine behind an IP address.
    pub fn readdress_at(&mut self, at: Instant, host: HostId, mac: MacAddr) {
        self.schedule(at, Happening::Readdress { host: host.0, mac });
    }

    fn readdress(&mut self, host: usize, mac: MacAddr) -> Result<(), Box<Violation>> {
        self.hosts[host].config.stack.link.mac = mac;
        self.tell_link(host);
        self.hosts[host].stack.announce_addresses(self.now);
        self.settle(host, Cause::Call)
    }

    /// Replaces the host's stack by a fresh one with the same addresses, as a reboot does: no
    /// connection, listener or application of before is left, and no peer is told.
    ///
    /// # Errors
    /// The law that broke.
    ///
    /// # Panics
    /// Where the configuration of the host, which was good before, is not any more.
    pub fn reboot(&mut self, id: HostId) -> Result<(), Box<Violation>> {
        let rng = self.rng.fork();
        let host = &mut self.hosts[id.0];
        let mut fresh = Host::new(host.config.clone(), rng, self.now).expect("it was good before");
        fresh.pipe = host.pipe;
        let own = host.config.stack.addresses.iter().map(|cidr| cidr.address);
        self.ledger.lose_host(self.now, own);
        // Times of applications that are gone find nothing to run.
        *host = fresh;
        self.tell_link(id.0);
        self.hosts[id.0].stack.announce_addresses(self.now);
        self.settle(id.0, Cause::Call)
    }

    /// As [`reboot`](Self::reboot) at `at`; `apps` are what the host runs from then on.
    pub fn reboot_at(&mut self, at: Instant, host: HostId, apps: Vec<Box<dyn App>>) {
        self.schedule(at, Happening::Reboot { host, apps });
    }

    /// The most that the host's stack has held of its memory budget, in bytes, since it was
    /// started.
    #[must_use]
    pub fn memory_peak(&self, host: HostId) -> usize {
        self.hosts[host.0].connections.memory_peak()
    }

    /// Adds an application, and runs it once.
    ///
    /// # Errors
    /// The law that broke.
    pub fn add_app(&mut self, host: HostId, app: impl App + 'static) -> Result<(), Box<Violation>> {
        let host = host.0;
        self.hosts[host].add_app(Box::new(app));
        self.settle(host, Cause::Call)
    }

    /// Calls a stack as an application would, sends what comes of it, and returns what `call` does.
    ///
    /// # Errors
    /// The law that broke.
    pub fn on<R>(
        &mut self,
        host: HostId,
        call: impl FnOnce(&mut Stack, Instant) -> R,
    ) -> Result<R, Box<Violation>> {
        let result = call(&mut self.hosts[host.0].stack, self.now);
        self.settle(host.0, Cause::Call)?;
        Ok(result)
    }

    /// The events of connections and listeners that belong to no application, since the last call.
    pub fn take_events(&mut self, host: HostId) -> Vec<Event> {
        std::mem::take(&mut self.hosts[host.0].events)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether every application is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.hosts.iter().all(|host| host.unfinished == 0)
    }

    /// Lets everything happen up to `deadline`, and makes it the time.
    ///
    /// # Errors
    /// The first law that broke.
    pub fn run_until(&mut self, deadline: Instant) -> Result<(), Box<Violation>> {
        while self.step(deadline)? {}
        self.now = self.now.max(deadline);
        Ok(())
    }

    /// Lets everything happen until all applications are done, or up to `deadline`; says whether
    /// they are done.
    ///
    /// # Errors
    /// The first law that broke.
    pub fn run_until_done(&mut self, deadline: Instant) -> Result<bool, Box<Violation>> {
        while !self.is_done() && self.step(deadline)? {}
        Ok(self.is_done())
    }

    /// Streams between applications that have not come to their end whole: none, where all is well.
    #[must_use]
    pub fn incomplete_streams(&self) -> Vec<String> {
        self.ledger.incomplete()
    }

    /// What applications were told instead of the end of a stream.
    pub fn failures(&self) -> impl Iterator<Item = ConnError> {
        self.ledger.failures()
    }

    /// Bytes that all applications together have read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.ledger.total_read()
    }

    /// Connections that the host's stack has not forgotten yet.
    #[must_use]
    pub fn connections(&self, host: HostId) -> usize {
        self.hosts[host.0].connections.len()
    }

    /// Captures from now on, `snap_len` bytes of each frame, in pcapng with an interface per host:
    /// each frame where it is sent and where it is received. Hosts added later are not in it.
    pub fn capture(&mut self, snap_len: usize) {
        let names = self.hosts.iter().map(|host| host.name.as_str());
        self.capture = Some((Capture::new(names, snap_len), self.hosts.len()));
    }

    /// The capture so far; empty without [`capture`](Self::capture).
    #[must_use]
    pub fn pcap(&self) -> &[u8] {
        self.capture
            .as_ref()
            .map_or(&[], |(capture, _)| capture.bytes())
    }

    /// A hash over every frame sent and received and its time: the same for the same seed and
    /// calls.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The newest frames on all interfaces, a line each, oldest first.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        self.tail.render(|host| self.hosts[host.0].name.clone())
    }

    pub(crate) fn schedule(&mut self, at: Instant, happening: Happening) {
        let order = self.scheduled;
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled {
            at: at.max(self.now),
            order,
            happening,
        }));
    }

    /// Lets the next event happen, unless it is later than `deadline`; says whether there was one.
    fn step(&mut self, deadline: Instant) -> Result<bool, Box<Violation>> {
        if self
            .events
            .peek()
            .is_none_or(|Reverse(next)| next.at > deadline)
        {
            return Ok(false);
        }
        let Some(Reverse(Scheduled { at, happening, .. })) = self.events.pop() else {
            return Ok(false);
        };
        self.now = at;
        match happening {
            Happening::Arrive {
                pipe,
                frame,
                corrupted,
            } => match self.pipes[pipe].to {
                End::Host(host) => self.receive(host, frame, corrupted)?,
                End::Switch => self.forward(self.pipes[pipe].link, &frame, corrupted),
            },
            Happening::Timer { host } => self.fire(host)?,
            Happening::Batch { host } => self.hand_over(host)?,
            Happening::Wake { host, app } => {
                self.hosts[host].wake_up(app, self.now);
                self.settle(host, Cause::Call)?;
            }
            Happening::Configure { link, config } => self.configure(link, &config)?,
            Happening::Readdress { host, mac } => self.readdress(host, mac)?,
            Happening::Reboot { host, apps } => {
                self.reboot(host)?;
                apps.into_iter()
                    .for_each(|app| self.hosts[host.0].add_app(app));
                self.settle(host.0, Cause::Call)?;
            }
        }
        Ok(true)
    }

    /// Notes a frame that crosses a host's interface.
    pub(crate) fn note(&mut self, host: usize, remark: Remark, frame: &Bytes) {
        self.tail.push(self.now, HostId(host), remark, frame);
        let (words, rest) = frame.as_chunks::<8>();
        let place = mix(self.now.as_nanos()) ^ ((host as u64) << 8) ^ remark as u64;
        let add =
            |digest: u64, word: u64| (digest ^ word).wrapping_mul(GOLDEN_GAMMA).rotate_left(29);
        self.digest = words.iter().fold(add(self.digest, place), |digest, word| {
            add(digest, u64::from_le_bytes(*word))
        });
        self.digest = rest
            .iter()
            .fold(self.digest, |digest, &byte| add(digest, byte.into()));
        if let Some((capture, hosts)) = &mut self.capture
            && host < *hosts
        {
            let crossing = match remark {
                Remark::Sent | Remark::Lost => Crossing::Out,
                Remark::Received | Remark::Corrupted => Crossing::In,
            };
            capture.frame(self.now, HostId(host), crossing, frame);
        }
    }

    pub(crate) fn violation(&self, host: usize, breach: Breach) -> Box<Violation> {
        let Breach { law, what } = breach;
        let host = self.hosts[host].name.clone();
        Box::new(Violation {
            law,
            what,
            seed: self.seed,
            at: self.now,
            host,
            tail: self.tail(),
        })
    }

    pub(crate) fn broken(&self, host: usize, law: Law, what: String) -> Box<Violation> {
        self.violation(host, Breach::new(law, what))
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("hosts", &self.hosts)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}
