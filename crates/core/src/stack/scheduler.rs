//! Scheduler: connections that are ready to send, their deadlines, and event sources.

use alloc::collections::VecDeque;

use super::conns::Marks;
use super::deadlines::Deadlines;
use super::events::{EventQueue, Source};
use crate::time::Instant;
use crate::types::ConnId;

/// Queues of connections, each of which is in a queue once at most, and their deadlines.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    /// Connections that may have something to send, in turn.
    ready: VecDeque<ConnId>,
    /// Ready connections that wait for the link.
    await_link: VecDeque<ConnId>,
    deadlines: Deadlines,
    pub(super) events: EventQueue,
}

impl Scheduler {
    // ---- Sending ----

    /// Queues a connection that may have something to send, unless it is queued.
    pub(super) fn make_ready(&mut self, id: ConnId, marks: &mut Marks) {
        if !core::mem::replace(&mut marks.ready, true) {
            self.ready.push_back(id);
        }
    }

    /// Takes the connection whose turn it is. It stays marked as ready.
    pub(super) fn next_ready(&mut self) -> Option<ConnId> {
        self.ready.pop_front()
    }

    /// Puts a connection that has just sent at the end of the queue.
    pub(super) fn next_turn(&mut self, id: ConnId) {
        self.ready.push_back(id);
    }

    /// Sets a ready connection aside until [`retry_link`](Self::retry_link).
    pub(super) fn await_link(&mut self, id: ConnId) {
        self.await_link.push_back(id);
    }

    /// Connections that waited for the link are ready again.
    pub(super) fn retry_link(&mut self) {
        if !self.await_link.is_empty() {
            self.ready.append(&mut self.await_link);
        }
    }

    // ---- Timers ----

    /// The earliest deadline. It may be early, never late.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Makes sure that a connection's timers are looked at no later than `at`.
    pub(super) fn no_later_than(&mut self, id: ConnId, at: Instant) {
        self.deadlines.no_later_than(id.0.index, at);
    }

    /// The slot of a connection that may have a timer due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        self.deadlines.pop_due(now)
    }

    /// A connection has no timers any more.
    pub(super) fn forget_deadline(&mut self, id: ConnId) {
        self.deadlines.remove(id.0.index);
    }

    // ---- Events ----

    /// Queues a connection that has events to report, unless it is queued.
    pub(super) fn report(&mut self, id: ConnId, marks: &mut Marks) {
        if !core::mem::replace(&mut marks.reporting, true) {
            self.events.push(Source::Conn(id));
        }
    }
}
