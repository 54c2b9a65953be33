//! Handshake table: half-open records with their timers, and SYN cookies for a full table.

use alloc::vec::Vec;

use super::deadlines::Deadlines;
use super::slab::Slab;
use crate::tcp::TcpConfig;
use crate::tcp::half_open::HalfOpen;
use crate::tcp::syn_cookies::SynCookies;
use crate::time::Instant;
use crate::types::{HashKey, Key, ListenerId};

/// Table of half-open records.
#[derive(Debug)]
pub(super) struct Handshakes {
    records: Slab<HalfOpen>,
    deadlines: Deadlines,
    /// Records whose SYN-ACK timed out, and whose peer has not answered.
    unanswered: usize,
    capacity: usize,
    pub(super) cookies: SynCookies,
}

impl Handshakes {
    pub(super) fn new(capacity: usize, cookies: HashKey) -> Self {
        Self {
            records: Slab::default(),
            deadlines: Deadlines::default(),
            unanswered: 0,
            capacity,
            cookies: SynCookies::new(cookies),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.capacity
    }

    pub(super) fn is_overfull(&self) -> bool {
        self.records.len() > self.capacity
    }

    /// Whether at least half of the records are unanswered, as in a SYN flood. Only then are
    /// cookies worth their price: where the third segment of a handshake is lost and the peer waits
    /// for data from this end, no record is left to repeat the SYN-ACK. While peers do answer, a
    /// SYN is better dropped: the peer repeats it.
    pub(super) fn is_flooded(&self) -> bool {
        self.unanswered * 2 >= self.records.len()
    }

    pub(super) fn get(&self, key: Key) -> Option<&HalfOpen> {
        self.records.get(key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut HalfOpen> {
        self.records.get_mut(key)
    }

    /// The records of a listener.
    pub(super) fn of_listener(&self, id: ListenerId) -> Vec<Key> {
        let all = self.records.iter();
        all.filter(|(_, record)| record.listener == id)
            .map(|(key, _)| key)
            .collect()
    }

    /// Adds a record, with no timer yet.
    pub(super) fn insert(&mut self, record: HalfOpen) -> Key {
        self.records.insert(record)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<HalfOpen> {
        let record = self.records.remove(key)?;
        self.unanswered -= usize::from(record.retries > 0 && !record.answered);
        self.deadlines.remove(key.index);
        Some(record)
    }

    // ---- Timers ----

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The next record whose timer is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        while let Some(index) = self.deadlines.pop_due(now) {
            let Some((key, record)) = self.records.at(index) else {
                continue;
            };
            if record.deadline <= now {
                return Some(key);
            }
            // It was armed again since.
            self.deadlines.no_later_than(index, record.deadline);
        }
        None
    }

    /// Sets the timer of a SYN-ACK that leaves now.
    pub(super) fn arm(&mut self, now: Instant, key: Key, config: &TcpConfig) {
        if let Some(record) = self.records.get_mut(key) {
            record.arm(now, config);
            self.deadlines.no_later_than(key.index, record.deadline);
        }
    }

    /// Sets the timer of a record that was made from a cookie.
    pub(super) fn arm_at(&mut self, key: Key, deadline: Instant) {
        if let Some(record) = self.records.get_mut(key) {
            record.deadline = deadline;
            self.deadlines.no_later_than(key.index, deadline);
        }
    }

    /// The timer of a record fired.
    pub(super) fn note_timeout(&mut self, key: Key) {
        if let Some(record) = self.records.get_mut(key) {
            self.unanswered += usize::from(record.retries == 0 && !record.answered);
            record.retries += 1;
        }
    }

    /// The peer of a record has completed the handshake.
    pub(super) fn note_answered(&mut self, key: Key) {
        if let Some(record) = self.records.get_mut(key)
            && !core::mem::replace(&mut record.answered, true)
        {
            self.unanswered -= usize::from(record.retries > 0);
        }
    }
}
