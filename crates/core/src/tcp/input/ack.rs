//! Acknowledgement processing (fifth check of RFC 9293 §3.10.7.4): ACK, SACK and window.
//!
//! Includes their effect on loss recovery and congestion control.

use core::ops::ControlFlow;

use super::{Check, Verdict, stop};
use crate::tcp::congestion::{AckSample, CongestionEvent};
use crate::tcp::recovery::{Delivered, Phase};
use crate::tcp::segment::SegmentIn;
use crate::tcp::state::{State, Transition};
use crate::tcp::tcb::Connection;
use crate::tcp::timer::{LifetimeKind, RetransmitKind};
use crate::time::{Duration, Instant};
use crate::types::{ConnEvents, DropReason};

/// Effects of one acknowledgement.
#[derive(Copy, Clone, Debug)]
struct AckReport {
    /// SEG.ACK as a position.
    ack: u64,
    /// It advances SND.UNA.
    advanced: bool,
    /// It changed the peer's window.
    window_changed: bool,
    /// It reported ranges not reported before.
    new_sack: bool,
    /// The data newly acknowledged, cumulatively or selectively.
    delivered: Delivered,
    /// Bytes in flight before it.
    prior_in_flight: u64,
}

impl Connection {
    /// Fixed order: the window, the acknowledged data, loss detection, RTT and congestion window,
    /// the end of recovery, the timers.
    pub(super) fn process_ack(&mut self, now: Instant, segment: &SegmentIn) -> Check {
        let Some(ack) = self.check_ack(now, segment)? else {
            return ControlFlow::Continue(());
        };
        let prior_in_flight = self.in_flight();
        let mut report = AckReport {
            ack,
            advanced: ack > self.snd.una,
            window_changed: self.update_window(segment, ack),
            new_sack: false,
            delivered: Delivered::default(),
            prior_in_flight,
        };
        if report.advanced {
            report.delivered = self.advance(now, ack);
        }
        self.process_sack(segment, &mut report);
        self.detect_loss(now, segment, &report);
        self.snd.proven_at = self.snd.proven_at.max(report.delivered.sent_at);
        if report.delivered.bytes > 0 {
            self.measure_and_grow(now, segment, &report);
        }
        if report.advanced {
            self.app.soft_error = None;
            self.leave_recovery_if_done(now);
            self.after_advance(now);
        }
        self.note_limit(now);
        // The peer answers: its window may stay closed for ever (MUST-36).
        if self.snd.wnd == 0 {
            self.recovery.retries = 0;
        }
        ControlFlow::Continue(())
    }

    /// SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT (RFC 5961 §5.2, MAY-12), and never before the
    /// ISS (ghost ACKs). `None` for an old, harmless ACK: the rest of the segment is processed
    /// without it.
    fn check_ack(&mut self, now: Instant, segment: &SegmentIn) -> Check<Option<u64>> {
        let ack = self.snd.position(segment.header.ack);
        if self.state == State::SynReceived {
            // RFC 9293 §3.10.7.4: in SYN-RECEIVED only the ACK of our SYN is acceptable; any other
            // gets a reset.
            if ack.is_none_or(|ack| ack == 0 || ack > self.snd.nxt) {
                return stop(Verdict::Reset(DropReason::BadAck));
            }
            self.on_syn_acked(now, segment);
        }
        let oldest = self.snd.una.saturating_sub(self.snd.max_wnd.into()).max(1);
        match ack.filter(|ack| (oldest..=self.snd.nxt).contains(ack)) {
            Some(ack) => ControlFlow::Continue(Some(ack).filter(|&ack| ack >= self.snd.una)),
            None => stop(self.challenge(now, DropReason::BadAck)),
        }
    }

