//! Fifth check: the ACK field, with SACK, the window and what they mean for recovery and congestion control.

use super::{Check, Verdict};
use crate::tcp::congestion::{AckSample, CongestionEvent};
use crate::tcp::recovery::Phase;
use crate::tcp::segment::SegmentIn;
use crate::tcp::state::{State, Transition};
use crate::tcp::tcb::Connection;
use crate::tcp::timer::{LifetimeKind, RetransmitKind};
use crate::time::{Duration, Instant};
use crate::types::{ConnEvents, DropReason};

/// What an acknowledgement said.
#[derive(Copy, Clone, Debug, Default)]
struct Delivered {
    bytes: u64,
    /// When the newest of them was sent, where that is unambiguous.
    sent_at: Option<Instant>,
    /// It reported ranges not reported before.
    new_sack: bool,
}

impl Connection {
    pub(super) fn process_ack(&mut self, now: Instant, segment: &SegmentIn) -> Check {
        let Some(ack) = self.check_ack(now, segment)? else {
            return Ok(());
        };
        let prior_in_flight = self.in_flight();
        let window_changed = self.update_window(segment, ack);
        let mut delivered = Delivered::default();
        let advanced = ack > self.snd.una;
        if advanced {
            delivered = self.advance(now, ack);
        }
        self.process_sack(segment, &mut delivered);
        self.detect_loss(
            now,
            segment,
            ack,
            advanced,
            delivered.new_sack,
            window_changed,
        );
        self.snd.proven_at = self.snd.proven_at.max(delivered.sent_at);
        if delivered.bytes > 0 {
            self.measure_and_grow(now, segment, advanced, prior_in_flight, delivered);
        }
        if advanced {
            self.app.soft_error = None;
            if self.recovery.exit_if_done(self.snd.una) {
                self.congestion.on_recovery_exit(now);
                if self.recovery.is_repairing() {
                    // Lost beyond the recovery point: that is another window's loss (RFC 5681 §4.3).
                    self.enter_recovery(now);
                }
            }
            self.after_advance(now);
        }
        self.note_limit(now);
        // Whoever answers is alive: a closed window may stay closed for ever (MUST-36).
        if self.snd.wnd == 0 {
            self.recovery.retries = 0;
        }
        Ok(())
    }

    /// SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT (RFC 5961 §5.2, MAY-12), and never before the ISS (ghost ACKs).
    /// `None`: an old but harmless ACK, whose segment is processed without it.
    fn check_ack(&mut self, now: Instant, segment: &SegmentIn) -> Check<Option<u64>> {
        let ack = self.snd.position(segment.header.ack);
        if self.state == State::SynReceived {
            // RFC 9293 §3.10.7.4: in SYN-RECEIVED only the ACK of our SYN will do, anything else is answered by a reset.
            if ack.is_none_or(|ack| ack == 0 || ack > self.snd.nxt) {
                return Err(Verdict::Reset(DropReason::BadAck));
            }
            self.on_syn_acked(now, segment);
        }
        let Some(ack) = ack.filter(|&ack| ack > 0) else {
            self.challenge(now);
            return Err(Verdict::Dropped(DropReason::BadAck));
        };
        if ack > self.snd.nxt {
            self.challenge(now);
            return Err(Verdict::Dropped(DropReason::BadAck));
        }
        if ack + u64::from(self.snd.max_wnd) < self.snd.una {
            self.challenge(now);
            return Err(Verdict::Dropped(DropReason::BadAck));
        }
        Ok(Some(ack).filter(|&ack| ack >= self.snd.una))
    }

