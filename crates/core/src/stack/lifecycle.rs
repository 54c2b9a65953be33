//! Connection lifecycle: insertion, timers, TIME-WAIT, removal.

use tidewire_wire::{SeqNum, TcpTimestamps};

use super::Stack;
use super::conns::Slot;
use super::flow::Target;
use crate::error::ConnError;
use crate::tcp::segment::ResetReply;
use crate::tcp::time_wait::TimeWait;
use crate::tcp::{Connection, State, TimerOutcome};
use crate::time::Instant;
use crate::types::{ConnEvents, ConnId, FourTuple, Key};
use alloc::vec::Vec;

impl Stack {
    pub(super) fn add_connection(&mut self, conn: Connection) -> ConnId {
        let tuple = conn.tuple;
        let id = self.conns.insert(conn);
        self.flows.insert(&tuple, Target::Conn(id));
        id
    }

    /// Frees a 4-tuple.
    pub(super) fn free_flow(&mut self, tuple: &FourTuple, target: Target) {
        self.flows.remove(tuple, target);
        self.locals.ports.on_freed(tuple);
    }

    /// Whether an active open may use this 4-tuple: it is free, or has been in TIME-WAIT for long
    /// enough.
    pub(super) fn may_connect(&self, tuple: &FourTuple) -> bool {
        match self.find_flow(tuple) {
            None => true,
            Some(Target::TimeWait(key)) => self
                .time_wait
                .get(key)
                .is_some_and(|record| record.may_reopen_actively(self.now)),
            Some(_) => false,
        }
    }

    /// An active open takes the place of a TIME-WAIT record, if there is one: returns its SND.NXT.
    pub(super) fn displace_time_wait(&mut self, tuple: &FourTuple) -> Option<SeqNum> {
        let Some(Target::TimeWait(key)) = self.find_flow(tuple) else {
            return None;
        };
        let record = self.time_wait.remove(key)?;
        self.forget_time_wait(key, &record);
        Some(record.snd_nxt)
    }

    /// The ISS of a new connection: beyond everything that a previous one of the same 4-tuple sent,
    /// which ended at `after` (RFC 6191 §3, RFC 1122 §4.2.2.13).
    pub(super) fn fresh_iss(&self, tuple: &FourTuple, after: Option<SeqNum>) -> SeqNum {
        let iss = self.iss.iss(tuple, self.now);
        match after {
            Some(last) if iss.le(last) => last.add(1 << 16),
            _ => iss,
        }
    }

    /// Settles a connection after something happened to it: accounts for its memory, reports its
    /// events, moves it on where its state says so, queues it for sending, and schedules its
    /// timers. Every input and every call ends here.
    pub(super) fn settle(&mut self, id: ConnId) {
        self.account_memory(id);
        let Some(Slot {
            tcp: conn, marks, ..
        }) = self.conns.slot_mut(id)
        else {
            return;
        };
        if conn.app.orphaned {
            conn.app.events = ConnEvents::NONE;
        } else if !conn.app.events.is_empty() {
            self.scheduler.report(id, marks);
        }
        match conn.state {
            State::TimeWait => return self.enter_time_wait(id),
            State::Closed => return self.enter_closed(id),
            _ => {}
        }
        if !marks.awaits_neighbor && conn.wants_to_send() {
            self.scheduler.make_ready(id, marks);
        }
        self.schedule_timers(id);
    }

    pub(super) fn schedule_timers(&mut self, id: ConnId) {
        if let Some(at) = self.conns.get(id).and_then(|conn| conn.timers.next()) {
            self.scheduler.no_later_than(id, at);
        }
    }

    pub(super) fn fire_connection_timers(&mut self, now: Instant, index: u32) {
        let Some((id, slot)) = self.conns.at_mut(index) else {
            return self.net.stats.count_broken("a deadline of no connection");
        };
        if let TimerOutcome::Ended {
            was_connecting,
            reset,
        } = slot.tcp.on_timer(now)
        {
            self.net.stats.failed_attempts += u64::from(was_connecting);
            if let Some(reset) = reset {
                self.send_reset_of(now, id, reset);
            }
        }
        self.settle(id);
    }

