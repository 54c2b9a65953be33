//! Passive open: from a SYN to a half-open record, and from that to a connection.

use alloc::sync::Arc;

use tidewire_wire::{SeqNum, TcpOptions};

use super::Stack;
use super::events::Source;
use super::flow::Target;
use super::listener::Listener;
use crate::tcp::challenge::ChallengeLimit;
use crate::tcp::half_open::HalfOpen;
use crate::tcp::negotiation::Offer;
use crate::tcp::segment::SegmentIn;
use crate::tcp::{Connection, Pressure, State, TcpConfig};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, FourTuple, Key, ListenerId};

/// A listener that answers a SYN, and the configuration that it answers with.
pub(super) struct Serving {
    pub(super) id: ListenerId,
    pub(super) config: Arc<TcpConfig>,
}

impl Serving {
    pub(super) fn new(id: ListenerId, listener: &Listener) -> Self {
        Self {
            id,
            config: Arc::clone(&listener.config),
        }
    }
}

impl Stack {
    /// The listener that has room for a connection of this tuple, or why its SYN is dropped.
    pub(super) fn may_open_passively(&self, tuple: &FourTuple) -> Result<Serving, DropReason> {
        let id = self.listener_for(tuple).ok_or(DropReason::NoConnection)?;
        let listener = self.locals.listener(id).ok_or(DropReason::NoConnection)?;
        if listener.is_full() || self.handshakes.is_full() {
            return Err(DropReason::BacklogFull);
        }
        if self.pressure() == Pressure::Full {
            return Err(DropReason::NoMemory);
        }
        Ok(Serving::new(id, listener))
    }

    /// RFC 9293 §3.10.7.2: a SYN for a listener. `after` is the sequence number that a previous
    /// connection of this tuple ended with.
    pub(super) fn open_passively(
        &mut self,
        now: Instant,
        tuple: FourTuple,
        segment: &SegmentIn,
        after: Option<SeqNum>,
    ) {
        let serving = match self.may_open_passively(&tuple) {
            Ok(serving) => serving,
            Err(DropReason::BacklogFull) if self.answer_with_cookie(now, tuple, segment) => return,
            Err(reason) => return self.drop_frame(reason),
        };
        let record = self.half_open_record(now, &serving, tuple, segment, segment.options);
        let iss = self.fresh_iss(&tuple, after);
        let key = self.remember(HalfOpen { iss, ..record });
        self.send_syn_ack(now, key);
    }

    /// A record of the handshake that `segment` belongs to, without our ISS.
    pub(super) fn half_open_record(
        &self,
        now: Instant,
        serving: &Serving,
        tuple: FourTuple,
        segment: &SegmentIn,
        peer: TcpOptions,
    ) -> HalfOpen {
        HalfOpen {
            tuple,
            listener: serving.id,
            iss: SeqNum::new(0),
            irs: segment.header.seq,
            offer: Offer::new(&serving.config, self.net.link_mss(tuple.local)),
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
        }
    }

    /// Adds a record to the table, with no timer yet.
    pub(super) fn remember(&mut self, record: HalfOpen) -> Key {
        let tuple = record.tuple;
        if let Some(listener) = self.locals.listener_mut(record.listener) {
            listener.half_open += 1;
        }
        let key = self.handshakes.insert(record);
        self.flows.insert(&tuple, Target::HalfOpen(key));
        key
    }

    /// Sends the SYN-ACK of a half-open connection, first or after its timer fired, and arms the
    /// timer.
    pub(super) fn send_syn_ack(&mut self, now: Instant, key: Key) {
        if let Some(record) = self.handshakes.get(key)
            && let Some(listener) = self.locals.listener(record.listener)
        {
            self.handshakes.arm(now, key, &listener.config);
        }
        self.repeat_syn_ack(now, key);
    }

    /// Sends the SYN-ACK without touching the timer, as for a SYN that came again.
    pub(super) fn repeat_syn_ack(&mut self, now: Instant, key: Key) {
        let Some(record) = self.handshakes.get_mut(key) else {
            return self.net.stats.count_broken("a SYN-ACK of no record");
        };
        let Some(listener) = self.locals.listener(record.listener) else {
            return self.net.stats.count_broken("a record of no listener");
        };
        let plan = record.syn_ack(now, &listener.config);
        let tuple = record.tuple;
        self.send_control_segment(now, &tuple, &plan, State::SynReceived);
    }

    /// Answers a suspicious segment of a half-open connection with an ACK, unless one was answered
    /// just now.
    pub(super) fn challenge_half_open(&mut self, now: Instant, key: Key) {
        let Some(record) = self.handshakes.get_mut(key) else {
            return self.net.stats.count_broken("a challenge of no record");
        };
        if !record.challenges.allow(now) {
            return;
        }
        let Some(listener) = self.locals.listener(record.listener) else {
            return self.net.stats.count_broken("a record of no listener");
        };
        let plan = record.acknowledgement(now, &listener.config);
        let tuple = record.tuple;
        if self.challenge_budget_allows(now) {
            self.send_control_segment(now, &tuple, &plan, State::SynReceived);
        }
    }

    /// The timer of a half-open connection fired.
    pub(super) fn fire_half_open_timer(&mut self, now: Instant, key: Key) {
        let Some(record) = self.handshakes.get(key) else {
            return self.net.stats.count_broken("a timer of no record");
        };
        let listener = self.locals.listener(record.listener);
        let retries = listener.map_or(0, |listener| listener.config.syn_retries);
        if record.retries >= retries {
            self.net.stats.failed_attempts += 1;
            self.forget_half_open(key);
        } else {
            self.handshakes.note_timeout(key);
            self.send_syn_ack(now, key);
        }
    }

    /// Removes a half-open connection, if it is still one.
    pub(super) fn forget_half_open(&mut self, key: Key) {
        let Some(record) = self.handshakes.remove(key) else {
            return;
        };
        self.free_flow(&record.tuple, Target::HalfOpen(key));
        if let Some(listener) = self.locals.listener_mut(record.listener) {
            listener.half_open = listener.half_open.saturating_sub(1);
        }
    }

    /// Makes a half-open connection a full one; `None` when there is no room for it in the accept
    /// queue or the stack.
    pub(super) fn promote(&mut self, now: Instant, key: Key) -> Option<(ConnId, ListenerId)> {
        let record = self.handshakes.get(key)?;
        let listener = self.locals.listener(record.listener)?;
        if listener.queue_is_full() || self.conns.len() >= self.config.max_connections {
            return None;
        }
        let config = Arc::clone(&listener.config);
        let mut conn = Connection::passive(record, config, now);
        conn.app.mapped = listener.shown_addr().is_ipv6() && record.tuple.local.is_ipv4();
        let owner = record.listener;
        self.forget_half_open(key);
        let id = self.add_connection(conn);
        if let Some(listener) = self.locals.listener_mut(owner) {
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
        if let Some(listener) = self.locals.listener_mut(owner)
            && !listener.in_events
        {
            listener.in_events = true;
            self.scheduler.events.push(Source::Listener(owner));
        }
    }
}
