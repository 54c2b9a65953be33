//! What a seed stands for.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tidewire_core::{BufferSize, Duration, Instant, IpCidr, ListenOptions};
use tidewire_sim::{
    App, BurstLoss, Ending, HostConfig, HostId, LinkConfig, LinkId, Peer, Plan, Rng, Server, World,
};
use tidewire_wire::MacAddr;

/// A world with everything in it, not run yet.
pub(crate) struct Drawn {
    pub(crate) world: World,
    pub(crate) hosts: Vec<HostId>,
    /// From here on links only delay.
    pub(crate) faults_stop: Instant,
    /// How long everything may take from then on.
    pub(crate) patience: Duration,
    pub(crate) summary: String,
}

/// Which addresses hosts have.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Versions {
    V4,
    V6,
    Both,
}

/// How much of a world there is.
struct Size {
    hosts: u8,
    connections: u16,
}

fn draw_size(rng: &mut Rng) -> Size {
    match rng.below(1_000) {
        // The costly ones are few.
        0..2 => Size {
            hosts: rng.between(10, 20) as u8,
            connections: rng.between(100, 1_000) as u16,
        },
        2..52 => Size {
            hosts: rng.between(4, 20) as u8,
            connections: rng.between(1, 30) as u16,
        },
        52..250 => Size {
            hosts: 3,
            connections: rng.between(1, 4) as u16,
        },
        _ => Size {
            hosts: 2,
            connections: rng.between(1, 4) as u16,
        },
    }
}

pub(crate) fn draw(seed: u64) -> Drawn {
    // Independent of the world's own numbers.
    let mut rng = Rng::new(seed ^ 0x7469_6465);
    let size = draw_size(&mut rng);
    let mut world = World::new(seed);
    let mut config = draw_link(&mut rng);
    if size.connections > 4 {
        // What many have to share must be enough for them to come through in time.
        let least = u64::from(size.connections) * 20_000;
        config.rate = config.rate.map(|rate| rate.max(least));
        config.queue = config.queue.max(100_000);
    }
    let versions = match rng.below(3) {
        _ if config.mtu < 1_280 => Versions::V4,
        0 => Versions::V4,
        1 => Versions::V6,
        _ => Versions::Both,
    };
    let mut summary = format!("seed {seed}: {versions:?} {config:?}");
    let mut smallest_buffer = usize::MAX;
    let hosts: Vec<_> = (1..=size.hosts)
        .map(|last| {
            let host = draw_host(&mut rng, last, versions);
            let tcp = &host.stack.tcp;
            smallest_buffer = smallest_buffer
                .min(tcp.send_buffer.max())
                .min(tcp.recv_buffer.max());
            let offload = (host.segmentation_offload, host.receive_coalescing.is_some());
            summary += &format!("\nhost {last}: offload {offload:?}, {tcp:?}");
            world.add_host(host).expect("a legal configuration")
        })
        .collect();
    let link = match hosts[..] {
        [a, b] => world.link(a, b, config.clone()),
        _ => world.switch(&hosts, config.clone()),
    };
    let faults_stop = Instant::ZERO + Duration::from_millis(rng.between(1_000, 20_000));
    draw_flaps(&mut rng, &mut world, link, &config, faults_stop);
    summary += &draw_mac_changes(&mut rng, &mut world, &hosts, faults_stop);
    world.configure_at(faults_stop, link, config.without_faults());
    let mut drawing = Connections {
        rng: &mut rng,
        world: &mut world,
        hosts: &hosts,
        versions,
        count: size.connections,
    };
    summary += &drawing.draw(&config, smallest_buffer);
    // The longest back-off is 120 s, and applications that wait for a lost reset give up after 200 s.
    Drawn {
        world,
        hosts,
        faults_stop,
        patience: Duration::from_secs(600),
        summary,
    }
}

fn micros(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_micros(rng.magnitude(least, most))
}

/// A chance that is zero in half of the worlds.
fn fault(rng: &mut Rng, most_ppm: u64) -> u32 {
    if rng.chance(500_000) {
        0
    } else {
        rng.magnitude(100, most_ppm) as u32
    }
}

