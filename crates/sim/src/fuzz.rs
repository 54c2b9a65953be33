//! Fuzz target: hostile frames for one stack. `tests/fuzz.rs` runs it from seeds.
//!
//! An input is read as a list of steps: frames to inject, times to let pass, calls to make. The
//! stack under attack has listeners, and connections of both IP versions with an honest stack; the
//! frames of some, the victims, are what the attacker has seen and changes. It never sees the
//! others, which must still carry every byte in the end.

mod attacker;
mod input;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidewire_core::{
    BufferSize, ConnId, ConnectOptions, Duration, Instant, IpCidr, LinkCaps, ListenOptions,
    ListenerId, RxMeta, Secret, Stack, StackConfig,
};
use tidewire_wire::{EthernetHeader, MacAddr};

pub use attacker::Attacker;
pub use input::Input;

/// Runs `input` against a stack and says how many hostile frames it was fed.
///
/// # Panics
/// Where the stack panics, answers one frame with too many, lets a timer stand still, holds more
/// than its limits allow, or no longer serves a connection that had no part in it.
pub fn frames_into_stack(input: &[u8]) -> u64 {
    let mut arena = Arena::new();
    let mut input = Input::new(input);
    let mut frames = 0;
    while !input.is_empty() {
        frames += u64::from(arena.step(&mut input));
    }
    arena.check_liveness();
    frames
}

/// The MAC address of the stack under attack.
pub const TARGET_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The MAC address of its honest peer.
pub const HONEST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// The port whose connections the attacker does not see.
pub const INNOCENT: u16 = 80;
/// The port whose connections it sees.
pub const VICTIM: u16 = 81;
const BUFFER: usize = 32_768;
const MOST_CONNECTIONS: usize = 48;
const MOST_HALF_OPEN: usize = 16;
const MOST_TIME_WAIT: usize = 16;
/// Frames that one hostile frame may trigger: a full buffer in the smallest segments, and the
/// answers to it.
const MOST_ANSWERS: usize = 512;
/// Timeouts at one instant: several connections may have the same deadline.
const MOST_TIMEOUTS: usize = 2 * MOST_CONNECTIONS;
/// Memory allowed beside the buffers: what is kept for reuse, and small allocations of connections.
const MEMORY_FLOOR: usize = 2 << 20;

fn address(host: u8, v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into()
    } else {
        Ipv4Addr::new(10, 0, 0, host).into()
    }
}

fn stack(host: u8, mac: MacAddr) -> Stack {
    let link = LinkCaps::ethernet(mac, 1_500);
    let mut config = StackConfig::new(IpCidr::new(address(host, false), 24), link);
    config.addresses.push(IpCidr::new(address(host, true), 64));
    config.tcp.send_buffer = BufferSize::Fixed(BUFFER);
    config.tcp.recv_buffer = BufferSize::Fixed(BUFFER);
    config.max_connections = MOST_CONNECTIONS;
    config.max_half_open = MOST_HALF_OPEN;
    config.max_time_wait = MOST_TIME_WAIT;
    config.max_neighbors = 8;
    Stack::new(config, Secret::new([host; 16]), Instant::ZERO).expect("a legal configuration")
}

/// A stack under attack, an honest one, and the cable between them, to which the attacker has
/// access.
struct Arena {
    now: Instant,
    target: Stack,
    honest: Stack,
    attacker: Attacker,
    listeners: Vec<ListenerId>,
    /// Pairs of the honest end and the target's, of each IP version.
    innocents: Vec<(ConnId, ConnId)>,
    /// The target's connections that the attacker knows of.
    victims: Vec<ConnId>,
    /// The honest ends of some of them.
    honest_victims: Vec<ConnId>,
}

impl Arena {
    fn new() -> Self {
        let mut arena = Self {
            now: Instant::ZERO,
            target: stack(1, TARGET_MAC),
            honest: stack(2, HONEST_MAC),
            attacker: Attacker::default(),
            listeners: Vec::new(),
            innocents: Vec::new(),
            victims: Vec::new(),
            honest_victims: Vec::new(),
        };
        for port in [INNOCENT, VICTIM] {
            for v6 in [false, true] {
                arena.open(port, v6);
            }
        }
        arena
    }

