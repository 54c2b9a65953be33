//! LISTEN and passive SYN-RECEIVED: listeners with a backlog, and half-open connections as compact records.
//!
//! A SYN costs a record, not a connection (RFC 4987): the full control block is made when the handshake's third
//! segment proves that the peer is where it says.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use tidewire_wire::{SeqNum, TcpFlags, TcpOptions};

use super::segment::SegmentIn;
use super::tcb::Offer;
use crate::config::TcpConfig;
use crate::stack::{ConnId, FourTuple, ListenerId};
use crate::time::{Duration, Instant};

/// A listener: who may connect, and those who did.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) addr: SocketAddr,
    pub(crate) backlog: usize,
    pub(crate) config: Arc<TcpConfig>,
    /// Established, waiting for `accept`.
    pub(crate) queue: VecDeque<ConnId>,
    /// Records of this listener in the half-open table.
    pub(crate) half_open: usize,
    pub(crate) in_events: bool,
}

impl Listener {
    /// Whether a segment to `local` is for this listener.
    pub(crate) fn serves(&self, local: IpAddr) -> bool {
        self.addr.ip() == local
            || self.addr.ip().is_unspecified() && self.addr.is_ipv4() == local.is_ipv4()
    }

    pub(crate) fn queue_is_full(&self) -> bool {
        self.queue.len() >= self.backlog
    }

    /// Half-open connections are bounded by the backlog too, so that each can be accepted once it is complete.
    pub(crate) fn is_full(&self) -> bool {
        self.queue_is_full() || self.half_open >= self.backlog
    }
}

/// A connection in SYN-RECEIVED after a passive open.
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
    /// When the SYN-ACK left last, how often it left again, and when it leaves next.
    pub(crate) sent_at: Instant,
    pub(crate) retries: u8,
    pub(crate) deadline: Instant,
}

/// What a segment means to a half-open connection (RFC 9293 3.10.7.4 for SYN-RECEIVED).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum HalfOpenVerdict {
    /// It completes the handshake.
    Complete,
    /// The same SYN again: our SYN-ACK was lost.
    SynAgain,
    /// A reset at exactly RCV.NXT (RFC 5961): the record goes.
    Reset,
    /// An ACK of something else: answered by a reset.
    BadAck,
    /// Outside the window, or without ACK.
    Ignore,
}

impl HalfOpen {
    pub(crate) fn judge(&self, segment: &SegmentIn, window: u32) -> HalfOpenVerdict {
        let rcv_nxt = self.irs.add(1);
        let header = &segment.header;
        if segment.has(TcpFlags::SYN) && !segment.has(TcpFlags::ACK) && header.seq == self.irs {
            return HalfOpenVerdict::SynAgain;
        }
        if !header.seq.in_window(rcv_nxt, window.max(1)) {
            return HalfOpenVerdict::Ignore;
        }
        if segment.has(TcpFlags::RST) {
            return if header.seq == rcv_nxt {
                HalfOpenVerdict::Reset
            } else {
                HalfOpenVerdict::Ignore
            };
        }
        if segment.has(TcpFlags::SYN) || !segment.has(TcpFlags::ACK) {
            return HalfOpenVerdict::Ignore;
        }
        if header.ack != self.iss.add(1) {
            return HalfOpenVerdict::BadAck;
        }
        if self.uses_timestamps() {
            // RFC 7323 3.2 and 5: the negotiated option, not older than the SYN's.
            let age = segment
                .options
                .timestamps
                .zip(self.peer.timestamps)
                .map(|(ts, syn)| ts.value.wrapping_sub(syn.value));
            if age.is_none_or(|age| age.cast_signed() < 0) {
                return HalfOpenVerdict::Ignore;
            }
        }
        HalfOpenVerdict::Complete
    }

    /// How long until the SYN-ACK leaves again.
    pub(crate) fn timeout(&self, config: &TcpConfig) -> Duration {
        config
            .initial_rto
            .saturating_mul(1 << self.retries.min(16))
            .min(config.max_rto)
    }

    /// The SYN-ACK's options: only what the SYN offered too (RFC 7323 2.5, RFC 2018 2).
    pub(crate) fn options(&self, now_ms: u32) -> TcpOptions {
        let echo = self.peer.timestamps.map_or(0, |ts| ts.value);
        let mut options = self
            .offer
            .options(now_ms.wrapping_add(self.ts_offset), echo);
        options.window_scale = options
            .window_scale
            .filter(|_| self.peer.window_scale.is_some());
        options.sack_permitted &= self.peer.sack_permitted;
        options.timestamps = options.timestamps.filter(|_| self.uses_timestamps());
        options
    }

    fn uses_timestamps(&self) -> bool {
        self.offer.timestamps && self.peer.timestamps.is_some()
    }
}
