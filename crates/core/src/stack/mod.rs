//! The stack: frames in, frames out, timers, events, and the application's calls.

mod addresses;
mod bindings;
mod config;
mod conn;
mod conns;
mod cookies;
mod deadlines;
mod delivery;
mod egress;
mod events;
mod flow;
mod handshakes;
mod headers;
mod ingress;
mod lifecycle;
mod listener;
mod listeners;
mod locals;
mod loopback;
mod memory;
mod open;
mod options;
mod passive_open;
mod paths;
mod ports;
mod scheduler;
mod slab;
mod time_wait;
mod trace;
mod transmit;

use crate::stack::handshakes::Handshakes;
use crate::stack::locals::Locals;
use crate::stack::scheduler::Scheduler;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use bindings::{BindOptions, BindingId};
pub use config::StackConfig;
pub use conn::Conn;
pub use open::ConnectOptions;
pub use trace::{Direction, TraceEntry};
pub use transmit::Transmit;

use crate::error::ConfigError;
use crate::ip::Network;
use crate::stack::conns::Conns;
use crate::stack::events::Source;
use crate::stack::flow::FlowTable;
use crate::stack::memory::Memory;
use crate::stack::ports::Ports;
use crate::stack::time_wait::TimeWaitTable;
use crate::stack::trace::Trace;
use crate::tcp::challenge::ChallengeBudget;
use crate::tcp::{IssGenerator, TcpConfig};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, Event, HashKey, LinkCaps, Secret, Stats};

/// Options of a listener.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Most connections waiting to be accepted, and as many half-open ones; at least 1. The default
    /// is 1024, more than tokio's 128: a SYN dropped for a full backlog costs the peer a second.
    pub backlog: usize,
    /// Configuration of accepted connections; `None`: the stack's defaults.
    pub tcp: Option<TcpConfig>,
    /// Share the address and port with other listeners that set this: connections are spread over
    /// them (`SO_REUSEPORT`). A connection not yet accepted when one of them closes is lost with
    /// it.
    pub reuse_port: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 1024,
            tcp: None,
            reuse_port: false,
        }
    }
}

/// A TCP/IP stack on one link.
///
/// # The calling contract
///
/// Four families of methods:
///
/// - **Inputs** tell the stack what happened: [`handle_frame`](Stack::handle_frame),
///   [`handle_timeout`](Stack::handle_timeout), [`set_link`](Stack::set_link).
/// - **Outputs** say what the driver has to do: [`poll_transmit`](Stack::poll_transmit) (until
///   `None`), [`poll_timeout`](Stack::poll_timeout), [`poll_event`](Stack::poll_event) (until
///   `None`).
/// - **Application calls**: [`listen`](Stack::listen), [`bind`](Stack::bind),
///   [`accept`](Stack::accept), [`connect`](Stack::connect), and those of [`Conn`].
/// - **Views**: [`stats`](Stack::stats), [`Conn::info`], [`poll_trace`](Stack::poll_trace).
///
/// Any order is correct. After an input or an application call, the driver polls transmits, then
/// events, then the timeout; several inputs may come before that, and their ACKs are then sent
/// together. `now` must not go backwards; should it, the stack uses the latest instant it has seen.
/// A spurious timeout does nothing. A stale id finds `None`.
///
/// # Example
///
/// ```
/// use tidewire_core::{Instant, IpCidr, LinkCaps, Secret, Stack, StackConfig, wire::MacAddr};
///
/// let link = LinkCaps::ethernet(MacAddr([2, 0, 0, 0, 0, 1]), 1500);
/// let config = StackConfig::new(IpCidr::new("10.0.0.2".parse().unwrap(), 24), link);
/// let mut stack = Stack::new(config, Secret::new([42; 16]), Instant::ZERO)?;
///
/// stack.connect(Instant::ZERO, "10.0.0.1:80".parse().unwrap(), Default::default()).unwrap();
/// // Before the SYN can leave, the stack asks for the link address of 10.0.0.1 (ARP).
/// let mut frame = [0; 64];
/// let transmit = stack.poll_transmit(Instant::ZERO).unwrap();
/// let len = transmit.copy_to(&mut frame).unwrap();
/// assert_eq!((len, &frame[12..14]), (42, &[0x08, 0x06][..]));
/// # Ok::<(), tidewire_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    tcp_defaults: Arc<TcpConfig>,
    now: Instant,
    net: Network,

    conns: Conns,
    memory: Memory,
    handshakes: Handshakes,
    time_wait: TimeWaitTable,
    locals: Locals,
    flows: FlowTable,
    iss: IssGenerator,
    challenge_budget: ChallengeBudget,
    scheduler: Scheduler,
    trace: Trace,
}

/// Purposes of the derived keys.
mod purpose {
    pub(super) const FLOWS: u8 = 0;
    pub(super) const ISS: u8 = 1;
    pub(super) const TIMESTAMPS: u8 = 2;
    pub(super) const PORTS: u8 = 3;
    pub(super) const CHALLENGES: u8 = 4;
    pub(super) const COOKIES: u8 = 5;
}