    /// Updates SND.WND. SND.WL1 and SND.WL2 keep an old segment from changing it
    /// (RFC 9293 §3.10.7.4). Returns whether the window changed.
    fn update_window(&mut self, segment: &SegmentIn, ack: u64) -> bool {
        let Some(seq) = self.rcv.position(segment.header.seq) else {
            return false;
        };
        // DEVIATION(RFC 9293 §3.10.7.4), as in Linux: a segment whose ACK advances SND.UNA is newer
        // at any sequence number. A retransmission has a low one; to take its ACK and not its
        // window would move the right edge beyond the peer's offer.
        let newer =
            ack > self.snd.una || self.snd.wl1 < seq || self.snd.wl1 == seq && self.snd.wl2 <= ack;
        if !newer {
            return false;
        }
        let shift = self.negotiated.peer_shift();
        let wnd = u32::from(segment.header.window) << shift;
        let before = self.snd.wnd;
        self.snd.wnd = wnd;
        self.snd.max_wnd = self.snd.max_wnd.max(wnd);
        self.snd.wl1 = seq;
        self.snd.wl2 = ack;
        if before == 0 && wnd > 0 {
            if self.timers.retransmit() == Some(RetransmitKind::Persist) {
                // The peer probably dropped the window probes.
                self.recovery
                    .mark_all_lost(ack.max(self.snd.una), self.snd.nxt);
                self.timers.disarm_retransmit();
                self.recovery.retries = 0;
            }
            self.snd.persist_due = false;
            self.snd.persist_backoff = 0;
        }
        wnd != before
    }

    /// The cumulative acknowledgement advances.
    fn advance(&mut self, now: Instant, ack: u64) -> Delivered {
        let mss = u64::from(self.eff_snd_mss());
        let delivered = self
            .recovery
            .on_ack(self.snd.una, ack, self.negotiated.sack, mss);
        self.snd.una = ack;
        self.snd.progress_at = now;
        self.snd.buffer.ack_to(ack);
        if self.app.write_blocked && self.send_room() >= self.send_capacity() / 4 {
            self.app.write_blocked = false;
            self.app.events |= ConnEvents::WRITABLE;
        }
        delivered
    }

    /// SACK blocks are used only inside (SND.UNA, SND.NXT] (RFC 2018 §4); others are DSACKs or
    /// invalid.
    fn process_sack(&mut self, segment: &SegmentIn, report: &mut AckReport) {
        if !self.negotiated.sack {
            return;
        }
        self.count_duplicate_report(segment);
        let segments = self.snd.flight_size() / u64::from(self.eff_snd_mss()).max(1);
        for block in segment.options.sack.as_slice() {
            let (Some(left), Some(right)) = (
                self.snd.position(block.left),
                self.snd.position(block.right),
            ) else {
                continue;
            };
            if left < right && left > self.snd.una && right <= self.snd.nxt {
                let Delivered { bytes, sent_at } = self.recovery.on_sack(left..right, segments);
                report.new_sack |= bytes > 0;
                report.delivered.bytes += bytes;
                report.delivered.sent_at = report.delivered.sent_at.max(sent_at);
            }
        }
    }

    /// DSACK: a first block at or below SEG.ACK, or inside the second block, reports duplicate data
    /// (RFC 2883 §5).
    fn count_duplicate_report(&mut self, segment: &SegmentIn) {
        let blocks = segment.options.sack.as_slice();
        let Some(first) = blocks.first().filter(|first| first.left.lt(first.right)) else {
            return;
        };
        let acknowledged = first.right.le(segment.header.ack);
        let inside_second = blocks
            .get(1)
            .is_some_and(|second| second.left.le(first.left) && first.right.le(second.right));
        if acknowledged || inside_second {
            self.counters.duplicates_out = self.counters.duplicates_out.saturating_add(1);
        }
    }

    /// Fast retransmit on SACK (RFC 6675) or the third duplicate ACK (RFC 5681 §3.2).
    fn detect_loss(&mut self, now: Instant, segment: &SegmentIn, report: &AckReport) {
        let is_lost = if self.negotiated.sack {
            self.detect_loss_by_sack(report)
        } else {
            self.detect_loss_by_duplicates(segment, report)
        };
        if is_lost {
            self.enter_recovery(now);
        }
    }

    fn detect_loss_by_sack(&mut self, report: &AckReport) -> bool {
        let mss = u64::from(self.eff_snd_mss());
        let una = self.snd.una;
        if report.new_sack {
            self.recovery.note_disorder(self.snd.nxt);
        }
        let is_duplicate = report.new_sack && !report.advanced;
        let is_third = is_duplicate && self.recovery.on_sack_dup_ack(una, mss);
        let is_progress = report.new_sack || report.advanced;
        is_progress && self.recovery.detect_loss(una, mss) || is_third
    }

