//! Half-open connection: SYN-RECEIVED after a passive open, as a compact record.
//!
//! A SYN costs a record, not a connection (RFC 4987): the control block is created when the third
//! segment of the handshake proves the peer's address.

use tidewire_wire::{SeqNum, TcpFlags, TcpOptions, TcpTimestamps};

use super::challenge::ChallengeLimit;
use super::config::TcpConfig;
use super::negotiation::{Negotiated, Offer, syn_window};
use super::segment::{SegmentIn, SegmentPlan};
use super::state::State;
use super::tcb::Connection;
use super::timestamps::timestamp_value;
use crate::time::Instant;
use crate::types::{DropReason, FourTuple, ListenerId};
use alloc::sync::Arc;

/// A connection in SYN-RECEIVED after a passive open; after an active one it is a full connection
/// (MUST-11).
#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) tuple: FourTuple,
    pub(crate) listener: ListenerId,
    pub(crate) iss: SeqNum,
    pub(crate) irs: SeqNum,
    pub(crate) offer: Offer,
    /// The peer's SYN: its options and its window, which is unscaled.
    pub(crate) peer: TcpOptions,
    pub(crate) window: u16,
    pub(crate) ts_offset: u32,
    /// Time of the last SYN-ACK, number of all SYN-ACKs, number of those that the timer sent, and
    /// the timer's next deadline.
    pub(crate) sent_at: Instant,
    pub(crate) sends: u8,
    pub(crate) retries: u8,
    pub(crate) deadline: Instant,
    /// The peer completed the handshake while the accept queue was full.
    pub(crate) answered: bool,
    pub(crate) challenges: ChallengeLimit,
}

/// Outcome of a segment for a half-open connection (RFC 9293 §3.10.7.4 for SYN-RECEIVED).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum HalfOpenVerdict {
    /// It completes the handshake.
    Complete,
    /// Retransmission of the SYN: our SYN-ACK was lost.
    SynAgain,
    /// A reset at exactly RCV.NXT (RFC 5961): the record is removed.
    Reset,
    /// An unacceptable ACK: answered with a reset.
    BadAck,
    /// Outside the window, or suspicious (RFC 5961): answered with a rate-limited ACK.
    Acknowledge(DropReason),
    /// No answer.
    Ignore(DropReason),
}

impl HalfOpen {
    pub(crate) fn judge(&self, segment: &SegmentIn, window: u32) -> HalfOpenVerdict {
        let rcv_nxt = self.irs.add(1);
        let header = &segment.header;
        if segment.has(TcpFlags::SYN) && !segment.has(TcpFlags::ACK) && header.seq == self.irs {
            return HalfOpenVerdict::SynAgain;
        }
        let is_reset = segment.has(TcpFlags::RST);
        if !header.seq.in_window(rcv_nxt, window.max(1)) {
            let reason = DropReason::OutOfWindow;
            return if is_reset {
                HalfOpenVerdict::Ignore(reason)
            } else {
                HalfOpenVerdict::Acknowledge(reason)
            };
        }
        if is_reset && header.seq == rcv_nxt {
            return HalfOpenVerdict::Reset;
        }
        if is_reset || segment.has(TcpFlags::SYN) {
            return HalfOpenVerdict::Acknowledge(DropReason::Challenged);
        }
        if !segment.has(TcpFlags::ACK) {
            return HalfOpenVerdict::Ignore(DropReason::BadFlags);
        }
        if header.ack != self.iss.add(1) {
            return HalfOpenVerdict::BadAck;
        }
        if let Some(syn) = self.peer.timestamps.filter(|_| self.agreed().timestamps) {
            // RFC 7323 §3.2 and §5: the negotiated option, not older than the SYN's.
            let Some(ts) = segment.options.timestamps else {
                return HalfOpenVerdict::Ignore(DropReason::MissingTimestamp);
            };
            if ts.value.wrapping_sub(syn.value).cast_signed() < 0 {
                return HalfOpenVerdict::Acknowledge(DropReason::Paws);
            }
        }
        HalfOpenVerdict::Complete
    }

    /// Sets the retransmission timer of the SYN-ACK. A SYN-ACK that answers a repeated SYN does not
    /// set it: a peer that repeats its SYN must not keep the record for ever.
    pub(crate) fn arm(&mut self, now: Instant, config: &TcpConfig) {
        let backoff = 1 << self.retries.min(16);
        let wait = config.initial_rto.saturating_mul(backoff);
        self.deadline = now + wait.min(config.max_rto);
    }

    /// The SYN-ACK, first or repeated. Counts it as sent.
    pub(crate) fn syn_ack(&mut self, now: Instant, config: &TcpConfig) -> SegmentPlan {
        let again = self.sends > 0;
        self.sends = self.sends.saturating_add(1);
        self.sent_at = now;
        let options = self.offer.answer(&self.agreed(), self.timestamps(now));
        SegmentPlan {
            retransmission: again,
            ..SegmentPlan::control(
                (self.iss, self.irs.add(1)),
                TcpFlags::SYN | TcpFlags::ACK,
                syn_window(config),
                options,
                config.ip_fields(),
            )
        }
    }

    /// The ACK that answers a suspicious segment. Its window is that of the SYN-ACK, now scaled.
    pub(crate) fn acknowledgement(&self, now: Instant, config: &TcpConfig) -> SegmentPlan {
        let agreed = self.agreed();
        let options = TcpOptions {
            timestamps: agreed.timestamps.then_some(self.timestamps(now)),
            ..TcpOptions::default()
        };
        let numbers = (self.iss.add(1), self.irs.add(1));
        let window = syn_window(config).div_ceil(1 << agreed.own_shift());
        let ip = config.ip_fields();
        SegmentPlan::control(numbers, TcpFlags::ACK, window, options, ip)
    }

    /// The timestamps of a segment sent at `now`, where they are in use.
    fn timestamps(&self, now: Instant) -> TcpTimestamps {
        TcpTimestamps {
            value: timestamp_value(now, self.ts_offset),
            echo: self.peer.timestamps.map_or(0, |syn| syn.value),
        }
    }

    /// The options that both SYNs agree on.
    fn agreed(&self) -> Negotiated {
        Negotiated::new(&self.offer, &self.peer)
    }
}

impl Connection {
    /// A connection in SYN-RECEIVED, from its half-open record. The ACK that completes the
    /// handshake is processed next.
    pub(crate) fn passive(half_open: &HalfOpen, config: Arc<TcpConfig>, now: Instant) -> Self {
        let mut conn = Self::active(
            half_open.tuple,
            config,
            half_open.offer.mss,
            half_open.iss,
            half_open.ts_offset,
            now,
        );
        conn.state = State::SynReceived;
        conn.offer = half_open.offer;
        conn.negotiate(&half_open.peer, half_open.irs, now);
        conn.snd.nxt = 1;
        conn.snd.wnd = u32::from(half_open.window);
        conn.snd.max_wnd = conn.snd.wnd;
        conn.recovery.on_sent(0..1, half_open.sent_at);
        if half_open.sends > 1 {
            conn.recovery.on_resent(0..1, half_open.sent_at);
        }
        for _ in 0..half_open.retries {
            conn.rtt.on_syn_timeout();
        }
        conn.counters.segs_out = u64::from(half_open.sends);
        conn.counters.segs_in = 1;
        conn
    }
}
