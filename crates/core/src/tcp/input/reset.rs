//! RST and SYN checks (second and fourth check of RFC 9293 §3.10.7.4; RFC 5961).

use core::ops::ControlFlow;

use tidewire_wire::TcpFlags;

use super::{Check, stop};
use crate::error::ConnError;
use crate::tcp::segment::SegmentIn;
use crate::tcp::state::State;
use crate::tcp::tcb::Connection;
use crate::time::Instant;
use crate::types::DropReason;

impl Connection {
    /// RFC 5961 §3.2: a reset is accepted only at exactly RCV.NXT, also at a closed window
    /// (MUST-66), with or without data (SHLD-2). Elsewhere in the window it gets a challenge ACK.
    pub(super) fn check_reset(&mut self, now: Instant, segment: &SegmentIn, start: i64) -> Check {
        if !segment.has(TcpFlags::RST) {
            return ControlFlow::Continue(());
        }
        if start != self.rcv.nxt.cast_signed() {
            return stop(self.challenge(now, DropReason::Challenged));
        }
        // RFC 9293 §3.10.7.4: from SYN-RECEIVED after an active open this is "connection refused".
        let error = match self.state {
            State::SynReceived => ConnError::Refused,
            State::CloseWait => ConnError::BrokenPipe,
            _ => ConnError::Reset,
        };
        stop(self.end_by_reset(error))
    }

    /// RFC 5961 §4.2: a SYN in a synchronized state gets a challenge ACK, at any sequence number.
    pub(super) fn check_syn(&mut self, now: Instant, segment: &SegmentIn) -> Check {
        if !segment.has(TcpFlags::SYN) {
            return ControlFlow::Continue(());
        }
        stop(self.challenge(now, DropReason::Challenged))
    }
}
