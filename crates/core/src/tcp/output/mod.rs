//! What to send next (RFC 9293 §3.8.6 and §3.9.1): retransmissions, window probes, new data, FIN, pure ACKs, in that
//! order.
//!
//! Planning a segment counts as sending it: the sequence space, the timers and the ACK it carries are accounted for
//! before the plan is returned, so that one plan is one segment on the wire.

mod keep_alive;
mod pacing;
mod sizing;
mod timeout;
mod window;

use core::ops::Range;

use tidewire_wire::{SackBlock, SackBlocks, SeqNum, TcpFlags, TcpOptions, TcpTimestamps};

pub(crate) use timeout::TimerOutcome;

use super::info::SendLimit;
use super::segment::{ResetReply, SegmentPlan};
use super::state::{State, Transition};
use super::tcb::{Connection, initial_window};
use super::timer::{LifetimeKind, RetransmitKind};
use crate::time::Instant;

impl Connection {
    /// The next segment to send, if any; `room` is the payload that one frame may carry, at least one segment.
    pub(crate) fn next_segment(&mut self, now: Instant, room: usize) -> Option<SegmentPlan> {
        let plan = self.plan_segment(now, room);
        self.note_limit(now);
        plan
    }

    /// Takes note of what holds the sender back from now on.
    pub(crate) fn note_limit(&mut self, now: Instant) {
        let is_busy = self.snd.end() > self.snd.una && self.state.is_synchronized();
        self.snd
            .limits
            .set(now, is_busy.then_some(self.limited_by()));
    }

    /// What holds the sender back now.
    pub(crate) fn limited_by(&self) -> SendLimit {
        if self.snd.end() == self.snd.nxt && self.recovery.next_lost().is_none() {
            SendLimit::Application
        } else {
            self.snd.limit
        }
    }

    fn plan_segment(&mut self, now: Instant, room: usize) -> Option<SegmentPlan> {
        match self.state {
            State::SynSent | State::SynReceived => return self.handshake_segment(now),
            State::Closed | State::Listen => return None,
            State::TimeWait => return self.ack.is_due().then(|| self.pure_ack(now)),
            _ => {}
        }
        if let Some(range) = self.retransmission(now, room) {
            return Some(self.data_segment(now, range, true));
        }
        if let Some(range) = self.new_data(now, room) {
            return Some(self.data_segment(now, range, false));
        }
        self.arm_persist_if_stuck(now);
        if core::mem::take(&mut self.snd.keep_alive_due) {
            // SHLD-12: SEG.SEQ = SND.NXT-1 and no data, which every TCP answers.
            let mut probe = self.pure_ack(now);
            probe.seq = self.snd.seq(self.snd.nxt.saturating_sub(1));
            return Some(probe);
        }
        self.ack.is_due().then(|| self.pure_ack(now))
    }

    /// The SYN, or the SYN-ACK of a simultaneous open, first or again.
    fn handshake_segment(&mut self, now: Instant) -> Option<SegmentPlan> {
        let first = self.snd.nxt == 0;
        let again = self.recovery.next_lost().is_some();
        let synchronize = self.state == State::SynReceived;
        if !(first || again || synchronize && self.ack.is_due()) {
            return None;
        }
        let mut flags = TcpFlags::SYN;
        let mut options = self.offer.options(self.ts.value(now), 0);
        if synchronize {
            // A SYN-ACK offers only what the peer's SYN did (RFC 7323 §2.5, RFC 2018 §2).
            flags |= TcpFlags::ACK;
            options.window_scale = self.negotiated.wscale.map(|(_, own)| own);
            options.sack_permitted = self.negotiated.sack;
            let echo = self.ts.recent;
            options.timestamps = options.timestamps.filter(|_| self.negotiated.timestamps);
            options.timestamps = options.timestamps.map(|ts| TcpTimestamps { echo, ..ts });
            self.ack.on_sent();
        }
        if first {
            self.snd.nxt = 1;
            self.snd.progress_at = now;
            self.recovery.on_sent(0..1, now);
        } else {
            self.recovery.on_resent(0..1, now);
        }
        self.count_sent(0, !first);
        self.snd.last_sent = now;
        self.arm_rto(now);
        Some(SegmentPlan {
            seq: self.snd.seq(0),
            ack: self.rcv.seq(self.rcv.nxt),
            flags,
            window: initial_window(&self.config),
            options,
            payload: 1..1,
            mss: self.eff_snd_mss(),
            retransmission: !first,
            ip: self.config.ip_fields(),
        })
    }

