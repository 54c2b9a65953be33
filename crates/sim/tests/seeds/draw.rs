//! What a seed stands for.

mod connections;
mod faults;
mod host;
mod plans;

use tidewire_core::{Duration, Instant};
use tidewire_sim::{HostId, Rng, World};

use connections::Connections;
use faults::{draw_flaps, draw_link, draw_mac_changes};
use host::draw_host;

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
