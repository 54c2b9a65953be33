//! SEGMENT ARRIVES (RFC 9293 §3.10.7): one file for each check, in the order of the checks.

mod acceptable;
mod ack;
mod data;
mod fin;
mod reset;
mod syn_sent;
mod timestamps;

use core::ops::ControlFlow;

use tidewire_wire::TcpFlags;

use super::recv_buffer::Payload;
use super::segment::SegmentIn;
use super::state::State;
use super::tcb::Connection;
use crate::error::ConnError;
use crate::time::Instant;
use crate::types::DropReason;

/// Outcome of a segment.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The segment was processed.
    Accepted,
    /// The segment was a reset and ended the connection.
    Ended {
        /// A connection attempt ended with it.
        was_connecting: bool,
    },
    /// The segment was dropped; its ACK, if any, is due already.
    Dropped(DropReason),
    /// The segment was dropped, and a challenge ACK is due for it alone. The stack's limit may
    /// withhold that ACK (RFC 5961 §7).
    Challenged(DropReason),
    /// The segment was dropped, and a reset is due.
    Reset(DropReason),
}

/// Result of a check: the input of the next check, or the verdict on the whole segment.
type Check<T = ()> = ControlFlow<Verdict, T>;

/// Ends the checks with this verdict.
const fn stop<T>(verdict: Verdict) -> Check<T> {
    ControlFlow::Break(verdict)
}

/// Ends the checks and drops the segment.
const fn drop_for<T>(reason: DropReason) -> Check<T> {
    stop(Verdict::Dropped(reason))
}

impl Connection {
    /// Processes a segment of this connection.
    pub(crate) fn on_segment(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Verdict {
        self.counters.segs_in += segment.wire_segments();
        let owes_ack = self.ack.is_due();
        let result = match self.state {
            State::SynSent => self.on_segment_in_syn_sent(now, segment, payload),
            State::Closed | State::Listen | State::TimeWait => {
                stop(Verdict::Reset(DropReason::NoConnection))
            }
            _ => self.on_segment_in_other_states(now, segment, payload),
        };
        match result {
            ControlFlow::Continue(()) => Verdict::Accepted,
            // An ACK that was due before the segment must not be withheld; it answers the segment
            // as well.
            ControlFlow::Break(Verdict::Challenged(reason)) if owes_ack => Verdict::Dropped(reason),
            ControlFlow::Break(verdict) => verdict,
        }
    }

    /// RFC 9293 §3.10.7.4: all states from SYN-RECEIVED on.
    fn on_segment_in_other_states(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Check {
        let without_syn;
        let segment = if self.state == State::SynReceived
            && segment.has(TcpFlags::SYN)
            && segment.header.seq == self.rcv.irs
        {
            // A repetition of the peer's SYN, now with an ACK: simultaneous open (figure 7, line
            // 6). The window of a SYN is not scaled, other windows are (RFC 7323 §2.2).
            let shift = self.negotiated.peer_shift();
            without_syn = segment.without_syn(shift);
            &without_syn
        } else {
            segment
        };
        // RFC 7323 §5.3 puts the timestamp check first.
        self.check_timestamps(now, segment)?;
        let text = self.check_sequence(now, segment, payload)?;
        self.on_heard(now);
        self.check_reset(now, segment, text.start)?;
        self.check_syn(now, segment)?;
        if text.is_cut {
            self.ack.send_now();
        }
        if !segment.has(TcpFlags::ACK) {
            return drop_for(DropReason::BadFlags);
        }
        self.process_ack(now, segment)?;
        // After the ACK check, so that a forged segment cannot set TS.Recent (CVE-2005-0356).
        self.record_timestamp(now, segment, text.start);
        // The urgent pointer is ignored; urgent data stays in the stream (RFC 6093 §6).
        self.process_text(now, segment, &text, payload)?;
        self.process_fin(&text);
        ControlFlow::Continue(())
    }

    /// Drops a suspicious segment. Answers it with <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, within the
    /// connection's limit (RFC 5961 §7).
    fn challenge(&mut self, now: Instant, reason: DropReason) -> Verdict {
        if !self.challenges.allow(now) {
            return Verdict::Dropped(reason);
        }
        self.ack.send_now();
        Verdict::Challenged(reason)
    }

    /// Ends the connection after an acceptable reset.
    fn end_by_reset(&mut self, error: ConnError) -> Verdict {
        let was_connecting = self.is_connecting();
        self.fail(error);
        Verdict::Ended { was_connecting }
    }
}