    /// A segment with the sequence space `range`, which may end with the FIN.
    fn data_segment(
        &mut self,
        now: Instant,
        range: Range<u64>,
        retransmission: bool,
    ) -> SegmentPlan {
        let data_end = self.snd.buffer.end();
        let payload = range.start.min(data_end)..range.end.min(data_end);
        let fin = range.end > data_end;
        let options = self.options(now);
        let mss = self.segment_size(&options);
        let mut flags = TcpFlags::ACK;
        if payload.end == data_end && !payload.is_empty() {
            // RFC 9293 §3.9.1.2: one PSH on the last segment of what is queued (MUST-61, SHLD-27).
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        let (old, new) = (
            range.start..range.end.min(self.snd.nxt),
            range.start.max(self.snd.nxt)..range.end,
        );
        if !old.is_empty() {
            self.recovery.on_resent(old, now);
        }
        if !new.is_empty() {
            self.account_new_data(now, &new, fin, range.end - range.start, u64::from(mss));
        }
        self.count_sent(payload.end - payload.start, retransmission);
        self.note_pace(now, payload.end - payload.start);
        self.snd.last_sent = now;
        if let Some(at) = self.rcv.data_at
            && now.duration_since(at) < self.config.delayed_ack
            && !payload.is_empty()
        {
            self.ack.on_reply();
        }
        if self.timers.retransmit() != Some(RetransmitKind::Rto) {
            // RFC 6298 §5.1. A probe keeps the persist timer, which already runs.
            if self.snd.wnd > 0 || self.timers.retransmit().is_none() {
                self.arm_rto(now);
            }
        }
        let (ack, window) = self.acknowledge();
        SegmentPlan {
            seq: self.snd.seq(range.start),
            ack,
            flags,
            window,
            options,
            payload,
            mss,
            retransmission,
            ip: self.config.ip_fields(),
        }
    }

    fn account_new_data(
        &mut self,
        now: Instant,
        range: &Range<u64>,
        fin: bool,
        len: u64,
        mss: u64,
    ) {
        self.snd.probe = false;
        if self.snd.una == self.snd.nxt && self.timers.retransmit().is_none() {
            self.snd.progress_at = now;
            self.snd.delivery.on_start(now);
        }
        self.snd.nxt = range.end;
        self.recovery.on_sent(range.clone(), now);
        if !len.is_multiple_of(mss) && self.snd.wnd > 0 {
            self.snd.small_until = range.end;
        }
        let in_flight = self.in_flight();
        self.congestion
            .on_sent(now, range.end - range.start, in_flight);
        if fin {
            self.transition(Transition::FinSent);
        }
    }

    fn pure_ack(&mut self, now: Instant) -> SegmentPlan {
        self.counters.segs_out += 1;
        let options = self.options(now);
        let (ack, window) = self.acknowledge();
        let nxt = self.snd.nxt;
        SegmentPlan {
            seq: self.acceptable_seq(),
            ack,
            flags: TcpFlags::ACK,
            window,
            options,
            payload: nxt..nxt,
            mss: self.eff_snd_mss(),
            retransmission: false,
            ip: self.config.ip_fields(),
        }
    }

    /// The sequence number of a segment without text: SND.NXT, but not beyond the window that the peer offers, where
    /// its receiver would drop the segment and the ACK, window or RST in it. What probed a closed window lies there,
    /// and what was sent before the peer shrank it.
    fn acceptable_seq(&self) -> SeqNum {
        let edge = self.snd.window_edge().max(self.snd.una);
        self.snd.seq(self.snd.nxt.min(edge))
    }

    /// Options of every segment after the handshake: timestamps, and SACK while something is missing or came twice.
    fn options(&self, now: Instant) -> TcpOptions {
        let mut options = TcpOptions::default();
        if self.negotiated.timestamps {
            options.timestamps = Some(TcpTimestamps {
                value: self.ts.value(now),
                echo: self.ts.recent,
            });
        }
        let duplicate = self.rcv.duplicate();
        if self.negotiated.sack && (duplicate.is_some() || self.rcv.buffer.has_gap()) {
            // RFC 2018 §3: 40 bytes of options hold four blocks, or three beside timestamps.
            let most = if self.negotiated.timestamps {
                3
            } else {
                SackBlocks::CAPACITY
            };
            // RFC 2883 §4: what came twice goes first, then the block that it belongs to, then the others.
            let twice = duplicate.map(|range| SackBlock {
                left: self.rcv.seq(range.start),
                right: self.rcv.seq(range.end),
            });
            let rest = most - usize::from(twice.is_some());
            let missing = self
                .rcv
                .buffer
                .sack_blocks(rest, |position| self.rcv.seq(position));
            options.sack = twice.into_iter().chain(missing.iter().copied()).collect();
        }
        options
    }

    /// Payload of a full segment with these options (RFC 9293 §3.7.1, MUST-16).
    fn segment_size(&self, options: &TcpOptions) -> u32 {
        let options_len = u32::try_from(options.emitted_len()).unwrap_or(0);
        self.snd_mss().saturating_sub(options_len).max(1)
    }

    pub(crate) fn arm_rto(&mut self, now: Instant) {
        let at = self.within_user_timeout(now + self.rto());
        self.timers.arm_retransmit(at, RetransmitKind::Rto);
    }

    fn count_sent(&mut self, bytes: u64, retransmission: bool) {
        let mss = u64::from(self.eff_snd_mss()).max(1);
        let segments = bytes.div_ceil(mss).max(1);
        self.counters.segs_out += segments;
        self.counters.bytes_sent += bytes;
        if retransmission {
            self.counters.segs_retransmitted += segments;
            self.counters.bytes_retransmitted += bytes;
        }
    }

    /// Whether a call of [`next_segment`](Self::next_segment) may return something.
    pub(crate) fn wants_to_send(&self) -> bool {
        match self.state {
            State::Closed | State::Listen => false,
            State::SynSent if self.snd.nxt == 0 => true,
            _ => {
                self.ack.is_due()
                    || self.snd.keep_alive_due
                    || self.recovery.next_lost().is_some()
                    || self.snd.end() > self.snd.nxt
            }
        }
    }

    /// Whether the handshake of an active open is under way.
    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// The reset that ABORT sends (RFC 9293 §3.10.5); none before the peer has anything to reset, or after the end.
    pub(crate) fn reset_on_abort(&self) -> Option<ResetReply> {
        match self.state {
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => Some(ResetReply {
                seq: self.acceptable_seq(),
                ack: Some(self.rcv.seq(self.rcv.nxt)),
            }),
            _ => None,
        }
    }

    /// The application gave its handle back with everything read; what is queued goes out in the background.
    pub(crate) fn arm_orphan_timers(&mut self, now: Instant) {
        if self.state == State::FinWait2 {
            self.timers
                .arm_lifetime(now + self.config.fin_wait_2, LifetimeKind::FinWait2);
        } else if let Some(linger) = self.app.linger {
            self.timers.arm_lifetime(now + linger, LifetimeKind::Linger);
        }
    }
}