    fn open(&mut self, port: u16, v6: bool) {
        let to = SocketAddr::new(address(1, v6), port);
        let options = ListenOptions {
            backlog: 4,
            ..ListenOptions::default()
        };
        let listener = self.target.listen(to, options).expect("the port is free");
        let honest = self
            .honest
            .connect(self.now, to, ConnectOptions::default())
            .expect("a legal destination");
        self.exchange();
        let (accepted, _) = self.target.accept(listener).expect("nothing is lost");
        if port == INNOCENT {
            self.innocents.push((honest, accepted));
        } else {
            self.victims.push(accepted);
            self.honest_victims.push(honest);
        }
        self.listeners.push(listener);
    }

    /// Carries frames between both stacks until neither has one to send.
    fn exchange(&mut self) {
        for _ in 0..MOST_ANSWERS {
            let mut silent = true;
            for frame in drain(&mut self.target, self.now) {
                silent = false;
                self.attacker.see(&frame, true);
                if is_for(&frame, HONEST_MAC) {
                    self.honest
                        .handle_frame(self.now, &mut &frame[..], RxMeta::default());
                }
            }
            for frame in drain(&mut self.honest, self.now) {
                silent = false;
                self.attacker.see(&frame, false);
                if is_for(&frame, TARGET_MAC) {
                    self.target
                        .handle_frame(self.now, &mut &frame[..], RxMeta::default());
                }
            }
            while self.honest.poll_event().is_some() {}
            while self.target.poll_event().is_some() {}
            if silent {
                return self.check_bounds();
            }
        }
        panic!("the stacks answer each other for ever");
    }

    /// One step of the input; says whether it fed a frame.
    fn step(&mut self, input: &mut Input<'_>) -> bool {
        match input.byte() % 16 {
            0 => self.pass(Duration::from_micros(u64::from(input.word()))),
            1 => self.pass(Duration::from_millis(u64::from(input.word()) % 4_096)),
            2 => self.call(input),
            3 => self.honest_call(input),
            kind => {
                let (frame, meta) = self.attacker.frame(kind, input);
                self.target.handle_frame(self.now, &mut &frame[..], meta);
                // Several frames may come before the stack is polled.
                if input.byte() & 7 != 0 {
                    self.exchange();
                }
                return true;
            }
        }
        self.exchange();
        false
    }

