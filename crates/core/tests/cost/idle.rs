//! Memory of idle connections.

use tidewire_core::Duration;

use crate::pair::{Ends, Pair, transfer};
use crate::{allocations, bytes_held, measured};

const CONNECTIONS: usize = 100_000;
const MOST: usize = 1024;

/// Counted, for each connection and stack: everything that the two stacks hold more than when they
/// were empty. That is the control block with its congestion controller, its share of the tables
/// (slots, which double and so are up to half empty; the flow table; deadlines), and what the stack
/// keeps for reuse. Each connection was opened over the wire, carried a byte each way, and has been
/// silent for two minutes.
pub(crate) fn costs_less_than_1024_bytes() {
    let mut pair = Pair::new(false);
    let mut all: Vec<Ends> = Vec::with_capacity(CONNECTIONS);
    let ((), stats) = measured(|| {
        for _ in 0..CONNECTIONS {
            let ends = pair.open();
            transfer(&mut pair, ends, b"?", true);
            transfer(&mut pair, ends, b"!", false);
            all.push(ends);
        }
        pair.wait(Duration::from_secs(120));
    });
    let each = bytes_held(&stats) / (2 * CONNECTIONS);
    eprintln!("{CONNECTIONS} idle connections: {each} bytes each in each stack");
    assert!(each <= MOST, "{each} bytes");
    assert_eq!(pair.client.poll_timeout(), None, "nothing is waited for");
    assert_eq!(pair.client.connection_counts().connections, CONNECTIONS);
    assert_eq!(pair.server.connection_counts().connections, CONNECTIONS);

    // One of them beside all the others: as free of allocations as alone.
    let busy = all[CONNECTIONS / 2];
    for _ in 0..50 {
        transfer(&mut pair, busy, &[7; 100_000], true);
    }
    let ((), stats) = measured(|| transfer(&mut pair, busy, &[7; 100_000], true));
    assert_eq!(allocations(&stats), 0);
}

/// Memory that each connection holds beyond an idle one, after a megabyte each way and a silence.
pub(crate) fn buffers_are_given_back_after_bulk() {
    const BUSY: usize = 500;
    let mut pair = Pair::new(true);
    let bulk = |pair: &mut Pair, ends| {
        for client_sends in [true, false] {
            for _ in 0..10 {
                transfer(pair, ends, &[7; 100_000], client_sends);
            }
        }
    };
    let all: Vec<Ends> = (0..BUSY).map(|_| pair.open()).collect();
    // The first fills what the stacks keep for the next.
    bulk(&mut pair, all[0]);
    let ((), stats) = measured(|| {
        for &ends in &all[1..] {
            bulk(&mut pair, ends);
        }
        pair.wait(Duration::from_secs(120));
    });
    let each = bytes_held(&stats) / (2 * BUSY);
    eprintln!("{each} bytes more for each connection that has carried much");
    assert!(each <= 64, "{each} bytes");
}
