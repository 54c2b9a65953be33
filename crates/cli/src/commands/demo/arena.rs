use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::{fs, io};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;
use tidewire::{Algorithm, Stack, StackBuilder, TcpConfig};
use tokio::time::timeout;

use super::document::Settings;
use crate::commands::failure::Failure;
use crate::kernel::Kernel;
use crate::lab::{HostRuntime, Lab, LabOptions, LinkEnd, LinkOptions};
use crate::report::Progress;
use crate::stack::Tidewire;
use crate::traffic::{
    Flow, Latency, Rate, Side, Transport, Verified, round_trips, throughput, verified_transfer,
};

/// Two hosts, a link for each pair of TCP implementations, and both ends of each pair ready to go.
///
/// Each pair has a link of its own, so that none hears another's frames. On the left runs what is compared, on the right its peer.
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
            link: link("tw0", None, Some("10.77.0.1/24")),
        })?;
        lab.add_link(&link("tw1", None, Some("10.78.0.1/24")))?;
        lab.add_link(&link("k0", Some("10.79.0.2/24"), Some("10.79.0.1/24")))?;
        lab.add_link(&link("tt0", None, None))?;
        let (left, right) = (lab.left().runtime()?, lab.right().runtime()?);
        if let Some(processors) = settings.processors {
            pin(&left, processors.left)?;
            pin(&right, processors.right)?;
        }

        let start = |runtime: &HostRuntime, builder: StackBuilder| {
            let stack = start_stack(runtime, builder)?;
            Ok::<_, Failure>(side(runtime, Tidewire(stack)))
        };
        let stack = |interface: &str, address: &str| {
            let tcp = TcpConfig {
                congestion: Algorithm::Cubic,
                ..TcpConfig::default()
            };
            Stack::on(interface)
                .address(address)
                .tcp(tcp)
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

/// A processor for each side. Without that the scheduler puts both on one at times, and the figures jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Processors {
    pub(super) left: usize,
    pub(super) right: usize,
}

impl Processors {
    /// Two of those that this process may use, on different cores where there are such; none if there is only one.
    pub(super) fn choose() -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let is_allowed = |&cpu: &usize| allowed.is_set(cpu).unwrap_or(false);
        let mut cpus = (0..CpuSet::count()).filter(is_allowed);
        let left = cpus.next()?;
        let rest: Vec<usize> = cpus.collect();
        let core = core_of(left);
        let apart = rest.iter().find(|&&cpu| core_of(cpu) != core);
        let right = *apart.or_else(|| rest.first())?;
        Some(Self { left, right })
    }
}

/// The processors that share a core with this one, as the kernel lists them.
fn core_of(cpu: usize) -> Option<String> {
    fs::read_to_string(format!(
        "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    ))
    .ok()
}

/// Keeps a host's runtime, which has one thread, on one processor.
fn pin(runtime: &HostRuntime, cpu: usize) -> Result<(), Failure> {
    let pinned = runtime.block_on(async move {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)
    })?;
    pinned.map_err(|errno| Failure::failed(format!("cannot use processor {cpu}"), errno))
}

/// Starts a stack inside a host. Its only neighbour has another address, so that nobody is asked about it.
pub(super) fn start_stack(runtime: &HostRuntime, builder: StackBuilder) -> Result<Stack, Failure> {
    Ok(runtime.block_on(builder.probe(Duration::ZERO).start())??)
}

pub(super) fn side<T>(runtime: &HostRuntime, transport: T) -> Side<T> {
    Side {
        runtime: runtime.handle().clone(),
        transport,
    }
}

/// A link with a kernel address at either end, or none where a stack brings its own.
pub(super) fn link(name: &str, left: Option<&str>, right: Option<&str>) -> LinkOptions {
    let end = |address: Option<&str>| LinkEnd {
        addresses: address.map(str::to_owned).into_iter().collect(),
        offloads: true,
    };
    LinkOptions {
        name: name.into(),
        mtu: 1500,
        left: end(left),
        right: end(right),
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

/// A connection that hangs is a failure, not a demonstration without end.
async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let text = format!("not done within {} seconds", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

/// Bytes per write and per read.
pub(super) const CHUNK: usize = 64 * 1024;
/// A gigabyte takes a second or less on anything but an emulated machine.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
