//! Demultiplexing: a segment to its connection, half-open record, TIME-WAIT record or listener.

use tidewire_wire::TcpFlags;

use super::Stack;
use super::flow::Target;
use super::trace::{Direction, Seen};
use crate::tcp::half_open::HalfOpenVerdict;
use crate::tcp::negotiation::syn_window;
use crate::tcp::segment::SegmentIn;
use crate::tcp::time_wait::TimeWaitVerdict;
use crate::tcp::{Payload, State, Verdict};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, FourTuple, Key};

impl Stack {
    /// Processes a TCP segment (RFC 9293 §3.10.7).
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        tuple: FourTuple,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) {
        self.net.stats.segments_in += 1;
        match self.find_flow(&tuple) {
            Some(Target::Conn(id)) => self.deliver_to_conn(now, id, segment, payload),
            Some(Target::HalfOpen(key)) => {
                self.deliver_to_half_open(now, key, segment, payload);
            }
            Some(Target::TimeWait(key)) => self.deliver_to_time_wait(now, key, segment),
            None => self.deliver_to_listener(now, tuple, segment, payload),
        }
    }

    pub(super) fn find_flow(&self, tuple: &FourTuple) -> Option<Target> {
        self.flows.find(tuple, |target| match target {
            Target::Conn(id) => self.conns.get(id).is_some_and(|conn| conn.tuple == *tuple),
            Target::HalfOpen(key) => self
                .handshakes
                .get(key)
                .is_some_and(|record| record.tuple == *tuple),
            Target::TimeWait(key) => self
                .time_wait
                .get(key)
                .is_some_and(|record| record.tuple == *tuple),
        })
    }

    fn deliver_to_conn(
        &mut self,
        now: Instant,
        id: ConnId,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) {
        self.update_pressure(id);
        let Some(conn) = self.conns.get_mut(id) else {
            return self.net.stats.count_broken("a flow of no connection");
        };
        let before = conn.state;
        if payload.len() > 0 {
            conn.rcv
                .buffer
                .supply(payload.copied_len(), &mut self.memory.pool);
        }
        let verdict = conn.on_segment(now, segment, payload);
        if matches!(verdict, Verdict::Challenged(_)) && !self.challenge_budget.allow(now) {
            conn.ack.withhold();
            self.net.stats.challenges_withheld += 1;
        }
        let (after, tuple) = (conn.state, conn.tuple);
        self.trace_in(now, &tuple, Some(id), segment, (before, after));
        self.conclude(now, &tuple, segment, verdict);
        self.settle(id);
    }

    /// Whether the stack as a whole may answer another suspicious segment now; counts as an answer
    /// if so.
    pub(super) fn challenge_budget_allows(&mut self, now: Instant) -> bool {
        let allowed = self.challenge_budget.allow(now);
        self.net.stats.challenges_withheld += u64::from(!allowed);
        allowed
    }

    /// Counts a segment that was dropped, and answers it where it must be.
    fn conclude(&mut self, now: Instant, tuple: &FourTuple, segment: &SegmentIn, verdict: Verdict) {
        match verdict {
            Verdict::Accepted => {}
            Verdict::Ended { was_connecting } => {
                self.net.stats.resets_in += 1;
                self.net.stats.failed_attempts += u64::from(was_connecting);
            }
            Verdict::Dropped(reason) | Verdict::Challenged(reason) => self.drop_frame(reason),
            Verdict::Reset(reason) => {
                self.drop_frame(reason);
                if let Some(reset) = segment.reset() {
                    let ip = self.tcp_defaults.ip_fields();
                    self.send_reset(now, tuple, reset, segment.options.timestamps, ip);
                }
            }
        }
    }

    fn deliver_to_half_open(
        &mut self,
        now: Instant,
        key: Key,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) {
        let Some(half_open) = self.handshakes.get(key) else {
            return self.net.stats.count_broken("a flow of no half-open record");
        };
        let (tuple, listener) = (half_open.tuple, half_open.listener);
        let Some(owner) = self.locals.listener(listener) else {
            return self.net.stats.count_broken("a record of no listener");
        };
        let window = syn_window(&owner.config).into();
        let verdict = half_open.judge(segment, window);
        if verdict != HalfOpenVerdict::Complete {
            let after = if verdict == HalfOpenVerdict::Reset {
                State::Closed
            } else {
                State::SynReceived
            };
            self.trace_in(now, &tuple, None, segment, (State::SynReceived, after));
        }
        match verdict {
            HalfOpenVerdict::Complete => self.complete_handshake(now, key, segment, payload),
            HalfOpenVerdict::SynAgain => self.repeat_syn_ack(now, key),
            HalfOpenVerdict::Reset => {
                self.net.stats.resets_in += 1;
                self.forget_half_open(key);
            }
            HalfOpenVerdict::BadAck => {
                // It may answer a cookie: of a SYN that came twice, the first got a cookie and the
                // second a record.
                if self.accept_cookie(now, listener, tuple, segment, payload) {
                    return;
                }
                self.conclude(now, &tuple, segment, Verdict::Reset(DropReason::BadAck));
            }
            HalfOpenVerdict::Acknowledge(reason) => {
                self.drop_frame(reason);
                self.challenge_half_open(now, key);
            }
            HalfOpenVerdict::Ignore(reason) => self.drop_frame(reason),
        }
    }

    /// The third segment of the handshake: the record becomes a connection, which processes the
    /// segment in full.
    pub(super) fn complete_handshake(
        &mut self,
        now: Instant,
        key: Key,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) {
        let Some((id, owner)) = self.promote(now, key) else {
            // The accept queue is full: the segment counts as lost. The answer to the next SYN-ACK
            // may find room.
            self.handshakes.note_answered(key);
            return self.drop_frame(DropReason::BacklogFull);
        };
        self.deliver_to_conn(now, id, segment, payload);
        self.announce(owner, id);
    }

    fn deliver_to_time_wait(&mut self, now: Instant, key: Key, segment: &SegmentIn) {
        let Some(record) = self.time_wait.get(key) else {
            return self.net.stats.count_broken("a flow of no TIME-WAIT record");
        };
        let tuple = record.tuple;
        let verdict = record.judge(segment);
        self.trace_in(
            now,
            &tuple,
            record.conn,
            segment,
            (State::TimeWait, State::TimeWait),
        );
        match verdict {
            TimeWaitVerdict::Ignore => self.drop_frame(DropReason::Duplicate),
            TimeWaitVerdict::FinAgain => {
                if let Some(record) = self.time_wait.get_mut(key) {
                    record.restart(now);
                }
                self.acknowledge_time_wait(now, key);
            }
            TimeWaitVerdict::Acknowledge => {
                self.drop_frame(DropReason::OutOfWindow);
                let allowed = self
                    .time_wait
                    .get_mut(key)
                    .is_some_and(|record| record.challenges.allow(now));
                if allowed && self.challenge_budget_allows(now) {
                    self.acknowledge_time_wait(now, key);
                }
            }
            TimeWaitVerdict::Reopen => {
                match self.may_open_passively(&tuple) {
                    Ok(_) => {}
                    Err(DropReason::NoConnection) => return self.acknowledge_time_wait(now, key),
                    // As if the SYN were lost: the record stays until one succeeds.
                    Err(reason) => return self.drop_frame(reason),
                }
                let Some(record) = self.time_wait.remove(key) else {
                    return self
                        .net
                        .stats
                        .count_broken("a TIME-WAIT record that is gone");
                };
                let last = record.snd_nxt;
                self.forget_time_wait(key, &record);
                self.open_passively(now, tuple, segment, Some(last));
            }
        }
    }

    /// RFC 9293 §3.10.7.1 and §3.10.7.2: CLOSED and LISTEN.
    fn deliver_to_listener(
        &mut self,
        now: Instant,
        tuple: FourTuple,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) {
        let listener = self.listener_for(&tuple);
        let from = if listener.is_some() {
            State::Listen
        } else {
            State::Closed
        };
        let only_syn = segment.has(TcpFlags::SYN)
            && !segment
                .header
                .flags
                .intersects(TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN);
        if listener.is_some() && only_syn {
            self.trace_in(now, &tuple, None, segment, (from, State::SynReceived));
            return self.open_passively(now, tuple, segment, None);
        }
        if let Some(id) = listener
            && self.accept_cookie(now, id, tuple, segment, payload)
        {
            return;
        }
        self.trace_in(now, &tuple, None, segment, (from, from));
        let harmless = listener.is_some() && !segment.has(TcpFlags::ACK);
        let verdict = if harmless {
            // In LISTEN anything without ACK and SYN, or with SYN and FIN, is dropped silently.
            Verdict::Dropped(DropReason::BadFlags)
        } else {
            Verdict::Reset(DropReason::NoConnection)
        };
        self.conclude(now, &tuple, segment, verdict);
    }

    fn trace_in(
        &mut self,
        at: Instant,
        tuple: &FourTuple,
        conn: Option<ConnId>,
        segment: &SegmentIn,
        states: (State, State),
    ) {
        self.trace_segment(at, tuple, conn, states, || Seen {
            direction: Direction::In,
            header: segment.header,
            options: segment.options,
            payload_len: segment.payload_len,
            retransmission: false,
        });
    }
}
