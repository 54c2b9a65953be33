//! Memory and allocations, counted by the allocator of the process. So these tests run one after
//! the other, in the main thread.
//!
//! Bytes are those asked for; what the system's allocator adds to each block (8 to 16 bytes) is not
//! among them.

mod budget;
mod idle;
mod pair;
mod segments;

use std::alloc::System;

use libtest_mimic::{Arguments, Failed, Trial};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What `f` allocated.
fn measured<R>(f: impl FnOnce() -> R) -> (R, Stats) {
    let region = Region::new(ALLOCATOR);
    let result = f();
    (result, region.change())
}

/// Calls of the allocator that took memory.
fn allocations(stats: &Stats) -> usize {
    stats.allocations + stats.reallocations
}

/// Bytes taken and not given back.
fn bytes_held(stats: &Stats) -> usize {
    // A block that grew counts as allocated, one that shrank as deallocated.
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    };
    let trials = vec![
        trial(
            "an_idle_connection_costs_less_than_1024_bytes",
            idle::costs_less_than_1024_bytes,
        ),
        trial(
            "buffers_are_given_back_after_bulk",
            idle::buffers_are_given_back_after_bulk,
        ),
        trial(
            "the_budget_holds_against_a_thousand_senders_without_readers",
            budget::holds_against_a_thousand_senders_without_readers,
        ),
        trial(
            "sending_and_receiving_in_bulk_allocates_nothing",
            segments::bulk_allocates_nothing,
        ),
        trial(
            "requests_and_answers_allocate_nothing",
            segments::requests_and_answers_allocate_nothing,
        ),
        trial(
            "delayed_acks_allocate_nothing",
            segments::delayed_acks_allocate_nothing,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}
