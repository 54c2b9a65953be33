//! Measurements of `--vs-kernel`: each scenario with each pair, in turns.

use core::fmt;
use core::time::Duration;
use std::io;

use super::super::client::Record;
use super::super::document::{Totals, per_second};
use super::super::plan::{Mode, Plan};
use super::arena::Arena;
use super::document::Settings;
use crate::commands::failure::Failure;
use crate::commands::hosts::in_turns;
use crate::progress::Progress;
use crate::report::{Better, Comparison, Samples, Series, Unit};
use crate::traffic::Limit;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Bulk,
    /// So many connections at a time.
    Parallel,
    Small,
    RoundTrip,
    Connect,
}

/// Who is measured, the client first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Twins,
    /// Tidewire at both ends without spinning; round trips only.
    Asleep,
    Kernel,
    /// Tidewire connects to the kernel.
    Calling,
    /// The kernel connects to Tidewire.
    Called,
}

impl Scenario {
    const ALL: [Self; 5] = [
        Self::Bulk,
        Self::Parallel,
        Self::Small,
        Self::RoundTrip,
        Self::Connect,
    ];

    fn plan(self, time: Duration) -> Plan {
        let (mode, streams, length) = match self {
            Self::Bulk => (Mode::Send, 1, BULK),
            Self::Parallel => (Mode::Send, STREAMS, BULK),
            Self::Small => (Mode::Send, 1, SMALL),
            Self::RoundTrip => (Mode::RoundTrip, 1, 1),
            Self::Connect => (Mode::Connect, 1, 1),
        };
        Plan {
            mode,
            streams,
            length,
            limit: Limit::Time(time),
            nodelay: matches!(mode, Mode::RoundTrip | Mode::Connect),
        }
    }

    /// The result of a test in the scenario's unit; `None` if nothing was measured.
    fn value(self, record: &Record) -> Option<f64> {
        match self {
            // What the server read.
            Self::Bulk | Self::Parallel | Self::Small => {
                let sum = Totals::new(record).received(true)?;
                (sum.bytes > 0).then_some(sum.bits_per_second)
            }
            _ if record.latency.count() == 0 => None,
            Self::RoundTrip => Some(record.latency.percentile(50.0).as_secs_f64()),
            Self::Connect => Some(per_second(record.latency.count() as f64, record.seconds)),
        }
    }

    fn unit(self) -> (Unit, Better) {
        match self {
            Self::Bulk | Self::Parallel | Self::Small => (Unit::BitsPerSecond, Better::Higher),
            Self::RoundTrip => (Unit::Seconds, Better::Lower),
            Self::Connect => (Unit::PerSecond, Better::Higher),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bulk => write!(f, "Throughput, writes of 64 KiB"),
            Self::Parallel => write!(f, "Throughput, {STREAMS} connections, writes of 64 KiB"),
            Self::Small => write!(f, "Throughput, writes of {SMALL} bytes"),
            Self::RoundTrip => write!(f, "1-byte round trip"),
            Self::Connect => write!(f, "Connect, request, reply, close, one after the other"),
        }
    }
}

impl Contender {
    const ALL: [Self; 5] = [
        Self::Twins,
        Self::Kernel,
        Self::Calling,
        Self::Called,
        Self::Asleep,
    ];

    fn takes(self, scenario: Scenario) -> bool {
        self != Self::Asleep || scenario == Scenario::RoundTrip
    }

    /// The ends as a row of a table names them.
    fn name(self, scenario: Scenario) -> String {
        let sign = match scenario {
            Scenario::RoundTrip | Scenario::Connect => "⇄",
            _ => "→",
        };
        let (client, server) = match self {
            Self::Twins | Self::Asleep => ("Tidewire", "Tidewire"),
            Self::Kernel => ("Linux", "Linux"),
            Self::Calling => ("Tidewire", "Linux"),
            Self::Called => ("Linux", "Tidewire"),
        };
        format!("{client} {sign} {server}")
    }

    async fn test(self, arena: &Arena, plan: &Plan, time: Duration) -> io::Result<Record> {
        match self {
            Self::Twins => arena.twins.test(plan, time).await,
            Self::Asleep => arena.asleep.test(plan, time).await,
            Self::Kernel => arena.kernel.test(plan, time).await,
            Self::Calling => arena.calling.test(plan, time).await,
            Self::Called => arena.called.test(plan, time).await,
        }
    }
}

/// How many measurements [`run`] takes.
pub(super) fn steps(settings: &Settings) -> u64 {
    u64::from(settings.rounds) * order(0).count() as u64
}

fn order(round: usize) -> impl Iterator<Item = (Scenario, Contender)> {
    in_turns(round, &Scenario::ALL, Contender::ALL, Contender::takes)
}

