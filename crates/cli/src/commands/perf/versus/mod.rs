//! `tidewire perf --vs-kernel`: the same tests over Tidewire and over the kernel's TCP, in turns.

mod arena;
mod document;
mod measure;

use core::time::Duration;

use clap::Args;
use tokio::runtime::Builder;

use self::arena::Arena;
use self::document::{Document, Settings};
use crate::commands::failure::Failure;
use crate::commands::hosts::Carrier;
use crate::commands::output::{Output, print, to_json};
use crate::interrupt::Interrupt;
use crate::lab;
use crate::progress::Progress;
use crate::report::{Comparison, to_table};
use crate::style::{BOLD, DIM};

/// How `--vs-kernel` measures. The options of one test do not apply to it: it runs them all.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --vs-kernel")]
pub(super) struct VersusOptions {
    /// Rounds; each measures everything once, beginning with another contender [default: 5]
    #[arg(long, value_name = "N", conflicts_with_all = ["server", "client", "idle"], value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Seconds of each measurement [default: 1]
    #[arg(long, value_name = "SECS", conflicts_with_all = ["server", "client", "idle"])]
    seconds: Option<f64>,
    /// Two rounds of a tenth of a second; too little for figures
    #[arg(long, conflicts_with_all = ["server", "client", "idle", "rounds", "seconds"])]
    quick: bool,
    /// Over IPv6
    #[arg(short = '6', long, conflicts_with_all = ["server", "client", "idle"])]
    ipv6: bool,
    /// The MTU of the links in bytes [default: 1500]
    #[arg(long, value_name = "N", conflicts_with_all = ["server", "client", "idle"], value_parser = clap::value_parser!(u32).range(1280..=65_535))]
    mtu: Option<u32>,
    /// Switch segmentation, coalescing and checksum offloads off
    #[arg(long, conflicts_with_all = ["server", "client", "idle"])]
    no_offload: bool,
    /// Fail with exit code 4 when a ratio to the kernel is below this
    #[arg(long, value_name = "X", conflicts_with_all = ["server", "client", "idle"])]
    min_ratio: Option<f64>,
}

impl VersusOptions {
    /// Measures and shows all of it. Call it while the process has one thread.
    pub(super) fn run(&self, output: &Output) -> Result<(), Failure> {
        let privilege = lab::enter()?;
        let interrupt = Interrupt::install()?;
        let settings = self.settings(privilege)?;
        let style = output.style();
        if !output.json {
            let title = style.paint(BOLD, "Tidewire and the kernel's TCP");
            let how = style.paint(DIM, &settings.to_string());
            print(&format!("{title}   {how}\n\n"))?;
        }
        let comparisons = measure_all(&settings, output, &interrupt)?;
        if output.json {
            print(&to_json(&Document::new(&settings, &comparisons))?)?;
        } else {
            print(&to_table(&comparisons, style))?;
        }
        self.judge(&comparisons)
    }

    fn settings(&self, privilege: lab::Privilege) -> Result<Settings, Failure> {
        let (rounds, seconds) = if self.quick { (2, 0.1) } else { (5, 1.0) };
        let seconds = self.seconds.unwrap_or(seconds);
        let time = Duration::try_from_secs_f64(seconds).ok();
        let time = time.filter(|time| !time.is_zero() && *time <= MAX_TIME);
        let time = time.ok_or_else(|| {
            Failure::Usage(format!("--seconds {seconds}: up to an hour is possible"))
        })?;
        if self
            .min_ratio
            .is_some_and(|ratio| ratio.is_nan() || ratio < 0.0)
        {
            return Err(Failure::Usage("--min-ratio: a ratio is 0 or more".into()));
        }
        let carrier = Carrier {
            mtu: self.mtu.unwrap_or(1500),
            offloads: !self.no_offload,
        };
        let rounds = self.rounds.unwrap_or(rounds);
        Ok(Settings::new(rounds, time, carrier, self.ipv6, privilege))
    }

    /// Names the comparisons that fall short of `--min-ratio`.
    fn judge(&self, comparisons: &[Comparison]) -> Result<(), Failure> {
        let least = self.min_ratio.unwrap_or(0.0);
        let short = comparisons.iter().filter(|one| one.ratio() < least);
        let short: Vec<String> = short
            .map(|one| format!("{}: {:.2}x", one.scenario, one.ratio()))
            .collect();
        if short.is_empty() {
            return Ok(());
        }
        Err(Failure::Missed(format!(
            "below {least}x of the kernel: {}",
            short.join("; ")
        )))
    }
}

fn measure_all(
    settings: &Settings,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Vec<Comparison>, Failure> {
    let arena = Arena::new(settings)?;
    let main = Builder::new_current_thread().enable_all().build()?;
    let progress = Progress::steps("measuring", measure::steps(settings), output.progress());
    let outcome = main.block_on(async {
        tokio::select! {
            outcome = measure::run(&arena, settings, &progress) => outcome,
            () = interrupt.raised() => Err(Failure::Interrupted),
        }
    });
    progress.finish();
    outcome
}

const MAX_TIME: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Privilege;
    use crate::report::{Better, Samples, Series, Unit};

    fn options() -> VersusOptions {
        VersusOptions {
            rounds: None,
            seconds: None,
            quick: false,
            ipv6: false,
            mtu: None,
            no_offload: false,
            min_ratio: None,
        }
    }

    #[test]
    fn times_that_make_no_sense_are_wrong_usage() {
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 4000.0] {
            let options = VersusOptions {
                seconds: Some(seconds),
                ..options()
            };
            let settings = options.settings(Privilege::Capabilities);
            assert!(matches!(settings, Err(Failure::Usage(_))), "{seconds}");
        }
    }

    #[test]
    fn a_ratio_below_the_least_is_a_failure_of_its_own() {
        let series = |value| Series {
            name: "x".into(),
            samples: Samples::new(vec![value]).expect("a finite value"),
        };
        let comparison = Comparison {
            scenario: "Throughput".into(),
            unit: Unit::BitsPerSecond,
            better: Better::Higher,
            tidewire: series(9.0),
            kernel: series(10.0),
            others: Vec::new(),
        };
        let judged = |min_ratio| {
            let options = VersusOptions {
                min_ratio,
                ..options()
            };
            options.judge(core::slice::from_ref(&comparison))
        };
        assert!(judged(None).is_ok() && judged(Some(0.9)).is_ok());
        let missed = judged(Some(0.95)).expect_err("0.90x");
        assert_eq!(
            missed.to_string(),
            "below 0.95x of the kernel: Throughput: 0.90x"
        );
        assert_eq!(missed.exit_code(), std::process::ExitCode::from(4));
    }
}