    /// SND.WND, by SND.WL1 and SND.WL2: an old segment must not change it (RFC 9293 §3.10.7.4). Says whether it changed.
    fn update_window(&mut self, segment: &SegmentIn, ack: u64) -> bool {
        let Some(seq) = self.rcv.position(segment.header.seq) else {
            return false;
        };
        // DEVIATION(RFC 9293 §3.10.7.4), as in Linux: an ACK of something new is newer whatever its
        // sequence number. A retransmission carries a low one, and ignoring its window while taking
        // its ACK would move the right edge beyond what the peer offers.
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
                // What probed the closed window was probably refused.
                self.recovery
                    .mark_all_lost(ack.max(self.snd.una), self.snd.nxt);
                self.timers.disarm_retransmit();
                self.recovery.retries = 0;
            }
            self.snd.probe = false;
            self.snd.persist_backoff = 0;
        }
        wnd != before
    }

    /// The cumulative acknowledgement moves on.
    fn advance(&mut self, now: Instant, ack: u64) -> Delivered {
        let mss = u64::from(self.eff_snd_mss());
        let (bytes, sent_at) = self
            .recovery
            .on_ack(self.snd.una, ack, self.negotiated.sack, mss);
        self.snd.una = ack;
        self.snd.progress_at = now;
        self.snd.buffer.ack_to(ack);
        if self.app.write_blocked && self.send_room() >= self.send_limit() / 4 {
            self.app.write_blocked = false;
            self.app.events |= ConnEvents::WRITABLE;
        }
        Delivered {
            bytes,
            sent_at,
            new_sack: false,
        }
    }

    /// SACK blocks count only inside (SND.UNA, SND.NXT] (RFC 2018 §4); others are DSACKs or garbage.
    fn process_sack(&mut self, segment: &SegmentIn, delivered: &mut Delivered) {
        if !self.negotiated.sack {
            return;
        }
        self.count_duplicate_report(segment);
        for block in segment.options.sack.as_slice() {
            let (Some(left), Some(right)) = (
                self.snd.position(block.left),
                self.snd.position(block.right),
            ) else {
                continue;
            };
            if left < right && left > self.snd.una && right <= self.snd.nxt {
                let (news, sent_at) = self.recovery.on_sack(left..right);
                delivered.new_sack |= news > 0;
                delivered.bytes += news;
                delivered.sent_at = delivered.sent_at.max(sent_at);
            }
        }
    }

    /// A first block at or below SEG.ACK, or inside the second, says what the peer received twice (RFC 2883 §5).
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
    fn detect_loss(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        ack: u64,
        advanced: bool,
        new_sack: bool,
        window_changed: bool,
    ) {
        let mss = u64::from(self.eff_snd_mss());
        let (una, nxt) = (self.snd.una, self.snd.nxt);
        let lost = if self.negotiated.sack {
            if new_sack {
                self.recovery.note_disorder(nxt);
            }
            let third = new_sack && !advanced && self.recovery.on_sack_dup_ack(una, mss);
            (new_sack || advanced) && self.recovery.detect_loss(una, mss) || third
        } else {
            // RFC 5681 §2: a duplicate has no data, no SYN or FIN, the greatest ACK and an unchanged
            // window; and there is something it could be a duplicate for. A closed window's probes
            // are answered alike, and do not count.
            let duplicate = !advanced
                && ack == una
                && segment.len() == 0
                && !window_changed
                && una < nxt
                && self.snd.wnd > 0;
            if duplicate {
                self.recovery.note_disorder(nxt);
            }
            duplicate && self.recovery.on_dup_ack(una, nxt, mss)
        };
        if lost {
            self.enter_recovery(now);
        }
    }

    /// Tells congestion control of a loss, once per window.
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

    fn measure_and_grow(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        advanced: bool,
        prior_in_flight: u64,
        delivered: Delivered,
    ) {
        let rtt = match delivered.sent_at {
            Some(at) => Some(now.duration_since(at)),
            // Only where the ACK advances does the echo belong to what it acknowledges (RFC 7323 §4.1).
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
        // A window counts as used when it held data back, or when slow start filled half of it (RFC 7661).
        let cwnd_limited = self.snd.una <= self.snd.cwnd_limited_until
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

    /// The round trip by our own timestamp that came back (RFC 7323 §4.1).
    pub(super) fn rtt_of_echo(&self, now: Instant, segment: &SegmentIn) -> Option<Duration> {
        let ts = segment
            .options
            .timestamps
            .filter(|_| self.negotiated.timestamps)?;
        let elapsed = self.ts.value(now).wrapping_sub(ts.echo);
        let rtt = Duration::from_millis(u64::from(elapsed)).max(Duration::from_micros(500));
        // An echo from the future, or from long ago, is not ours: some send zero instead of it.
        (rtt <= self.config.max_rto).then_some(rtt)
    }

    /// New data was acknowledged: RFC 6298 §5.2 and §5.3, and the states that wait for the ACK of our FIN.
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
