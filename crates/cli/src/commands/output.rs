//! Output of a command: text or JSON, colours, progress.

use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::{env, ffi::OsStr};

use clap::{Args, ColorChoice};
use serde::{Serialize, Serializer};

use super::failure::Failure;
use crate::progress::ProgressStyle;
use crate::style::Style;

/// How a command shows what it found.
#[derive(Debug, Clone, Args)]
pub(super) struct Output {
    /// Print one JSON document instead of text
    #[arg(short = 'J', long)]
    pub(super) json: bool,
    /// Colours on the terminal; `auto` heeds `NO_COLOR`
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
}

impl Output {
    /// The style of standard output.
    pub(super) fn style(&self) -> Style {
        chosen(
            self.color,
            no_color().as_deref(),
            io::stdout().is_terminal(),
        )
    }

    /// How progress is shown on standard error.
    pub(super) fn progress(&self) -> ProgressStyle {
        if io::stderr().is_terminal() {
            ProgressStyle::Bar(chosen(self.color, no_color().as_deref(), true))
        } else {
            ProgressStyle::Lines
        }
    }
}

/// A document for `--json`.
pub(super) fn to_json(document: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(document);
    let json = json.map_err(|error| Failure::failed("cannot write JSON", error))?;
    Ok(json + "\n")
}

/// A time as its number of seconds.
pub(super) fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Prints at once; a reader that has gone away is a failure, not a panic.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::failed("cannot print", error))
}

fn no_color() -> Option<std::ffi::OsString> {
    env::var_os("NO_COLOR")
}

/// The convention of no-color.org: any value but the empty one switches colours off, and an
/// explicit option wins.
fn chosen(choice: ColorChoice, no_color: Option<&OsStr>, is_terminal: bool) -> Style {
    let colour = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty),
    };
    if colour { Style::Colour } else { Style::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_wins_over_the_environment_over_the_terminal() {
        let set = Some(OsStr::new("1"));
        for (choice, no_color, is_terminal, expected) in [
            (ColorChoice::Auto, None, true, Style::Colour),
            (ColorChoice::Auto, None, false, Style::Plain),
            (ColorChoice::Auto, set, true, Style::Plain),
            (ColorChoice::Auto, Some(OsStr::new("")), true, Style::Colour),
            (ColorChoice::Always, set, false, Style::Colour),
            (ColorChoice::Never, None, true, Style::Plain),
        ] {
            let style = chosen(choice, no_color, is_terminal);
            assert_eq!(style, expected, "{choice:?} {no_color:?} {is_terminal}");
        }
    }
}
