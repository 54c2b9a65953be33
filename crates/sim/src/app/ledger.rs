//! What all applications wrote and read.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tidewire_core::ConnError;

/// How far every stream between two applications has come: what one end wrote, what the other one read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: BTreeMap<Direction, Record>,
}

/// One direction of a connection between applications.
pub(crate) type Direction = (SocketAddr, SocketAddr);

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) written: u64,
    /// The writer has shut its side down, or closed.
    pub(crate) finished: bool,
    pub(crate) read: u64,
    /// The reader has come to the end, or has closed before.
    pub(crate) ended: bool,
    /// The writer has given the connection up, both ways.
    pub(crate) aborted: bool,
    /// What the reader was told instead of an end.
    pub(crate) failed: Option<ConnError>,
}

impl Ledger {
    pub(crate) fn of(&mut self, from: SocketAddr, to: SocketAddr) -> &mut Record {
        self.records.entry((from, to)).or_default()
    }

    /// A connection between these two never came to be.
    pub(crate) fn forget(&mut self, a: SocketAddr, b: SocketAddr) {
        self.records.remove(&(a, b));
        self.records.remove(&(b, a));
    }

    /// Streams that did not reach the other end whole, leaving out connections that were aborted.
    pub(crate) fn incomplete(&self) -> Vec<String> {
        let aborted = |&(from, to): &Direction| {
            [(from, to), (to, from)]
                .iter()
                .any(|key| self.records.get(key).is_some_and(|record| record.aborted))
        };
        let missing = self.records.iter().filter(|&(direction, record)| {
            !aborted(direction)
                && (record.read != record.written || !record.finished || !record.ended)
        });
        missing
            .map(|((from, to), record)| format!("{from} > {to}: {record:?}"))
            .collect()
    }

    /// Bytes that were read on all connections.
    pub(crate) fn total_read(&self) -> u64 {
        self.records.values().map(|record| record.read).sum()
    }
}
