//! Memory budget: one bound on all that peers and applications make the stack hold.
//!
//! What is charged is what is really held: control blocks, half-open records, blocks of buffers
//! whether full or not, frames kept alive by a payload in them, out-of-order data with its
//! bookkeeping, records of what is in flight, frames that wait to be sent or for a neighbour, and
//! the pool of memory kept for reuse. The sum is kept up to date at every step, and never computed
//! anew. Tables (slots, the flow table, neighbours, TIME-WAIT) are bounded by limits of their own
//! and not part of it.
//!
//! Above half of the budget ([`Pressure::High`]):
//! - nothing is kept for reuse;
//! - send buffers take [`HIGH_PRESSURE_BUFFER`] bytes at most, and so do windows: an advertised
//!   right edge stays where it is (RFC 9293 §3.8.6), but does not move on before the application
//!   has read;
//! - out-of-order data is refused beyond the same size.
//!
//! Above three quarters ([`Pressure::Full`]):
//! - out-of-order data is dropped, that of the oldest holders first: it was acknowledged only
//!   selectively, so its sender still keeps it (RFC 2018 §8);
//! - data that arrives in order is taken up to [`MIN_BUFFER`] bytes a connection. The rest is
//!   dropped before it is acknowledged, and counted
//!   ([`DropReason::NoMemory`](super::DropReason::NoMemory)): nothing acknowledged is ever lost;
//! - writes block, beyond [`MIN_BUFFER`] bytes a connection;
//! - SYNs are dropped and counted, and connecting fails (`ENOBUFS`).
//!
//! [`MIN_BUFFER`] bytes keep every connection going: it can receive as its application reads, and
//! send as its peer acknowledges. The last quarter of the budget is for these bytes. More
//! connections than it has room for may exceed the budget, each by [`MIN_BUFFER`] bytes in each
//! direction that it uses.

use alloc::collections::VecDeque;

use bytes::Bytes;

use super::Stack;
use super::conns::Slot;
use crate::tcp::Pressure;
use crate::tcp::half_open::HalfOpen;
use crate::tcp::pool::Pool;
use crate::types::{ConnEvents, ConnId};

/// Memory in use.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Memory that connections gave back, for reuse.
    pub(super) pool: Pool,
    /// Bytes that connections are charged beside their control blocks.
    conns: usize,
    /// Connections whose writes were refused, each once.
    waiting: VecDeque<ConnId>,
    /// Connections with out-of-order data, each once; some may have none any more.
    with_gaps: VecDeque<ConnId>,
}

impl Stack {
    /// Bytes charged to the budget ([`StackConfig::memory`](crate::StackConfig::memory)).
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.memory.conns
            + self.net.held_bytes()
            + self.memory.pool.bytes()
            + self.conns.len() * size_of::<Slot>()
            + self.handshakes.len() * size_of::<HalfOpen>()
    }

    pub(super) fn pressure(&self) -> Pressure {
        let (used, budget) = (self.memory_used(), self.config.memory);
        if used > budget - budget / 4 {
            Pressure::Full
        } else if used > budget / 2 {
            Pressure::High
        } else {
            Pressure::None
        }
    }

    /// Tells a connection how tight memory is, before it decides how much to take.
    pub(super) fn update_pressure(&mut self, id: ConnId) {
        let pressure = self.pressure();
        if let Some(conn) = self.conns.get_mut(id) {
            conn.pressure = pressure;
        }
    }

    /// Gives memory that a connection no longer needs back to the pool, charges the connection for
    /// the rest, and acts on the pressure: drops out-of-order data when memory is full, and wakes
    /// blocked writers once there is no pressure.
    pub(super) fn account_memory(&mut self, id: ConnId) {
        self.charge(id);
        let pressure = self.pressure();
        if pressure != Pressure::None {
            self.memory.pool.clear();
        }
        if pressure == Pressure::Full {
            self.drop_out_of_order();
        } else if pressure == Pressure::None && !self.memory.waiting.is_empty() {
            self.wake_writers();
        }
    }

    fn charge(&mut self, id: ConnId) {
        let Some(slot) = self.conns.slot_mut(id) else {
            return;
        };
        slot.tcp.reclaim(&mut self.memory.pool);
        let held = slot.tcp.memory_held();
        self.memory.conns += held;
        self.memory.conns -= core::mem::replace(&mut slot.charged, held);
        if slot.tcp.rcv.buffer.has_gap() && !slot.marks.has_gap {
            slot.marks.has_gap = true;
            let conns = &self.conns;
            keep_bounded(&mut self.memory.with_gaps, conns.len(), |id| {
                conns.get(*id).is_some()
            });
            self.memory.with_gaps.push_back(id);
        }
    }

    /// Releases the memory of a removed connection.
    pub(super) fn release_memory(&mut self, slot: &mut Slot) {
        self.memory.conns -= slot.charged;
        slot.tcp.snd.buffer.clear();
        slot.tcp.reclaim(&mut self.memory.pool);
    }

    /// Whether buffers of [`Conn::write_bytes`](super::Conn::write_bytes) that are no longer needed
    /// are kept until [`poll_released`](Self::poll_released) takes them. Dropping such a buffer may
    /// run any code ([`Bytes::from_owner`]), so a driver that keeps the stack behind a lock has to
    /// drop it after unlocking. By default the stack drops it itself.
    pub fn keep_released(&mut self, keep: bool) {
        self.memory.pool.released.is_kept = keep;
    }

    /// Takes a buffer of the application that is no longer needed.
    pub fn poll_released(&mut self) -> Option<Bytes> {
        self.memory.pool.released.take()
    }

    /// Whether [`poll_released`](Self::poll_released) has something to take.
    #[must_use]
    pub fn has_released(&self) -> bool {
        !self.memory.pool.released.is_empty()
    }

    /// A write found no memory: the connection becomes writable when there is some.
    pub(super) fn wait_for_memory(&mut self, id: ConnId) {
        let Some(slot) = self.conns.slot_mut(id) else {
            return;
        };
        if slot.tcp.pressure == Pressure::None || slot.marks.awaits_memory {
            return;
        }
        slot.marks.awaits_memory = true;
        let conns = &self.conns;
        keep_bounded(&mut self.memory.waiting, conns.len(), |id| {
            conns.get(*id).is_some()
        });
        self.memory.waiting.push_back(id);
    }

    /// Drops out-of-order data while memory is full.
    fn drop_out_of_order(&mut self) {
        while self.pressure() == Pressure::Full
            && let Some(id) = self.memory.with_gaps.pop_front()
        {
            if let Some(slot) = self.conns.slot_mut(id) {
                slot.marks.has_gap = false;
                slot.tcp.rcv.buffer.clear_out_of_order();
            }
            self.charge(id);
        }
    }

    fn wake_writers(&mut self) {
        while let Some(id) = self.memory.waiting.pop_front() {
            let Some(Slot {
                tcp: conn, marks, ..
            }) = self.conns.slot_mut(id)
            else {
                continue;
            };
            marks.awaits_memory = false;
            conn.pressure = Pressure::None;
            if conn.app.write_blocked && !conn.app.orphaned {
                conn.app.write_blocked = false;
                conn.app.events |= ConnEvents::WRITABLE;
                self.scheduler.report(id, marks);
            }
        }
    }
}

/// Drops the ids of connections that are gone before a queue becomes longer than it could be
/// without them.
fn keep_bounded(queue: &mut VecDeque<ConnId>, conns: usize, is_there: impl Fn(&ConnId) -> bool) {
    if queue.len() > 2 * conns + 64 {
        queue.retain(is_there);
    }
}
