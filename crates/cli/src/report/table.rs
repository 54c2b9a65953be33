//! Table of comparisons for a terminal.

use core::fmt::Write;

use super::comparison::{Better, Comparison, Samples, Series, Unit};
use crate::style::{BLUE, BOLD, CYAN, DIM, GREEN, Style, YELLOW};

/// Draws comparisons for a terminal, at most 100 columns wide: medians with ranges, bars to scale,
/// and ratios.
#[must_use]
pub fn to_table(comparisons: &[Comparison], style: Style) -> String {
    let mut text = String::new();
    for comparison in comparisons {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", block(comparison, style));
    }
    text
}

fn block(comparison: &Comparison, style: Style) -> String {
    let verdict = match comparison.better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
    };
    let scenario = style.paint(BOLD, &comparison.scenario);
    let unit = style.paint(DIM, &format!("({}, {verdict})", comparison.unit.name()));
    let mut text = format!("   {scenario} {unit}\n");
    let mut rows = vec![(&comparison.tidewire, CYAN), (&comparison.kernel, DIM)];
    rows.extend(comparison.others.iter().map(|other| (other, BLUE)));
    let longest = rows.iter().map(|(series, _)| series.samples.max());
    let longest = longest.fold(0.0, f64::max);
    let ratio = comparison.ratio();
    let colour = if ratio >= 1.0 { GREEN } else { YELLOW };
    let mut ratio = style.paint(colour, &format!("{ratio:.2}x"));
    for (series, colour) in rows {
        let numbers = numbers(series, comparison.unit);
        let bar = style.paint(colour, &bar(&series.samples, longest));
        let row = format!("   {numbers} {bar} {ratio}");
        let _ = writeln!(text, "{}", row.trim_end());
        // It stands beside the first row, Tidewire's.
        ratio.clear();
    }
    text
}

/// Name, median and range.
fn numbers(series: &Series, unit: Unit) -> String {
    let Series { name, samples } = series;
    let show = |value: f64| precise(unit.scaled(value));
    let range = format!("[{} - {}]", show(samples.min()), show(samples.max()));
    format!("{name:<19} {:>6} {range:<15}", show(samples.median()))
}

/// A block up to the median, with the range as a line from the smallest to the largest value.
fn bar(samples: &Samples, longest: f64) -> String {
    let cell = |value: f64| {
        let fraction = if longest > 0.0 {
            (value / longest).clamp(0.0, 1.0)
        } else {
            0.0
        };
        // At most BAR_WIDTH, by the clamp.
        (fraction * BAR_WIDTH).round() as usize
    };
    let (low, median, high) = (
        cell(samples.min()),
        cell(samples.median()).max(1),
        cell(samples.max()),
    );
    let mut bar: String = "█".repeat(median);
    let whisker = high.saturating_sub(median);
    if whisker > 0 {
        bar.push_str(&"─".repeat(whisker - 1));
        bar.push('┤');
    }
    if low < median && low > 0 {
        bar = bar
            .chars()
            .enumerate()
            .map(|(at, cell)| {
                if at >= low && at < median {
                    '▓'
                } else {
                    cell
                }
            })
            .collect();
    }
    bar
}

/// About three significant digits.
fn precise(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

const BAR_WIDTH: f64 = 40.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let series = |name: &str, values: &[f64]| Series {
            name: name.into(),
            samples: Samples::new(values.to_vec()).expect("finite values"),
        };
        Comparison {
            scenario: "Throughput, 64 KiB writes".into(),
            unit: Unit::BitsPerSecond,
            better: Better::Higher,
            tidewire: series("Tidewire → Linux", &[28e9, 30e9, 40e9]),
            kernel: series("Linux → Linux", &[15e9, 20e9, 21e9]),
            others: vec![series("Tidewire → Tidewire", &[39e9])],
        }
    }

    #[test]
    fn the_table_is_exactly_this() {
        let expected = concat!(
            "   Throughput, 64 KiB writes (Gbit/s, higher is better)\n",
            "   Tidewire → Linux      30.0 [28.0 - 40.0]   ████████████████████████████▓▓─────────┤ 1.50x\n",
            "   Linux → Linux         20.0 [15.0 - 21.0]   ███████████████▓▓▓▓▓┤\n",
            "   Tidewire → Tidewire   39.0 [39.0 - 39.0]   ███████████████████████████████████████\n\n",
        );
        assert_eq!(to_table(&[comparison()], Style::Plain), expected);
    }

    #[test]
    fn no_line_is_wider_than_100_columns() {
        for line in to_table(&[comparison()], Style::Plain).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn zeros_have_a_bar() {
        let zero = Samples::new(vec![0.0]).expect("finite");
        assert_eq!(bar(&zero, 0.0), "█");
    }
}
