//! What both ends of a connection do.

use tidewire_core::Duration;
use tidewire_sim::{Ending, Plan, Rng};

pub(super) fn describe(plans: &[(Plan, Plan)]) -> String {
    plans
        .iter()
        .map(|(client, server)| format!("\nclient {client:?}\nserver {server:?}"))
        .collect()
}

/// What both ends of a connection do.
pub(super) fn draw_plans(rng: &mut Rng, most: u64) -> (Plan, Plan) {
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
        keepalive: None,
        user_timeout: None,
        ending,
    }
}
