//! What to send next (RFC 9293 §3.8.6 and §3.9.1).
//!
//! [`plan`] says what leaves or what holds it back, and changes nothing; [`commit`] accounts for it as sent, and one
//! plan is one segment on the wire; [`hold`] takes note of what holds the sender back, and sets the timer that ends it.
//! Sizes are in [`sizing`], the pace of a congestion controller in [`pacing`], the window we offer in [`window`].

mod commit;
mod hold;
mod keep_alive;
mod options;
mod pacing;
mod plan;
mod sizing;
mod timeout;
mod window;

use core::ops::Range;

use tidewire_wire::SeqNum;

pub(crate) use timeout::TimerOutcome;

use super::info::SendLimit;
use super::segment::{ResetReply, SegmentPlan};
use super::state::State;
use super::tcb::Connection;
use super::timer::{LifetimeKind, RetransmitKind};
use crate::time::Instant;

/// What leaves next. Ranges are positions of the send half; they may end with the FIN.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Plan {
    /// The SYN, or the SYN-ACK of a simultaneous open.
    Handshake,
    /// What was lost, and perhaps new data that fills its segment up.
    Retransmit(Range<u64>),
    /// What was never sent.
    New(Range<u64>),
    /// A probe of a closed window, or as much as a small window takes when waiting did not open it.
    Probe(Range<u64>),
    /// A keep-alive probe.
    KeepAlive,
    /// An ACK without text.
    Ack,
}

/// Why nothing with sequence space leaves.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
struct Held {
    limit: SendLimit,
    /// When to plan again, should nothing else give reason to.
    until: Option<Instant>,
}

impl Held {
    const NOTHING_TO_SEND: Self = Self {
        limit: SendLimit::Application,
        until: None,
    };
}

impl From<SendLimit> for Held {
    fn from(limit: SendLimit) -> Self {
        Self { limit, until: None }
    }
}

impl Connection {
    /// The next segment to send, if any; `room` is the payload that one frame may carry, at least one segment. It
    /// counts as sent.
    pub(crate) fn next_segment(&mut self, now: Instant, room: usize) -> Option<SegmentPlan> {
        self.restart_after_idle(now);
        let plan = match self.plan(now, room) {
            Ok(plan) => Some(plan),
            Err(held) => {
                self.hold(now, held);
                self.plan_empty()
            }
        };
        let segment = plan.map(|plan| self.commit(now, plan));
        self.note_limit(now);
        segment
    }

    /// RFC 5681 §4.1: after an idle RTO the ACK clock is gone, and cwnd falls back to the restart window.
    fn restart_after_idle(&mut self, now: Instant) {
        let is_idle = self.state.is_synchronized() && self.snd.flight_size() == 0;
        if is_idle
            && self.snd.end() > self.snd.nxt
            && !self.snd.probe
            && now.duration_since(self.snd.last_sent) > self.rto()
        {
            self.congestion.on_idle_restart(now);
        }
    }

    /// The sequence number of a segment without text: SND.NXT, but not beyond the window that the peer offers, where
    /// its receiver would drop the segment and the ACK, window or RST in it. What probed a closed window lies there,
    /// and what was sent before the peer shrank it.
    pub(super) fn acceptable_seq(&self) -> SeqNum {
        let edge = self.snd.window_edge().max(self.snd.una);
        self.snd.seq(self.snd.nxt.min(edge))
    }

    pub(crate) fn arm_rto(&mut self, now: Instant) {
        let at = self.within_user_timeout(now + self.rto());
        self.timers.arm_retransmit(at, RetransmitKind::Rto);
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
