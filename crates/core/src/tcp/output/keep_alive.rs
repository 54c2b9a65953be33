//! Keep-alive probes (RFC 9293 §3.8.4, MAY-5): is the peer of an idle connection still there?
//!
//! The timer is corrected when it fires, not with every segment: a busy connection pays nothing for it.

use super::TimerOutcome;
use crate::tcp::state::State;
use crate::tcp::tcb::Connection;
use crate::time::Instant;

impl Connection {
    /// Keep-alive was turned on, off, or the connection was established: starts over.
    pub(crate) fn restart_keep_alive(&mut self, now: Instant) {
        self.snd.keep_alive_probes = 0;
        self.snd.keep_alive_due = false;
        let first = self
            .config
            .keepalive
            .filter(|_| self.is_kept_alive())
            .map(|keepalive| (self.rcv.heard_at + keepalive.idle).max(now));
        self.timers.set_keep_alive(first);
    }

    /// The peer was heard of: whatever was asked is answered.
    pub(crate) fn on_heard(&mut self, now: Instant) {
        self.rcv.heard_at = now;
        self.snd.keep_alive_probes = 0;
        self.snd.keep_alive_due = false;
    }

    /// The timer fired. Many unanswered probes end the connection, a single one never does (MUST-29).
    pub(super) fn on_keep_alive(&mut self, now: Instant) -> TimerOutcome {
        let Some(keepalive) = self.config.keepalive.filter(|_| self.is_kept_alive()) else {
            return TimerOutcome::Alive;
        };
        if self.snd.end() > self.snd.una {
            // MUST-26: only when nothing is outstanding. What is has timers of its own.
            self.timers.set_keep_alive(Some(now + keepalive.idle));
            return TimerOutcome::Alive;
        }
        let probes = self.snd.keep_alive_probes;
        let idle_since = self.rcv.heard_at;
        if probes == 0 && idle_since + keepalive.idle > now {
            self.timers
                .set_keep_alive(Some(idle_since + keepalive.idle));
            return TimerOutcome::Alive;
        }
        let limit = self.config.user_timeout.map(|limit| idle_since + limit);
        // As in Linux: a user timeout takes the place of the count.
        if probes > 0 && limit.map_or(probes >= keepalive.count, |limit| limit <= now) {
            return self.end_with_reset(self.time_out_error());
        }
        self.snd.keep_alive_probes = probes.saturating_add(1);
        self.snd.keep_alive_due = true;
        let again = now + keepalive.interval;
        let again = limit
            .filter(|&limit| limit > now)
            .map_or(again, |limit| limit.min(again));
        self.timers.set_keep_alive(Some(again));
        TimerOutcome::Alive
    }

    /// States that may last without a segment from either side, and FIN-WAIT-1, which leads to one: our FIN is outstanding
    /// there, and the timer has to go on behind it.
    fn is_kept_alive(&self) -> bool {
        matches!(
            self.state,
            State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait
        )
    }
}
