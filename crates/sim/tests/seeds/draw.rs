//! World drawn from a seed.

mod connections;
mod faults;
mod host;
mod plans;
mod reboot;

use tidewire_core::{Duration, Instant};
use tidewire_sim::{HostId, Rng, World};

use connections::{Connections, most_bytes};
use faults::{Changes, draw_link};
use host::draw_host;
use reboot::draw_reboot;

use crate::coverage::{Coverage, Feature};

/// A world with everything in it, not run yet.
pub(crate) struct Drawn {
    pub(crate) world: World,
    pub(crate) hosts: Vec<HostId>,
    /// From here on links only delay.
    pub(crate) faults_stop: Instant,
    /// How long everything may take from then on.
    pub(crate) patience: Duration,
    pub(crate) notes: Notes,
}

/// What is to be said of a world.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) summary: String,
    /// The memory budget of each host, where it is small.
    pub(crate) budgets: Vec<(HostId, usize)>,
    pub(crate) coverage: Coverage,
}

impl Notes {
    fn say(&mut self, line: &str) {
        self.summary += "\n";
        self.summary += line;
    }

    fn count(&mut self, feature: Feature) {
        self.coverage.count(feature);
    }
}

/// Which addresses hosts have.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Versions {
    V4,
    V6,
    Both,
}

impl Versions {
    /// Whether a connection uses IPv6.
    fn is_v6(self, rng: &mut Rng) -> bool {
        match self {
            Self::V4 => false,
            Self::V6 => true,
            Self::Both => rng.chance(500_000),
        }
    }
}

/// How much of a world there is.
struct Size {
    hosts: u8,
    connections: u16,
    /// Whether hosts have little memory.
    scarce: bool,
}

fn draw_size(rng: &mut Rng) -> Size {
    let scarce = rng.chance(50_000);
    let (hosts, connections) = match rng.below(1_000) {
        // The costly ones are few.
        0 => (20, rng.between(900, 1_000)),
        1..4 => (rng.between(10, 20), rng.between(100, 1_000)),
        4..52 => (rng.between(4, 20), rng.between(1, 30)),
        52..250 => (3, rng.between(1, 4)),
        _ if scarce => (2, rng.between(1, 12)),
        _ => (2, rng.between(1, 4)),
    };
    Size {
        hosts: hosts as u8,
        connections: connections as u16,
        scarce,
    }
}

impl Size {
    fn note(&self, notes: &mut Notes) {
        if self.hosts >= 10 && self.connections >= 100 {
            notes.count(Feature::BigWorld);
        }
        if self.hosts == 20 && self.connections >= 900 {
            notes.count(Feature::LargestWorld);
        }
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
    let mut notes = Notes::default();
    size.note(&mut notes);
    config.path_mtu = faults::draw_path_mtu(&mut rng, &config, versions, &mut notes);
    notes.summary = format!("seed {seed}: {versions:?} {config:?}");
    let mut smallest_buffer = usize::MAX;
    let hosts: Vec<_> = (1..=size.hosts)
        .map(|last| {
            let host = draw_host(&mut rng, last, versions, &size, &mut notes);
            smallest_buffer = smallest_buffer.min(host::smallest_buffer(&host, &size));
            let budget = host.stack.memory;
            let id = world.add_host(host).expect("a legal configuration");
            if size.scarce {
                notes.budgets.push((id, budget));
            }
            id
        })
        .collect();
    let link = match hosts[..] {
        [a, b] => world.link(a, b, config.clone()),
        _ => world.switch(&hosts, config.clone()),
    };
    let faults_stop = Instant::ZERO + Duration::from_millis(rng.between(1_000, 20_000));
    let most = most_bytes(&size, &config, smallest_buffer);
    let mut changes = Changes {
        rng: &mut rng,
        world: &mut world,
        notes: &mut notes,
        hosts: &hosts,
        versions,
        link,
        config: &config,
        until: faults_stop,
    };
    changes.draw();
    draw_reboot(&mut changes, most);
    let mut drawing = Connections {
        rng: &mut rng,
        world: &mut world,
        notes: &mut notes,
        hosts: &hosts,
        versions,
        count: size.connections,
    };
    drawing.draw(most);
    // The longest back-off is 120 s, and applications that wait for a lost reset give up after 200
    // s.
    Drawn {
        world,
        hosts,
        faults_stop,
        patience: Duration::from_secs(600),
        notes,
    }
}

fn micros(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_micros(rng.magnitude(least, most))
}
