//! Connection table: control blocks, each with the marks of the stack's queues.

use alloc::boxed::Box;

use super::slab::Slab;
use crate::tcp::Connection;
use crate::types::ConnId;

/// A connection, its marks, and its share of the memory budget.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) tcp: Connection,
    pub(super) marks: Marks,
    /// Bytes that the memory budget is charged for it.
    pub(super) charged: usize,
}

/// Queues of the stack that a connection is in, each at most once.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Marks {
    /// Connections that may have something to send.
    pub(super) ready: bool,
    /// Connections with events that were not fetched.
    pub(super) reporting: bool,
    /// Connections whose next hop's address is being resolved.
    pub(super) awaits_neighbor: bool,
    /// Writers that wait for memory.
    pub(super) awaits_memory: bool,
    /// Holders of out-of-order data.
    pub(super) has_gap: bool,
}

/// Table of connections.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Slab<Box<Slot>>,
    /// Connections whose handle was given back.
    pub(super) orphans: usize,
}

impl Conns {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnId> {
        self.slots.iter().map(|(key, _)| ConnId(key))
    }

    /// The connection in a slot, whatever its generation.
    pub(super) fn at_mut(&mut self, index: u32) -> Option<(ConnId, &mut Slot)> {
        let (key, slot) = self.slots.at_mut(index)?;
        Some((ConnId(key), slot))
    }

    pub(super) fn insert(&mut self, tcp: Connection) -> ConnId {
        ConnId(self.slots.insert(Box::new(Slot {
            tcp,
            marks: Marks::default(),
            charged: 0,
        })))
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<Box<Slot>> {
        self.slots.remove(id.0)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.slots.get(id.0).map(|slot| &slot.tcp)
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.slot_mut(id).map(|slot| &mut slot.tcp)
    }

    pub(super) fn slot(&self, id: ConnId) -> Option<&Slot> {
        self.slots.get(id.0).map(|slot| &**slot)
    }

    pub(super) fn slot_mut(&mut self, id: ConnId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0).map(|slot| &mut **slot)
    }
}
