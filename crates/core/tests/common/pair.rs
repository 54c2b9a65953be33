//! Two stacks on one wire, without loss and without delay.

use std::net::SocketAddr;

use tidewire_core::wire::{Frame, MacAddr};
use tidewire_core::{
    ConnId, ConnectOptions, Instant, IpCidr, LinkCaps, ListenOptions, ReadError, RxMeta, Secret,
    Stack, StackConfig, State, WriteError,
};

use super::*;

pub(crate) const A_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
pub(crate) const B_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);

/// Two stacks and what passed between them.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) a: Stack,
    pub(crate) b: Stack,
    /// One line for each frame, as `tcpdump` would write it, behind the name of its sender.
    pub(crate) log: Vec<String>,
    /// The frames themselves.
    pub(crate) frames: Vec<Vec<u8>>,
}

/// A stack's configuration with these addresses.
pub(crate) fn host_config(mac: MacAddr, addresses: &[&str]) -> StackConfig {
    let cidr = |text: &&str| {
        let (address, len) = text.split_once('/').expect("address/len");
        IpCidr::new(address.parse().unwrap(), len.parse().unwrap())
    };
    let addresses: Vec<IpCidr> = addresses.iter().map(cidr).collect();
    let mut config = StackConfig::new(addresses[0], LinkCaps::ethernet(mac, 1500));
    config.addresses = addresses;
    config
}

impl Pair {
    pub(crate) fn new(a: &[&str], b: &[&str]) -> Self {
        Self::with(host_config(A_MAC, a), host_config(B_MAC, b))
    }

    pub(crate) fn with(a: StackConfig, b: StackConfig) -> Self {
        let now = Instant::ZERO + secs(1);
        let stack = |config, seed| Stack::new(config, Secret::new([seed; 16]), now).unwrap();
        Self {
            now,
            a: stack(a, 1),
            b: stack(b, 2),
            log: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Carries frames until both are silent.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            let (now, mut bytes) = (self.now, vec![0; 70_000]);
            let mut carry = |name, from: &mut Stack, to: &mut Stack| {
                let Some(transmit) = from.poll_transmit(now) else {
                    return false;
                };
                let (offload, len) = (transmit.offload(), transmit.copy_to(&mut bytes).unwrap());
                self.log
                    .push(format!("{name} {}", Frame::parse(&bytes[..len]).unwrap()));
                self.frames.push(bytes[..len].to_vec());
                to.handle_frame(now, &mut &bytes[..len], RxMeta::from(offload));
                true
            };
            let moved = carry("a", &mut self.a, &mut self.b);
            if !carry("b", &mut self.b, &mut self.a) && !moved {
                return;
            }
        }
        panic!("they never stop sending");
    }

    /// Lets time pass for both.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        self.run();
        loop {
            let next = [self.a.poll_timeout(), self.b.poll_timeout()];
            let Some(at) = next.into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
            self.run();
        }
        self.now = until;
    }

    /// A connection from A to `to`, where B listens on `at`; established.
    pub(crate) fn connect(&mut self, to: &str, at: &str) -> (ConnId, ConnId) {
        let listener = self
            .b
            .listen(at.parse().unwrap(), ListenOptions::default())
            .expect("a listener");
        let to: SocketAddr = to.parse().unwrap();
        let options = ConnectOptions::default();
        let client = self.a.connect(self.now, to, options).expect("a connection");
        self.run();
        let (server, _) = self.b.accept(listener).expect("it is accepted");
        assert_eq!(self.a.conn(client).unwrap().state(), State::Established);
        (client, server)
    }

    /// The lines about this, without their senders.
    pub(crate) fn lines(&self, about: &str) -> Vec<&str> {
        let lines = self.log.iter().map(String::as_str);
        lines.filter(|line| line.contains(about)).collect()
    }
}

/// Moves `len` bytes of the pattern from one connection to the other, and says how many frames that
/// took.
pub(crate) fn transfer(pair: &mut Pair, client: ConnId, server: ConnId, len: usize) -> usize {
    let data: Vec<u8> = (0..len as u64).map(pattern).collect();
    let (mut written, mut read) = (0, Vec::new());
    let frames = pair.frames.len();
    for _ in 0..10_000 {
        let now = pair.now;
        match pair.a.conn(client).unwrap().write(now, &data[written..]) {
            Ok(n) => written += n,
            Err(WriteError::Blocked) => {}
            Err(error) => panic!("{error}"),
        }
        pair.run();
        let mut bytes = vec![0; 65_536];
        loop {
            match pair.b.conn(server).unwrap().read(now, &mut bytes) {
                Ok(n) => read.extend_from_slice(&bytes[..n]),
                Err(ReadError::Blocked) => break,
                Err(error) => panic!("{error}"),
            }
        }
        if read.len() == len {
            assert!(read == data, "every byte is right");
            return pair.frames.len() - frames;
        }
        pair.advance(ms(50));
    }
    panic!("{} of {len} bytes arrived", read.len());
}
