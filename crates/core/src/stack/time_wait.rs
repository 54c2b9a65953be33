//! The table of TIME-WAIT records: bounded, in the order in which they expire.

use alloc::collections::VecDeque;

use super::slab::{Key, Slab};
use crate::tcp::time_wait::TimeWait;
use crate::time::Instant;

/// The table. Every record lasts equally long, so a queue orders them; one that was restarted moves when its old place
/// comes up.
#[derive(Debug)]
pub(super) struct TimeWaitTable {
    records: Slab<TimeWait>,
    queue: VecDeque<(Instant, Key)>,
    capacity: usize,
}

impl TimeWaitTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            records: Slab::default(),
            queue: VecDeque::new(),
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.capacity
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue.front().map(|&(at, _)| at)
    }

    pub(super) fn insert(&mut self, record: TimeWait) -> Key {
        let at = record.deadline;
        let key = self.records.insert(record);
        self.queue.push_back((at, key));
        key
    }

    pub(super) fn at(&self, index: u32) -> Option<(Key, &TimeWait)> {
        self.records.at(index)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut TimeWait> {
        self.records.get_mut(key)
    }

    /// Removes a record; its place in the queue goes when it comes up.
    pub(super) fn remove(&mut self, key: Key) -> Option<TimeWait> {
        self.records.remove(key)
    }

    /// Removes a record that has expired.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Key, TimeWait)> {
        while let Some(&(at, key)) = self.queue.front().filter(|&&(at, _)| at <= now) {
            self.queue.pop_front();
            match self.records.get(key).map(|record| record.deadline) {
                Some(deadline) if deadline > at => self.queue.push_back((deadline, key)),
                Some(_) => return self.records.remove(key).map(|record| (key, record)),
                None => {}
            }
        }
        None
    }

    /// Removes the record that would expire first.
    pub(super) fn pop_oldest(&mut self) -> Option<(Key, TimeWait)> {
        while let Some((_, key)) = self.queue.pop_front() {
            if let Some(record) = self.records.remove(key) {
                return Some((key, record));
            }
        }
        None
    }
}
