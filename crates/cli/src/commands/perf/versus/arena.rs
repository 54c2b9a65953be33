//! Hosts, links and pairs of TCP implementations of `--vs-kernel`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;

use tidewire::Stack;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::super::client::{self, Record};
use super::super::plan::Plan;
use super::super::server::Server;
use super::document::Settings;
use crate::commands::failure::Failure;
use crate::commands::hosts::{Carrier, cubic, pin_both, side, start_stack, within};
use crate::kernel::Kernel;
use crate::lab::{HostRuntime, Lab, LabOptions, LinkOptions};
use crate::stack::Tidewire;
use crate::traffic::{Side, Transport};

/// Two hosts, and for each pair of TCP implementations a link of its own, so that none receives
/// another's frames.
pub(super) struct Arena {
    pub(super) twins: Pair<Tidewire, Tidewire>,
    /// Without spinning.
    pub(super) asleep: Pair<Tidewire, Tidewire>,
    pub(super) kernel: Pair<Kernel, Kernel>,
    pub(super) calling: Pair<Tidewire, Kernel>,
    pub(super) called: Pair<Kernel, Tidewire>,
    /// The runtimes of the pairs, and the hosts that these are in.
    _hosts: (HostRuntime, HostRuntime, Lab),
}

impl Arena {
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        let way = |name, number| Way {
            name,
            number,
            carrier: settings.carrier(),
            is_ipv6: settings.ipv6,
        };
        let (twins, asleep, kernel) = (way("tt0", 0), way("tt1", 1), way("kk0", 2));
        let (calling, called) = (way("tk0", 3), way("kt0", 4));
        let lab = Lab::new(&LabOptions {
            link: twins.link(false, false),
        })?;
        lab.add_link(&asleep.link(false, false))?;
        lab.add_link(&kernel.link(true, true))?;
        lab.add_link(&calling.link(false, true))?;
        lab.add_link(&called.link(true, false))?;
        let (left, right) = (lab.left().runtime()?, lab.right().runtime()?);
        pin_both(&left, &right, settings.processors)?;
        Ok(Self {
            twins: Pair {
                client: twins.stack(&left, LEFT, settings.spin)?,
                server: twins.stack(&right, RIGHT, settings.spin)?,
                address: twins.server(),
            },
            asleep: Pair {
                client: asleep.stack(&left, LEFT, Duration::ZERO)?,
                server: asleep.stack(&right, RIGHT, Duration::ZERO)?,
                address: asleep.server(),
            },
            kernel: Pair {
                client: side(&left, Kernel::default()),
                server: side(&right, Kernel::default()),
                address: kernel.server(),
            },
            calling: Pair {
                client: calling.stack(&left, LEFT, settings.spin)?,
                server: side(&right, Kernel::default()),
                address: calling.server(),
            },
            called: Pair {
                client: side(&left, Kernel::default()),
                server: called.stack(&right, RIGHT, settings.spin)?,
                address: called.server(),
            },
            _hosts: (left, right, lab),
        })
    }
}

/// A link with a network of its own.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    number: u8,
    carrier: Carrier,
    is_ipv6: bool,
}

impl Way {
    /// The link; the kernel owns the address at an end where its TCP is used.
    fn link(self, is_kernel_left: bool, is_kernel_right: bool) -> LinkOptions {
        let left = is_kernel_left.then(|| self.network_address(LEFT));
        let right = is_kernel_right.then(|| self.network_address(RIGHT));
        self.carrier
            .link(self.name, left.as_deref(), right.as_deref())
    }

    fn stack(
        self,
        runtime: &HostRuntime,
        end: u8,
        spin: Duration,
    ) -> Result<Side<Tidewire>, Failure> {
        let builder = Stack::on(self.name)
            .address(self.network_address(end))
            .tcp(cubic())
            .spin(spin);
        Ok(side(runtime, Tidewire(start_stack(runtime, builder)?)))
    }

    fn server(self) -> SocketAddr {
        SocketAddr::new(self.address(RIGHT), PORT)
    }

    fn address(self, end: u8) -> IpAddr {
        if self.is_ipv6 {
            let (number, end) = (u16::from(self.number), u16::from(end));
            Ipv6Addr::new(0xfd77, 0, 0, number, 0, 0, 0, end).into()
        } else {
            Ipv4Addr::new(10, 90, self.number, end).into()
        }
    }

    fn network_address(self, end: u8) -> String {
        let prefix = if self.is_ipv6 { 64 } else { 24 };
        format!("{}/{prefix}", self.address(end))
    }
}

/// Two TCP implementations on one link; the client is on the left.
pub(super) struct Pair<C, S> {
    client: Side<C>,
    server: Side<S>,
    address: SocketAddr,
}

impl<C: Transport, S: Transport> Pair<C, S> {
    /// Carries out a plan, which takes `time`, on new connections.
    pub(super) async fn test(&self, plan: &Plan, time: Duration) -> io::Result<Record> {
        within(time + PATIENCE, self.run(plan.clone())).await
    }

    async fn run(&self, plan: Plan) -> io::Result<Record> {
        let address = self.address;
        let (listening, ready) = oneshot::channel();
        // Sets: dropping them aborts their tasks.
        let (mut serving, mut calling) = (JoinSet::new(), JoinSet::new());
        let transport = self.server.transport.clone();
        let serve = async move {
            let mut server = Server::bind(transport, address).await?;
            // Fails only when the whole run has been dropped.
            let _ = listening.send(());
            let (_, served) = server.next().await?;
            served.map(drop)
        };
        serving.spawn_on(serve, &self.server.runtime);
        if ready.await.is_err() {
            let served = outcome(serving.join_next().await, "the server");
            return served.and_then(|()| Err(io::Error::other("the server did not listen")));
        }
        let transport = self.client.transport.clone();
        let call = async move {
            let mut record = Record::default();
            let interval = Duration::ZERO;
            client::run(&transport, address, &plan, interval, &mut record, |_| {}).await?;
            Ok(record)
        };
        calling.spawn_on(call, &self.client.runtime);
        let server = async { outcome(serving.join_next().await, "the server") };
        let client = async { outcome(calling.join_next().await, "the client") };
        let ((), record) = tokio::try_join!(server, client)?;
        Ok(record)
    }
}

/// The result of the only task of a set.
fn outcome<T>(
    joined: Option<Result<io::Result<T>, tokio::task::JoinError>>,
    who: &str,
) -> io::Result<T> {
    let outcome = match joined {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(error.into()),
        None => Err(io::Error::other("no such task")),
    };
    outcome.map_err(|error| io::Error::new(error.kind(), format!("{who}: {error}")))
}

const LEFT: u8 = 2;
const RIGHT: u8 = 1;
const PORT: u16 = 5201;
/// For the preparation, the results, and the close.
const PATIENCE: Duration = Duration::from_secs(10);
