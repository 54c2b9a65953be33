use core::time::Duration;
use std::path::PathBuf;

use serde::Serialize;

use super::arena::{CARRIER, CHUNK};
use crate::commands::hosts::{Processors, spin};
use crate::commands::output::as_seconds;
use crate::lab::Privilege;
use crate::ladder::Ladder;
use crate::report::{Comparison, Environment};
use crate::traffic::Verified;

/// Everything that the demo found.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// Version of the JSON form.
    pub(super) schema: u32,
    pub(super) version: &'static str,
    pub(super) environment: Environment,
    pub(super) settings: Settings,
    pub(super) ladder: Ladder,
    pub(super) transfers: Vec<Transfer>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) files: Files,
    /// What the whole demo took.
    pub(super) seconds: f64,
}

impl Document {
    pub(super) const SCHEMA: u32 = 1;
}

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

/// One verified transfer.
#[derive(Debug, Serialize)]
pub(super) struct Transfer {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    #[serde(flatten)]
    pub(super) verified: Verified,
}

/// Where the files are.
#[derive(Debug, Serialize)]
pub(super) struct Files {
    pub(super) picture: PathBuf,
    pub(super) document: PathBuf,
}