impl Stack {
    /// A stack with this configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong with the configuration.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the secret should not live on with the caller"
    )]
    pub fn new(config: StackConfig, secret: Secret, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        let key = |purpose| HashKey::derive(&secret, purpose);
        Ok(Self {
            tcp_defaults: Arc::new(config.tcp.clone()),
            now,
            net: Network::new(
                config.addresses.clone(),
                config.gateways,
                config.link,
                config.max_neighbors,
                now,
            ),
            conns: Conns::default(),
            memory: Memory::default(),
            handshakes: Handshakes::new(config.max_half_open, key(purpose::COOKIES)),
            time_wait: TimeWaitTable::new(config.max_time_wait),
            locals: Locals::new(Ports::new(
                config.ephemeral_ports.clone(),
                key(purpose::PORTS),
            )),
            flows: FlowTable::new(key(purpose::FLOWS)),
            iss: IssGenerator::new(key(purpose::ISS), key(purpose::TIMESTAMPS)),
            challenge_budget: ChallengeBudget::new(
                config.challenge_acks_per_second,
                key(purpose::CHALLENGES),
            ),
            scheduler: Scheduler::default(),
            trace: Trace::default(),
            config,
        })
    }

    // ---- Inputs ----

    /// The link changed: MTU, offloads, up or down. Connections keep the MSS that they negotiated,
    /// and cut smaller segments where the MTU is now below it: what is in flight in larger ones is
    /// sent again.
    ///
    /// The change from down to up is the one input that visits every connection, idle ones
    /// included.
    ///
    /// # Errors
    /// [`ConfigError`] if the new link cannot be used; the old one stays.
    pub fn set_link(&mut self, now: Instant, link: LinkCaps) -> Result<(), ConfigError> {
        // One below what IPv6 asks for (RFC 8200 §5) is bad for IPv6 alone.
        link.validate(false)?;
        self.advance(now);
        let came_up = link.up && !self.net.link().up;
        self.net.set_link(link);
        if came_up {
            let waiting: Vec<ConnId> = self.conn_ids().collect();
            waiting.into_iter().for_each(|id| self.settle(id));
        }
        Ok(())
    }

    /// Time has passed: fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let now = self.now;
        while let Some(index) = self.scheduler.pop_due(now) {
            self.fire_connection_timers(now, index);
        }
        while let Some(key) = self.handshakes.pop_due(now) {
            self.fire_half_open_timer(now, key);
        }
        while let Some((key, expired)) = self.time_wait.pop_due(now) {
            self.forget_time_wait(key, &expired);
        }
        let unreachable = self.net.handle_timeout(now);
        self.on_neighbor_unreachable(unreachable);
    }

    // ---- Outputs ----

    /// When to call [`handle_timeout`](Self::handle_timeout), if ever. It may be early, never late.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [
            self.scheduler.next_deadline(),
            self.handshakes.next_deadline(),
            self.time_wait.next_deadline(),
            self.net.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(source) = self.scheduler.events.pop() {
            match source {
                Source::Listener(id) => {
                    if let Some(listener) = self.locals.listener_mut(id) {
                        listener.in_events = false;
                        return Some(Event::Acceptable(id));
                    }
                }
                Source::Conn(id) => {
                    if let Some(slot) = self.conns.slot_mut(id) {
                        slot.marks.reporting = false;
                        let events = core::mem::take(&mut slot.tcp.app.events);
                        if !events.is_empty() {
                            return Some(Event::Conn(id, events));
                        }
                    }
                }
            }
        }
        None
    }

    // ---- Application calls ----

    /// A connection by its id; `None` once it is gone.
    pub fn conn(&mut self, id: ConnId) -> Option<Conn<'_>> {
        self.conns.get(id)?;
        Some(Conn { stack: self, id })
    }

    /// Every connection in the table, those not yet accepted and those being closed included.
    pub fn conn_ids(&self) -> impl Iterator<Item = ConnId> {
        self.conns.ids()
    }

    // ---- Views ----

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.net.stats
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// The link as last set.
    #[must_use]
    pub fn link(&self) -> LinkCaps {
        *self.net.link()
    }

    /// Connections without handle that still have data or FINs to exchange; TIME-WAIT excluded.
    #[must_use]
    pub fn closing_connections(&self) -> usize {
        self.conns.orphans
    }

    /// Numbers of connections, half-open records and TIME-WAIT records.
    #[must_use]
    pub fn connection_counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            connections: self.conns.len(),
            half_open: self.handshakes.len(),
            time_wait: self.time_wait.len(),
        }
    }

    /// Keeps the newest `capacity` segments for [`poll_trace`](Self::poll_trace); 0 turns tracing
    /// off.
    pub fn set_trace(&mut self, capacity: usize) {
        self.trace.set_capacity(capacity);
    }

    /// The oldest traced segment.
    pub fn poll_trace(&mut self) -> Option<TraceEntry> {
        self.trace.pop()
    }

    /// Traced segments that the ring dropped before they were polled.
    #[must_use]
    pub fn trace_dropped(&self) -> u64 {
        self.trace.dropped()
    }

    // ---- Shared by the parts ----

    /// Moves the stack's time on; it never goes back.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn drop_frame(&mut self, reason: DropReason) {
        self.net.stats.count_drop(reason);
    }
}

/// Sizes of the stack's tables.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// Full control blocks.
    pub connections: usize,
    /// Handshakes of listeners that are under way.
    pub half_open: usize,
    /// TIME-WAIT records.
    pub time_wait: usize,
}
