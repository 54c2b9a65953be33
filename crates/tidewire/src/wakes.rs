//! Wake-ups, drops and log events that have to wait until the lock is free.

use std::fmt;
use std::task::Waker;

use smallvec::SmallVec;

use crate::note::Note;

/// Tasks to wake, wakers to drop, and events to log. All of it may run foreign code, which might
/// want the lock. The usual few need no allocation.
#[derive(Default)]
pub(crate) struct Wakes {
    to_wake: SmallVec<[Waker; 4]>,
    to_drop: SmallVec<[Waker; 1]>,
    notes: Vec<Note>,
}

impl Wakes {
    /// Adds a task to wake.
    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        self.to_wake.extend(waker);
    }

    /// Adds a waker that is only to be dropped.
    pub(crate) fn discard(&mut self, waker: Option<Waker>) {
        self.to_drop.extend(waker);
    }

    /// Adds an event to log.
    pub(crate) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Makes `waker` the one in `slot`.
    pub(crate) fn register(&mut self, slot: &mut Option<Waker>, waker: &Waker) {
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.discard(slot.replace(waker.clone()));
        }
    }

    /// Moves everything from `other` here.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.to_wake.append(&mut other.to_wake);
        self.to_drop.append(&mut other.to_drop);
        self.notes.append(&mut other.notes);
    }

    /// Whether there is no task to wake.
    pub(crate) fn is_empty(&self) -> bool {
        self.to_wake.is_empty()
    }

    /// Takes everything, if there is anything: after most calls there is not.
    pub(crate) fn take(&mut self) -> Option<Self> {
        let has_work =
            !(self.to_wake.is_empty() && self.to_drop.is_empty() && self.notes.is_empty());
        has_work.then(|| std::mem::take(self))
    }

    /// Wakes, logs and drops. No lock may be held.
    pub(crate) fn finish(self) {
        self.to_wake.into_iter().for_each(Waker::wake);
        self.notes.into_iter().for_each(Note::log);
        drop(self.to_drop);
    }
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakes")
            .field("waiting", &self.to_wake.len())
            .finish_non_exhaustive()
    }
}
