//! Settings and JSON document of `--vs-kernel`.

use core::fmt;
use core::time::Duration;

use serde::Serialize;

use crate::commands::hosts::{Carrier, Processors, spin};
use crate::commands::output::as_seconds;
use crate::lab::Privilege;
use crate::report::{Comparison, Environment};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    /// Version of the JSON form.
    schema: u32,
    version: &'static str,
    environment: Environment,
    settings: &'a Settings,
    comparisons: &'a [Comparison],
}

impl<'a> Document<'a> {
    pub(super) fn new(settings: &'a Settings, comparisons: &'a [Comparison]) -> Self {
        Self {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            environment: Environment::read(),
            settings,
            comparisons,
        }
    }
}

/// How the figures were taken.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Settings {
    /// Whether the hosts live in a user namespace, made by an ordinary user.
    pub(super) rootless: bool,
    pub(super) ipv6: bool,
    pub(super) mtu: u32,
    pub(super) offloads: bool,
    pub(super) rounds: u32,
    /// Of each measurement.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub(super) time: Duration,
    /// How long Tidewire looks for frames before it sleeps.
    #[serde(rename = "spin_seconds", serialize_with = "as_seconds")]
    pub(super) spin: Duration,
    /// Where the two sides run, when each has a processor of its own.
    pub(super) processors: Option<Processors>,
}

impl Settings {
    pub(super) fn new(
        rounds: u32,
        time: Duration,
        carrier: Carrier,
        ipv6: bool,
        privilege: Privilege,
    ) -> Self {
        Self {
            rootless: privilege == Privilege::UserNamespace,
            ipv6,
            mtu: carrier.mtu,
            offloads: carrier.offloads,
            rounds,
            time,
            spin: spin(),
            processors: Processors::choose(),
        }
    }

    pub(super) fn carrier(&self) -> Carrier {
        Carrier {
            mtu: self.mtu,
            offloads: self.offloads,
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = if self.ipv6 { "IPv6" } else { "IPv4" };
        let offloads = if self.offloads { "on" } else { "off" };
        let place = match self.processors {
            Some(_) => "a processor for each end",
            None => "both ends on one processor",
        };
        write!(
            f,
            "{version}, MTU {}, offloads {offloads}, {place}, {} rounds of {} s",
            self.mtu,
            self.rounds,
            self.time.as_secs_f64()
        )
    }
}
