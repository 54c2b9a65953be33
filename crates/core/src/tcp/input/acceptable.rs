//! First check: the sequence number (RFC 9293 §3.10.7.4, table 6), and trimming to the window.

use core::ops::ControlFlow;

use tidewire_wire::TcpFlags;

use super::{Check, Verdict, stop};
use crate::tcp::recv_buffer::Payload;
use crate::tcp::segment::SegmentIn;
use crate::tcp::tcb::Connection;
use crate::time::Instant;
use crate::types::DropReason;

/// What an acceptable segment carries, after trimming to the window.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Position of its sequence number as sent, before trimming; negative before the IRS.
    pub(super) start: i64,
    /// Position of the first payload byte that is left.
    pub(super) data_start: u64,
    /// Position of its FIN, where it has one inside the window.
    pub(super) fin: Option<u64>,
}

impl Connection {
    /// Drops segments outside the window, with an ACK; trims the others to what is new and inside.
    pub(super) fn check_sequence(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Check<Text> {
        // Signed: a segment may start before the IRS, as long as it ends inside the window.
        let nxt = self.rcv.nxt.cast_signed();
        let edge = self.rcv_accepted_edge().cast_signed();
        let start = nxt + i64::from(segment.header.seq.distance(self.rcv.seq(self.rcv.nxt)));
        let end = start.saturating_add_unsigned(segment.len());
        // The two-sided test for segments with length, the one-sided for those without. At a closed
        // window what sits exactly at RCV.NXT passes, for its ACK and RST; its text is trimmed to
        // nothing below.
        //
        // DEVIATION(RFC 9293 §3.10.7.4), as in Linux: a segment without text may sit at the right edge
        // itself, where SND.NXT of a peer is that filled the window and lost a part; and behind a closed
        // window one octet further, where SND.NXT of a peer is that probed it. Their ACKs are valid, and
        // may be the only ones to come.
        let acceptable = match (segment.len(), edge - nxt) {
            (0, 0) => (nxt..=nxt + 1).contains(&start),
            (_, 0) => start == nxt,
            (0, _) => (nxt..=edge).contains(&start),
            _ => start < edge && end > nxt,
        };
        self.note_what_arrived_before(start, segment, payload.len());
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
        // A FIN right at the edge takes no memory: a reader who stopped reading still learns that
        // the peer is done.
        let fin = segment
            .has(TcpFlags::FIN)
            .then_some(data_end)
            .filter(|fin| (nxt..=edge).contains(fin));
        payload.truncate(usize::try_from(edge - data_start).unwrap_or(0));
        payload.skip(usize::try_from(nxt - data_start).unwrap_or(0));
        if segment.len() > 0 && (end > edge || start < nxt) {
            // Partly outside: the peer should learn where the window is.
            self.ack.send_now();
        }
        ControlFlow::Continue(Text {
            start,
            data_start: data_start.max(nxt).cast_unsigned(),
            fin: fin.map(i64::cast_unsigned),
        })
    }

    /// The part of a segment's text that lies before RCV.NXT was received already (RFC 2883 §4). Of several parts the
    /// first is reported, and that is this one.
    fn note_what_arrived_before(&mut self, start: i64, segment: &SegmentIn, len: usize) {
        let data_start = start + i64::from(segment.has(TcpFlags::SYN));
        // Text cannot come before position 1.
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

    /// Data that arrived before is acknowledged at once, since the first ACK may be lost. Anything without data is
    /// answered sparingly: two ends that disagree would answer each other for ever.
    ///
    /// What merely lies outside the window, as keep-alive probes of healthy peers do, gets its ACK from the connection's
    /// own allowance: many such peers must not use up each other's (RFC 9293 §3.10.7.4; RFC 5961 §7 is about what may be
    /// forged, which a SYN may be).
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
