//! What is to be done when the lock is free again: tasks to wake, wakers to drop, events to log.

use std::fmt;
use std::task::Waker;

use crate::note::Note;

/// Tasks to wake, wakers to drop, and events to log. All of it may run foreign code, which might want the lock.
#[derive(Default)]
pub(crate) struct Wakes {
    /// The usual few, without an allocation.
    near: [Option<Waker>; 4],
    far: Vec<Waker>,
    discarded: Option<Waker>,
    more_discarded: Vec<Waker>,
    notes: Vec<Note>,
}

impl Wakes {
    /// Adds a task to wake.
    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.near.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(waker),
            None => self.far.push(waker),
        }
    }

    /// Adds a waker that is only to be dropped.
    pub(crate) fn discard(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match &mut self.discarded {
            slot @ None => *slot = Some(waker),
            Some(_) => self.more_discarded.push(waker),
        }
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
        let Self {
            near,
            far,
            discarded,
            more_discarded,
            notes,
        } = std::mem::take(other);
        near.into_iter().for_each(|waker| self.wake(waker));
        far.into_iter().for_each(|waker| self.wake(Some(waker)));
        self.discard(discarded);
        more_discarded
            .into_iter()
            .for_each(|waker| self.discard(Some(waker)));
        self.notes.extend(notes);
    }

    /// Whether there is no task to wake.
    pub(crate) fn is_empty(&self) -> bool {
        // The near places fill up first.
        self.near.iter().all(Option::is_none)
    }

    /// Wakes, drops and logs. No lock may be held.
    pub(crate) fn finish(self) {
        let Self {
            near, far, notes, ..
        } = self;
        near.into_iter().flatten().for_each(Waker::wake);
        far.into_iter().for_each(Waker::wake);
        notes.into_iter().for_each(Note::tell);
    }
}

impl fmt::Debug for Wakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.near.iter().flatten().count() + self.far.len();
        f.debug_struct("Wakes")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
