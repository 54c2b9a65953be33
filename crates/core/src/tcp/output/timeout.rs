//! Timers that fire: retransmission and persist timeouts, and the ends that they lead to.

use crate::error::ConnError;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::segment::ResetReply;
use crate::tcp::tcb::Connection;
use crate::tcp::timer::{Fired, LifetimeKind, RetransmitKind};
use crate::time::{Duration, Instant};

/// How long a segment waits for a window worth sending to (RFC 9293 §3.8.6.2.1: 0.1 to 1.0 s).
const SWS_OVERRIDE: Duration = Duration::from_millis(500);

/// Probes of a closed window after the application is gone: about a minute's worth.
const MAX_ORPHAN_PROBES: u8 = 8;

/// What the timers did beyond making segments due.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum TimerOutcome {
    /// Nothing else.
    Alive,
    /// The connection is over.
    Ended {
        /// It was an attempt to connect.
        was_connecting: bool,
        /// What the peer has to be told.
        reset: Option<ResetReply>,
    },
}

impl Connection {
    /// Handles every timer that is due. Calling it early does nothing.
    pub(crate) fn on_timer(&mut self, now: Instant) -> TimerOutcome {
        while let Some(fired) = self.timers.take_due(now) {
            let outcome = self.on_fired(now, fired);
            if outcome != TimerOutcome::Alive {
                return outcome;
            }
        }
        TimerOutcome::Alive
    }

    fn on_fired(&mut self, now: Instant, fired: Fired) -> TimerOutcome {
        match fired {
            Fired::DelayedAck => {
                self.ack.on_delay_over();
                TimerOutcome::Alive
            }
            // What waited for its time is planned next, as whatever is due.
            Fired::Departure => TimerOutcome::Alive,
            Fired::KeepAlive => self.on_keep_alive(now),
            Fired::Retransmit(RetransmitKind::Persist) => self.on_persist(now),
            // Data that the peer's window was closed over: probe, do not give up (RFC 9293 §3.8.6.1). It says nothing of
            // congestion.
            Fired::Retransmit(RetransmitKind::Rto)
                if self.snd.wnd == 0 && self.state.is_synchronized() =>
            {
                self.on_persist(now)
            }
            Fired::Retransmit(RetransmitKind::Rto) => self.on_rto(now),
            Fired::Lifetime(LifetimeKind::FinWait2) => self.end_silently(ConnError::TimedOut),
            Fired::Lifetime(LifetimeKind::Linger) => self.end_with_reset(ConnError::Aborted),
        }
    }

    /// The connection is over, and the peer is told with a reset.
    pub(super) fn end_with_reset(&mut self, error: ConnError) -> TimerOutcome {
        let (was_connecting, reset) = (self.is_connecting(), self.reset_on_abort());
        self.fail(error);
        TimerOutcome::Ended {
            was_connecting,
            reset,
        }
    }

    /// The connection is over, and there is nobody to be told.
    fn end_silently(&mut self, error: ConnError) -> TimerOutcome {
        let was_connecting = self.is_connecting();
        self.fail(error);
        TimerOutcome::Ended {
            was_connecting,
            reset: None,
        }
    }

    /// RFC 6298 §5.4 to §5.7; R2 of RFC 9293 §3.8.3 for data and, with a limit of its own, for SYNs (MUST-22).
    fn on_rto(&mut self, now: Instant) -> TimerOutcome {
        if self.is_connecting() {
            return self.on_syn_timeout(now);
        }
        if self.is_past_r2(now) {
            // RFC 9293 §3.8.3 (MUST-20).
            return self.end_with_reset(self.time_out_error());
        }
        // What left beyond the window, in exchange for what was selectively acknowledged, is no flight to halve.
        let flight_size = self.snd.flight_size().min(self.congestion.cwnd());
        let repeated = self.recovery.on_timeout(self.snd.una, self.snd.nxt);
        self.rtt.on_timeout();
        self.counters.timeouts = self.counters.timeouts.saturating_add(1);
        self.congestion.on_rto(&CongestionEvent {
            now,
            flight_size,
            repeated,
        });
        self.arm_rto(now);
        TimerOutcome::Alive
    }

    /// The SYN was not answered. Both limits hold, as in Linux: a user timeout shortens an attempt, it does not prolong
    /// it.
    fn on_syn_timeout(&mut self, now: Instant) -> TimerOutcome {
        let gave_up = self.recovery.retries >= self.config.syn_retries
            || self.user_timeout_is_over(now) == Some(true);
        if gave_up {
            return self.end_silently(self.time_out_error());
        }
        self.recovery.on_timeout(self.snd.una, self.snd.nxt);
        self.rtt.on_syn_timeout();
        self.arm_rto(now);
        TimerOutcome::Alive
    }

    /// R2 of RFC 9293 §3.8.3: the application's limit in time where it set one (MUST-21), else a number of attempts.
    fn is_past_r2(&self, now: Instant) -> bool {
        self.user_timeout_is_over(now)
            .unwrap_or(self.recovery.retries >= self.config.data_retries)
    }

    /// The user timeout was changed while something may be waiting already.
    pub(crate) fn apply_user_timeout(&mut self, now: Instant) {
        if let Some((at, kind)) = self.timers.retransmit_at() {
            let at = self.within_user_timeout(at).max(now);
            self.timers.arm_retransmit(at, kind);
        }
    }

    /// Whether nothing got through for as long as the application allows; `None` where it set no limit.
    fn user_timeout_is_over(&self, now: Instant) -> Option<bool> {
        let limit = self.config.user_timeout?;
        Some(now.duration_since(self.snd.progress_at) >= limit)
    }

    /// A retransmission timer that fires when the user timeout is over, if that is earlier than `at`.
    pub(super) fn within_user_timeout(&self, at: Instant) -> Instant {
        let limit = self.config.user_timeout;
        limit.map_or(at, |limit| at.min(self.snd.progress_at + limit))
    }

    /// The window is still closed, or still too small: send what fits, at least one octet (MUST-36,
    /// MUST-37), and wait twice as long for the next time (SHLD-30). It goes on for ever while the peer
    /// answers, unless the application set a limit; each answer resets the count of retries.
    fn on_persist(&mut self, now: Instant) -> TimerOutcome {
        self.snd.probe = true;
        if self.snd.wnd > 0 {
            // Not a probe but the override of 3.8.6.2.1: it need not be acknowledged to go on.
            return TimerOutcome::Alive;
        }
        if self.is_past_r2(now) {
            return self.end_with_reset(self.time_out_error());
        }
        if self.app.orphaned && self.snd.persist_backoff >= MAX_ORPHAN_PROBES {
            // Nobody waits for an orphan: a peer must not hold its buffers for ever by a closed window.
            return self.end_with_reset(ConnError::TimedOut);
        }
        self.recovery.retries = self.recovery.retries.saturating_add(1);
        if self.snd.flight_size() > 0 {
            self.recovery.mark_all_lost(self.snd.una, self.snd.nxt);
        }
        self.snd.persist_backoff = self.snd.persist_backoff.saturating_add(1).min(16);
        let at = self.within_user_timeout(now + self.persist_interval());
        self.timers.arm_retransmit(at, RetransmitKind::Persist);
        TimerOutcome::Alive
    }

    /// Time until the next probe.
    pub(super) fn persist_interval(&self) -> Duration {
        if self.snd.wnd > 0 {
            return self.rto().min(SWS_OVERRIDE);
        }
        self.rto()
            .saturating_mul(1 << self.snd.persist_backoff)
            .min(self.config.max_rto)
    }
}
