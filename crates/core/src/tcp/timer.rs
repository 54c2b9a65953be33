//! Timers of a connection: one slot for each purpose, with the reason of its deadline.
//!
//! Slots are independent, so that arming one never disarms another; within `Retransmit` the kinds
//! exclude each other (RFC 8985 §8).

use crate::time::Instant;

/// Why the retransmission slot is armed.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum RetransmitKind {
    /// Data is unacknowledged (RFC 6298).
    Rto,
    /// Data waits, and the peer's window is too small for it (RFC 9293 §3.8.6.1, and the override
    /// of §3.8.6.2.1).
    Persist,
}

/// Why the lifetime slot is armed.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum LifetimeKind {
    /// A closed connection waits in FIN-WAIT-2 for the peer's FIN, which may never come.
    FinWait2,
    /// A closed connection still has data to deliver, for at most SO_LINGER's time.
    Linger,
}

/// What fired.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fired {
    Retransmit(RetransmitKind),
    DelayedAck,
    Departure,
    KeepAlive,
    Lifetime(LifetimeKind),
}

/// The table.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct TimerTable {
    retransmit: Option<(Instant, RetransmitKind)>,
    delayed_ack: Option<Instant>,
    departure: Option<Instant>,
    keep_alive: Option<Instant>,
    lifetime: Option<(Instant, LifetimeKind)>,
}

impl TimerTable {
    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        let Self {
            retransmit,
            delayed_ack,
            departure,
            keep_alive,
            lifetime,
        } = *self;
        [
            retransmit.map(|(at, _)| at),
            delayed_ack,
            departure,
            keep_alive,
            lifetime.map(|(at, _)| at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Clears one slot that is due at `now`, and returns what fired.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Fired> {
        if let Some((_, kind)) = self.retransmit.take_if(|(at, _)| *at <= now) {
            return Some(Fired::Retransmit(kind));
        }
        if self.delayed_ack.take_if(|at| *at <= now).is_some() {
            return Some(Fired::DelayedAck);
        }
        if self.departure.take_if(|at| *at <= now).is_some() {
            return Some(Fired::Departure);
        }
        if self.keep_alive.take_if(|at| *at <= now).is_some() {
            return Some(Fired::KeepAlive);
        }
        self.lifetime
            .take_if(|(at, _)| *at <= now)
            .map(|(_, kind)| Fired::Lifetime(kind))
    }

    pub(crate) fn arm_retransmit(&mut self, at: Instant, kind: RetransmitKind) {
        self.retransmit = Some((at, kind));
    }

    pub(crate) fn disarm_retransmit(&mut self) {
        self.retransmit = None;
    }

    pub(crate) fn retransmit_at(&self) -> Option<(Instant, RetransmitKind)> {
        self.retransmit
    }

    pub(crate) fn retransmit(&self) -> Option<RetransmitKind> {
        self.retransmit.map(|(_, kind)| kind)
    }

    /// Arms the delayed ACK timer unless it is armed: the delay counts from the oldest segment.
    pub(crate) fn arm_delayed_ack(&mut self, at: Instant) {
        self.delayed_ack.get_or_insert(at);
    }

    pub(crate) fn disarm_delayed_ack(&mut self) {
        self.delayed_ack = None;
    }

    /// Arms the timer of a paced or coalesced segment.
    pub(crate) fn arm_departure(&mut self, at: Instant) {
        self.departure = Some(at);
    }

    pub(crate) fn disarm_departure(&mut self) {
        self.departure = None;
    }

    /// Whether a paced or coalesced segment waits for its timer.
    pub(crate) fn awaits_departure(&self) -> bool {
        self.departure.is_some()
    }

    /// Arms the keep-alive timer for `at`; `None` disarms it.
    pub(crate) fn set_keep_alive(&mut self, at: Option<Instant>) {
        self.keep_alive = at;
    }

    pub(crate) fn arm_lifetime(&mut self, at: Instant, kind: LifetimeKind) {
        self.lifetime = Some((at, kind));
    }

    pub(crate) fn disarm_all(&mut self) {
        *self = Self::default();
    }
}
