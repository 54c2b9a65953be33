//! The eleven states of RFC 9293 §3.3.2 and what each allows.
//!
//! The arrows are those of [`State::after`], each with its [`Transition`]. An arrow from the dotted
//! frame is one from each state inside. Not drawn: [`Transition::Abort`], from every state to
//! `Closed`.
//!
//! ```text
//!                          +-------------+
//!                          |   Closed    |
//!                          +-------------+
//!             PassiveOpen     |       |     ActiveOpen
//!                  +----------+       +----------+
//!                  v                             v
//!           +-------------+                +-------------+
//!           |   Listen    |--------------->|   SynSent   |
//!           +-------------+   ActiveOpen   +-------------+
//!                  |                          |       |
//!      SynReceived |     +--------------------+       | SynAcked
//!                  |     |     SynReceived            |
//!      ............|.....|............................|............
//!      :           v     v                            v           :
//!      :    +-------------+                    +-------------+    :
//!      :    | SynReceived |------------------->| Established |    :
//!      :    +-------------+      SynAcked      +-------------+    :
//!      :..........................................................:
//!                  |                                  |
//!                  | FinSent              FinReceived |
//!                  v                                  v
//!           +-------------+                    +-------------+
//!           |  FinWait1   |                    |  CloseWait  |
//!           +-------------+                    +-------------+
//!             |         |                             |
//!    FinAcked |         | FinReceived         FinSent |
//!             v         v                             v
//!   +-------------+  +-------------+           +-------------+
//!   |  FinWait2   |  |   Closing   |           |   LastAck   |
//!   +-------------+  +-------------+           +-------------+
//!             |         |                             |
//! FinReceived |         | FinAcked           FinAcked |
//!             v         v                             v
//!           +-------------+                    +-------------+
//!           |  TimeWait   |                    |   Closed    |
//!           +-------------+                    +-------------+
//! ```
//!
//! Differences from RFC 9293 figure 5:
//! - A FIN in `SynReceived` leads to `CloseWait`: RFC 9293 §3.10.7.4, eighth step.
//! - Every reset, and CLOSE in `Listen` and `SynSent`, is an `Abort`. A reset in `SynReceived` does
//!   not lead back to `Listen`: the listener is an object of its own and stays there.
//! - `TimeWait` ends by an `Abort` after two MSL.
//!
//! A FIN that also acknowledges ours takes `FinWait1` to `TimeWait` in two transitions, `FinAcked`
//! and `FinReceived` (note 2 of the figure).

use core::fmt;

/// A connection's state.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
pub enum State {
    /// Waiting for a connection request. Listeners only.
    Listen,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received and answered; its acknowledgement is awaited.
    SynReceived,
    /// The connection is open.
    Established,
    /// Our FIN was sent, not yet acknowledged.
    FinWait1,
    /// Our FIN was acknowledged; the peer may still send.
    FinWait2,
    /// The peer's FIN was received; we may still send.
    CloseWait,
    /// Both FINs were sent, ours is not acknowledged.
    Closing,
    /// The peer's FIN came first, ours was sent and is not acknowledged.
    LastAck,
    /// Waiting for old segments to die out.
    TimeWait,
    /// No connection at all.
    #[default]
    Closed,
}

impl State {
    /// All states, in the order of RFC 9293 §3.3.2.
    pub const ALL: [Self; 11] = [
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
        Self::Closed,
    ];

