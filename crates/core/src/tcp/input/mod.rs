//! SEGMENT ARRIVES (RFC 9293 3.10.7): one file per check, in the order of the checks.

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
use crate::stack::DropReason;
use crate::time::{Duration, Instant};

/// At most one answer to a suspicious segment per connection in this time (RFC 5961 7, as Linux has it). Per
/// connection, because a global budget tells one peer about another (CVE-2016-5696).
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);

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

    /// RFC 9293 3.10.7.4: all states from SYN-RECEIVED on.
    fn on_segment_otherwise(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Check {
        // RFC 7323 5.3 puts the timestamp check first.
        self.check_timestamps(now, segment)?;
        let text = self.check_sequence(now, segment, payload)?;
        self.check_reset(now, segment, text.start)?;
        self.check_syn(now, segment)?;
        if !segment.has(TcpFlags::ACK) {
            return Err(Verdict::Dropped(DropReason::BadFlags));
        }
        self.process_ack(now, segment)?;
        // Only now is the segment known to be genuine (CVE-2005-0356).
        self.record_timestamp(now, segment, text.start);
        // URG is carried without harm: the urgent pointer is ignored, its data stays in the stream (RFC 6093 6).
        self.process_text(now, segment, &text, payload)?;
        self.process_fin(now, &text);
        Ok(())
    }

    /// Answers a suspicious segment with <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, unless one was answered just now.
    fn challenge(&mut self, now: Instant) {
        let allowed = self
            .last_challenge
            .is_none_or(|last| now.duration_since(last) >= CHALLENGE_INTERVAL);
        if allowed {
            self.last_challenge = Some(now);
            self.ack.now();
        }
    }
}
