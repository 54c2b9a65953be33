//! Segment trace: a bounded ring of the newest segments, received and sent.
//!
//! Off by default, at no cost. When on, the ring counts the entries that it had to drop.

use alloc::collections::VecDeque;

use tidewire_wire::{TcpHeader, TcpOptions};

use super::Stack;
use crate::tcp::State;
use crate::time::Instant;
use crate::types::{ConnId, FourTuple};

/// Which way a segment went.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum Direction {
    /// From the wire.
    In,
    /// To the wire.
    Out,
}

/// A traced segment.
#[derive(Copy, Clone, Debug)]
pub struct TraceEntry {
    /// When it was received or sent.
    pub at: Instant,
    /// The remote end.
    pub remote: core::net::SocketAddr,
    /// The local end.
    pub local: core::net::SocketAddr,
    /// The connection; `None` for segments of no connection.
    pub conn: Option<ConnId>,
    /// In or out.
    pub direction: Direction,
    /// The segment's header.
    pub header: TcpHeader,
    /// Its options.
    pub options: TcpOptions,
    /// Its payload in bytes.
    pub payload_len: usize,
    /// Whether it carries data sent before.
    pub retransmission: bool,
    /// The state before it.
    pub before: State,
    /// The state after it.
    pub after: State,
}

/// The part of an entry that comes from the segment itself.
pub(super) struct Seen {
    pub(super) direction: Direction,
    pub(super) header: TcpHeader,
    pub(super) options: TcpOptions,
    pub(super) payload_len: usize,
    pub(super) retransmission: bool,
}

impl Stack {
    /// Records a segment while tracing is on; `states` are those before and after it.
    pub(super) fn trace_segment(
        &mut self,
        at: Instant,
        tuple: &FourTuple,
        conn: Option<ConnId>,
        states: (State, State),
        seen: impl FnOnce() -> Seen,
    ) {
        if !self.trace.is_on() {
            return;
        }
        let Seen {
            direction,
            header,
            options,
            payload_len,
            retransmission,
        } = seen();
        let (before, after) = states;
        self.trace.push(TraceEntry {
            at,
            remote: tuple.remote_addr(),
            local: tuple.local_addr(),
            conn,
            direction,
            header,
            options,
            payload_len,
            retransmission,
            before,
            after,
        });
    }
}

/// The bounded ring.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    ring: VecDeque<TraceEntry>,
    capacity: usize,
    dropped: u64,
}

impl Trace {
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.ring.len() > capacity {
            self.ring.pop_front();
            self.dropped += 1;
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) fn push(&mut self, entry: TraceEntry) {
        if self.capacity == 0 {
            return;
        }
        if self.ring.len() == self.capacity {
            self.ring.pop_front();
            self.dropped += 1;
        }
        self.ring.push_back(entry);
    }

    pub(crate) fn pop(&mut self) -> Option<TraceEntry> {
        self.ring.pop_front()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}
