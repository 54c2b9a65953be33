//! Hosts, links and processors for commands that run Tidewire beside the kernel's TCP.

use core::future::Future;
use core::time::Duration;
use std::{fs, io, thread};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;
use tidewire::{Algorithm, Stack, StackBuilder, TcpConfig};
use tokio::time::timeout;

use super::failure::Failure;
use crate::lab::{HostRuntime, LinkEnd, LinkOptions};
use crate::traffic::Side;

/// A processor for each side. Otherwise the scheduler sometimes puts both on one, and the figures
/// vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Processors {
    pub(super) left: usize,
    pub(super) right: usize,
}

impl Processors {
    /// Two processors that this process may use, on different cores if possible; `None` if there is
    /// only one.
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

/// Pins each side's runtime to a processor of its own, if there are two.
pub(super) fn pin_both(
    left: &HostRuntime,
    right: &HostRuntime,
    processors: Option<Processors>,
) -> Result<(), Failure> {
    let Some(processors) = processors else {
        return Ok(());
    };
    pin(left, processors.left)?;
    pin(right, processors.right)
}

/// Pins a host's single-threaded runtime to one processor.
fn pin(runtime: &HostRuntime, cpu: usize) -> Result<(), Failure> {
    let pinned = runtime.block_on(async move {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)
    })?;
    pinned.map_err(|errno| Failure::failed(format!("cannot use processor {cpu}"), errno))
}

/// Starts a stack inside a host. Duplicate address detection is off: the only neighbour has another
/// address.
pub(super) fn start_stack(runtime: &HostRuntime, builder: StackBuilder) -> Result<Stack, Failure> {
    Ok(runtime.block_on(builder.probe(Duration::ZERO).start())??)
}

pub(super) fn side<T>(runtime: &HostRuntime, transport: T) -> Side<T> {
    Side {
        runtime: runtime.handle().clone(),
        transport,
    }
}

/// Properties of the links between the hosts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    /// In bytes.
    pub(super) mtu: u32,
    /// Whether segmentation, coalescing and checksum offloads stay on.
    pub(super) offloads: bool,
}

impl Carrier {
    /// A link with a kernel address at either end, or none where a stack brings its own.
    pub(super) fn link(self, name: &str, left: Option<&str>, right: Option<&str>) -> LinkOptions {
        let end = |address: Option<&str>| LinkEnd {
            addresses: address.map(str::to_owned).into_iter().collect(),
            offloads: self.offloads,
        };
        LinkOptions {
            name: name.into(),
            mtu: self.mtu,
            left: end(left),
            right: end(right),
        }
    }
}

/// CUBIC, like the kernel's sockets in the same measurement.
pub(super) fn cubic() -> TcpConfig {
    TcpConfig {
        congestion: Algorithm::Cubic,
        ..TcpConfig::default()
    }
}

/// How long a driver looks for frames before it sleeps: the default of a stack on a machine like
/// this one.
pub(super) fn spin() -> Duration {
    if thread::available_parallelism().map_or(1, usize::from) > 1 {
        Duration::from_micros(50)
    } else {
        Duration::ZERO
    }
}

/// One round of measurements: every contender in every scenario that it takes part in. Each round
/// begins with another contender, so that none always follows the same.
pub(super) fn in_turns<S: Copy, C: Copy, const N: usize>(
    round: usize,
    scenarios: &'static [S],
    contenders: [C; N],
    takes: fn(C, S) -> bool,
) -> impl Iterator<Item = (S, C)> {
    scenarios.iter().flat_map(move |&scenario| {
        let mut contenders = contenders;
        contenders.rotate_left(round % N);
        contenders
            .into_iter()
            .filter(move |&contender| takes(contender, scenario))
            .map(move |contender| (scenario, contender))
    })
}

/// Turns a hanging connection into an error.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let text = format!("not done within {} seconds", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}