    /// Time passes, timer by timer.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        for stack in [&mut self.target, &mut self.honest] {
            let (mut last, mut same) = (Instant::ZERO, 0);
            while let Some(at) = stack.poll_timeout().filter(|at| *at <= until) {
                same = if at > last { 0 } else { same + 1 };
                assert!(same < MOST_TIMEOUTS, "a timer stands still at {at}");
                last = last.max(at);
                stack.handle_timeout(at);
                // Frames that timers send are lost: the other end's turn comes with the next step.
                drain(stack, at);
                while stack.poll_event().is_some() {}
            }
        }
        self.now = until;
    }

    /// The target's application does something with a connection that is under attack.
    fn call(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        let what = input.byte();
        if what % 8 == 7 {
            for &listener in &self.listeners {
                while let Some((id, _)) = self.target.accept(listener) {
                    self.victims.push(id);
                }
            }
            if self.victims.len() < MOST_CONNECTIONS / 2 {
                let to = SocketAddr::new(address(2 + what % 3, what >= 128), input.word());
                let opened = self.target.connect(now, to, ConnectOptions::default());
                self.victims.extend(opened);
            }
            return;
        }
        if self.victims.is_empty() {
            return;
        }
        let nth = usize::from(input.byte()) % self.victims.len();
        let id = self.victims[nth];
        let Some(mut conn) = self.target.conn(id) else {
            self.victims.swap_remove(nth);
            return;
        };
        // Any result is allowed here; only the stack's bounds are checked.
        match what % 8 {
            0..=2 => {
                let _ = conn.write(now, &vec![7; usize::from(input.word()) % 4_096]);
            }
            3 | 4 => {
                let _ = conn.read(now, &mut [0; 2_048]);
            }
            5 => {
                let _ = conn.shutdown_write(now);
            }
            _ if what & 64 == 0 => {
                conn.close(now);
                self.victims.swap_remove(nth);
            }
            _ => {
                conn.abort(now);
                self.victims.swap_remove(nth);
            }
        }
    }

    /// The honest end works on the attacked connections, or opens one.
    fn honest_call(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        self.honest_victims
            .retain(|&id| self.honest.conn(id).is_some());
        if what & 1 == 0 && self.honest_victims.len() < 4 {
            let to = SocketAddr::new(address(1, what & 2 != 0), VICTIM);
            let opened = self.honest.connect(self.now, to, ConnectOptions::default());
            self.honest_victims.extend(opened);
        }
        for &id in &self.honest_victims {
            if let Some(mut conn) = self.honest.conn(id) {
                let _ = conn.read(self.now, &mut [0; 4_096]);
                let _ = conn.write(self.now, &vec![9; usize::from(what) * 8]);
                if conn.connect_result().is_some_and(|result| result.is_err()) {
                    conn.close(self.now);
                }
            }
        }
    }

    /// Neither tables nor memory grow beyond what the configuration says.
    fn check_bounds(&self) {
        let counts = self.target.connection_counts();
        assert!(counts.connections <= MOST_CONNECTIONS, "{counts:?}");
        assert!(counts.half_open <= MOST_HALF_OPEN, "{counts:?}");
        assert!(counts.time_wait <= MOST_TIME_WAIT, "{counts:?}");
        let most = counts.connections * 4 * BUFFER + MEMORY_FLOOR;
        let used = self.target.memory_used();
        assert!(used <= most, "{used} bytes for {counts:?}");
    }

    /// Every innocent connection carries bytes both ways, after the honest stack has announced its
    /// addresses again.
    fn check_liveness(&mut self) {
        self.honest.announce_addresses(self.now);
        self.exchange();
        for (honest, accepted) in self.innocents.clone() {
            let now = self.now;
            let send = |stack: &mut Stack, id, data: &[u8]| {
                let mut conn = stack.conn(id).expect("an innocent connection lives");
                assert_eq!(conn.write(now, data), Ok(data.len()));
            };
            send(&mut self.honest, honest, b"ping");
            send(&mut self.target, accepted, b"pong");
            for end in [(true, honest, b"pong"), (false, accepted, b"ping")] {
                self.expect(end);
            }
        }
    }

    fn expect(&mut self, (by_honest, id, expected): (bool, ConnId, &[u8; 4])) {
        let mut got = Vec::new();
        // A poisoned neighbour entry costs a few retransmissions.
        for _ in 0..400 {
            self.exchange();
            let stack = if by_honest {
                &mut self.honest
            } else {
                &mut self.target
            };
            let mut bytes = [0; 16];
            let mut conn = stack.conn(id).expect("an innocent connection lives");
            if let Ok(len) = conn.read(self.now, &mut bytes) {
                got.extend_from_slice(&bytes[..len]);
            }
            if got.len() >= expected.len() {
                break;
            }
            self.now += Duration::from_millis(500);
            self.target.handle_timeout(self.now);
            self.honest.handle_timeout(self.now);
        }
        assert_eq!(got, expected, "{id:?}, read by the honest end: {by_honest}");
    }
}

/// All frames that a stack has to send.
fn drain(stack: &mut Stack, now: Instant) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(transmit) = stack.poll_transmit(now) {
        let mut frame = vec![0; transmit.len()];
        transmit.copy_to(&mut frame).expect("it has the length");
        frames.push(frame);
        assert!(frames.len() <= MOST_ANSWERS, "too much for one step");
    }
    frames
}

fn is_for(frame: &[u8], mac: MacAddr) -> bool {
    EthernetHeader::parse(frame)
        .is_ok_and(|(header, _)| header.dst == mac || header.dst.is_multicast())
}
