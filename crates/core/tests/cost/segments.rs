//! Allocations per segment, once everything is warm: none.
//!
//! Counted is every call of the allocator by both stacks: the application's writes and reads,
//! planning, headers, delivery, ACKs, timers and events. Frames travel in one buffer and are copied
//! on arrival.

use tidewire_core::Duration;

use crate::pair::{Pair, transfer};
use crate::{allocations, measured};

/// Bytes after which windows and queues have reached their final sizes.
const WARM_UP: usize = 100;
const ROUNDS: usize = 100;

pub(crate) fn bulk_allocates_nothing() {
    for (offload, to_server) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut pair = Pair::new(offload);
        let ends = pair.open();
        let data: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        for _ in 0..WARM_UP {
            transfer(&mut pair, ends, &data, to_server);
        }
        let before = pair.frames;
        let ((), stats) = measured(|| {
            for _ in 0..ROUNDS {
                transfer(&mut pair, ends, &data, to_server);
            }
        });
        let frames = pair.frames - before;
        println!(
            "offload {offload}: {frames} frames, {} allocations",
            allocations(&stats)
        );
        assert!(frames > 1_000);
        assert_eq!(allocations(&stats), 0);
    }
}

pub(crate) fn requests_and_answers_allocate_nothing() {
    for size in [1, 100, 2_000] {
        let mut pair = Pair::new(true);
        let ends = pair.open();
        let data = vec![7; size];
        let mut exchange = |rounds: usize| {
            for _ in 0..rounds {
                transfer(&mut pair, ends, &data, true);
                transfer(&mut pair, ends, &data, false);
            }
        };
        exchange(WARM_UP);
        let ((), stats) = measured(|| exchange(10 * ROUNDS));
        assert_eq!(allocations(&stats), 0, "with {size} bytes");
    }
}

/// One byte in one direction at a time: a timer sends a separate ACK for each.
pub(crate) fn delayed_acks_allocate_nothing() {
    let mut pair = Pair::new(false);
    let ends = pair.open();
    let mut send = |rounds: usize| {
        for _ in 0..rounds {
            transfer(&mut pair, ends, b".", true);
            pair.wait(Duration::from_millis(50));
        }
    };
    send(WARM_UP);
    // For less than the 30 seconds after which the neighbours verify each other's addresses.
    let ((), stats) = measured(|| send(3 * ROUNDS));
    assert_eq!(allocations(&stats), 0);
}
