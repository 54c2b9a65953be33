//! Event queue behind `poll_event`.

use alloc::collections::VecDeque;

use crate::types::{ConnId, ListenerId};

/// The queue behind `poll_event`: at most one entry per connection and listener, because a source that is queued
/// already only gathers flags.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    queue: VecDeque<Source>,
}

/// Who has something to report.
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
