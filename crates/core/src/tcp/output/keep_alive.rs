//! Keep-alive timer and probes (RFC 9293 §3.8.4, MAY-5).
//!
//! The timer is adjusted when it fires, not with every segment, so that a busy connection pays
//! nothing for it.

use super::TimerOutcome;
use crate::tcp::state::State;
use crate::tcp::tcb::Connection;
use crate::time::Instant;

impl Connection {
    /// Restarts keep-alive when the option changes and when the connection is established.
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

    /// An acceptable segment arrived: outstanding keep-alive probes are answered.
    pub(crate) fn on_heard(&mut self, now: Instant) {
        self.rcv.heard_at = now;
        self.snd.keep_alive_probes = 0;
        self.snd.keep_alive_due = false;
    }

    /// The keep-alive timer fired. Many unanswered probes end the connection, a single one never
    /// does (MUST-29).
    pub(super) fn on_keep_alive(&mut self, now: Instant) -> TimerOutcome {
        let Some(keepalive) = self.config.keepalive.filter(|_| self.is_kept_alive()) else {
            return TimerOutcome::Alive;
        };
        if self.snd.end() > self.snd.una {
            // MUST-26: probes only while nothing is outstanding; outstanding data has timers of its
            // own.
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
        let timeout_at = self.config.user_timeout.map(|timeout| idle_since + timeout);
        // As in Linux, a user timeout replaces the number of probes.
        if probes > 0 && timeout_at.map_or(probes >= keepalive.count, |at| at <= now) {
            return self.end_with_reset(self.time_out_error());
        }
        self.snd.keep_alive_probes = probes.saturating_add(1);
        self.snd.keep_alive_due = true;
        let again = now + keepalive.interval;
        let again = timeout_at
            .filter(|&at| at > now)
            .map_or(again, |at| at.min(again));
        self.timers.set_keep_alive(Some(again));
        TimerOutcome::Alive
    }

    /// States that can last without segments in either direction, and FIN-WAIT-1, which leads to
    /// one: the timer must keep running while our FIN is outstanding.
    fn is_kept_alive(&self) -> bool {
        matches!(
            self.state,
            State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait
        )
    }
}
