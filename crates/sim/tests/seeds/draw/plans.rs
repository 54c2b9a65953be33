//! Drawn plans of both ends of a connection.

use tidewire_core::{Duration, KeepAlive};
use tidewire_sim::{Ending, Plan, Rng};

use super::{Notes, micros};
use crate::coverage::Feature;

/// What both ends of a connection do.
pub(super) fn draw_plans(rng: &mut Rng, most: u64, notes: &mut Notes) -> (Plan, Plan) {
    let size = |rng: &mut Rng| {
        if rng.chance(150_000) {
            0
        } else {
            rng.magnitude(1, most)
        }
    };
    let (client_bytes, server_bytes) = (size(rng), size(rng));
    let (client, server) = match rng.below(24) {
        0..2 => (Ending::HalfClose, Ending::ReadFirst),
        2..4 => (Ending::ReadFirst, Ending::HalfClose),
        4..6 => (abort(rng, client_bytes), Ending::HalfClose),
        6..8 => (Ending::HalfClose, abort(rng, server_bytes)),
        8..10 => (Ending::CloseAtOnce, Ending::HalfClose),
        10 => (draw_linger(rng, notes), Ending::HalfClose),
        11 => (Ending::HalfClose, draw_linger(rng, notes)),
        _ => (Ending::HalfClose, Ending::HalfClose),
    };
    let [client_bytes, server_bytes] = [
        (client, client_bytes, server),
        (server, server_bytes, client),
    ]
    .map(|(own, bytes, other)| match (own, other) {
        (_, Ending::CloseAtOnce | Ending::Linger(_)) => 0,
        // Nothing can be known to have arrived where nothing is sent.
        (Ending::Abort { .. } | Ending::Linger(_), _) => bytes.max(1),
        _ => bytes,
    });
    (
        draw_plan(rng, client_bytes, server_bytes, client, notes),
        draw_plan(rng, server_bytes, client_bytes, server, notes),
    )
}

fn abort(rng: &mut Rng, bytes: u64) -> Ending {
    Ending::Abort {
        after: rng.between(1, bytes + 1),
    }
}

fn draw_linger(rng: &mut Rng, notes: &mut Notes) -> Ending {
    if rng.chance(300_000) {
        notes.count(Feature::LingerZero);
        return Ending::Linger(Duration::ZERO);
    }
    notes.count(Feature::Linger);
    Ending::Linger(micros(rng, 1_000, 60_000_000))
}

/// Probes of an idle connection. Most go on until one must have come through.
fn draw_keepalive(rng: &mut Rng, notes: &mut Notes) -> Option<KeepAlive> {
    if !rng.chance(150_000) {
        return None;
    }
    let count = rng.between(3, 9);
    let whole = if rng.chance(200_000) {
        notes.count(Feature::HastyKeepAlive);
        rng.between(100, 10_000)
    } else {
        notes.count(Feature::KeepAlive);
        rng.between(30_000, 60_000)
    };
    Some(KeepAlive {
        idle: micros(rng, 10_000, 5_000_000),
        interval: Duration::from_millis(whole / count),
        count: count as u8,
    })
}

fn draw_user_timeout(rng: &mut Rng, notes: &mut Notes) -> Option<Duration> {
    if !rng.chance(80_000) {
        return None;
    }
    notes.count(Feature::UserTimeout);
    Some(micros(rng, 300_000, 120_000_000))
}

fn draw_plan(rng: &mut Rng, send: u64, receive: u64, ending: Ending, notes: &mut Notes) -> Plan {
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
        keepalive: draw_keepalive(rng, notes),
        user_timeout: draw_user_timeout(rng, notes),
        ending,
    }
}
