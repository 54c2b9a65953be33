//! Drawn hosts: addresses, interfaces, buffers.

use std::net::{IpAddr, Ipv6Addr};

use tidewire_core::{Algorithm, BufferSize, Duration, IpCidr};
use tidewire_sim::{HostConfig, Rng};

use super::{Notes, Size, Versions, micros};
use crate::coverage::Feature;

/// The address of a host that connections use.
pub(super) fn address(last: u8, v6: bool) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()).into()
    } else {
        [10, 0, 0, last].into()
    }
}

pub(super) fn draw_host(
    rng: &mut Rng,
    last: u8,
    versions: Versions,
    size: &Size,
    notes: &mut Notes,
) -> HostConfig {
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
    if rng.chance(300_000) {
        tcp.congestion = Algorithm::NewReno;
        notes.count(Feature::NewReno);
    }
    let (tcp, memory) = (tcp.clone(), draw_memory(rng, size, notes));
    host.stack.memory = memory.unwrap_or(host.stack.memory);
    let offload = (host.segmentation_offload, host.receive_coalescing.is_some());
    notes.say(&format!(
        "host {last}: offload {offload:?}, memory {memory:?}, {tcp:?}"
    ));
    host
}

/// A budget that a few connections use up.
fn draw_memory(rng: &mut Rng, size: &Size, notes: &mut Notes) -> Option<usize> {
    if !size.scarce || rng.chance(300_000) {
        return None;
    }
    notes.count(Feature::SmallMemory);
    let for_all = 2_000 * usize::from(size.connections);
    Some(for_all + rng.magnitude(8_000, 60_000) as usize)
}

/// The buffer that holds a connection of this host up.
pub(super) fn smallest_buffer(host: &HostConfig, size: &Size) -> usize {
    let tcp = &host.stack.tcp;
    let least = tcp.send_buffer.max().min(tcp.recv_buffer.max());
    if size.scarce {
        // What a connection gets when the others hold the rest.
        least.min(2_048)
    } else {
        least
    }
}

fn draw_buffer(rng: &mut Rng, least: u64) -> BufferSize {
    let size = rng.magnitude(least, 1_000_000) as usize;
    if rng.chance(500_000) {
        BufferSize::Fixed(size)
    } else {
        BufferSize::Auto { max: 4 * size }
    }
}