/// Measures all contenders in turns and compares them.
pub(super) async fn run(
    arena: &Arena,
    settings: &Settings,
    progress: &Progress,
) -> Result<Vec<Comparison>, Failure> {
    let mut values = Values(Vec::new());
    for round in 0..settings.rounds as usize {
        for (scenario, contender) in order(round) {
            progress.label(&contender.name(scenario));
            let plan = scenario.plan(settings.time);
            let doing = || format!("{scenario}, {}", contender.name(scenario));
            let record = contender.test(arena, &plan, settings.time).await;
            let record = record.map_err(|error| Failure::failed(doing(), error))?;
            let value = scenario
                .value(&record)
                .ok_or_else(|| Failure::failed(doing(), "nothing was measured"))?;
            values.0.push((scenario, contender, value));
            progress.add(1);
        }
    }
    values.compare(settings)
}

struct Values(Vec<(Scenario, Contender, f64)>);

impl Values {
    fn of(&self, scenario: Scenario, contender: Contender) -> Result<Series, Failure> {
        let values = self.0.iter();
        let values = values.filter(|(what, who, _)| (*what, *who) == (scenario, contender));
        let name = contender.name(scenario);
        let samples = Samples::new(values.map(|&(.., value)| value).collect())
            .ok_or_else(|| Failure::failed(&name, "nothing was measured"))?;
        Ok(Series { name, samples })
    }

    /// The first of `contenders` and the kernel, with the others beside them.
    fn comparison(
        &self,
        scenario: Scenario,
        title: String,
        (first, others): (Contender, &[Contender]),
    ) -> Result<Comparison, Failure> {
        let (unit, better) = scenario.unit();
        let others = others.iter().map(|&other| self.of(scenario, other));
        Ok(Comparison {
            scenario: title,
            unit,
            better,
            tidewire: self.of(scenario, first)?,
            kernel: self.of(scenario, Contender::Kernel)?,
            others: others.collect::<Result<_, _>>()?,
        })
    }

    fn compare(&self, settings: &Settings) -> Result<Vec<Comparison>, Failure> {
        let mixed = [Contender::Calling, Contender::Called];
        let mut comparisons = Vec::new();
        for scenario in Scenario::ALL {
            let mut title = scenario.to_string();
            if scenario == Scenario::RoundTrip {
                let asleep = format!("{title}, Tidewire sleeps at once, as Linux does");
                let contenders = (Contender::Asleep, &[][..]);
                comparisons.push(self.comparison(scenario, asleep, contenders)?);
                let micros = settings.spin.as_micros();
                title = format!("{title}, Tidewire spins for {micros} µs before it sleeps");
            }
            comparisons.push(self.comparison(scenario, title, (Contender::Twins, &mixed))?);
        }
        Ok(comparisons)
    }
}

const BULK: u32 = 64 << 10;
const SMALL: u32 = 128;
const STREAMS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::hosts::Carrier;
    use crate::lab::Privilege;

    fn settings() -> Settings {
        let carrier = Carrier {
            mtu: 1500,
            offloads: true,
        };
        let time = Duration::from_millis(1);
        Settings::new(2, time, carrier, false, Privilege::Capabilities)
    }

    #[test]
    fn each_round_has_every_contender_once_in_each_scenario() {
        assert_eq!(steps(&settings()), 2 * 21);
        let sorted = |round| {
            let mut measurements: Vec<String> =
                order(round).map(|step| format!("{step:?}")).collect();
            measurements.sort();
            measurements
        };
        assert_eq!(sorted(0), sorted(3));
        assert_ne!(order(0).next(), order(1).next());
    }

    #[test]
    fn every_plan_is_possible() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.plan(Duration::from_secs(1)).check(), Ok(()));
        }
    }

    #[test]
    fn tidewire_at_both_ends_is_compared_with_the_kernel_at_both_ends() {
        assert!(Values(Vec::new()).compare(&settings()).is_err());
        let all = (0..2).flat_map(order);
        let values = Values(all.map(|(what, who)| (what, who, 1.0)).collect());
        let comparisons = values.compare(&settings()).expect("comparisons");
        assert_eq!(comparisons.len(), 6);
        for comparison in comparisons {
            assert_eq!(comparison.tidewire.samples.count(), 2);
            assert_eq!(comparison.kernel.samples.count(), 2);
            assert!(comparison.tidewire.name.matches("Tidewire").count() == 2);
        }
    }

    #[test]
    fn a_test_without_data_has_no_value() {
        let record = Record::default();
        for scenario in Scenario::ALL {
            assert_eq!(scenario.value(&record), None, "{scenario}");
        }
    }
}
