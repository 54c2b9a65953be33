//! What a seed stands for.

use std::net::SocketAddr;

use tidewire_core::{BufferSize, Duration, Instant, IpCidr};
use tidewire_sim::{
    BurstLoss, Ending, HostConfig, HostId, LinkConfig, LinkId, Peer, Plan, Rng, Server, World,
};

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

pub(crate) fn draw(seed: u64) -> Drawn {
    // Independent of the world's own numbers.
    let mut rng = Rng::new(seed ^ 0x7469_6465);
    let mut world = World::new(seed);
    let config = draw_link(&mut rng);
    let host_count = if rng.chance(200_000) { 3 } else { 2 };
    let mut summary = format!("seed {seed}: {config:?}");
    let mut smallest_buffer = usize::MAX;
    let hosts: Vec<_> = (1..=host_count)
        .map(|last| {
            let host = draw_host(&mut rng, last);
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
    world.configure_at(faults_stop, link, config.without_faults());
    summary += &draw_connections(&mut rng, &mut world, &hosts, &config, smallest_buffer);
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

fn draw_host(rng: &mut Rng, last: u8) -> HostConfig {
    let mut host = HostConfig::new(IpCidr::new([10, 0, 0, last].into(), 24));
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

fn draw_connections(
    rng: &mut Rng,
    world: &mut World,
    hosts: &[HostId],
    config: &LinkConfig,
    smallest_buffer: usize,
) -> String {
    let count = rng.between(1, 4) as u16;
    let mut summary = String::new();
    // What takes about 60 s: by the link's rate, over all connections and both directions, and by a buffer per trip.
    let by_rate = config
        .rate
        .map_or(u64::MAX, |rate| rate * 30 / u64::from(count));
    let trip = (2 * config.delay.as_micros()).saturating_mul(hosts.len() as u64);
    // A buffer of less than two usual segments may go at the pace of timeouts.
    let is_tiny = smallest_buffer < 3_000;
    let trip = if is_tiny {
        trip + 1_000_000
    } else {
        trip.max(1)
    };
    let by_buffer = smallest_buffer as u64 * 60_000_000 / trip;
    let most = by_rate.min(by_buffer).min(MOST_BYTES);
    let one_listener = rng.chance(500_000);
    let server = rng.below(hosts.len() as u64) as usize;
    let server_ip = [10, 0, 0, server as u8 + 1];
    let clients: Vec<usize> = (0..hosts.len()).filter(|&host| host != server).collect();
    let plans: Vec<_> = (0..count).map(|_| draw_plans(rng, most)).collect();
    if one_listener {
        let plans: Vec<_> = plans.iter().map(|(_, server)| server.clone()).collect();
        let plan =
            move |client: SocketAddr| plans[usize::from(client.port() - CLIENT_PORT)].clone();
        add(
            world,
            hosts[server],
            Server::new((server_ip, SERVER_PORT).into(), count.into(), plan),
        );
    }
    for (index, (client_plan, server_plan)) in (0..count).zip(plans) {
        summary += &format!("\nclient {client_plan:?}\nserver {server_plan:?}");
        let client = clients[rng.below(clients.len() as u64) as usize];
        let peer = if one_listener {
            let local = ([10, 0, 0, client as u8 + 1], CLIENT_PORT + index).into();
            Peer::connecting_from(local, (server_ip, SERVER_PORT).into(), client_plan)
        } else {
            let on: SocketAddr = (server_ip, SERVER_PORT + index).into();
            add(
                world,
                hosts[server],
                Server::new(on, 1, move |_| server_plan.clone()),
            );
            Peer::connecting(on, client_plan)
        };
        add(world, hosts[client], peer);
    }
    summary
}

fn add(world: &mut World, host: HostId, app: impl tidewire_sim::App + 'static) {
    if let Err(violation) = world.add_app(host, app) {
        panic!("{violation}");
    }
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
