//! What the link does to frames, and what happens to links and interfaces in the course of a run.

use tidewire_core::{Duration, Instant};
use tidewire_sim::{BurstLoss, HostId, LinkConfig, LinkId, Rng, World};
use tidewire_wire::MacAddr;

use super::micros;

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

/// In one of ten worlds the link goes down for a while, with the hosts told so.
pub(super) fn draw_flaps(
    rng: &mut Rng,
    world: &mut World,
    link: LinkId,
    config: &LinkConfig,
    until: Instant,
) {
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
pub(super) fn draw_mac_changes(
    rng: &mut Rng,
    world: &mut World,
    hosts: &[HostId],
    until: Instant,
) -> String {
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