fn draw_link(rng: &mut Rng) -> LinkConfig {
    let delay = micros(rng, 10, 100_000);
    let burst = BurstLoss {
        enter_ppm: rng.magnitude(100, 5_000) as u32,
        leave_ppm: rng.between(50_000, 500_000) as u32,
        loss_ppm: rng.between(300_000, 1_000_000) as u32,
    };
    LinkConfig {
        delay,
        jitter: if rng.chance(500_000) {
            Duration::ZERO
        } else {
            micros(rng, 1, delay.as_micros())
        },
        rate: if rng.chance(300_000) {
            None
        } else {
            Some(rng.magnitude(50_000, 100_000_000))
        },
        queue: rng.magnitude(30_000, 1_000_000) as usize,
        loss_ppm: if rng.chance(50_000) {
            200_000
        } else {
            fault(rng, 50_000)
        },
        burst: rng.chance(200_000).then_some(burst),
        reorder_ppm: fault(rng, 100_000),
        reorder_delay: micros(rng, 10, 50_000),
        duplicate_ppm: fault(rng, 50_000),
        corrupt_ppm: fault(rng, 30_000),
        mtu: [
            128, 296, 576, 1_280, 1_500, 1_500, 1_500, 1_500, 9_000, 65_535,
        ][rng.below(10) as usize],
        up: true,
    }
}

/// The address of a host that connections use.
fn address(last: u8, v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()).into()
    } else {
        [10, 0, 0, last].into()
    }
}

fn draw_host(rng: &mut Rng, last: u8, versions: Versions) -> HostConfig {
    let v4 = IpCidr::new(address(last, false), 24);
    let v6 = IpCidr::new(address(last, true), 64);
    let mut host = match versions {
        Versions::V4 | Versions::Both => HostConfig::new(v4),
        Versions::V6 => HostConfig::new(v6),
    };
    if versions == Versions::Both {
        host.stack.addresses.push(v6);
    }
    // Some that no connection uses.
    if versions != Versions::V4 && rng.chance(500_000) {
        let local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into());
        host.stack.addresses.push(IpCidr::new(local.into(), 64));
    }
    if versions != Versions::V6 && rng.chance(200_000) {
        host.stack
            .addresses
            .push(IpCidr::new([192, 168, 7, last].into(), 24));
    }
    host.segmentation_offload = rng.chance(400_000);
    host.receive_coalescing = rng.chance(300_000).then(|| micros(rng, 1, 1_000));
    host.timer_slack = if rng.chance(500_000) {
        Duration::ZERO
    } else {
        micros(rng, 1, 4_000)
    };
    let tcp = &mut host.stack.tcp;
    tcp.send_buffer = draw_buffer(rng, 1_000);
    let least = if rng.chance(100_000) { 1 } else { 2_000 };
    tcp.recv_buffer = draw_buffer(rng, least);
    tcp.nodelay = rng.chance(500_000);
    tcp.delayed_ack = Duration::from_millis(rng.below(100));
    tcp.timestamps = !rng.chance(200_000);
    tcp.sack = !rng.chance(200_000);
    tcp.window_scaling = !rng.chance(200_000);
    host
}

fn draw_buffer(rng: &mut Rng, least: u64) -> BufferSize {
    let size = rng.magnitude(least, 1_000_000) as usize;
    if rng.chance(500_000) {
        BufferSize::Fixed(size)
    } else {
        BufferSize::Auto { max: 4 * size }
    }
}

/// In one of ten worlds the link goes down for a while, with the hosts told so.
fn draw_flaps(rng: &mut Rng, world: &mut World, link: LinkId, config: &LinkConfig, until: Instant) {
    if !rng.chance(100_000) {
        return;
    }
    let mut at = Instant::ZERO;
    loop {
        at += Duration::from_millis(rng.magnitude(10, 5_000));
        let back = at + Duration::from_millis(rng.magnitude(1, 3_000));
        if back >= until {
            return;
        }
        world.configure_at(
            at,
            link,
            LinkConfig {
                up: false,
                ..config.clone()
            },
        );
        world.configure_at(back, link, config.clone());
        at = back;
    }
}

