//! Fuzz target of hostile frames, run from seeds without a fuzzer.
//!
//! More frames, as before a release:
//!
//! ```sh
//! TIDEWIRE_FUZZ_FRAMES=10000000 cargo test --release -p tidewire-sim --test fuzz -- --nocapture
//! ```
//!
//! A failure names its seed; `TIDEWIRE_FUZZ_SEED=n` runs that one alone.

use tidewire_sim::{Rng, fuzz};

const FRAMES: u64 = 100_000;
const INPUT_LEN: usize = 16_384;

#[test]
fn hostile_frames_neither_stop_the_stack_nor_harm_the_innocent() {
    if let Some(seed) = number("TIDEWIRE_FUZZ_SEED") {
        println!("seed {seed}: {} frames", run(seed));
        return;
    }
    let wanted = number("TIDEWIRE_FUZZ_FRAMES").unwrap_or(FRAMES);
    let (mut frames, mut seed) = (0, 0);
    while frames < wanted {
        let result = std::panic::catch_unwind(|| run(seed));
        let Ok(fed) = result else {
            panic!(
                "after {frames} frames, to replay: TIDEWIRE_FUZZ_SEED={seed} cargo test -p tidewire-sim --test fuzz"
            );
        };
        assert!(fed > 0, "seed {seed} fed nothing");
        frames += fed;
        seed += 1;
    }
    println!("{frames} frames in {seed} runs");
}

fn run(seed: u64) -> u64 {
    let mut rng = Rng::new(seed);
    let words = (0..INPUT_LEN / 8).flat_map(|_| rng.next_u64().to_le_bytes());
    fuzz::frames_into_stack(&words.collect::<Vec<u8>>())
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let parsed = value.parse();
    Some(parsed.unwrap_or_else(|_| panic!("{name}={value} is no number")))
}
