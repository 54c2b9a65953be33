//! Sender limits: what limits the sender, and the timers that end a wait.
//!
//! This is the only place that records the limit and arms these timers.

use super::Held;
use crate::tcp::info::SendLimit;
use crate::tcp::tcb::Connection;
use crate::tcp::timer::RetransmitKind;
use crate::time::Instant;

impl Connection {
    /// Records why no segment with sequence space is sent now.
    pub(super) fn hold(&mut self, now: Instant, why: Held) {
        if !self.state.is_synchronized() {
            return;
        }
        self.snd.limited_by = why.limit;
        self.note_cwnd_limit(why.cwnd_limited_to);
        if let Some(until) = why.until {
            self.timers.arm_departure(until);
        }
        self.arm_persist_if_stuck(now);
    }

    /// A cwnd that holds data back counts as used: acknowledgements may widen it (RFC 7661 §4).
    pub(super) fn note_cwnd_limit(&mut self, cwnd_limited_to: Option<u64>) {
        if let Some(position) = cwnd_limited_to {
            self.snd.cwnd_limited_to = position;
        }
    }

    /// What limits the sender now.
    pub(crate) fn limited_by(&self) -> SendLimit {
        if self.snd.end() == self.snd.nxt && self.recovery.next_lost().is_none() {
            SendLimit::Application
        } else {
            self.snd.limited_by
        }
    }

    /// Accounts for the time under the present limit.
    pub(crate) fn note_limit(&mut self, now: Instant) {
        let is_busy = self.snd.end() > self.snd.una && self.state.is_synchronized();
        self.snd
            .limit_clock
            .set(now, is_busy.then_some(self.limited_by()));
    }

    /// Arms the persist timer if data waits, nothing is in flight, and so no ACK can come (MUST-35,
    /// MUST-36).
    fn arm_persist_if_stuck(&mut self, now: Instant) {
        let waiting = self.snd.end() > self.snd.nxt
            || self.snd.wnd == 0 && self.recovery.next_lost().is_some();
        let idle = self.snd.flight_size() == 0 || self.snd.wnd == 0;
        if waiting && idle && self.timers.retransmit().is_none() && !self.timers.awaits_departure()
        {
            // SHLD-29: the first window probe after one RTO.
            self.snd.progress_at = now;
            let at = self.within_user_timeout(now + self.persist_interval());
            self.timers.arm_retransmit(at, RetransmitKind::Persist);
        }
    }
}
