//! Settings of a demo: links, sizes and times of its measurements.

use core::time::Duration;

use serde::Serialize;

use crate::commands::hosts::{Carrier, Processors, spin};
use crate::commands::output::as_seconds;
use crate::lab::Privilege;

/// How the figures were taken.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Settings {
    pub(super) quick: bool,
    /// Whether the hosts live in a user namespace, made by an ordinary user.
    pub(super) rootless: bool,
    pub(super) mtu: u32,
    pub(super) transfer_bytes: u64,
    pub(super) rounds: u32,
    #[serde(rename = "throughput_seconds", serialize_with = "as_seconds")]
    pub(super) throughput_time: Duration,
    #[serde(rename = "round_trip_seconds", serialize_with = "as_seconds")]
    pub(super) round_trip_time: Duration,
    /// Bytes per write and per read.
    pub(super) chunk_bytes: usize,
    /// How long Tidewire looks for frames before it sleeps.
    #[serde(rename = "spin_seconds", serialize_with = "as_seconds")]
    pub(super) spin: Duration,
    /// Where the two sides run, when each has a processor of its own.
    pub(super) processors: Option<Processors>,
}

impl Settings {
    pub(super) fn new(quick: bool, privilege: Privilege) -> Self {
        let milliseconds = Duration::from_millis;
        Self {
            quick,
            rootless: privilege == Privilege::UserNamespace,
            mtu: CARRIER.mtu,
            transfer_bytes: if quick { 64 << 20 } else { 1 << 30 },
            rounds: if quick { 2 } else { 5 },
            throughput_time: milliseconds(if quick { 100 } else { 600 }),
            round_trip_time: milliseconds(if quick { 50 } else { 300 }),
            chunk_bytes: CHUNK,
            spin: spin(),
            processors: Processors::choose(),
        }
    }
}

/// Properties of the links of a demo.
pub(super) const CARRIER: Carrier = Carrier {
    mtu: 1500,
    offloads: true,
};
/// Bytes per write and per read.
pub(super) const CHUNK: usize = 64 * 1024;
