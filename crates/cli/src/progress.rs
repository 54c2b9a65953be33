//! Progress of long work on standard error: a bar or lines.

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use crate::style::Style;

/// How progress is shown, always on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressStyle {
    /// A moving bar.
    Bar(Style),
    /// A line each second.
    Lines,
    /// Not at all.
    Hidden,
}

impl ProgressStyle {
    /// A bar on a terminal, lines elsewhere.
    #[must_use]
    pub fn for_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Bar(Style::Colour)
        } else {
            Self::Lines
        }
    }
}

/// The progress of long work, counted in bytes or steps. Clones count together; any thread may
/// count.
#[derive(Debug, Clone)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    label: Mutex<String>,
    unit: Unit,
    total: u64,
    position: AtomicU64,
    display: Display,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Bytes,
    Steps,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines { last: Mutex<Instant> },
    Hidden,
}

impl Progress {
    /// Begins to show progress towards `total` bytes.
    #[must_use]
    pub fn bytes(label: &str, total: u64, style: ProgressStyle) -> Self {
        Self::new(label, Unit::Bytes, total, style)
    }

    /// Begins to show progress towards `total` steps.
    #[must_use]
    pub fn steps(label: &str, total: u64, style: ProgressStyle) -> Self {
        Self::new(label, Unit::Steps, total, style)
    }

    fn new(label: &str, unit: Unit, total: u64, style: ProgressStyle) -> Self {
        let display = match style {
            ProgressStyle::Bar(style) => Display::Bar(bar(label, unit, total, style)),
            ProgressStyle::Lines => Display::Lines {
                last: Mutex::new(Instant::now()),
            },
            ProgressStyle::Hidden => Display::Hidden,
        };
        Self {
            shared: Arc::new(Shared {
                label: Mutex::new(label.to_owned()),
                unit,
                total,
                position: AtomicU64::new(0),
                display,
            }),
        }
    }

    /// Says what is being done from now on.
    pub fn label(&self, label: &str) {
        if let Display::Bar(bar) = &self.shared.display {
            bar.set_message(label.to_owned());
        }
        label.clone_into(&mut self.shared.current_label());
    }

    /// Counts and shows nothing.
    #[must_use]
    pub fn hidden() -> Self {
        Self::bytes("", 0, ProgressStyle::Hidden)
    }

    /// Counts `amount` more.
    pub fn add(&self, amount: u64) {
        let position = self
            .shared
            .position
            .fetch_add(amount, Ordering::Relaxed)
            .saturating_add(amount);
        match &self.shared.display {
            Display::Bar(bar) => bar.inc(amount),
            Display::Lines { last } => {
                // Whoever holds the lock prints; nobody waits for it.
                if let Ok(mut last) = last.try_lock()
                    && last.elapsed() >= LINE_INTERVAL
                {
                    *last = Instant::now();
                    let Shared { unit, total, .. } = *self.shared;
                    let label = self.shared.current_label();
                    eprintln!("{}", line(&label, unit, position, total));
                }
            }
            Display::Hidden => {}
        }
    }

    /// How much was counted.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.shared.position.load(Ordering::Relaxed)
    }

    /// Takes the bar away; what was found is for the caller to print.
    pub fn finish(&self) {
        if let Display::Bar(bar) = &self.shared.display {
            bar.finish_and_clear();
        }
    }
}

impl Shared {
    fn current_label(&self) -> MutexGuard<'_, String> {
        self.label.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    /// Work that was given up leaves no bar behind.
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, unit: Unit, total: u64, style: Style) -> ProgressBar {
    let amounts = match unit {
        Unit::Bytes => "{bytes:>10} of {total_bytes} {binary_bytes_per_sec:>12}",
        Unit::Steps => "{pos:>3} of {len}",
    };
    let colours = match style {
        Style::Plain => "",
        Style::Colour => ":.cyan/dim",
    };
    let template = format!("   {{msg:<27}} {{wide_bar{colours}}} {amounts}");
    // Both templates are valid; the default bar is a fallback.
    let style = BarStyle::with_template(&template).unwrap_or_else(|_| BarStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10))
        .with_style(style.progress_chars("█▉▊▋▌▍▎▏ "))
        .with_message(label.to_owned())
}

fn line(label: &str, unit: Unit, position: u64, total: u64) -> String {
    let percent = u128::from(position) * 100 / u128::from(total.max(1));
    match unit {
        Unit::Bytes => {
            let (done, total) = (HumanBytes(position), HumanBytes(total));
            format!("{label}: {percent} % ({done} of {total})")
        }
        Unit::Steps => format!("{label}: {percent} % ({position} of {total})"),
    }
}

const LINE_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together() {
        let progress = Progress::hidden();
        progress.clone().add(5);
        progress.add(7);
        assert_eq!(progress.position(), 12);
    }

    #[test]
    fn a_line_tells_label_share_and_amounts() {
        assert_eq!(
            line("left to right", Unit::Bytes, 1 << 29, 1 << 30),
            "left to right: 50 % (512.00 MiB of 1.00 GiB)"
        );
        assert_eq!(line("x", Unit::Bytes, 0, 0), "x: 0 % (0 B of 0 B)");
        assert_eq!(line("x", Unit::Steps, 3, 4), "x: 75 % (3 of 4)");
    }
}
