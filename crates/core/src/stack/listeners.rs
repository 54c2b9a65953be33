//! Listeners and the handshakes that they answer.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use tidewire_wire::{SeqNum, TcpOptions};

use super::bindings::BindOptions;
use super::events::Source;
use super::flow::Target;
use super::listener::Listener;
use super::{ListenOptions, Stack};
use crate::error::ListenError;
use crate::ip::{covers, overlap};
use crate::tcp::challenge::ChallengeLimit;
use crate::tcp::config::TcpConfig;
use crate::tcp::half_open::HalfOpen;
use crate::tcp::segment::SegmentIn;
use crate::tcp::tcb::Offer;
use crate::tcp::{Connection, Pressure, State};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, FourTuple, Key, ListenerId};

impl Stack {
    /// Opens a listener (RFC 9293 §3.10.1, passive), whatever connections have its port (MUST-41, MUST-42). An
    /// unspecified address stands for all own ones, port 0 for an ephemeral port.
    ///
    /// `[::]` serves IPv4 as well, as a Linux socket does that is not `IPV6_V6ONLY`: such connections show both ends as
    /// IPv4-mapped addresses, `::ffff:192.0.2.1` (RFC 4291 §2.5.5.2). A mapped address serves IPv4 alone, and shows the
    /// same.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(
        &mut self,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        if options
            .tcp
            .as_ref()
            .is_some_and(|tcp| tcp.validate().is_err())
        {
            return Err(ListenError::InvalidOptions);
        }
        let addr = self.local_for(local)?;
        // As tokio's listener, which sets `SO_REUSEADDR`.
        let sharing = BindOptions {
            reuse_addr: true,
            reuse_port: options.reuse_port,
        };
        if self.is_taken(addr, sharing) {
            return Err(ListenError::AddrInUse);
        }
        let listener = Listener {
            addr,
            mapped: addr.ip() != local.ip(),
            backlog: options.backlog.max(1),
            reuse_port: options.reuse_port,
            config: options
                .tcp
                .map_or_else(|| Arc::clone(&self.tcp_defaults), Arc::new),
            queue: VecDeque::new(),
            half_open: 0,
            in_events: false,
        };
        let id = ListenerId(self.listeners.insert(listener));
        self.listening.entry(addr.port()).or_default().push(id);
        Ok(id)
    }

    /// The address of a listener, as it was asked for.
    #[must_use]
    pub fn listener_addr(&self, id: ListenerId) -> Option<SocketAddr> {
        self.listeners.get(id.0).map(Listener::shown_addr)
    }

    /// What connections accepted from now on begin with. Half-open ones have sent their SYN-ACK, and begin with it too.
    pub fn listener_config(&mut self, id: ListenerId) -> Option<&mut TcpConfig> {
        let listener = self.listeners.get_mut(id.0)?;
        Some(Arc::make_mut(&mut listener.config))
    }

    /// The next connection of a listener's accept queue, which the peer may have closed or reset already.
    pub fn accept(&mut self, id: ListenerId) -> Option<(ConnId, SocketAddr)> {
        let listener = self.listeners.get_mut(id.0)?;
        while let Some(conn_id) = listener.queue.pop_front() {
            if let Some(conn) = self.conns.get(conn_id) {
                return Some((conn_id, conn.remote_addr()));
            }
        }
        None
    }

    /// Whether [`accept`](Self::accept) would return a connection.
    #[must_use]
    pub fn is_acceptable(&self, id: ListenerId) -> bool {
        self.listeners
            .get(id.0)
            .is_some_and(|listener| !listener.queue.is_empty())
    }

    /// Closes a listener: connections that nobody accepted are reset, handshakes under way forgotten. Of these it looks
    /// at all that the stack has.
    pub fn close_listener(&mut self, now: Instant, id: ListenerId) {
        self.advance(now);
        let Some(listener) = self.listeners.remove(id.0) else {
            return;
        };
        let port = listener.addr.port();
        if let Some(ids) = self.listening.get_mut(&port) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.listening.remove(&port);
                self.ports.on_local_port_freed();
            }
        }
        for conn_id in listener.queue {
            if let Some(conn) = self.conn(conn_id) {
                conn.abort(now);
            }
        }
        let orphaned: alloc::vec::Vec<Key> = self
            .half_open
            .iter()
            .filter(|(_, half_open)| half_open.listener == id)
            .map(|(key, _)| key)
            .collect();
        for key in orphaned {
            self.forget_half_open(key);
        }
    }

    /// The listener for a tuple: one on exactly its local address before one on all. Of several that share an address
    /// ([`ListenOptions::reuse_port`]) the tuple's keyed hash chooses.
    pub(super) fn listener_for(&self, tuple: &FourTuple) -> Option<ListenerId> {
        let ids = self.listening.get(&tuple.local_port)?;
        let serving = |exact: bool| {
            ids.iter().copied().filter(move |id| {
                self.listeners.get(id.0).is_some_and(|listener| {
                    let is_exact = listener.addr.ip() == tuple.local;
                    if exact {
                        is_exact
                    } else {
                        listener.serves(tuple.local)
                    }
                })
            })
        };
        let choose = |exact| match serving(exact).count() {
            0 => None,
            1 => serving(exact).next(),
            count => serving(exact).nth(self.flows.spread(tuple, count)),
        };
        choose(true).or_else(|| choose(false))
    }

    /// The address to listen on or to bind, its port chosen if it is 0.
    pub(super) fn local_for(&mut self, local: SocketAddr) -> Result<SocketAddr, ListenError> {
        let ip = local.ip().to_canonical();
        let mut own = self.config.addresses.iter();
        if !own.any(|cidr| covers(ip, cidr.address)) {
            return Err(ListenError::AddrNotAvailable);
        }
        let port = match local.port() {
            0 => self
                .free_local_port(ip)
                .ok_or(ListenError::PortsExhausted)?,
            port => port,
        };
        Ok(SocketAddr::new(ip, port))
    }

    /// Whether somebody who does not share has this address, or one that includes it.
    pub(super) fn is_taken(&self, addr: SocketAddr, options: BindOptions) -> bool {
        let ids = self.listening.get(&addr.port()).into_iter().flatten();
        ids.filter_map(|id| self.listeners.get(id.0))
            .filter(|listener| !(options.reuse_port && listener.reuse_port))
            .any(|listener| overlap(listener.addr.ip(), addr.ip()))
            || self.bindings.is_taken(addr, options)
    }

    /// Whether somebody listens on this port, or has bound it.
    pub(super) fn is_local_port(&self, port: u16) -> bool {
        self.listening.contains_key(&port) || self.bindings.has_port(port)
    }

    fn free_local_port(&mut self, ip: IpAddr) -> Option<u16> {
        let to = (ip, ip, 0);
        let is_free = |port| !self.is_local_port(port);
        // One without connections first: whoever connects from it must not find that two ends are in use already.
        let is_unused = |port| is_free(port) && !self.flows.has_port(port);
        let choice = self
            .ports
            .find(self.now, to, is_unused)
            .or_else(|| self.ports.find(self.now, to, is_free))?;
        self.ports.take(to, choice);
        Some(choice.port)
    }

    /// The listener that has room for a connection of this tuple, or what a SYN for it is dropped for.
    pub(super) fn may_open_passively(&self, tuple: &FourTuple) -> Result<ListenerId, DropReason> {
        let id = self.listener_for(tuple).ok_or(DropReason::NoConnection)?;
        let listener = self.listeners.get(id.0).ok_or(DropReason::NoConnection)?;
        if listener.is_full() || self.half_open.len() >= self.config.max_half_open {
            return Err(DropReason::BacklogFull);
        }
        if self.pressure() == Pressure::Full {
            return Err(DropReason::NoMemory);
        }
        Ok(id)
    }

    /// RFC 9293 §3.10.7.2: a SYN for a listener. `after` is the sequence number that a previous connection of this
    /// tuple ended with.
    pub(super) fn open_passively(
        &mut self,
        now: Instant,
        tuple: FourTuple,
        segment: &SegmentIn,
        after: Option<SeqNum>,
    ) {
        let id = match self.may_open_passively(&tuple) {
            Ok(id) => id,
            Err(DropReason::BacklogFull) if self.answer_with_cookie(now, tuple, segment) => return,
            Err(reason) => return self.drop_frame(reason),
        };
        let record = self.half_open_record(now, id, tuple, segment, segment.options);
        let Some(record) = record else {
            return;
        };
        let iss = self.fresh_iss(&tuple, after);
        let key = self.remember(HalfOpen { iss, ..record });
        self.send_syn_ack(now, key);
    }

    /// The record of a handshake that `segment` is the SYN of, but for our sequence number.
    pub(super) fn half_open_record(
        &self,
        now: Instant,
        id: ListenerId,
        tuple: FourTuple,
        segment: &SegmentIn,
        peer: TcpOptions,
    ) -> Option<HalfOpen> {
        let listener = self.listeners.get(id.0)?;
        Some(HalfOpen {
            tuple,
            listener: id,
            iss: SeqNum::new(0),
            irs: segment.header.seq,
            offer: Offer::new(&listener.config, self.net.link_mss(tuple.local)),
            peer: TcpOptions {
                sack: Default::default(),
                ..peer
            },
            window: segment.header.window,
            ts_offset: self.iss.timestamp_offset(&tuple),
            sent_at: now,
            sends: 0,
            retries: 0,
            deadline: now,
            answered: false,
            challenges: ChallengeLimit::default(),
        })
    }

    /// Adds a record to the table, with no timer yet.
    pub(super) fn remember(&mut self, record: HalfOpen) -> Key {
        let tuple = record.tuple;
        if let Some(listener) = self.listeners.get_mut(record.listener.0) {
            listener.half_open += 1;
        }
        let key = self.half_open.insert(record);
        self.flows.insert(&tuple, Target::HalfOpen(key));
        key
    }

    /// Sends the SYN-ACK of a half-open connection, first or when its timer came up, and sets that.
    pub(super) fn send_syn_ack(&mut self, now: Instant, key: Key) {
        if let Some(record) = self.half_open.get_mut(key)
            && let Some(listener) = self.listeners.get(record.listener.0)
        {
            record.arm(now, &listener.config);
            self.half_open_deadlines
                .no_later_than(key.index, record.deadline);
        }
        self.repeat_syn_ack(now, key);
    }

    /// Sends it because the SYN came again.
    pub(super) fn repeat_syn_ack(&mut self, now: Instant, key: Key) {
        let Some(record) = self.half_open.get_mut(key) else {
            return;
        };
        let Some(listener) = self.listeners.get(record.listener.0) else {
            return;
        };
        let plan = record.syn_ack(now, &listener.config);
        let tuple = record.tuple;
        self.send_control_segment(now, &tuple, &plan, State::SynReceived);
    }

    /// Answers a suspicious segment of a half-open connection with an ACK, unless one was answered
    /// just now.
    pub(super) fn challenge_half_open(&mut self, now: Instant, key: Key) {
        let Some(record) = self.half_open.get_mut(key) else {
            return;
        };
        if !record.challenges.allow(now) || !self.challenge_budget_allows(now) {
            return;
        }
        let Some(record) = self.half_open.get(key) else {
            return;
        };
        let Some(listener) = self.listeners.get(record.listener.0) else {
            return;
        };
        let plan = record.acknowledgement(now, &listener.config);
        let tuple = record.tuple;
        self.send_control_segment(now, &tuple, &plan, State::SynReceived);
    }

    /// The timer of a half-open connection came up.
    pub(super) fn fire_half_open_timer(&mut self, now: Instant, index: u32) {
        let Some((key, record)) = self.half_open.at(index) else {
            return;
        };
        if record.deadline > now {
            let at = record.deadline;
            return self.half_open_deadlines.no_later_than(index, at);
        }
        let retries = self
            .listeners
            .get(record.listener.0)
            .map_or(0, |listener| listener.config.syn_retries);
        if record.retries >= retries {
            self.net.stats.failed_attempts += 1;
            self.forget_half_open(key);
        } else {
            if let Some(record) = self.half_open.get_mut(key) {
                self.unanswered += usize::from(record.retries == 0 && !record.answered);
                record.retries += 1;
            }
            self.send_syn_ack(now, key);
        }
    }

    /// The peer of a half-open connection has shown that it is there.
    pub(super) fn note_answered(&mut self, key: Key) {
        if let Some(record) = self.half_open.get_mut(key)
            && !core::mem::replace(&mut record.answered, true)
        {
            self.unanswered -= usize::from(record.retries > 0);
        }
    }

    /// Removes a half-open connection.
    pub(super) fn forget_half_open(&mut self, key: Key) {
        let Some(record) = self.half_open.remove(key) else {
            return;
        };
        self.unanswered -= usize::from(record.retries > 0 && !record.answered);
        self.free_flow(&record.tuple, Target::HalfOpen(key));
        self.half_open_deadlines.remove(key.index);
        if let Some(listener) = self.listeners.get_mut(record.listener.0) {
            listener.half_open = listener.half_open.saturating_sub(1);
        }
    }

    /// Makes a half-open connection a full one; `None` when there is no room for it in the accept queue or the stack.
    pub(super) fn promote(&mut self, now: Instant, key: Key) -> Option<(ConnId, ListenerId)> {
        let record = self.half_open.get(key)?;
        let listener = self.listeners.get(record.listener.0)?;
        if listener.queue_is_full() || self.conns.len() >= self.config.max_connections {
            return None;
        }
        let config = Arc::clone(&listener.config);
        let mut conn = Connection::passive(record, config, now);
        conn.app.mapped = listener.shown_addr().is_ipv6() && record.tuple.local.is_ipv4();
        let owner = record.listener;
        self.forget_half_open(key);
        let id = self.add_connection(conn);
        if let Some(listener) = self.listeners.get_mut(owner.0) {
            listener.queue.push_back(id);
        }
        Some((id, owner))
    }

    /// Tells the listener of a promoted connection that there is something to accept.
    pub(super) fn announce(&mut self, owner: ListenerId, id: ConnId) {
        if self.conns.get(id).is_none() {
            return;
        }
        self.net.stats.passive_opens += 1;
        if let Some(listener) = self.listeners.get_mut(owner.0)
            && !listener.in_events
        {
            listener.in_events = true;
            self.events.push(Source::Listener(owner));
        }
    }
}
