//! Two stacks in virtual time, joined by one buffer: nothing here allocates once it is warm.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tidewire_core::wire::MacAddr;
use tidewire_core::{
    ConnId, ConnectOptions, Duration, Instant, IpCidr, LinkCaps, ListenOptions, ListenerId, RxMeta,
    Secret, Stack, StackConfig,
};

/// Connections from one address to one port: the ephemeral ports are 32,768.
const PER_PORT: usize = 25_000;
/// One way from stack to stack.
const DELAY: Duration = Duration::from_micros(25);

pub(crate) struct Pair {
    pub(crate) client: Stack,
    pub(crate) server: Stack,
    pub(crate) now: Instant,
    /// Frames that arrived, and those that carried data.
    pub(crate) frames: u64,
    listeners: Vec<ListenerId>,
    opened: usize,
    frame: Vec<u8>,
}

/// Both ends of a connection.
#[derive(Copy, Clone)]
pub(crate) struct Ends {
    pub(crate) client: ConnId,
    pub(crate) server: ConnId,
}

fn address(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
}

fn stack(host: u8, offload: bool, change: &dyn Fn(&mut StackConfig)) -> Stack {
    let link = LinkCaps::ethernet(MacAddr([2, 0, 0, 0, 0, host]), 1500);
    let link = if offload { link.with_offload() } else { link };
    let mut config = StackConfig::new(IpCidr::new(address(host), 24), link);
    change(&mut config);
    Stack::new(config, Secret::new([host; 16]), Instant::ZERO).expect("a valid configuration")
}

impl Pair {
    /// With `offload`, super-frames travel whole.
    pub(crate) fn new(offload: bool) -> Self {
        Self::with(offload, |_| {})
    }

    pub(crate) fn with(offload: bool, change: impl Fn(&mut StackConfig)) -> Self {
        Self {
            client: stack(1, offload, &change),
            server: stack(2, offload, &change),
            now: Instant::ZERO,
            frames: 0,
            listeners: Vec::new(),
            opened: 0,
            frame: vec![0; 70_000],
        }
    }

    /// Opens a connection and accepts it.
    pub(crate) fn open(&mut self) -> Ends {
        let index = self.opened / PER_PORT;
        let remote = SocketAddr::new(address(2), 1000 + index as u16);
        if index == self.listeners.len() {
            let listener = self.server.listen(remote, ListenOptions::default());
            self.listeners.push(listener.expect("the port is free"));
        }
        self.opened += 1;
        let client = self
            .client
            .connect(self.now, remote, ConnectOptions::default())
            .expect("a connection starts");
        self.run();
        let accepted = self.server.accept(self.listeners[index]);
        let (server, _) = accepted.expect("a connection to accept");
        Ends { client, server }
    }

    /// Carries frames to and fro until both stacks are silent.
    pub(crate) fn run(&mut self) {
        loop {
            let before = self.frames;
            self.now += DELAY;
            carry(
                &mut self.client,
                &mut self.server,
                self.now,
                &mut self.frame,
                &mut self.frames,
            );
            self.now += DELAY;
            carry(
                &mut self.server,
                &mut self.client,
                self.now,
                &mut self.frame,
                &mut self.frames,
            );
            if self.frames == before {
                break;
            }
        }
        for stack in [&mut self.client, &mut self.server] {
            while stack.poll_event().is_some() {}
        }
    }

    /// Lets time pass, firing timers when they are due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        let next = |pair: &Self| {
            let deadlines = [pair.client.poll_timeout(), pair.server.poll_timeout()];
            deadlines.into_iter().flatten().min()
        };
        while let Some(at) = next(self).filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.run();
        }
        self.now = self.now.max(until);
    }
}

fn carry(from: &mut Stack, to: &mut Stack, now: Instant, frame: &mut [u8], frames: &mut u64) {
    while let Some(transmit) = from.poll_transmit(now) {
        let meta = RxMeta::from(transmit.offload());
        let len = transmit.copy_to(frame).expect("it fits");
        *frames += 1;
        let mut received: &[u8] = &frame[..len];
        to.handle_frame(now, &mut received, meta);
    }
}

/// Sends `data` from one stack and reads it at the other; both have nothing else to do.
pub(crate) fn transfer(pair: &mut Pair, ends: Ends, data: &[u8], to_server: bool) {
    let mut written = 0;
    let mut read = 0;
    let mut idle = 0;
    while read < data.len() {
        let before = (written, read);
        let now = pair.now;
        let (sender, receiver) = if to_server {
            (pair.client.conn(ends.client), pair.server.conn(ends.server))
        } else {
            (pair.server.conn(ends.server), pair.client.conn(ends.client))
        };
        if let Ok(n) = sender.expect("open").write(now, &data[written..]) {
            written += n;
        }
        let mut sink = |piece: &[u8]| {
            assert_eq!(piece, &data[read..read + piece.len()]);
            read += piece.len();
        };
        let _ = receiver
            .expect("open")
            .read_with(now, usize::MAX, &mut sink);
        pair.run();
        if (written, read) == before {
            // A delayed ACK, at most.
            idle += 1;
            assert!(idle < 100, "the transfer is stuck");
            pair.wait(Duration::from_millis(40));
        }
    }
}
