//! Event queue of `poll_event`.

use alloc::collections::VecDeque;

use crate::types::{ConnId, ListenerId};

/// At most one entry per connection and listener: events of a source that is queued already are
/// added to its flags.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    queue: VecDeque<Source>,
}

/// The source of an event.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Source {
    Conn(ConnId),
    Listener(ListenerId),
}

impl EventQueue {
    pub(super) fn push(&mut self, source: Source) {
        self.queue.push_back(source);
    }

    pub(super) fn pop(&mut self) -> Option<Source> {
        self.queue.pop_front()
    }
}
