//! Commit of a plan: accounts for its sequence space, its timers and its ACK.

use core::ops::Range;

use tidewire_wire::{SeqNum, TcpFlags, TcpTimestamps};

use super::Plan;
use crate::tcp::negotiation::syn_window;
use crate::tcp::segment::SegmentPlan;
use crate::tcp::state::{State, Transition};
use crate::tcp::tcb::Connection;
use crate::tcp::timer::RetransmitKind;
use crate::time::Instant;

impl Connection {
    /// Accounts for a plan as sent, and returns its segment.
    pub(super) fn commit(&mut self, now: Instant, plan: Plan) -> SegmentPlan {
        match plan {
            Plan::Handshake => self.commit_handshake(now),
            Plan::Retransmit(range) => {
                self.recovery.use_exemption();
                self.commit_text(now, range)
            }
            Plan::New {
                range,
                cwnd_limited_to,
            } => {
                self.note_cwnd_limit(cwnd_limited_to);
                self.commit_text(now, range)
            }
            Plan::WindowProbe(range) => {
                self.snd.persist_due = false;
                self.commit_text(now, range)
            }
            Plan::KeepAlive => {
                self.snd.keep_alive_due = false;
                // SHLD-12: SEG.SEQ = SND.NXT-1 and no data; every TCP answers such a segment.
                let seq = self.snd.seq(self.snd.nxt.saturating_sub(1));
                self.commit_ack(now, seq)
            }
            Plan::Ack => self.commit_ack(now, self.acceptable_seq()),
        }
    }

    fn commit_handshake(&mut self, now: Instant) -> SegmentPlan {
        let first = self.snd.nxt == 0;
        let is_timed_out = self.recovery.next_lost().is_some();
        let value = self.ts.value(now);
        let (flags, options) = if self.state == State::SynReceived {
            self.ack.on_sent();
            let echo = self.ts.recent;
            let timestamps = TcpTimestamps { value, echo };
            let options = self.offer.answer(&self.negotiated, timestamps);
            (TcpFlags::SYN | TcpFlags::ACK, options)
        } else {
            (TcpFlags::SYN, self.offer.options(value))
        };
        if first {
            self.snd.nxt = 1;
            self.snd.progress_at = now;
            self.recovery.on_sent(0..1, now);
        } else {
            self.recovery.on_resent(0..1, now);
        }
        self.count_sent(0, !first);
        self.snd.last_sent = now;
        if first || is_timed_out {
            // A SYN-ACK that only answers a segment leaves the timer alone: a peer that goes on
            // asking must not keep the connection for ever.
            self.arm_rto(now);
        }
        SegmentPlan {
            seq: self.snd.seq(0),
            ack: self.rcv.seq(self.rcv.nxt),
            flags,
            window: syn_window(&self.config),
            options,
            payload: 1..1,
            mss: self.eff_snd_mss(),
            retransmission: !first,
            ip: self.config.ip_fields(),
        }
    }

    /// A segment with the sequence space `range`, which may begin below SND.NXT and end with the
    /// FIN.
    fn commit_text(&mut self, now: Instant, range: Range<u64>) -> SegmentPlan {
        let data_end = self.snd.buffer.end();
        let payload = range.start.min(data_end)..range.end.min(data_end);
        let bytes = payload.end - payload.start;
        let options = self.options(now);
        let mss = self.segment_size();
        let mut flags = TcpFlags::ACK;
        if payload.end == data_end && !payload.is_empty() {
            // RFC 9293 §3.9.1.2: PSH on the last segment of the queued data (MUST-61, SHLD-27).
            flags |= TcpFlags::PSH;
        }
        if range.end > data_end {
            flags |= TcpFlags::FIN;
        }
        let retransmission = range.start < self.snd.nxt;
        self.account_text(now, &range, u64::from(mss));
        self.count_sent(bytes, retransmission);
        self.note_pace(now, bytes);
        self.timers.disarm_departure();
        self.snd.last_sent = now;
        if let Some(at) = self.rcv.data_at
            && now.duration_since(at) < self.config.delayed_ack
            && bytes > 0
        {
            self.ack.on_reply();
        }
        self.arm_rto_for(now, range.start);
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

    /// Accounts for the part of `range` below SND.NXT as resent, and for the rest as new.
    fn account_text(&mut self, now: Instant, range: &Range<u64>, mss: u64) {
        let old = range.start..range.end.min(self.snd.nxt);
        let new = range.start.max(self.snd.nxt)..range.end;
        if !old.is_empty() {
            self.recovery.on_resent(old, now);
        }
        if new.is_empty() {
            return;
        }
        self.snd.persist_due = false;
        if self.snd.una == self.snd.nxt && self.timers.retransmit().is_none() {
            self.snd.progress_at = now;
            self.snd.delivery.on_start(now);
        }
        self.snd.nxt = new.end;
        self.recovery.on_sent(new.clone(), now);
        let is_whole = (range.end - range.start).is_multiple_of(mss);
        if !is_whole && self.snd.wnd > 0 {
            self.snd.small_segment_to = new.end;
        }
        let in_flight = self.in_flight();
        self.congestion.on_sent(now, new.end - new.start, in_flight);
        if new.end > self.snd.buffer.end() {
            self.transition(Transition::FinSent);
        }
    }

    /// RFC 6298 §5.1: the timer runs while data is in flight. A retransmission at SND.UNA restarts
    /// it with a whole timeout, as in Linux (RFC 6675 §6 permits it). A window probe keeps the
    /// persist timer.
    fn arm_rto_for(&mut self, now: Instant, start: u64) {
        match self.timers.retransmit() {
            Some(RetransmitKind::Rto) if start > self.snd.una => {}
            Some(RetransmitKind::Persist) if self.snd.wnd == 0 => {}
            _ => self.arm_rto(now),
        }
    }

    /// A segment without text.
    fn commit_ack(&mut self, now: Instant, seq: SeqNum) -> SegmentPlan {
        self.counters.segs_out += 1;
        let options = self.options(now);
        let (ack, window) = self.acknowledge();
        let nxt = self.snd.nxt;
        SegmentPlan {
            seq,
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
}
