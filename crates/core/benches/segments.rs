//! Cost of a segment with 10 and with 100,000 idle connections, which should be the same.
//!
//! `cargo bench -p tidewire-core --bench segments`. One process, virtual time for the stacks and
//! real time for the figures; the two sizes take turns, and the medians are compared. Not a test:
//! timings depend on the machine. Caches make a difference of a few per cent, as 100,000
//! connections do not fit into them.

#[path = "../tests/cost/pair.rs"]
mod pair;

use std::time::Instant;

use pair::{Ends, Pair, transfer};

const SIZES: [usize; 2] = [10, 100_000];
const REPETITIONS: usize = 21;
const BYTES: usize = 4_000_000;

struct Bench {
    pair: Pair,
    busy: Ends,
    idle: usize,
    /// Nanoseconds per frame, one for each repetition.
    bulk: Vec<f64>,
    requests: Vec<f64>,
}

impl Bench {
    fn new(idle: usize) -> Self {
        let mut pair = Pair::new(false);
        for _ in 0..idle {
            let ends = pair.open();
            transfer(&mut pair, ends, b"?", true);
        }
        pair.wait(tidewire_core::Duration::from_secs(60));
        let busy = pair.open();
        Self {
            pair,
            busy,
            idle,
            bulk: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Nanoseconds per frame of what `f` does.
    fn time(&mut self, f: impl FnOnce(&mut Pair, Ends)) -> f64 {
        let (start, before) = (Instant::now(), self.pair.frames);
        f(&mut self.pair, self.busy);
        start.elapsed().as_nanos() as f64 / (self.pair.frames - before) as f64
    }

    fn repeat(&mut self, data: &[u8]) {
        let bulk = self.time(|pair, busy| transfer(pair, busy, data, true));
        let requests = self.time(|pair, busy| {
            for _ in 0..1_000 {
                transfer(pair, busy, b"?", true);
                transfer(pair, busy, b"!", false);
            }
        });
        self.bulk.push(bulk);
        self.requests.push(requests);
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() {
    let data = vec![7; BYTES];
    let mut benches = SIZES.map(Bench::new);
    benches.iter_mut().for_each(|bench| bench.repeat(&data));
    for bench in &mut benches {
        bench.bulk.clear();
        bench.requests.clear();
    }
    for _ in 0..REPETITIONS {
        benches.iter_mut().for_each(|bench| bench.repeat(&data));
    }
    let mut figures = Vec::new();
    for bench in &mut benches {
        let (bulk, requests) = (median(&mut bench.bulk), median(&mut bench.requests));
        println!(
            "{:>7} idle connections: {bulk:.0} ns per frame in bulk, {requests:.0} ns with requests of one byte",
            bench.idle
        );
        figures.push((bulk, requests));
    }
    if let [few, many] = figures[..] {
        println!(
            "ratio: {:.2} in bulk, {:.2} with requests",
            many.0 / few.0,
            many.1 / few.1
        );
    }
}
