//! SEGMENT ARRIVES (RFC 9293 §3.10.7): one file per check, in the order of the checks.

mod acceptable;
mod ack;
mod data;
mod fin;
mod reset;
mod syn_sent;
mod timestamps;

use tidewire_wire::TcpFlags;

use super::recv_buffer::Payload;
use super::segment::SegmentIn;
use super::state::State;
use super::tcb::Connection;
use crate::time::Instant;
use crate::types::DropReason;

/// What became of a segment.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It was processed.
    Accepted,
    /// It was dropped, with an ACK where one is due.
    Dropped(DropReason),
    /// It was dropped and has to be answered with a reset.
    Reset(DropReason),
}

/// How a check ends: go on with the next one, or stop with this verdict.
type Check<T = ()> = Result<T, Verdict>;

impl Connection {
    /// Processes a segment of this connection.
    pub(crate) fn on_segment(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Verdict {
        self.counters.segs_in += segment.wire_segments();
        let result = match self.state {
            State::SynSent => self.on_segment_in_syn_sent(now, segment, payload),
            State::Closed | State::Listen | State::TimeWait => {
                Err(Verdict::Reset(DropReason::NoConnection))
            }
            _ => self.on_segment_otherwise(now, segment, payload),
        };
        result.err().unwrap_or(Verdict::Accepted)
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
            return Err(Verdict::Dropped(DropReason::BadFlags));
        }
        self.process_ack(now, segment)?;
        // Only now is the segment known to be genuine (CVE-2005-0356).
        self.record_timestamp(now, segment, text.start);
        // URG is carried without harm: the urgent pointer is ignored, its data stays in the stream (RFC 6093 §6).
        self.process_text(now, segment, &text, payload)?;
        self.process_fin(&text);
        Ok(())
    }

    /// Answers a suspicious segment with <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, unless one was answered just now.
    fn challenge(&mut self, now: Instant) {
        if self.challenges.allow(now) {
            self.ack.now();
        }
    }
}
