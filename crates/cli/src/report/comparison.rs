//! Comparisons of Tidewire with the kernel's TCP: samples, units, ratios.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::environment::Environment;

/// Values of one quantity from several runs, sorted; never empty and all finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    sorted: Vec<f64>,
}

impl Samples {
    /// Takes values in any order; `None` if there is none or one is not finite.
    #[must_use]
    pub fn new(mut values: Vec<f64>) -> Option<Self> {
        if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        Some(Self { sorted: values })
    }

    /// The middle value, or the mean of the two in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        let upper = self.sorted.len() / 2;
        let lower = (self.sorted.len() - 1) / 2;
        f64::midpoint(self.sorted[lower], self.sorted[upper])
    }

    /// The smallest value.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.sorted[0]
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }
}

impl Serialize for Samples {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Samples", 4)?;
        object.serialize_field("median", &self.median())?;
        object.serialize_field("min", &self.min())?;
        object.serialize_field("max", &self.max())?;
        object.serialize_field("count", &self.count())?;
        object.end()
    }
}

/// What the values measure. JSON holds them in the base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Printed as Gbit/s.
    BitsPerSecond,
    /// Printed as microseconds.
    Seconds,
    /// Printed as thousands per second.
    PerSecond,
}

impl Unit {
    /// The unit's name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BitsPerSecond => "Gbit/s",
            Self::Seconds => "µs",
            Self::PerSecond => "thousands/s",
        }
    }

    /// A value in the unit of tables.
    #[must_use]
    pub fn scaled(self, value: f64) -> f64 {
        match self {
            Self::BitsPerSecond => value / 1e9,
            Self::Seconds => value * 1e6,
            Self::PerSecond => value / 1e3,
        }
    }
}

/// Whether higher or lower values are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// As for throughput.
    Higher,
    /// As for latency.
    Lower,
}

/// One quantity of Tidewire and of the kernel's TCP, measured in the same run.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was measured.
    pub scenario: String,
    /// Its unit.
    pub unit: Unit,
    /// Which values are the good ones.
    pub better: Better,
    /// Tidewire's values.
    pub tidewire: Series,
    /// The kernel's values.
    pub kernel: Series,
    /// Others that were measured in the same run, outside the ratio.
    pub others: Vec<Series>,
}

/// The values of one contender of a [`Comparison`].
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Series {
    /// Who it is.
    pub name: String,
    /// Its values.
    #[serde(flatten)]
    pub samples: Samples,
}

impl Comparison {
    /// How many times better Tidewire's median is: above 1 it is ahead, whichever way is better.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let (tidewire, kernel) = (self.tidewire.samples.median(), self.kernel.samples.median());
        match self.better {
            Better::Higher => tidewire / kernel,
            Better::Lower => kernel / tidewire,
        }
    }
}

impl Serialize for Comparison {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Comparison", 7)?;
        object.serialize_field("scenario", &self.scenario)?;
        object.serialize_field("unit", &self.unit)?;
        object.serialize_field("better", &self.better)?;
        object.serialize_field("tidewire", &self.tidewire)?;
        object.serialize_field("kernel", &self.kernel)?;
        object.serialize_field("others", &self.others)?;
        object.serialize_field("ratio", &self.ratio())?;
        object.end()
    }
}

/// All comparisons of a run. Serialises to the JSON form of schema 1.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// Version of the JSON form.
    pub schema: u32,
    /// Where it ran.
    pub environment: Environment,
    /// What was compared.
    pub comparisons: Vec<Comparison>,
}

impl Report {
    /// Version 1 of the JSON form.
    pub const SCHEMA: u32 = 1;

    /// A report of this machine.
    #[must_use]
    pub fn new(comparisons: Vec<Comparison>) -> Self {
        Self {
            schema: Self::SCHEMA,
            environment: Environment::read(),
            comparisons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).expect("finite values")
    }

    fn series(name: &str, values: &[f64]) -> Series {
        Series {
            name: name.into(),
            samples: samples(values),
        }
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert!((samples(&[3.0, 1.0, 2.0]).median() - 2.0).abs() < f64::EPSILON);
        assert!((samples(&[4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < f64::EPSILON);
        assert_eq!(Samples::new(Vec::new()), None);
        assert_eq!(Samples::new(vec![1.0, f64::NAN]), None);
    }

    #[test]
    fn a_ratio_above_one_means_ahead_either_way() {
        let comparison = |better, tidewire: &[f64], kernel: &[f64]| Comparison {
            scenario: "x".into(),
            unit: Unit::Seconds,
            better,
            tidewire: series("a", tidewire),
            kernel: series("b", kernel),
            others: Vec::new(),
        };
        assert!((comparison(Better::Higher, &[30.0], &[20.0]).ratio() - 1.5).abs() < 1e-12);
        assert!((comparison(Better::Lower, &[5.0], &[20.0]).ratio() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn the_json_form() {
        let report = Report {
            schema: Report::SCHEMA,
            environment: Environment {
                kernel: "6.18".into(),
                cpus: 2,
                congestion_control: "cubic".into(),
            },
            comparisons: vec![Comparison {
                scenario: "1-byte round trip".into(),
                unit: Unit::Seconds,
                better: Better::Lower,
                tidewire: series("a", &[0.25, 0.5, 0.75]),
                kernel: series("b", &[1.0]),
                others: vec![series("x", &[2.0])],
            }],
        };
        let json = serde_json::to_string(&report).expect("JSON");
        let expected = concat!(
            r#"{"schema":1,"environment":{"kernel":"6.18","cpus":2,"congestion_control":"cubic"},"#,
            r#""comparisons":[{"scenario":"1-byte round trip","unit":"seconds","better":"lower","#,
            r#""tidewire":{"name":"a","median":0.5,"min":0.25,"max":0.75,"count":3},"#,
            r#""kernel":{"name":"b","median":1.0,"min":1.0,"max":1.0,"count":1},"#,
            r#""others":[{"name":"x","median":2.0,"min":2.0,"max":2.0,"count":1}],"ratio":2.0}]}"#
        );
        assert_eq!(json, expected);
    }
}
