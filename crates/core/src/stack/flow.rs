//! Flow table: from a 4-tuple to its connection, half-open record or TIME-WAIT record.
//!
//! Peers choose their half of the 4-tuple, so the table hashes it with a secret key (SipHash): no
//! peer can aim at one bucket.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::types::{ConnId, FourTuple, HashKey, Key};

/// Owner of a 4-tuple.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Target {
    /// A connection.
    Conn(ConnId),
    /// A half-open passive connection.
    HalfOpen(Key),
    /// A TIME-WAIT record.
    TimeWait(Key),
}

#[derive(Copy, Clone, Debug)]
struct Entry {
    hash: u32,
    target: Target,
}

/// An open-addressing table from 4-tuple to [`Target`]. It stores hashes only; the tuple is in the
/// target, and the caller compares it.
#[derive(Debug)]
pub(crate) struct FlowTable {
    key: HashKey,
    slots: Vec<Option<Entry>>,
    len: usize,
    /// How many tuples there are of each local port.
    by_port: BTreeMap<u16, u32>,
}

impl FlowTable {
    pub(crate) fn new(key: HashKey) -> Self {
        Self {
            key,
            slots: Vec::new(),
            len: 0,
            by_port: BTreeMap::new(),
        }
    }

    /// The target of `tuple`, where `is_match` says whether a candidate's tuple is this one.
    pub(crate) fn find(
        &self,
        tuple: &FourTuple,
        is_match: impl Fn(Target) -> bool,
    ) -> Option<Target> {
        let hash = self.hash(tuple);
        self.probe(hash)
            .map_while(|slot| self.slots.get(slot).copied().flatten())
            .find_map(|entry| {
                (entry.hash == hash && is_match(entry.target)).then_some(entry.target)
            })
    }

    /// Adds a target; the caller has made sure that the tuple is not there.
    pub(crate) fn insert(&mut self, tuple: &FourTuple, target: Target) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hash(tuple);
        self.place(Entry { hash, target });
        self.len += 1;
        *self.by_port.entry(tuple.local_port).or_default() += 1;
    }

    /// Whether there is a tuple with this local port.
    pub(crate) fn has_port(&self, local: u16) -> bool {
        self.by_port.contains_key(&local)
    }

    /// Replaces the target of a tuple; says whether it was there.
    pub(crate) fn replace(&mut self, tuple: &FourTuple, old: Target, new: Target) -> bool {
        let slot = self.slot_of(tuple, old);
        match slot.and_then(|slot| self.slots.get_mut(slot)) {
            Some(Some(entry)) => {
                entry.target = new;
                true
            }
            _ => false,
        }
    }

    /// Removes a tuple's target.
    pub(crate) fn remove(&mut self, tuple: &FourTuple, target: Target) {
        let Some(mut hole) = self.slot_of(tuple, target) else {
            return;
        };
        self.len -= 1;
        if let Some(count) = self.by_port.get_mut(&tuple.local_port) {
            *count -= 1;
            if *count == 0 {
                self.by_port.remove(&tuple.local_port);
            }
        }
        // Close the gap: move back every following entry that may not be found otherwise.
        let mask = self.slots.len() - 1;
        let mut next = (hole + 1) & mask;
        while let Some(entry) = self.slots.get(next).copied().flatten() {
            let home = entry.hash as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                if let Some(slot) = self.slots.get_mut(hole) {
                    *slot = Some(entry);
                }
                hole = next;
            }
            next = (next + 1) & mask;
        }
        if let Some(slot) = self.slots.get_mut(hole) {
            *slot = None;
        }
    }

    fn hash(&self, tuple: &FourTuple) -> u32 {
        self.key.hash(tuple) as u32
    }

    /// An index below `count` for this tuple: always the same one, and unpredictable without the
    /// key.
    pub(crate) fn spread(&self, tuple: &FourTuple, count: usize) -> usize {
        self.hash(tuple) as usize % count.max(1)
    }

    fn slot_of(&self, tuple: &FourTuple, target: Target) -> Option<usize> {
        let hash = self.hash(tuple);
        self.probe(hash)
            .take_while(|&slot| self.slots.get(slot).is_some_and(Option::is_some))
            .find(|&slot| {
                self.slots
                    .get(slot)
                    .copied()
                    .flatten()
                    .is_some_and(|entry| entry.target == target)
            })
    }

    /// The slots where an entry of this hash may be, in order.
    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().wrapping_sub(1);
        let len = self.slots.len();
        (0..len).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }

    fn place(&mut self, entry: Entry) {
        let free = self
            .probe(entry.hash)
            .find(|&slot| self.slots.get(slot).is_some_and(Option::is_none));
        if let Some(slot) = free.and_then(|slot| self.slots.get_mut(slot)) {
            *slot = Some(entry);
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(16);
        let old = core::mem::replace(&mut self.slots, alloc::vec![None; size]);
        for entry in old.into_iter().flatten() {
            self.place(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FlowTable, Target};
    use crate::types::{ConnId, FourTuple, HashKey, Key, Secret};
    use alloc::collections::BTreeMap;
    use core::net::{IpAddr, Ipv4Addr};
    use proptest::prelude::*;

    fn tuple(n: u16) -> FourTuple {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        FourTuple {
            local: ip,
            remote: ip,
            local_port: n,
            remote_port: n,
        }
    }

    fn conn(n: u16) -> Target {
        Target::Conn(ConnId(Key {
            index: n.into(),
            generation: 0,
        }))
    }

    /// Slots looked at to learn that something is not there, on average over all places to begin.
    fn mean_miss(table: &FlowTable) -> f64 {
        let len = table.slots.len();
        let looked_at = |start: usize| {
            let run = (start..start + len).take_while(|slot| table.slots[slot % len].is_some());
            run.count() + 1
        };
        (0..len).map(looked_at).sum::<usize>() as f64 / len as f64
    }

    /// Removal leaves nothing behind: after any number of connections came and went, looking one up
    /// costs no more than it did with as many that stayed.
    #[test]
    fn a_look_up_costs_the_same_after_many_came_and_went() {
        let mut table = FlowTable::new(HashKey::derive(&Secret::new([7; 16]), 0));
        for n in 0..10_000 {
            table.insert(&tuple(n), conn(n));
        }
        let fresh = mean_miss(&table);
        let slots = table.slots.len();
        for n in 10_000..u16::MAX {
            table.remove(&tuple(n - 10_000), conn(n - 10_000));
            table.insert(&tuple(n), conn(n));
        }
        let used = mean_miss(&table);
        assert_eq!(table.slots.len(), slots, "it did not grow");
        assert!(fresh < 10.0 && used < 10.0, "{fresh} then {used}");
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(ops in prop::collection::vec((any::<bool>(), 0u16..60), 0..400)) {
            let mut table = FlowTable::new(HashKey::derive(&Secret::new([7; 16]), 0));
            let mut model = BTreeMap::new();
            for (add, n) in ops {
                let target = conn(n);
                if add && model.insert(n, target).is_none() {
                    table.insert(&tuple(n), target);
                } else if !add {
                    model.remove(&n);
                    table.remove(&tuple(n), target);
                }
                for n in 0..60 {
                    let found = table.find(&tuple(n), |t| t == conn(n));
                    prop_assert_eq!(found, model.get(&n).copied());
                }
            }
        }
    }
}
