//! Ledger of all streams: what applications wrote, read, and lost.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use tidewire_core::{ConnError, Instant};

/// How far every stream between two applications has come: what one end wrote, what the other one
/// read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: BTreeMap<Direction, Record>,
    /// When an end of a connection was last lost. A server may wait for that connection in vain.
    last_loss: Option<Instant>,
    /// When the host with this address last restarted.
    restarts: BTreeMap<IpAddr, Instant>,
}

/// One direction of a connection between applications.
pub(crate) type Direction = (SocketAddr, SocketAddr);

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// There is a writer: an application has this end of the connection.
    pub(crate) opened: bool,
    pub(crate) written: u64,
    /// The writer has shut its side down, or closed.
    pub(crate) finished: bool,
    pub(crate) read: u64,
    /// The reader has come to the end, or has closed before.
    pub(crate) ended: bool,
    /// How much can be expected of the writer.
    pub(crate) fate: Fate,
    /// What the reader was told instead of an end.
    pub(crate) failed: Option<ConnError>,
    /// The reader heard nothing for a long time, and gave up.
    pub(crate) gave_up: bool,
}

/// What becomes of an end of a connection.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum Fate {
    /// It stays until everything has arrived.
    #[default]
    Kept,
    /// It was closed with a limited time to deliver the rest: that arrives, or an end sees a
    /// failure.
    Limited,
    /// It is gone: aborted, timed out, or lost with its host.
    Gone,
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

    /// The end at `from` does not stay until everything has arrived.
    pub(crate) fn lose(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, fate: Fate) {
        let record = self.of(from, to);
        record.fate = record.fate.max(fate);
        self.last_loss = Some(now);
    }

    /// A host restarts: no end of a connection is left on it, and no peer is told.
    pub(crate) fn lose_host(&mut self, now: Instant, addresses: impl Iterator<Item = IpAddr>) {
        self.restarts
            .extend(addresses.map(|address| (address, now)));
        for ((from, _), record) in &mut self.records {
            if self.restarts.get(&from.ip()) == Some(&now) {
                record.fate = Fate::Gone;
            }
        }
        self.last_loss = Some(now);
    }

    /// When the host with this address last restarted.
    pub(crate) fn last_restart(&self, address: IpAddr) -> Option<Instant> {
        self.restarts.get(&address).copied()
    }

    /// When an end was last lost.
    pub(crate) fn last_loss(&self) -> Option<Instant> {
        self.last_loss
    }

    /// Streams that did not reach the other end whole, leaving out connections of which an end was
    /// lost.
    pub(crate) fn incomplete(&self) -> Vec<String> {
        let missing = self.records.iter().filter(|&(direction, record)| {
            !self.is_excused(direction)
                && (record.read != record.written || !record.finished || !record.ended)
        });
        missing
            .map(|((from, to), record)| format!("{from} > {to}: {record:?}"))
            .collect()
    }

    /// Whether the loss of an end excuses missing data. An end with limited time excuses it only if
    /// an end saw a failure, or the connection was never accepted: data must not be lost silently.
    fn is_excused(&self, &(from, to): &Direction) -> bool {
        let both = || {
            [(from, to), (to, from)]
                .into_iter()
                .filter_map(|key| self.records.get(&key))
        };
        match both().map(|record| record.fate).max() {
            Some(Fate::Gone) => true,
            Some(Fate::Limited) if both().count() < 2 || both().any(|record| !record.opened) => {
                true
            }
            Some(Fate::Limited) => both().any(|record| record.failed.is_some() || record.gave_up),
            Some(Fate::Kept) | None => false,
        }
    }

    /// What readers were told instead of an end.
    pub(crate) fn failures(&self) -> impl Iterator<Item = ConnError> {
        self.records.values().filter_map(|record| record.failed)
    }

    /// Bytes that were read on all connections.
    pub(crate) fn total_read(&self) -> u64 {
        self.records.values().map(|record| record.read).sum()
    }
}