    /// Puts a TIME-WAIT record into the place of the connection for 2 MSL. The control block stays
    /// only until its handle is given back, for what the application has not read yet.
    fn enter_time_wait(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conns.get(id) else {
            return self.net.stats.count_broken("TIME-WAIT of no connection");
        };
        if self.find_flow(&conn.tuple) != Some(Target::Conn(id)) {
            // Already there; the handle may have been given back since.
            return self.release_if_orphaned(id);
        }
        let handle = (!conn.app.orphaned).then_some(id);
        let (tuple, owes_ack) = (conn.tuple, conn.ack.is_due());
        let record = TimeWait::new(conn, now, handle);
        if self.time_wait.is_full()
            && let Some((key, oldest)) = self.time_wait.pop_oldest()
        {
            self.forget_time_wait(key, &oldest);
        }
        let key = self.time_wait.insert(record);
        self.flows
            .replace(&tuple, Target::Conn(id), Target::TimeWait(key));
        if owes_ack {
            self.acknowledge_time_wait(now, key);
        }
        self.scheduler.forget_deadline(id);
        self.release_if_orphaned(id);
    }

    /// Frees the 4-tuple of a closed connection. The control block stays until its handle is given
    /// back.
    fn enter_closed(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(id) else {
            return self.net.stats.count_broken("the end of no connection");
        };
        let tuple = conn.tuple;
        if self.find_flow(&tuple) == Some(Target::Conn(id)) {
            self.free_flow(&tuple, Target::Conn(id));
        }
        self.scheduler.forget_deadline(id);
        self.release_if_orphaned(id);
    }

    fn release_if_orphaned(&mut self, id: ConnId) {
        if self.conns.get(id).is_some_and(|conn| conn.app.orphaned) {
            if let Some(mut slot) = self.conns.remove(id) {
                self.release_memory(&mut slot);
            }
            self.conns.orphans = self.conns.orphans.saturating_sub(1);
        }
    }

    /// A TIME-WAIT record is gone from its table.
    pub(super) fn forget_time_wait(&mut self, key: Key, record: &TimeWait) {
        self.free_flow(&record.tuple, Target::TimeWait(key));
        if let Some(conn) = record.conn.and_then(|id| self.conns.get_mut(id)) {
            conn.state = State::Closed;
        }
    }

    /// Sends the ACK of a TIME-WAIT record.
    pub(super) fn acknowledge_time_wait(&mut self, now: Instant, key: Key) {
        let Some(record) = self.time_wait.get_mut(key) else {
            return self.net.stats.count_broken("an ACK of no TIME-WAIT record");
        };
        let plan = record.acknowledgement(now);
        let tuple = record.tuple;
        self.send_control_segment(now, &tuple, &plan, State::TimeWait);
    }

    /// Sends a connection's own reset.
    pub(super) fn send_reset_of(&mut self, now: Instant, id: ConnId, reset: ResetReply) {
        if let Some(conn) = self.conns.get(id) {
            let tuple = conn.tuple;
            let recent = conn.negotiated.timestamps.then_some(TcpTimestamps {
                value: conn.ts.recent,
                echo: 0,
            });
            let ip = conn.config.ip_fields();
            self.send_reset(now, &tuple, reset, recent, ip);
        }
    }

    // ---- Neighbours ----

    /// The next hop of these connections is known.
    pub(super) fn on_neighbor_resolved(&mut self, conns: Vec<ConnId>) {
        for id in conns {
            if let Some(slot) = self.conns.slot_mut(id) {
                slot.marks.awaits_neighbor = false;
            }
            self.settle(id);
        }
    }

    /// The next hop of these connections did not answer. Attempts to connect fail; connections keep
    /// trying (RFC 5461), and fail with this error if they time out, as in Linux.
    pub(super) fn on_neighbor_unreachable(&mut self, conns: Vec<ConnId>) {
        for id in conns {
            let Some(Slot {
                tcp: conn, marks, ..
            }) = self.conns.slot_mut(id)
            else {
                continue;
            };
            marks.awaits_neighbor = false;
            if conn.on_unreachable(ConnError::HostUnreachable) {
                self.net.stats.failed_attempts += 1;
            } else {
                self.lose_next_segment(self.now, id);
            }
            self.settle(id);
        }
    }
}