    /// Whether both sides' sequence numbers are known (RFC 9293 §3.5): ESTABLISHED and later,
    /// CLOSED excepted.
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(
            self,
            Self::Listen | Self::SynSent | Self::SynReceived | Self::Closed
        )
    }

    /// Whether the application may still queue data: the write side was not shut down.
    #[must_use]
    pub const fn can_send(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// Whether the peer may still send data: its FIN was not received.
    #[must_use]
    pub const fn can_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// What happens to the state; see [`Transition`]. `None` where the pair cannot occur.
    #[must_use]
    pub const fn after(self, transition: Transition) -> Option<Self> {
        use Transition as T;
        Some(match (self, transition) {
            (Self::Closed, T::ActiveOpen) | (Self::Listen, T::ActiveOpen) => Self::SynSent,
            (Self::Closed, T::PassiveOpen) => Self::Listen,
            (Self::Listen | Self::SynSent, T::SynReceived) => Self::SynReceived,
            (Self::SynSent | Self::SynReceived, T::SynAcked) => Self::Established,
            // RFC 9293 §3.10.4: CLOSE in SYN-RECEIVED goes to FIN-WAIT-1 once the data queued
            // before it is sent.
            (Self::SynReceived | Self::Established, T::FinSent) => Self::FinWait1,
            (Self::CloseWait, T::FinSent) => Self::LastAck,
            (Self::SynReceived | Self::Established, T::FinReceived) => Self::CloseWait,
            (Self::FinWait1, T::FinAcked) => Self::FinWait2,
            (Self::FinWait1, T::FinReceived) => Self::Closing,
            (Self::FinWait2, T::FinReceived) | (Self::Closing, T::FinAcked) => Self::TimeWait,
            (Self::LastAck, T::FinAcked) => Self::Closed,
            (_, T::Abort) => Self::Closed,
            _ => return None,
        })
    }
}

/// What moves a connection from one state to the next (RFC 9293 figure 5).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum Transition {
    /// OPEN with a destination: a SYN was sent.
    ActiveOpen,
    /// OPEN without one.
    PassiveOpen,
    /// A SYN arrived that does not complete ours.
    SynReceived,
    /// Our SYN was acknowledged and the peer's is known.
    SynAcked,
    /// Our FIN left.
    FinSent,
    /// Our FIN was acknowledged.
    FinAcked,
    /// The peer's FIN was received in order. Where it also acknowledges ours, [`Self::FinAcked`]
    /// comes first.
    FinReceived,
    /// A reset either way, a timeout, or the end of TIME-WAIT.
    Abort,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Transition};

    /// RFC 9293 figure 5: these pairs lead somewhere, every other one nowhere, and an abort from
    /// everywhere to CLOSED.
    #[test]
    fn the_transition_table_is_figure_5() {
        use State as S;
        use Transition as T;
        let arrows = [
            (S::Closed, T::PassiveOpen, S::Listen),
            (S::Closed, T::ActiveOpen, S::SynSent),
            (S::Listen, T::ActiveOpen, S::SynSent),
            (S::Listen, T::SynReceived, S::SynReceived),
            (S::SynSent, T::SynReceived, S::SynReceived),
            (S::SynSent, T::SynAcked, S::Established),
            (S::SynReceived, T::SynAcked, S::Established),
            (S::SynReceived, T::FinSent, S::FinWait1),
            (S::SynReceived, T::FinReceived, S::CloseWait),
            (S::Established, T::FinSent, S::FinWait1),
            (S::Established, T::FinReceived, S::CloseWait),
            (S::CloseWait, T::FinSent, S::LastAck),
            (S::FinWait1, T::FinAcked, S::FinWait2),
            (S::FinWait1, T::FinReceived, S::Closing),
            (S::FinWait2, T::FinReceived, S::TimeWait),
            (S::Closing, T::FinAcked, S::TimeWait),
            (S::LastAck, T::FinAcked, S::Closed),
        ];
        let transitions = [
            T::ActiveOpen,
            T::PassiveOpen,
            T::SynReceived,
            T::SynAcked,
            T::FinSent,
            T::FinAcked,
            T::FinReceived,
            T::Abort,
        ];
        for transition in transitions {
            for from in S::ALL {
                let arrow = arrows
                    .iter()
                    .find(|arrow| (arrow.0, arrow.1) == (from, transition));
                let to = match transition {
                    T::Abort => Some(S::Closed),
                    _ => arrow.map(|arrow| arrow.2),
                };
                assert_eq!(from.after(transition), to, "{from} after {transition:?}");
            }
        }
    }

    #[test]
    fn what_a_state_allows() {
        let sends = State::ALL.into_iter().filter(|s| s.can_send()).count();
        let receives = State::ALL.into_iter().filter(|s| s.can_receive()).count();
        assert_eq!((sends, receives), (2, 3));
        assert!(!State::Closed.is_synchronized() && State::TimeWait.is_synchronized());
    }
}
