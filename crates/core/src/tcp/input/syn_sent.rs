//! SYN-SENT processing (RFC 9293 §3.10.7.3): the four checks before the control block is complete.

use core::ops::ControlFlow;

use tidewire_wire::TcpFlags;

use super::{Check, Verdict, drop_for, stop};
use crate::error::ConnError;
use crate::tcp::recovery::Delivered;
use crate::tcp::recv_buffer::Payload;
use crate::tcp::segment::SegmentIn;
use crate::tcp::state::Transition;
use crate::tcp::tcb::Connection;
use crate::time::Instant;
use crate::types::{ConnEvents, DropReason};

impl Connection {
    pub(super) fn on_segment_in_syn_sent(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> Check {
        let has_ack = segment.has(TcpFlags::ACK);
        // First, the ACK: only the ACK of our SYN is acceptable.
        let acks_syn =
            has_ack && self.snd.position(segment.header.ack) == Some(1) && self.snd.nxt == 1;
        if has_ack && !acks_syn {
            return stop(Verdict::Reset(DropReason::BadAck));
        }
        // Second, the RST: accepted if its ACK proves that it answers our SYN.
        if segment.has(TcpFlags::RST) {
            if !acks_syn {
                return drop_for(DropReason::BadFlags);
            }
            return stop(self.end_by_reset(ConnError::Refused));
        }
        if !segment.has(TcpFlags::SYN) || segment.has(TcpFlags::FIN) && !acks_syn {
            return drop_for(DropReason::BadFlags);
        }
        // Fourth, the SYN. Text in it is not acknowledged, so the peer sends it again.
        self.negotiate(&segment.options, segment.header.seq, now);
        self.set_window_of_syn(segment);
        payload.truncate(0);
        self.ack.send_now();
        if acks_syn {
            self.on_syn_acked(now, segment);
        } else {
            // Simultaneous open (MUST-10): our SYN is sent again, with an ACK (figure 7).
            self.transition(Transition::SynReceived);
            self.recovery.mark_all_lost(0, self.snd.nxt);
        }
        ControlFlow::Continue(())
    }

    /// The window of a SYN is never scaled (RFC 7323 §2.2).
    pub(crate) fn set_window_of_syn(&mut self, segment: &SegmentIn) {
        self.snd.wnd = u32::from(segment.header.window);
        self.snd.max_wnd = self.snd.wnd;
        self.snd.wl1 = 0;
        self.snd.wl2 = self.snd.una;
    }

    /// Enters ESTABLISHED: our SYN is acknowledged, and the peer's SYN is known.
    pub(crate) fn on_syn_acked(&mut self, now: Instant, segment: &SegmentIn) {
        let mss = u64::from(self.eff_snd_mss());
        let Delivered { sent_at, .. } = self.recovery.on_ack(0, 1, self.negotiated.sack, mss);
        self.recovery.exit_if_done(1);
        self.snd.una = 1;
        self.snd.proven_at = sent_at;
        self.snd.wl2 = 1;
        // The handshake gives the first RTT sample, unless the SYN was sent twice (Karn).
        let rtt = sent_at
            .map(|at| now.duration_since(at))
            .or_else(|| self.rtt_of_echo(now, segment));
        if let Some(rtt) = rtt {
            self.rtt.on_sample(rtt);
        }
        self.rtt.on_established();
        if self.rtt.syn_timeouts() > 1 {
            self.congestion.on_syn_loss();
        }
        self.timers.disarm_retransmit();
        self.transition(Transition::SynAcked);
        self.on_heard(now);
        self.restart_keep_alive(now);
        self.app.events |= ConnEvents::CONNECTED | ConnEvents::WRITABLE;
    }
}
