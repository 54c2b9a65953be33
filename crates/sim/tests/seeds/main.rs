//! Worlds drawn from seeds: random hosts, links, faults and applications. Whatever happens, every
//! byte arrives once and in order, every law holds after every event, and once the faults have
//! stopped everything comes to its end. An end that may be lost before its time, by a reset, a
//! timeout or with its host, leaves the other one an error, never a stream that seems whole. What
//! the worlds had in them is counted, and too little of something is a failure.
//!
//! `TIDEWIRE_SIM_SEEDS=n` runs more seeds, `TIDEWIRE_SIM_SEED=n` runs one and leaves a capture in
//! the temporary folder.

mod coverage;
mod draw;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use coverage::{Coverage, Feature};
use draw::{Drawn, draw};
use tidewire_core::{ConnError, Duration};

const SEEDS: u64 = 2_000;

#[test]
fn every_seed_delivers_every_byte_and_keeps_every_law() {
    if let Some(seed) = number("TIDEWIRE_SIM_SEED") {
        return replay(seed);
    }
    let seeds = number("TIDEWIRE_SIM_SEEDS").unwrap_or(SEEDS);
    let (next, delivered) = (AtomicU64::new(0), AtomicU64::new(0));
    let coverage = Mutex::new(Coverage::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut failures: Vec<(u64, String)> = std::thread::scope(|scope| {
        let work = || {
            let mut failures = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return failures;
                }
                match guarded(seed) {
                    Ok((bytes, of_seed)) => {
                        delivered.fetch_add(bytes, Ordering::Relaxed);
                        let mut coverage = coverage.lock().unwrap_or_else(PoisonError::into_inner);
                        coverage.add(&of_seed);
                    }
                    Err(report) => failures.push((seed, report)),
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker catches its panics"))
            .collect()
    });
    println!("{seeds} seeds, {} bytes delivered", delivered.into_inner());
    let coverage = coverage
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!("worlds with: {coverage:?}");
    failures.sort();
    for (_, report) in failures.iter().take(3) {
        eprintln!("{report}\n");
    }
    for (_, report) in &failures {
        eprintln!("{}", report.lines().next().unwrap_or_default());
    }
    let failed: Vec<_> = failures.iter().map(|(seed, _)| seed).collect();
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed: {failed:?}",
        failed.len()
    );
    let missing = coverage.missing();
    assert!(seeds < SEEDS || missing.is_empty(), "{missing:?}");
}

/// Determinism: two runs of one seed.
#[test]
fn the_same_seed_gives_the_same_bytes() {
    let digests = [3, 14, 159].map(|seed| {
        let [first, second] = [(); 2].map(|()| {
            let mut drawn = draw(seed);
            drawn.world.capture(usize::MAX);
            run(&mut drawn).unwrap_or_else(|report| panic!("{report}"));
            drawn.world
        });
        assert!(first.pcap().len() > 1_000);
        assert!(
            first.pcap() == second.pcap(),
            "seed {seed}: the captures differ"
        );
        assert_eq!(first.digest(), second.digest());
        first.digest()
    });
    assert!(
        digests[0] != digests[1] && digests[1] != digests[2],
        "{digests:?}"
    );
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

fn replay(seed: u64) {
    let mut drawn = draw(seed);
    println!("{}", drawn.notes.summary);
    drawn.world.capture(usize::MAX);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut drawn)));
    let path = std::env::temp_dir().join(format!("tidewire-sim-{seed}.pcapng"));
    std::fs::write(&path, drawn.world.pcap()).expect("the temporary folder is writable");
    println!("captured to {}", path.display());
    match result {
        Ok(Ok(())) => {}
        Ok(Err(report)) => panic!("{report}"),
        Err(_) => panic!(
            "seed {seed} panicked; the last frames:\n{}",
            drawn.world.tail().join("\n")
        ),
    }
}

/// A panic of a stack counts as the failure of its seed, not of the whole run.
fn guarded(seed: u64) -> Result<(u64, Coverage), String> {
    let whole = || {
        let mut drawn = draw(seed);
        run(&mut drawn).map(|()| (drawn.world.bytes_read(), observe(&mut drawn)))
    };
    std::panic::catch_unwind(whole).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!(
            "seed {seed} panicked: {}",
            text.unwrap_or_default()
        ))
    })
}

/// What a world had in it, and what was seen to happen there.
fn observe(drawn: &mut Drawn) -> Coverage {
    let Drawn {
        world,
        notes,
        hosts,
        ..
    } = drawn;
    let mut coverage = notes.coverage.clone();
    let is_full = |&(host, budget)| world.memory_peak(host) > budget - budget / 4;
    if notes.budgets.iter().any(is_full) {
        coverage.count(Feature::FullMemory);
    }
    for error in world.failures() {
        match error {
            ConnError::TimedOut => coverage.count(Feature::TimedOut),
            ConnError::Reset | ConnError::BrokenPipe => coverage.count(Feature::Reset),
            _ => {}
        }
    }
    let learnt = hosts.iter().any(|&host| {
        let lowered = world.on(host, |stack, _| stack.stats().path_mtu_lowered);
        lowered.is_ok_and(|count| count > 0)
    });
    if learnt {
        coverage.count(Feature::PathMtuLearnt);
    }
    coverage
}

fn run(drawn: &mut Drawn) -> Result<(), String> {
    let Drawn {
        world,
        hosts,
        faults_stop,
        patience,
        ..
    } = drawn;
    let report = |world: &tidewire_sim::World, what: String| {
        let tail = world.tail().join("\n  ");
        format!("seed {} at {}: {what}\n  {tail}", world.seed(), world.now())
    };
    let deadline = *faults_stop + *patience;
    // What happens at a certain time happens also where everything is done before.
    world
        .run_until(*faults_stop)
        .map_err(|violation| violation.to_string())?;
    let done = world
        .run_until_done(deadline)
        .map_err(|violation| violation.to_string())?;
    if !done {
        return Err(report(
            world,
            format!("not done at the deadline: {:?}", world.incomplete_streams()),
        ));
    }
    // Closing goes on in the background: the longest back-off, then TIME-WAIT.
    let end = world.now().max(*faults_stop) + Duration::from_secs(400);
    world
        .run_until(end)
        .map_err(|violation| violation.to_string())?;
    let incomplete = world.incomplete_streams();
    if !incomplete.is_empty() {
        return Err(report(world, format!("incomplete: {incomplete:?}")));
    }
    for &host in hosts.iter() {
        let closing = world
            .on(host, |stack, _| stack.closing_connections())
            .map_err(|violation| violation.to_string())?;
        if closing > 0 || world.connections(host) > 0 {
            let what = format!(
                "{host:?} still has {closing} closing, {} open",
                world.connections(host)
            );
            return Err(report(world, what));
        }
    }
    Ok(())
}
