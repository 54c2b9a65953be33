//! Sequence number check (first check of RFC 9293 §3.10.7.4, table 6), and trimming to the window.

use core::ops::ControlFlow;

use tidewire_wire::TcpFlags;

use super::{Check, Verdict, stop};
use crate::tcp::recv_buffer::Payload;
use crate::tcp::segment::SegmentIn;
use crate::tcp::tcb::Connection;
use crate::time::Instant;
use crate::types::DropReason;

/// Contents of an acceptable segment, trimmed to the window.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Position of SEG.SEQ before trimming; negative before the IRS.
    pub(super) start: i64,
    /// Position of the first payload byte after trimming.
    pub(super) data_start: u64,
    /// Position of the FIN, if there is one inside the window.
    pub(super) fin: Option<u64>,
    /// Part of the segment is outside the window: an ACK tells the peer where the window is.
    pub(super) is_cut: bool,
}

impl Connection {
    /// Drops segments outside the window and acknowledges them; trims the others to the new part
    /// inside the window.
    pub(super) fn check_sequence(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Check<Text> {
        // Signed, because a segment may start before the IRS if it ends inside the window.
        let nxt = self.rcv.nxt.cast_signed();
        let edge = self.rcv_accepted_edge().cast_signed();
        let start = nxt + i64::from(segment.header.seq.distance(self.rcv.seq(self.rcv.nxt)));
        let end = start.saturating_add_unsigned(segment.len());
        // The two-sided test for segments with length, the one-sided test for those without. At a
        // closed window a segment exactly at RCV.NXT is accepted for its ACK and RST; its text is
        // trimmed away below.
        //
        // DEVIATION(RFC 9293 §3.10.7.4), as in Linux: two more positions are accepted for segments
        // without text. The first is the right edge itself: SND.NXT of a peer that filled the
        // window and lost a part. The second is one octet beyond a closed window: SND.NXT of a peer
        // that probed it. Their ACKs are valid, and there may be no others.
        let acceptable = match (segment.len(), edge - nxt) {
            (0, 0) => (nxt..=nxt + 1).contains(&start),
            (_, 0) => start == nxt,
            (0, _) => (nxt..=edge).contains(&start),
            _ => start < edge && end > nxt,
        };
        self.note_old_text(start, segment, payload.len());
        if !acceptable {
            let reason = if end <= nxt {
                DropReason::Duplicate
            } else {
                DropReason::OutOfWindow
            };
            return stop(self.refuse(now, segment, reason));
        }
        let data_start = start + i64::from(segment.has(TcpFlags::SYN));
        let data_end = data_start.saturating_add_unsigned(payload.len() as u64);
        // A FIN at the right edge takes no memory. It is accepted, so that the FIN arrives although
        // the application has stopped reading.
        let fin = segment
            .has(TcpFlags::FIN)
            .then_some(data_end)
            .filter(|fin| (nxt..=edge).contains(fin));
        payload.truncate(usize::try_from(edge - data_start).unwrap_or(0));
        payload.skip(usize::try_from(nxt - data_start).unwrap_or(0));
        ControlFlow::Continue(Text {
            start,
            is_cut: segment.len() > 0 && (end > edge || start < nxt),
            data_start: data_start.max(nxt).cast_unsigned(),
            fin: fin.map(i64::cast_unsigned),
        })
    }

    /// Text before RCV.NXT is duplicate data (RFC 2883 §4). If a segment has several duplicate
    /// parts, the first is reported, which is this one.
    fn note_old_text(&mut self, start: i64, segment: &SegmentIn, len: usize) {
        let data_start = start + i64::from(segment.has(TcpFlags::SYN));
        // Position 0 is the SYN, so text starts at 1.
        let from = data_start.max(1).cast_unsigned();
        let to = data_start
            .saturating_add_unsigned(len as u64)
            .min(self.rcv.nxt.cast_signed());
        if let Ok(to) = u64::try_from(to)
            && from < to
        {
            self.note_duplicate(&(from..to));
        }
    }

    /// An unacceptable segment is answered with an ACK, unless it is a reset (RFC 9293 §3.10.7.4).
    fn refuse(&mut self, now: Instant, segment: &SegmentIn, reason: DropReason) -> Verdict {
        if segment.has(TcpFlags::RST) {
            return Verdict::Dropped(reason);
        }
        self.acknowledge_unacceptable(now, segment, reason)
    }

    /// Duplicate data is acknowledged at once, since the first ACK may be lost. The ACKs for
    /// segments without data are rate-limited, since two ends that disagree could answer each other
    /// for ever.
    ///
    /// Segments outside the window get their ACK from the connection's own limit, not from the
    /// stack's, since keep-alive probes of correct peers look alike: many such peers must not use
    /// up the stack's limit (RFC 9293 §3.10.7.4). RFC 5961 §7 is about forged segments, and a SYN
    /// may be one.
    pub(super) fn acknowledge_unacceptable(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        reason: DropReason,
    ) -> Verdict {
        if segment.has(TcpFlags::SYN) {
            return self.challenge(now, reason);
        }
        if segment.len() > 0 || self.challenges.allow(now) {
            self.ack.send_now();
        }
        Verdict::Dropped(reason)
    }
}
