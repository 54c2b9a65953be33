//! What all connections together hold, kept up to date at every step and never added up.

use super::Stack;
use super::slab::Key;
use crate::tcp::Connection;

/// Memory in use by connections.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Bytes that connections are charged.
    conns: usize,
}

impl Stack {
    /// Bytes of memory held for connections: their buffers with all that these keep alive, and what is kept for reuse.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.memory.conns + self.pool.bytes()
    }

    /// Gives back what a connection does not need any more, and charges it for the rest.
    pub(super) fn settle_memory(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.reclaim(&mut self.pool);
        let held = conn.memory_held();
        self.memory.conns += held;
        self.memory.conns -= core::mem::replace(&mut conn.charged, held);
    }

    /// A connection is gone, and what it held with it.
    pub(super) fn release_memory(&mut self, conn: &Connection) {
        self.memory.conns -= conn.charged;
    }
}
