//! Drawn faults of the links, and drawn changes of links and interfaces during a run.

use tidewire_core::{Duration, Instant};
use tidewire_sim::{BurstLoss, HostId, LinkConfig, LinkId, Rng, World};
use tidewire_wire::MacAddr;

use super::{Notes, Versions, micros};
use crate::coverage::Feature;

/// A chance that is zero in half of the worlds.
fn fault(rng: &mut Rng, most_ppm: u64) -> u32 {
    if rng.chance(500_000) {
        0
    } else {
        rng.magnitude(100, most_ppm) as u32
    }
}

pub(super) fn draw_link(rng: &mut Rng) -> LinkConfig {
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
        path_mtu: None,
        up: true,
    }
}

/// In some worlds a router on the way has a smaller MTU than the link.
pub(super) fn draw_path_mtu(
    rng: &mut Rng,
    config: &LinkConfig,
    versions: Versions,
    notes: &mut Notes,
) -> Option<u32> {
    let smaller: Vec<_> = legal_mtus(versions)
        .iter()
        .filter(|&&mtu| mtu < config.mtu)
        .collect();
    if smaller.is_empty() || !rng.chance(60_000) {
        return None;
    }
    notes.count(Feature::PathMtu);
    Some(*smaller[rng.below(smaller.len() as u64) as usize])
}

fn legal_mtus(versions: Versions) -> &'static [u32] {
    const ALL: [u32; 10] = [
        128, 296, 576, 1_006, 1_280, 1_400, 1_492, 1_500, 4_352, 9_000,
    ];
    if versions == Versions::V4 {
        &ALL
    } else {
        &ALL[4..]
    }
}

/// What draws the events in the course of a run.
pub(super) struct Changes<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) world: &'a mut World,
    pub(super) notes: &'a mut Notes,
    pub(super) hosts: &'a [HostId],
    pub(super) versions: Versions,
    pub(super) link: LinkId,
    pub(super) config: &'a LinkConfig,
    /// When the faults stop.
    pub(super) until: Instant,
}

impl Changes<'_> {
    pub(super) fn draw(&mut self) {
        self.draw_flaps();
        self.draw_mac_changes();
        let last_mtu = self.draw_mtu_changes();
        let mut healthy = self.config.without_faults();
        if self.rng.chance(500_000) {
            healthy.mtu = last_mtu;
        }
        self.world.configure_at(self.until, self.link, healthy);
    }

    pub(super) fn moment(&mut self) -> Instant {
        Instant::from_nanos(self.rng.below(self.until.as_nanos()))
    }

    fn draw_mtu(&mut self) -> u32 {
        let legal = legal_mtus(self.versions);
        legal[self.rng.below(legal.len() as u64) as usize]
    }

    pub(super) fn pick(&mut self) -> usize {
        self.rng.below(self.hosts.len() as u64) as usize
    }

    /// In one of ten worlds the link goes down for a while, with the hosts told so.
    fn draw_flaps(&mut self) {
        if !self.rng.chance(100_000) {
            return;
        }
        let mut at = Instant::ZERO;
        loop {
            at += Duration::from_millis(self.rng.magnitude(10, 5_000));
            let back = at + Duration::from_millis(self.rng.magnitude(1, 3_000));
            if back >= self.until {
                return;
            }
            self.notes.count(Feature::LinkDown);
            let down = LinkConfig {
                up: false,
                ..self.config.clone()
            };
            self.world.configure_at(at, self.link, down);
            self.world
                .configure_at(back, self.link, self.config.clone());
            at = back;
        }
    }

    /// In one of ten worlds hosts get other MAC addresses.
    fn draw_mac_changes(&mut self) {
        if !self.rng.chance(100_000) {
            return;
        }
        for change in 0..self.rng.between(1, 3) as u8 {
            let host = self.hosts[self.pick()];
            let at = self.moment();
            let mac = MacAddr([2, 1, change, self.rng.below(256) as u8, 0, 0]);
            self.notes.count(Feature::OtherMac);
            self.notes.say(&format!("{host:?} is at {mac} from {at}"));
            self.world.readdress_at(at, host, mac);
        }
    }

    /// In some worlds the link's MTU changes, with the hosts told so; says which one is the last.
    fn draw_mtu_changes(&mut self) -> u32 {
        let mut mtu = self.config.mtu;
        if !self.rng.chance(80_000) {
            return mtu;
        }
        let mut times: Vec<_> = (0..self.rng.between(1, 3)).map(|_| self.moment()).collect();
        times.sort();
        for at in times {
            let before = std::mem::replace(&mut mtu, self.draw_mtu());
            if mtu < before {
                self.notes.count(Feature::LowerMtu);
            }
            self.notes
                .say(&format!("the link's MTU is {mtu} from {at}"));
            let changed = LinkConfig {
                mtu,
                ..self.config.clone()
            };
            self.world.configure_at(at, self.link, changed);
        }
        mtu
    }
}