    /// RFC 5681 §2: a duplicate ACK has no data, no SYN or FIN, SEG.ACK = SND.UNA and an unchanged
    /// window, and data is outstanding. Answers to window probes look alike and do not count.
    fn detect_loss_by_duplicates(&mut self, segment: &SegmentIn, report: &AckReport) -> bool {
        let mss = u64::from(self.eff_snd_mss());
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let is_duplicate = !report.advanced
            && report.ack == una
            && segment.len() == 0
            && !report.window_changed
            && una < nxt
            && self.snd.wnd > 0;
        if !is_duplicate {
            return false;
        }
        self.recovery.note_disorder(nxt);
        self.recovery.on_dup_ack(una, nxt, mss)
    }

    fn leave_recovery_if_done(&mut self, now: Instant) {
        if !self.recovery.exit_if_done(self.snd.una) {
            return;
        }
        self.congestion.on_recovery_exit(now);
        if self.recovery.is_repairing() {
            // Data beyond the recovery point is lost too: a loss of another window (RFC 5681 §4.3).
            self.enter_recovery(now);
        }
    }

    /// Reports a loss to congestion control, once for each window of data.
    fn enter_recovery(&mut self, now: Instant) {
        let entered = self.recovery.enter_recovery(self.snd.una, self.snd.nxt);
        let Some(flight_size) = entered else {
            return;
        };
        self.counters.recoveries = self.counters.recoveries.saturating_add(1);
        let event = CongestionEvent {
            now,
            flight_size: flight_size.min(self.congestion.cwnd()),
            repeated: false,
        };
        self.congestion.on_congestion(&event);
    }

    fn measure_and_grow(&mut self, now: Instant, segment: &SegmentIn, report: &AckReport) {
        let AckReport {
            advanced,
            delivered,
            prior_in_flight,
            ..
        } = *report;
        let rtt = match delivered.sent_at {
            Some(at) => Some(now.duration_since(at)),
            // The echo belongs to the acknowledged data only if SND.UNA advances (RFC 7323 §4.1).
            None if advanced => self.rtt_of_echo(now, segment),
            None => None,
        };
        if let Some(rtt) = rtt {
            self.rtt.on_sample(rtt);
        }
        let srtt = self.rtt.srtt();
        self.snd.delivery.on_delivered(now, delivered.bytes, srtt);
        let cwnd = self.congestion.cwnd();
        let slow_start = cwnd < self.congestion.ssthresh();
        // The window counts as used if it held data back, or if slow start filled half of it
        // (RFC 7661).
        let cwnd_limited = self.snd.una <= self.snd.cwnd_limited_to
            || slow_start && prior_in_flight.saturating_mul(2) >= cwnd;
        let sample = AckSample {
            now,
            newly_acked: delivered.bytes,
            advanced,
            prior_in_flight,
            in_flight: self.in_flight(),
            rtt,
            srtt: self.rtt.srtt(),
            min_rtt: self.rtt.min_rtt(),
            cwnd_limited,
            in_recovery: matches!(self.recovery.phase(), Phase::Recovery { .. }),
        };
        self.congestion.on_ack(&sample);
    }

    /// The round trip time from the echo of our timestamp (RFC 7323 §4.1).
    pub(super) fn rtt_of_echo(&self, now: Instant, segment: &SegmentIn) -> Option<Duration> {
        let ts = segment
            .options
            .timestamps
            .filter(|_| self.negotiated.timestamps)?;
        let elapsed = self.ts.value(now).wrapping_sub(ts.echo);
        let rtt = Duration::from_millis(u64::from(elapsed)).max(Duration::from_micros(500));
        // An echo from the future or from long ago is invalid; some hosts echo zero.
        (rtt <= self.config.max_rto).then_some(rtt)
    }

    /// Restarts or stops the retransmission timer (RFC 6298 §5.2 and §5.3), and changes state if
    /// our FIN is acknowledged.
    fn after_advance(&mut self, now: Instant) {
        if self.snd.una == self.snd.nxt {
            self.timers.disarm_retransmit();
        } else {
            self.arm_rto(now);
        }
        if !self.snd.fin_sent() || self.snd.una < self.snd.end() {
            return;
        }
        match self.state {
            State::FinWait1 => {
                self.transition(Transition::FinAcked);
                if self.app.orphaned {
                    self.timers
                        .arm_lifetime(now + self.config.fin_wait_2, LifetimeKind::FinWait2);
                }
            }
            State::Closing | State::LastAck => {
                self.transition(Transition::FinAcked);
                self.finish();
            }
            _ => {}
        }
    }
}
