//! Pair of hosts: its connection, the segments between them, and the helpers of the tests.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use tidewire_core::{
    ConnId, ConnectOptions, Duration, Instant, IpCidr, ListenOptions, ListenerId, ReadError, State,
    TcpConfig, TcpInfo,
};
use tidewire_sim::{HostConfig, HostId, LinkConfig, LinkId, World};
use tidewire_wire::{Frame, TcpFlags, TcpHeader, TcpOptions, Transport};

pub(crate) const DELAY: Duration = Duration::from_millis(10);

/// A segment as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) from: HostId,
    pub(crate) header: TcpHeader,
    pub(crate) options: TcpOptions,
    pub(crate) payload_len: usize,
}

impl Sent {
    pub(crate) fn of(at: Instant, from: HostId, frame: &Frame<'_>) -> Option<Self> {
        let Some(Transport::Tcp {
            header,
            options,
            payload,
            ..
        }) = frame.transport()
        else {
            return None;
        };
        let options = TcpOptions::parse(options).expect("own options parse");
        Some(Self {
            at,
            from,
            header: *header,
            options,
            payload_len: payload.len(),
        })
    }

    pub(crate) fn has(&self, flags: TcpFlags) -> bool {
        self.header.flags.contains(flags)
    }
}

/// What was sent, in order.
pub(crate) type Log = Rc<RefCell<Vec<Sent>>>;

/// Hosts `a` (10.0.0.1) and `b` (10.0.0.2) on a link without faults and with 20 ms of round trip.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) a: HostId,
    pub(crate) b: HostId,
    pub(crate) link: LinkId,
    pub(crate) log: Log,
}

pub(crate) fn address(host: u8, port: u16) -> SocketAddr {
    ([10, 0, 0, host], port).into()
}

pub(crate) fn host(last: u8) -> HostConfig {
    HostConfig::new(IpCidr::new([10, 0, 0, last].into(), 24))
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(1, |_| ())
    }

    /// `change` applies to both hosts.
    pub(crate) fn with(seed: u64, change: impl Fn(&mut HostConfig)) -> Self {
        let mut world = World::new(seed);
        let [a, b] = [1, 2].map(|last| {
            let mut config = host(last);
            change(&mut config);
            world.add_host(config).expect("a legal configuration")
        });
        let link = world.link(a, b, LinkConfig::with_delay(DELAY));
        let mut pair = Self {
            world,
            a,
            b,
            link,
            log: Log::default(),
        };
        pair.lose(|_| false);
        pair
    }

    /// As [`with`](Self::with), for the configuration of connections.
    pub(crate) fn with_tcp(change: impl Fn(&mut TcpConfig)) -> Self {
        Self::with(1, |host| change(&mut host.stack.tcp))
    }

    /// From now on the segments for which `lose` says true are lost; all are logged, lost or not.
    pub(crate) fn lose(&mut self, mut lose: impl FnMut(&Sent) -> bool + 'static) {
        let log = self.log.clone();
        self.world.intercept(self.link, move |at, from, frame| {
            match Sent::of(at, from, frame) {
                Some(sent) => {
                    log.borrow_mut().push(sent);
                    !lose(&sent)
                }
                None => true,
            }
        });
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.log.borrow().clone()
    }

    pub(crate) fn clear_log(&self) {
        self.log.borrow_mut().clear();
    }

    pub(crate) fn run_ms(&mut self, millis: u64) {
        let until = self.world.now() + Duration::from_millis(millis);
        check(self.world.run_until(until));
    }

    pub(crate) fn listen(&mut self, port: u16, options: ListenOptions) -> ListenerId {
        check(
            self.world
                .on(self.b, |stack, _| stack.listen(address(2, port), options)),
        )
        .expect("the port is free")
    }

    pub(crate) fn connect(&mut self, port: u16) -> ConnId {
        let call = |stack: &mut tidewire_core::Stack, now| {
            stack.connect(now, address(2, port), ConnectOptions::default())
        };
        check(self.world.on(self.a, call)).expect("the way is open")
    }

    pub(crate) fn accept(&mut self, listener: ListenerId) -> Option<ConnId> {
        check(self.world.on(self.b, |stack, _| stack.accept(listener))).map(|(id, _)| id)
    }

    /// A connection from `a` to `b`, both ends established, nothing in flight.
    pub(crate) fn established(&mut self) -> (ConnId, ConnId) {
        let listener = self.listen(80, ListenOptions::default());
        let client = self.connect(80);
        self.run_ms(500);
        let server = self.accept(listener);
        let server =
            server.unwrap_or_else(|| panic!("no handshake:\n{}", self.world.tail().join("\n")));
        (client, server)
    }

    /// Writes what fits of `len` zeros.
    pub(crate) fn write(&mut self, host: HostId, id: ConnId, len: usize) -> usize {
        check(self.world.on(host, |stack, now| {
            stack
                .conn(id)
                .expect("open")
                .write(now, &vec![0; len])
                .expect("the buffer has room")
        }))
    }

    /// Reads what there is of `len` bytes.
    pub(crate) fn read(
        &mut self,
        host: HostId,
        id: ConnId,
        len: usize,
    ) -> Result<usize, ReadError> {
        check(self.world.on(host, |stack, now| {
            stack.conn(id).expect("open").read(now, &mut vec![0; len])
        }))
    }

    pub(crate) fn shutdown(&mut self, host: HostId, id: ConnId) {
        check(self.world.on(host, |stack, now| {
            stack.conn(id).expect("open").shutdown_write(now)
        }))
        .expect("connected");
    }

    pub(crate) fn close(&mut self, host: HostId, id: ConnId) {
        check(
            self.world
                .on(host, |stack, now| stack.conn(id).expect("open").close(now)),
        );
    }

    pub(crate) fn info(&mut self, host: HostId, id: ConnId) -> TcpInfo {
        check(
            self.world
                .on(host, |stack, _| stack.conn(id).expect("open").info()),
        )
    }

    pub(crate) fn state(&mut self, host: HostId, id: ConnId) -> State {
        self.info(host, id).state
    }

    /// The data segments that `host` sent.
    pub(crate) fn data_from(&self, host: HostId) -> Vec<Sent> {
        self.sent()
            .into_iter()
            .filter(|sent| sent.from == host && sent.payload_len > 0)
            .collect()
    }
}

/// Fails with the whole report of a broken law.
#[track_caller]
pub(crate) fn check<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
