//! Hostile frames from seeds through a stack under tokio, without a fuzzer; its target would run
//! the same body.
//!
//! More frames, as before a release:
//!
//! ```sh
//! TIDEWIRE_FUZZ_FRAMES=10000000 cargo test --release -p tidewire --test fuzz -- --nocapture
//! ```
//!
//! A failure names its seed; `TIDEWIRE_FUZZ_SEED=n` runs that one alone.

mod device;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidewire::{DropReason, Stats};
use tidewire_sim::Rng;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FRAMES: u64 = 50_000;
const INPUT_LEN: usize = 16_384;
/// What a run may leave behind, which is nothing that grows from one to the next.
const LEFT: usize = 256 << 10;

#[test]
fn hostile_frames_neither_stop_the_driver_nor_leave_anything_behind() {
    if let Some(seed) = number("TIDEWIRE_FUZZ_SEED") {
        println!("seed {seed}: {} frames", run(seed).0);
        return;
    }
    let wanted = number("TIDEWIRE_FUZZ_FRAMES").unwrap_or(FRAMES);
    let (mut frames, mut seed, mut before) = (0, 0, None);
    let mut reached = Reached::default();
    while frames < wanted {
        let Ok((fed, stats)) = std::panic::catch_unwind(|| run(seed)) else {
            panic!(
                "after {frames} frames, to replay: TIDEWIRE_FUZZ_SEED={seed} cargo test -p tidewire --test fuzz"
            );
        };
        assert!(fed > 0, "seed {seed} fed nothing");
        frames += fed;
        seed += 1;
        reached.add(&stats);
        let now = held();
        let first = *before.get_or_insert(now);
        assert!(
            now <= first + LEFT,
            "{first} bytes grew to {now} by seed {seed}"
        );
    }
    println!("{frames} frames in {seed} runs, {} bytes held", held());
    println!("{reached:?}");
    reached.check();
}

/// How far the frames came, so that a change of the attacker cannot make the test an easy one.
#[derive(Debug, Default)]
struct Reached {
    segments: u64,
    icmp_errors: u64,
    resets: u64,
    retransmitted: u64,
    drops: [u64; DropReason::COUNT],
}

impl Reached {
    fn add(&mut self, stats: &Stats) {
        self.segments += stats.segments_in;
        self.icmp_errors += stats.icmp_errors_in;
        self.resets += stats.resets_in;
        self.retransmitted += stats.retransmitted;
        for (reason, count) in stats.drops() {
            self.drops[reason as usize] += count;
        }
    }

    fn check(&self) {
        let counts = [
            self.segments,
            self.icmp_errors,
            self.resets,
            self.retransmitted,
        ];
        assert!(counts.iter().all(|&count| count > 0), "{self:?}");
        for reason in [
            DropReason::NotForUs,
            DropReason::UnknownProtocol,
            DropReason::Malformed,
            DropReason::BadChecksum,
            DropReason::BadSource,
            DropReason::Fragment,
            DropReason::UnsolicitedNeighbor,
            DropReason::NoConnection,
            DropReason::OutOfWindow,
            DropReason::BadAck,
            DropReason::Paws,
            DropReason::BadFlags,
            DropReason::Challenged,
            DropReason::Duplicate,
            DropReason::IcmpIgnored,
        ] {
            assert!(self.drops[reason as usize] > 0, "{reason:?}: {self:?}");
        }
    }
}

fn run(seed: u64) -> (u64, Stats) {
    let mut rng = Rng::new(seed);
    let words = (0..INPUT_LEN / 8).flat_map(|_| rng.next_u64().to_le_bytes());
    device::frames_into_device(&words.collect::<Vec<u8>>())
}

/// Bytes allocated and not freed.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let parsed = value.parse();
    Some(parsed.unwrap_or_else(|_| panic!("{name}={value} is no number")))
}