/// In one of ten worlds hosts get other MAC addresses.
fn draw_mac_changes(rng: &mut Rng, world: &mut World, hosts: &[HostId], until: Instant) -> String {
    if !rng.chance(100_000) {
        return String::new();
    }
    let mut summary = String::new();
    for change in 0..rng.between(1, 3) as u8 {
        let host = hosts[rng.below(hosts.len() as u64) as usize];
        let at = Duration::from_nanos(rng.below(until.as_nanos()));
        let mac = MacAddr([2, 1, change, rng.below(256) as u8, 0, 0]);
        summary += &format!("\n{host:?} is at {mac} after {at:?}");
        world.readdress_at(Instant::ZERO + at, host, mac);
    }
    summary
}

/// What draws the connections of a world.
struct Connections<'a> {
    rng: &'a mut Rng,
    world: &'a mut World,
    hosts: &'a [HostId],
    versions: Versions,
    count: u16,
}

impl Connections<'_> {
    fn draw(&mut self, config: &LinkConfig, smallest_buffer: usize) -> String {
        let most = self.most_bytes(config, smallest_buffer);
        match self.rng.below(10) {
            0..5 => self.one_listener(most),
            5..9 => self.a_listener_each(most),
            _ => self.simultaneous(most),
        }
    }

    /// What takes about 60 s: by the link's rate, over all connections and both directions, and by a buffer per trip.
    fn most_bytes(&self, config: &LinkConfig, smallest_buffer: usize) -> u64 {
        let count = u64::from(self.count);
        let by_rate = config.rate.map_or(u64::MAX, |rate| rate * 30 / count);
        let cables = self.hosts.len().min(3) as u64;
        let trip = (2 * config.delay.as_micros()).saturating_mul(cables);
        // A buffer of less than two usual segments may go at the pace of timeouts.
        let is_tiny = smallest_buffer < 3_000;
        let trip = if is_tiny {
            trip + 1_000_000
        } else {
            trip.max(1)
        };
        let by_buffer = smallest_buffer as u64 * 60_000_000 / trip;
        let by_count = if count > 4 {
            6_000_000 / count
        } else {
            MOST_BYTES
        };
        by_rate.min(by_buffer).min(by_count).min(MOST_BYTES)
    }

    fn is_v6(&mut self) -> bool {
        match self.versions {
            Versions::V4 => false,
            Versions::V6 => true,
            Versions::Both => self.rng.chance(500_000),
        }
    }

    fn pick(&mut self) -> u8 {
        self.rng.below(self.hosts.len() as u64) as u8
    }

    /// Two hosts that are not the same.
    fn pick_two(&mut self) -> (u8, u8) {
        let first = self.pick();
        let further = 1 + self.rng.below(self.hosts.len() as u64 - 1) as u8;
        (first, (first + further) % self.hosts.len() as u8)
    }

    fn add(&mut self, host: u8, app: impl App + 'static) {
        if let Err(violation) = self.world.add_app(self.hosts[usize::from(host)], app) {
            panic!("{violation}");
        }
    }

    /// All connect to one listener, which may be late to accept, and small.
    fn one_listener(&mut self, most: u64) -> String {
        let count = self.count;
        let plans: Vec<_> = (0..count).map(|_| draw_plans(self.rng, most)).collect();
        let mut summary = describe(&plans);
        let (v6, server) = (self.is_v6(), self.pick());
        let to = SocketAddr::from((address(server + 1, v6), SERVER_PORT));
        let of_client: Vec<_> = plans.iter().map(|(_, server)| server.clone()).collect();
        let plan =
            move |client: SocketAddr| of_client[usize::from(client.port() - CLIENT_PORT)].clone();
        let mut listener = Server::new(to, count.into(), plan);
        if self.rng.chance(200_000) {
            // SYNs that come again come all at once: in each of their few rounds enough must find room.
            let backlog = 1 + self.rng.below(8) as usize + usize::from(count / 2);
            let late = micros(self.rng, 1, 3_000_000);
            summary += &format!("\nbacklog {backlog}, accepted after {late:?}");
            listener = listener
                .with_options(ListenOptions {
                    backlog,
                    ..ListenOptions::default()
                })
                .accepting_after(late);
        }
        self.add(server, listener);
        for (index, (plan, _)) in (0..count).zip(plans) {
            let others = self.hosts.len() as u64 - 1;
            let client = (server + 1 + self.rng.below(others) as u8) % self.hosts.len() as u8;
            let local = (address(client + 1, v6), CLIENT_PORT + index).into();
            self.add(client, Peer::connecting_from(local, to, plan));
        }
        summary
    }

    fn a_listener_each(&mut self, most: u64) -> String {
        let mut summary = String::new();
        for index in 0..self.count {
            let plans = draw_plans(self.rng, most);
            summary += &describe(std::slice::from_ref(&plans));
            let (client_plan, server_plan) = plans;
            let (server, client) = self.pick_two();
            let v6 = self.is_v6();
            let on = SocketAddr::from((address(server + 1, v6), SERVER_PORT + index));
            self.add(server, Server::new(on, 1, move |_| server_plan.clone()));
            self.add(client, Peer::connecting(on, client_plan));
        }
        summary
    }

    /// Both ends connect at the same instant, and again where they do not meet.
    fn simultaneous(&mut self, most: u64) -> String {
        let mut summary = "\nsimultaneous opens".to_string();
        for index in 0..self.count {
            let plans = draw_plans(self.rng, most);
            summary += &describe(std::slice::from_ref(&plans));
            let (a, b) = self.pick_two();
            let v6 = self.is_v6();
            let left = SocketAddr::from((address(a + 1, v6), CLIENT_PORT + index));
            let right = SocketAddr::from((address(b + 1, v6), SERVER_PORT + index));
            self.add(a, Peer::connecting_from(left, right, plans.0).insisting());
            self.add(b, Peer::connecting_from(right, left, plans.1).insisting());
        }
        summary
    }
}

