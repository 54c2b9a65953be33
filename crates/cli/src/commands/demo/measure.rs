//! Measurements of a demo: Tidewire and the kernel's TCP in turns.

use core::fmt;
use std::io;

use super::arena::Arena;
use super::settings::Settings;
use crate::commands::failure::Failure;
use crate::commands::hosts::in_turns;
use crate::progress::Progress;
use crate::report::{Better, Comparison, Samples, Series, Unit};
use crate::traffic::Flow;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Throughput(Flow),
    RoundTrip,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario::Throughput(Flow::ClientToServer),
    Scenario::Throughput(Flow::ServerToClient),
    Scenario::RoundTrip,
];

/// Who is measured, the client first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Tidewire,
    /// Tidewire without spinning; round trips only.
    Asleep,
    Kernel,
    Twins,
}

impl Contender {
    const ALL: [Self; 4] = [Self::Tidewire, Self::Kernel, Self::Asleep, Self::Twins];

    fn takes(self, scenario: Scenario) -> bool {
        self != Self::Asleep || scenario == Scenario::RoundTrip
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tidewire => "Tidewire and Linux",
            Self::Asleep => "Tidewire and Linux, no spin",
            Self::Kernel => "Linux and Linux",
            Self::Twins => "Tidewire and Tidewire",
        })
    }
}

/// How many measurements [`run`] takes.
pub(super) fn steps(settings: &Settings) -> u64 {
    let each = plan(0).count() as u64;
    u64::from(settings.rounds) * each
}

fn plan(round: usize) -> impl Iterator<Item = (Scenario, Contender)> {
    in_turns(round, &SCENARIOS, Contender::ALL, Contender::takes)
}

/// Measures all contenders in turns and compares them.
pub(super) async fn run(
    arena: &Arena,
    settings: &Settings,
    progress: &Progress,
) -> Result<Vec<Comparison>, Failure> {
    let mut values = Vec::new();
    for round in 0..settings.rounds as usize {
        for (scenario, contender) in plan(round) {
            progress.label(&contender.to_string());
            let value = measure(arena, settings, scenario, contender).await;
            let value = value.map_err(|error| Failure::failed(contender, error))?;
            values.push((scenario, contender, value));
            progress.add(1);
        }
    }
    compare(settings, &Values(values))
}

/// Bits per second, or the median round trip in seconds.
async fn measure(
    arena: &Arena,
    settings: &Settings,
    scenario: Scenario,
    contender: Contender,
) -> io::Result<f64> {
    match scenario {
        Scenario::Throughput(flow) => {
            let time = settings.throughput_time;
            let rate = match contender {
                Contender::Tidewire => arena.tidewire.throughput(flow, time).await?,
                Contender::Asleep => arena.asleep.throughput(flow, time).await?,
                Contender::Kernel => arena.kernel.throughput(flow, time).await?,
                Contender::Twins => arena.twins.throughput(flow, time).await?,
            };
            Ok(rate.bits_per_second())
        }
        Scenario::RoundTrip => {
            let time = settings.round_trip_time;
            let latency = match contender {
                Contender::Tidewire => arena.tidewire.round_trips(time).await?,
                Contender::Asleep => arena.asleep.round_trips(time).await?,
                Contender::Kernel => arena.kernel.round_trips(time).await?,
                Contender::Twins => arena.twins.round_trips(time).await?,
            };
            Ok(latency.percentile(50.0).as_secs_f64())
        }
    }
}

struct Values(Vec<(Scenario, Contender, f64)>);

impl Values {
    fn of(&self, scenario: Scenario, contender: Contender, name: &str) -> Result<Series, Failure> {
        let values = self.0.iter();
        let values = values.filter(|(what, who, _)| (*what, *who) == (scenario, contender));
        let samples = Samples::new(values.map(|&(.., value)| value).collect())
            .ok_or_else(|| Failure::Failed(format!("{contender}: nothing was measured")))?;
        Ok(Series {
            name: name.into(),
            samples,
        })
    }
}

fn compare(settings: &Settings, values: &Values) -> Result<Vec<Comparison>, Failure> {
    let throughput = |scenario: &str, flow, names: [&str; 3]| {
        let what = Scenario::Throughput(flow);
        let [tidewire, kernel, twins] = names;
        Ok::<_, Failure>(Comparison {
            scenario: scenario.into(),
            unit: Unit::BitsPerSecond,
            better: Better::Higher,
            tidewire: values.of(what, Contender::Tidewire, tidewire)?,
            kernel: values.of(what, Contender::Kernel, kernel)?,
            others: vec![values.of(what, Contender::Twins, twins)?],
        })
    };
    let round_trip = |scenario: String, contender, others| {
        Ok::<_, Failure>(Comparison {
            scenario,
            unit: Unit::Seconds,
            better: Better::Lower,
            tidewire: values.of(Scenario::RoundTrip, contender, "Tidewire ⇄ Linux")?,
            kernel: values.of(Scenario::RoundTrip, Contender::Kernel, "Linux ⇄ Linux")?,
            others,
        })
    };
    let (own, kernel, twins) = ("Tidewire → Linux", "Linux → Linux", "Tidewire → Tidewire");
    let (sends, receives) = (Flow::ClientToServer, Flow::ServerToClient);
    let mut comparisons = vec![
        throughput("Throughput, Tidewire sends", sends, [own, kernel, twins])?,
        throughput(
            "Throughput, Tidewire receives",
            receives,
            ["Linux → Tidewire", kernel, twins],
        )?,
    ];
    let twins = vec![values.of(Scenario::RoundTrip, Contender::Twins, "Tidewire ⇄ Tidewire")?];
    if settings.spin.is_zero() {
        let scenario = "1-byte round trip".into();
        comparisons.push(round_trip(scenario, Contender::Tidewire, twins)?);
    } else {
        let spinning = format!(
            "1-byte round trip, Tidewire spins for {} µs before it sleeps",
            settings.spin.as_micros()
        );
        comparisons.push(round_trip(spinning, Contender::Tidewire, twins)?);
        let asleep = "1-byte round trip, Tidewire sleeps at once, as Linux does".into();
        comparisons.push(round_trip(asleep, Contender::Asleep, Vec::new())?);
    }
    Ok(comparisons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Privilege;

    #[test]
    fn each_round_has_every_contender_once_in_each_scenario() {
        let settings = Settings::new(true, Privilege::Capabilities);
        assert_eq!(steps(&settings), u64::from(settings.rounds) * 10);
        let sorted = |round| {
            let mut measurements: Vec<String> = plan(round)
                .map(|measurement| format!("{measurement:?}"))
                .collect();
            measurements.sort();
            measurements
        };
        assert_eq!(sorted(0).len(), 10);
        assert_eq!(sorted(0), sorted(3));
        assert_ne!(plan(0).next(), plan(1).next());
    }

    #[test]
    fn values_without_a_contender_are_a_failure() {
        let settings = Settings::new(true, Privilege::Capabilities);
        assert!(compare(&settings, &Values(Vec::new())).is_err());
        let all = (0..2).flat_map(plan);
        let values = Values(all.map(|(what, who)| (what, who, 1.0)).collect());
        let comparisons = compare(&settings, &values).expect("comparisons");
        assert!(
            comparisons
                .iter()
                .all(|comparison| comparison.kernel.samples.count() == 2)
        );
    }
}
