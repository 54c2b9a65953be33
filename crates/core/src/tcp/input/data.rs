//! Segment text (seventh check of RFC 9293 §3.10.7.4): reassembly (SHLD-31) and its ACKs.

use core::ops::{ControlFlow, Range};

use super::acceptable::Text;
use super::{Check, Verdict, drop_for, stop};
use crate::tcp::pressure::{MIN_BUFFER, Pressure};
use crate::tcp::recv_buffer::Payload;
use crate::tcp::segment::SegmentIn;
use crate::tcp::tcb::Connection;
use crate::time::Instant;
use crate::types::{ConnEvents, DropReason};

impl Connection {
    pub(super) fn process_text(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        text: &Text,
        payload: &mut Payload<'_>,
    ) -> Check {
        if payload.len() == 0 {
            return ControlFlow::Continue(());
        }
        if let Some(fin) = self.rcv.fin {
            // Text after the peer's FIN can never be processed, so it is cut off.
            payload.truncate(usize::try_from(fin.saturating_sub(text.data_start)).unwrap_or(0));
        }
        if payload.len() == 0 || !self.state.can_receive() {
            // After the peer's FIN no text is received (RFC 9293 §3.10.7.4: "this should not
            // occur").
            return drop_for(DropReason::Duplicate);
        }
        if self.app.orphaned {
            // The data cannot be delivered; a reset tells the peer so (RFC 9293 §3.6.1, SHLD-3;
            // RFC 2525 §2.17).
            self.fail(crate::error::ConnError::Aborted);
            return stop(Verdict::Reset(DropReason::NoConnection));
        }
        let wire_segment = segment.segment_len.map_or(segment.payload_len, usize::from);
        let full = u32::try_from(wire_segment).unwrap_or(u32::MAX);
        self.rcv.mss_seen = self.rcv.mss_seen.max(full).min(u32::from(self.offer.mss));
        let range = text.data_start..text.data_start + payload.len() as u64;
        if let Some(duplicate) = self.rcv.buffer.first_duplicate(&range)
            && self.rcv.duplicate().is_none()
        {
            self.note_duplicate(&duplicate);
        }
        self.truncate_under_pressure(payload)?;
        if text.data_start == self.rcv.nxt {
            self.receive_in_order(now, payload);
            if let Some(rtt) = self.rtt_of_echo(now, segment) {
                self.rcv.tuning.on_rtt(rtt);
            }
            return ControlFlow::Continue(());
        }
        // A payload takes up to twice its size in memory.
        let max_memory =
            usize::try_from(self.rcv_capacity().saturating_mul(2)).unwrap_or(usize::MAX);
        let max_memory = match self.pressure {
            Pressure::None => max_memory,
            Pressure::High => max_memory.min(self.pressure.cap(u32::MAX) as usize),
            Pressure::Full => 0,
        };
        let kept = self.rcv.buffer.insert(text.data_start, payload, max_memory);
        // RFC 5681 §4.2 (MAY-13): an immediate ACK reports the gap to the sender.
        if self.negotiated.sack {
            self.ack.send_now();
        } else {
            self.ack.send_duplicate_now();
        }
        if kept {
            ControlFlow::Continue(())
        } else {
            drop_for(DropReason::NoMemory)
        }
    }

    /// When memory is full, a connection keeps only `MIN_BUFFER` bytes. The rest is dropped
    /// although it is inside the offered window. It is not acknowledged, so the peer sends it
    /// again.
    fn truncate_under_pressure(&mut self, payload: &mut Payload<'_>) -> Check {
        if self.pressure != Pressure::Full {
            return ControlFlow::Continue(());
        }
        let room = (MIN_BUFFER as usize).saturating_sub(self.rcv.buffer.len());
        payload.truncate(room);
        if payload.len() > 0 {
            return ControlFlow::Continue(());
        }
        self.ack.send_now();
        drop_for(DropReason::NoMemory)
    }

    /// Counts duplicate data, and reports it to a peer with SACK (RFC 2883).
    pub(super) fn note_duplicate(&mut self, range: &Range<u64>) {
        self.counters.duplicates_in = self.counters.duplicates_in.saturating_add(1);
        if self.negotiated.sack {
            self.rcv.note_duplicate(range);
        }
    }

    fn receive_in_order(&mut self, now: Instant, payload: &mut Payload<'_>) {
        let filled_gap = self.rcv.buffer.has_gap();
        let before = self.rcv.nxt;
        self.rcv.nxt = self.rcv.buffer.append(before, payload);
        self.app.events |= ConnEvents::READABLE;
        let bytes = u32::try_from(self.rcv.nxt - before).unwrap_or(u32::MAX);
        if self
            .rcv
            .data_at
            .is_some_and(|at| now.duration_since(at) > self.rto())
        {
            self.ack.on_idle();
        }
        self.rcv.data_at = Some(now);
        let may_wait = self.ack.on_data(bytes, self.rcv.mss_seen);
        if filled_gap {
            // RFC 5681 §4.2: an immediate ACK when a segment fills all or part of a gap.
            self.ack.send_now();
        } else if may_wait {
            self.timers.arm_delayed_ack(now + self.config.delayed_ack);
        }
    }
}
