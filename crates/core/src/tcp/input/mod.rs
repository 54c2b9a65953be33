//! SEGMENT ARRIVES (RFC 9293 §3.10.7): one file per check, in the order of the checks.

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

/// What became of a segment.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It was processed.
    Accepted,
    /// It was a reset that ended the connection.
    Ended {
        /// An attempt to connect ended with it.
        was_connecting: bool,
    },
    /// It was dropped, with an ACK where one is due.
    Dropped(DropReason),
    /// It was dropped, and the ACK that is due for it alone is a challenge ACK: the stack as a whole may withhold it
    /// (RFC 5961 §7).
    Challenged(DropReason),
    /// It was dropped and has to be answered with a reset.
    Reset(DropReason),
}

/// How a check ends: with what the next one needs, or for the segment as a whole.
type Check<T = ()> = ControlFlow<Verdict, T>;

/// Ends the checks with this verdict.
const fn stop<T>(verdict: Verdict) -> Check<T> {
    ControlFlow::Break(verdict)
}

/// Ends the checks: the segment is dropped.
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
            _ => self.on_segment_otherwise(now, segment, payload),
        };
        match result {
            ControlFlow::Continue(()) => Verdict::Accepted,
            // The ACK that was owed before answers the segment as well, and is not to be withheld.
            ControlFlow::Break(Verdict::Challenged(reason)) if owes_ack => Verdict::Dropped(reason),
            ControlFlow::Break(verdict) => verdict,
        }
    }

    /// RFC 9293 §3.10.7.4: all states from SYN-RECEIVED on.
    fn on_segment_otherwise(
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
            // The SYN that is known already, now with an ACK: simultaneous open (figure 7, line 6).
            // Its window is not scaled, others are (RFC 7323 §2.2).
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
        if !segment.has(TcpFlags::ACK) {
            return drop_for(DropReason::BadFlags);
        }
        self.process_ack(now, segment)?;
        // Only now is the segment known to be genuine (CVE-2005-0356).
        self.record_timestamp(now, segment, text.start);
        // URG is carried without harm: the urgent pointer is ignored, its data stays in the stream (RFC 6093 §6).
        self.process_text(now, segment, &text, payload)?;
        self.process_fin(&text);
        ControlFlow::Continue(())
    }

    /// Drops a suspicious segment and answers it with <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, unless one was answered just
    /// now (RFC 5961 §7).
    fn challenge(&mut self, now: Instant, reason: DropReason) -> Verdict {
        if !self.challenges.allow(now) {
            return Verdict::Dropped(reason);
        }
        self.ack.send_now();
        Verdict::Challenged(reason)
    }

    /// A reset that is believed ends the connection.
    fn end_by_reset(&mut self, error: ConnError) -> Verdict {
        let was_connecting = self.is_connecting();
        self.fail(error);
        Verdict::Ended { was_connecting }
    }
}