fn describe(plans: &[(Plan, Plan)]) -> String {
    plans
        .iter()
        .map(|(client, server)| format!("\nclient {client:?}\nserver {server:?}"))
        .collect()
}

/// What both ends of a connection do.
fn draw_plans(rng: &mut Rng, most: u64) -> (Plan, Plan) {
    let size = |rng: &mut Rng| {
        if rng.chance(150_000) {
            0
        } else {
            rng.magnitude(1, most)
        }
    };
    let (client_bytes, server_bytes) = (size(rng), size(rng));
    let (client, server) = match rng.below(10) {
        0 => (Ending::HalfClose, Ending::ReadFirst),
        1 => (Ending::ReadFirst, Ending::HalfClose),
        2 => (
            Ending::Abort {
                after: rng.between(1, client_bytes + 1),
            },
            Ending::HalfClose,
        ),
        3 => (
            Ending::HalfClose,
            Ending::Abort {
                after: rng.between(1, server_bytes + 1),
            },
        ),
        4 => (Ending::CloseAtOnce, Ending::HalfClose),
        _ => (Ending::HalfClose, Ending::HalfClose),
    };
    // Nothing can be known to have arrived where nothing is sent.
    let client_bytes = if matches!(client, Ending::Abort { .. }) {
        client_bytes.max(1)
    } else {
        client_bytes
    };
    let server_bytes = match (client, server) {
        (Ending::CloseAtOnce, _) => 0,
        (_, Ending::Abort { .. }) => server_bytes.max(1),
        _ => server_bytes,
    };
    (
        draw_plan(rng, client_bytes, server_bytes, client),
        draw_plan(rng, server_bytes, client_bytes, server),
    )
}

fn draw_plan(rng: &mut Rng, send: u64, receive: u64, ending: Ending) -> Plan {
    let chunk = |rng: &mut Rng, total: u64| {
        let most = rng.magnitude(1, 100_000).max(total / 20_000);
        1..=most
    };
    let (write_chunk, read_chunk) = (chunk(rng, send), chunk(rng, receive));
    // A handful of pauses over the whole connection.
    let chunks = 1 + 2 * send / write_chunk.end() + 2 * receive / read_chunk.end();
    let stall_ppm = (rng.below(5_000_000) / chunks).min(900_000) as u32;
    Plan {
        send,
        write_chunk,
        read_chunk,
        by_reference_ppm: rng.below(1_000_001) as u32,
        stall_ppm,
        stall: Duration::from_micros(rng.magnitude(1, 3_000_000)),
        ending,
    }
}

const MOST_BYTES: u64 = 1_500_000;
const SERVER_PORT: u16 = 7_000;
const CLIENT_PORT: u16 = 40_000;
