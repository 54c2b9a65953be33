//! Deadlines: a heap with one entry per owner, corrected lazily.
//!
//! Timers are armed and pushed back with nearly every segment, but seldom fire. An owner whose
//! deadline moved later keeps its early entry; when that is due, the owner is asked for its true
//! deadline and the entry moves. Only an earlier deadline changes the heap at once. So the usual
//! ACK, which restarts the retransmission timer, costs nothing here, and neither do idle owners.

use alloc::vec::Vec;

use crate::time::Instant;

const ABSENT: u32 = u32::MAX;

/// Deadlines of owners named by small dense indices (slots of a slab).
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Entries that changed places so far.
    #[cfg(test)]
    moves: usize,
    heap: Vec<(Instant, u32)>,
    /// Where in the heap each owner's entry is.
    position: Vec<u32>,
}

impl Deadlines {
    /// The earliest entry. It may be early for its owner, never late.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// Makes sure that `owner` is due no later than `at`.
    pub(crate) fn no_later_than(&mut self, owner: u32, at: Instant) {
        if let Some(place) = self.place(owner) {
            if let Some(entry) = self.heap.get_mut(place)
                && at < entry.0
            {
                entry.0 = at;
                self.sift_up(place);
            }
            return;
        }
        let slot = owner as usize;
        if slot >= self.position.len() {
            self.position.resize(slot + 1, ABSENT);
        }
        self.heap.push((at, owner));
        let place = self.heap.len() - 1;
        self.note(place);
        self.sift_up(place);
    }

    /// Removes and returns an owner whose entry is due at `now`. The owner is asked for its true
    /// deadline, which goes back in by [`no_later_than`](Self::no_later_than).
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let &(at, owner) = self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(owner);
        Some(owner)
    }

    /// Forgets an owner.
    pub(crate) fn remove(&mut self, owner: u32) {
        let Some(place) = self.place(owner) else {
            return;
        };
        self.heap.swap_remove(place);
        if let Some(slot) = self.position.get_mut(owner as usize) {
            *slot = ABSENT;
        }
        if place < self.heap.len() {
            self.note(place);
            self.sift_down(place);
            self.sift_up(place);
        }
    }

    fn place(&self, owner: u32) -> Option<usize> {
        self.position
            .get(owner as usize)
            .filter(|&&place| place != ABSENT)
            .map(|&place| place as usize)
    }

    /// Records where the entry at `place` is.
    fn note(&mut self, place: usize) {
        if let Some(&(_, owner)) = self.heap.get(place)
            && let Some(slot) = self.position.get_mut(owner as usize)
        {
            *slot = u32::try_from(place).unwrap_or(ABSENT);
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        #[cfg(test)]
        {
            self.moves += 1;
        }
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    fn less(&self, a: usize, b: usize) -> bool {
        // The owner breaks ties, so that equal deadlines fire in the same order on every run.
        self.heap.get(a) < self.heap.get(b)
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.less(place, parent) {
                break;
            }
            self.swap(place, parent);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.less(right, left) {
                right
            } else {
                left
            };
            if !self.less(child, place) {
                break;
            }
            self.swap(place, child);
            place = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Deadlines;
    use crate::time::Instant;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    /// A busy owner restarts its timer with every segment. Beside 10 as beside 100,000 owners that
    /// wait for something far away, that neither moves nor adds an entry; when it comes up, it
    /// moves by the height of the heap at most.
    #[test]
    fn restarting_a_timer_costs_the_same_beside_any_number_of_others() {
        for others in [10, 100_000_u32] {
            let mut deadlines = Deadlines::default();
            for owner in 0..others {
                deadlines.no_later_than(owner, Instant::from_nanos(1 << 40));
            }
            let busy = others;
            deadlines.no_later_than(busy, Instant::from_nanos(0));
            let entries = deadlines.heap.len();
            deadlines.moves = 0;
            for at in 0..1_000 {
                deadlines.no_later_than(busy, Instant::from_nanos(at));
            }
            assert_eq!((deadlines.moves, deadlines.heap.len()), (0, entries));
            assert_eq!(deadlines.pop_due(Instant::from_nanos(1_000)), Some(busy));
            deadlines.no_later_than(busy, Instant::from_nanos(2_000));
            let height = entries.ilog2() as usize + 1;
            assert!(deadlines.moves <= 2 * height);
        }
    }

    proptest! {
        /// Against a map of the earliest time asked for per owner.
        #[test]
        fn comes_up_in_order_and_never_late(ops in prop::collection::vec((0u8..3, 0u32..20, 0u64..100), 0..300)) {
            let mut deadlines = Deadlines::default();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (op, owner, at) in ops {
                match op {
                    0 => {
                        deadlines.no_later_than(owner, Instant::from_nanos(at));
                        let entry = model.entry(owner).or_insert(at);
                        *entry = (*entry).min(at);
                    }
                    1 => {
                        deadlines.remove(owner);
                        model.remove(&owner);
                    }
                    _ => {
                        let first = model.iter().map(|(&owner, &at)| (at, owner)).min().filter(|&(due, _)| due <= at);
                        prop_assert_eq!(deadlines.pop_due(Instant::from_nanos(at)), first.map(|(_, owner)| owner));
                        if let Some((_, owner)) = first {
                            model.remove(&owner);
                        }
                    }
                }
                prop_assert_eq!(deadlines.next(), model.values().min().map(|&at| Instant::from_nanos(at)));
            }
        }
    }
}
