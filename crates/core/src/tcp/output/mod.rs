//! Segment output: the next segment to send (RFC 9293 §3.8.6 and §3.9.1).
//!
//! [`plan`] returns the next segment or the reason to wait, and changes nothing. [`commit`]
//! accounts for a plan as sent; one plan is one segment. [`hold`] records the reason to wait, and
//! arms the timer that ends it. [`sizing`] has the lengths, [`pacing`] the pacing rate, [`window`]
//! our offered window.

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

/// The next segment. Ranges are positions of the send half and may end with the FIN.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Plan {
    /// The SYN, or the SYN-ACK of a simultaneous open.
    Handshake,
    /// Lost data, and perhaps new data that fills up its segment.
    Retransmit(Range<u64>),
    /// New data.
    New {
        range: Range<u64>,
        /// The position up to which the congestion window holds data back, if it does.
        cwnd_limited_to: Option<u64>,
    },
    /// A probe of a closed window. Also data for a small window that stayed small for a whole
    /// persist interval.
    WindowProbe(Range<u64>),
    /// A keep-alive probe.
    KeepAlive,
    /// An ACK without text.
    Ack,
}

/// Why no segment with sequence space is sent.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
struct Held {
    limit: SendLimit,
    /// When to plan again, if no other event comes first.
    until: Option<Instant>,
    /// The position up to which the congestion window holds data back, if it does.
    cwnd_limited_to: Option<u64>,
}

impl Held {
    const NOTHING_TO_SEND: Self = Self {
        limit: SendLimit::Application,
        until: None,
        cwnd_limited_to: None,
    };
}

impl From<SendLimit> for Held {
    fn from(limit: SendLimit) -> Self {
        Self {
            limit,
            ..Self::NOTHING_TO_SEND
        }
    }
}

impl Connection {
    /// The next segment to send, if any; it is accounted for as sent. `room` is the largest payload
    /// of one frame, at least one segment.
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

    /// RFC 5681 §4.1: after an idle RTO there is no ACK clock, and cwnd is reduced to the restart
    /// window.
    fn restart_after_idle(&mut self, now: Instant) {
        let is_idle = self.state.is_synchronized() && self.snd.flight_size() == 0;
        if is_idle
            && self.snd.end() > self.snd.nxt
            && !self.snd.persist_due
            && now.duration_since(self.snd.last_sent) > self.rto()
        {
            self.congestion.on_idle_restart(now);
        }
    }

    /// The sequence number of a segment without text: SND.NXT, or the right edge of the peer's
    /// window if that is lower. Beyond the edge the peer would drop the segment with its ACK,
    /// window or RST. SND.NXT is beyond it after window probes, and after the peer shrank its
    /// window.
    pub(super) fn acceptable_seq(&self) -> SeqNum {
        let edge = self.snd.window_edge().max(self.snd.una);
        self.snd.seq(self.snd.nxt.min(edge))
    }

    pub(crate) fn arm_rto(&mut self, now: Instant) {
        let at = self.within_user_timeout(now + self.rto());
        self.timers.arm_retransmit(at, RetransmitKind::Rto);
    }

    /// Whether [`next_segment`](Self::next_segment) may return a segment.
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

    /// The reset that ABORT sends (RFC 9293 §3.10.5); `None` if the peer has no connection to
    /// reset.
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

    /// The application released its handle after reading everything; queued data is sent in the
    /// background.
    pub(crate) fn arm_orphan_timers(&mut self, now: Instant) {
        if self.state == State::FinWait2 {
            self.timers
                .arm_lifetime(now + self.config.fin_wait_2, LifetimeKind::FinWait2);
        } else if let Some(linger) = self.app.linger {
            self.timers.arm_lifetime(now + linger, LifetimeKind::Linger);
        }
    }
}
