//! Timeouts: retransmission and persist timers, and the end of a connection that they lead to.

use crate::error::ConnError;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::segment::ResetReply;
use crate::tcp::tcb::Connection;
use crate::tcp::timer::{Fired, LifetimeKind, RetransmitKind};
use crate::time::{Duration, Instant};

/// Longest wait of a segment for a larger window (RFC 9293 §3.8.6.2.1: 0.1 to 1.0 s).
const SWS_OVERRIDE: Duration = Duration::from_millis(500);

/// Window probes after the application released its handle: about one minute of them.
const MAX_ORPHAN_WINDOW_PROBES: u8 = 8;

/// Outcome of the timers that fired.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum TimerOutcome {
    /// The connection continues; segments may be due.
    Alive,
    /// The connection ended.
    Ended {
        /// It was a connection attempt.
        was_connecting: bool,
        /// The reset to send to the peer.
        reset: Option<ResetReply>,
    },
}

impl Connection {
    /// Handles every timer that is due; before the first deadline, does nothing.
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
            // The held-back segment is planned next, like all due segments.
            Fired::Departure => TimerOutcome::Alive,
            Fired::KeepAlive => self.on_keep_alive(now),
            Fired::Retransmit(RetransmitKind::Persist) => self.on_persist(now),
            // The peer closed its window over data in flight: probe the window, and do not give up
            // (RFC 9293 §3.8.6.1). This is no sign of congestion.
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

    /// Ends the connection and resets the peer.
    pub(super) fn end_with_reset(&mut self, error: ConnError) -> TimerOutcome {
        let (was_connecting, reset) = (self.is_connecting(), self.reset_on_abort());
        self.fail(error);
        TimerOutcome::Ended {
            was_connecting,
            reset,
        }
    }

    /// Ends the connection without a segment.
    fn end_silently(&mut self, error: ConnError) -> TimerOutcome {
        let was_connecting = self.is_connecting();
        self.fail(error);
        TimerOutcome::Ended {
            was_connecting,
            reset: None,
        }
    }

    /// Retransmission timeout (RFC 6298 §5.4 to §5.7), with the limit R2 of RFC 9293 §3.8.3; SYNs
    /// have a limit of their own (MUST-22).
    fn on_rto(&mut self, now: Instant) -> TimerOutcome {
        if self.is_connecting() {
            return self.on_syn_timeout(now);
        }
        if self.is_past_r2(now) {
            // RFC 9293 §3.8.3 (MUST-20).
            return self.end_with_reset(self.time_out_error());
        }
        // FlightSize without the data that was sent beyond cwnd in exchange for selectively
        // acknowledged data.
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

    /// Timeout of a SYN. Both limits apply, as in Linux: a user timeout shortens a connection
    /// attempt, and does not prolong it.
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

    /// R2 of RFC 9293 §3.8.3: the user timeout where the application set one (MUST-21), else a
    /// number of retransmissions.
    fn is_past_r2(&self, now: Instant) -> bool {
        self.user_timeout_is_over(now)
            .unwrap_or(self.recovery.retries >= self.config.data_retries)
    }

    /// Applies a changed user timeout to a running retransmission timer.
    pub(crate) fn apply_user_timeout(&mut self, now: Instant) {
        if let Some((at, kind)) = self.timers.retransmit_at() {
            let at = self.within_user_timeout(at).max(now);
            self.timers.arm_retransmit(at, kind);
        }
    }

    /// Whether there was no progress for the user timeout; `None` without a user timeout.
    fn user_timeout_is_over(&self, now: Instant) -> Option<bool> {
        let timeout = self.config.user_timeout?;
        Some(now.duration_since(self.snd.progress_at) >= timeout)
    }

    /// The deadline of a retransmission timer: `at`, or the end of the user timeout if that is
    /// earlier.
    pub(super) fn within_user_timeout(&self, at: Instant) -> Instant {
        let timeout = self.config.user_timeout;
        timeout.map_or(at, |timeout| at.min(self.snd.progress_at + timeout))
    }

    /// The window is still closed or too small: send as much as fits, at least one octet (MUST-36,
    /// MUST-37), and double the interval (SHLD-30). Without a user timeout this continues for ever
    /// while the peer answers: each answer resets the count of retries.
    fn on_persist(&mut self, now: Instant) -> TimerOutcome {
        self.snd.persist_due = true;
        if self.snd.wnd > 0 {
            // Not a window probe but the override of RFC 9293 §3.8.6.2.1, which continues without
            // an answer.
            return TimerOutcome::Alive;
        }
        if self.is_past_r2(now) {
            return self.end_with_reset(self.time_out_error());
        }
        if self.app.orphaned && self.snd.persist_backoff >= MAX_ORPHAN_WINDOW_PROBES {
            // The application has released the connection: a closed window must not hold its
            // buffers for ever.
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

    /// Time until the next window probe.
    pub(super) fn persist_interval(&self) -> Duration {
        if self.snd.wnd > 0 {
            return self.rto().min(SWS_OVERRIDE);
        }
        self.rto()
            .saturating_mul(1 << self.snd.persist_backoff)
            .min(self.config.max_rto)
    }
}
