//! TIME-WAIT table: a bounded number of records, each with a deadline.

use super::deadlines::Deadlines;
use super::slab::Slab;
use crate::tcp::time_wait::TimeWait;
use crate::time::Instant;
use crate::types::Key;

/// Table of TIME-WAIT records.
#[derive(Debug)]
pub(super) struct TimeWaitTable {
    records: Slab<TimeWait>,
    deadlines: Deadlines,
    capacity: usize,
}

impl TimeWaitTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            records: Slab::default(),
            deadlines: Deadlines::default(),
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
        self.deadlines.next()
    }

    pub(super) fn insert(&mut self, record: TimeWait) -> Key {
        let at = record.deadline;
        let key = self.records.insert(record);
        self.deadlines.no_later_than(key.index, at);
        key
    }

    pub(super) fn get(&self, key: Key) -> Option<&TimeWait> {
        self.records.get(key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut TimeWait> {
        self.records.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<TimeWait> {
        let record = self.records.remove(key)?;
        self.deadlines.remove(key.index);
        Some(record)
    }

    /// Removes a record that has expired.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Key, TimeWait)> {
        while let Some(index) = self.deadlines.pop_due(now) {
            let Some((key, record)) = self.records.at(index) else {
                continue;
            };
            if record.deadline <= now {
                return self.records.remove(key).map(|record| (key, record));
            }
            // It was restarted since.
            let at = record.deadline;
            self.deadlines.no_later_than(index, at);
        }
        None
    }

    /// Removes the record that would expire first.
    pub(super) fn pop_oldest(&mut self) -> Option<(Key, TimeWait)> {
        let index = self.deadlines.pop_due(Instant::MAX)?;
        let key = self.records.at(index)?.0;
        self.records.remove(key).map(|record| (key, record))
    }
}
