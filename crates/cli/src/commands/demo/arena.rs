//! Hosts, links and TCP endpoints of a demo.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use tidewire::{Stack, StackBuilder};

use super::settings::{CARRIER, CHUNK, Settings};
use crate::commands::failure::Failure;
use crate::commands::hosts::{cubic, pin_both, side, start_stack, within};
use crate::kernel::Kernel;
use crate::lab::{HostRuntime, Lab, LabOptions};
use crate::progress::Progress;
use crate::stack::Tidewire;
use crate::traffic::{
    Flow, Latency, Rate, Side, Transport, Verified, round_trips, throughput, verified_transfer,
};

/// Two hosts, a link for each pair of TCP implementations, and both ends of each pair ready to go.
///
/// Each pair has a link of its own, so that none receives another's frames. On the left runs what
/// is compared, on the right its peer.
pub(super) struct Arena {
    pub(super) tidewire: Pair<Tidewire, Kernel>,
    /// Tidewire without spinning, where it spins at all.
    pub(super) asleep: Pair<Tidewire, Kernel>,
    pub(super) kernel: Pair<Kernel, Kernel>,
    pub(super) twins: Pair<Tidewire, Tidewire>,
    pub(super) right: HostRuntime,
    pub(super) left: HostRuntime,
    pub(super) lab: Lab,
}

impl Arena {
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        let lab = Lab::new(&LabOptions {
            link: CARRIER.link("tw0", None, Some("10.77.0.1/24")),
        })?;
        for (name, left, right) in [
            ("tw1", None, Some("10.78.0.1/24")),
            ("k0", Some("10.79.0.2/24"), Some("10.79.0.1/24")),
            ("tt0", None, None),
        ] {
            lab.add_link(&CARRIER.link(name, left, right))?;
        }
        let (left, right) = (lab.left().runtime()?, lab.right().runtime()?);
        pin_both(&left, &right, settings.processors)?;

        let start = |runtime: &HostRuntime, builder: StackBuilder| {
            let stack = start_stack(runtime, builder)?;
            Ok::<_, Failure>(side(runtime, Tidewire(stack)))
        };
        let stack = |interface: &str, address: &str| {
            Stack::on(interface)
                .address(address)
                .tcp(cubic())
                .spin(settings.spin)
        };
        Ok(Self {
            tidewire: Pair {
                client: start(&left, stack("tw0", "10.77.0.2/24"))?,
                server: side(&right, Kernel::default()),
                address: "10.77.0.1:7000".parse().map_err(io::Error::other)?,
            },
            asleep: Pair {
                client: start(&left, stack("tw1", "10.78.0.2/24").spin(Duration::ZERO))?,
                server: side(&right, Kernel::default()),
                address: "10.78.0.1:7000".parse().map_err(io::Error::other)?,
            },
            kernel: Pair {
                client: side(&left, Kernel::default()),
                server: side(&right, Kernel::default()),
                address: "10.79.0.1:7000".parse().map_err(io::Error::other)?,
            },
            twins: Pair {
                client: start(&left, stack("tt0", "10.80.0.2/24"))?,
                server: start(&right, stack("tt0", "10.80.0.1/24"))?,
                address: "10.80.0.1:7000".parse().map_err(io::Error::other)?,
            },
            right,
            left,
            lab,
        })
    }
}

/// Two TCP implementations on one link; the client is on the left.
pub(super) struct Pair<C, S> {
    client: Side<C>,
    server: Side<S>,
    address: SocketAddr,
}

impl<C: Transport, S: Transport> Pair<C, S> {
    pub(super) async fn transfer(
        &self,
        flow: Flow,
        bytes: u64,
        progress: &Progress,
    ) -> io::Result<Verified> {
        let Self {
            client,
            server,
            address,
        } = self;
        let work = verified_transfer(client, server, *address, flow, bytes, progress);
        within(TRANSFER_PATIENCE, work).await
    }

    pub(super) async fn throughput(&self, flow: Flow, duration: Duration) -> io::Result<Rate> {
        let Self {
            client,
            server,
            address,
        } = self;
        let work = throughput(client, server, *address, flow, duration, CHUNK);
        within(duration + PATIENCE, work).await
    }

    pub(super) async fn round_trips(&self, duration: Duration) -> io::Result<Latency> {
        let Self {
            client,
            server,
            address,
        } = self;
        let work = round_trips(client, server, *address, duration);
        within(duration + PATIENCE, work).await
    }
}

/// A gigabyte takes a second or less on anything but an emulated machine.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
