//! Ladder as text for a terminal.

use core::fmt::Write;
use core::time::Duration;

use super::model::{Flags, Ladder, Step};
use crate::lab::Direction;
use crate::state::State;
use crate::style::{BLUE, BOLD, CYAN, DIM, GREEN, MAGENTA, RED, Style, YELLOW};

/// Draws a ladder for a terminal, at most 100 columns wide. Time runs downwards, in milliseconds
/// since the first segment left.
#[must_use]
pub fn to_text(ladder: &Ladder, style: Style) -> String {
    let mut drawing = Drawing {
        text: String::new(),
        style,
    };
    drawing.header(ladder);
    let mut states = (ladder.left_start, ladder.right_start);
    for step in &ladder.steps {
        drawing.step(step, states);
        states = (step.left_state, step.right_state);
    }
    drawing.text
}

struct Drawing {
    text: String,
    style: Style,
}

impl Drawing {
    fn header(&mut self, ladder: &Ladder) {
        let title = self.paint(BOLD, &ladder.title);
        let gap = 91_usize
            .saturating_sub(ladder.left.chars().count() + ladder.right.chars().count())
            .max(2);
        let names = format!("{}{}{}", ladder.left, " ".repeat(gap), ladder.right);
        let names = self.paint(BOLD, &names);
        self.line(&title);
        self.line("");
        self.line(&format!("    {names}"));
        let units = self.paint(DIM, &format!("{:>9}{:77}{:>9}", "ms", "", "ms"));
        self.line(&units);
        let start = self.row(
            None,
            (ladder.left_start, true),
            &" ".repeat(SPAN),
            (ladder.right_start, true),
            None,
        );
        self.line(&start);
    }

    fn step(&mut self, step: &Step, before: (State, State)) {
        let (left_time, right_time) = match step.direction {
            Direction::ToRight => (step.departed, step.arrived),
            Direction::ToLeft => (step.arrived, step.departed),
        };
        let arrow = self.arrow(step);
        let left = (step.left_state, step.left_state != before.0);
        let right = (step.right_state, step.right_state != before.1);
        let row = self.row(Some(left_time), left, &arrow, right, Some(right_time));
        self.line(&row);
        if !step.note.is_empty() {
            let note = self.paint(DIM, &format!("{:^SPAN$}", cut(&step.note, SPAN)));
            self.line(&format!("{:23}│{note}│", ""));
        }
    }

    fn row(
        &self,
        left_time: Option<Duration>,
        left: (State, bool),
        middle: &str,
        right: (State, bool),
        right_time: Option<Duration>,
    ) -> String {
        let time =
            |time: Option<Duration>| format!("{:>9}", time.map(milliseconds).unwrap_or_default());
        let (left_time, right_time) = (
            self.paint(DIM, &time(left_time)),
            self.paint(DIM, &time(right_time)),
        );
        let left = self.state(left.0, left.1, &format!("{:>12}", left.0.name()));
        let right = self.state(right.0, right.1, &format!("{:<12}", right.0.name()));
        format!("{left_time} {left} │{middle}│ {right} {right_time}")
    }

    /// The arrow is [`SPAN`] columns wide with the label in its shaft: double for SYN, FIN and RST,
    /// single for data, and dashed for a bare acknowledgement.
    fn arrow(&self, step: &Step) -> String {
        let control = step
            .flags
            .has(Flags(Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0));
        let shaft = match (control, step.len) {
            (true, _) => '═',
            (false, 0) => '╌',
            (false, _) => '─',
        };
        let label = cut(&step.label(), SPAN - 8);
        let room = SPAN - 4 - label.chars().count();
        let (before, after) = (room / 2, room - room / 2);
        let fill = |count: usize| shaft.to_string().repeat(count);
        let (left, right) = match step.direction {
            Direction::ToRight => (format!("●{}", fill(before)), format!("{}▶", fill(after))),
            Direction::ToLeft => (format!("◀{}", fill(before)), format!("{}●", fill(after))),
        };
        let colour = match (step.flags.has(Flags::RST), control, step.len) {
            (true, _, _) => RED,
            (_, true, _) => YELLOW,
            (_, _, 0) => DIM,
            _ => CYAN,
        };
        format!(
            "{} {label} {}",
            self.paint(colour, &left),
            self.paint(colour, &right)
        )
    }

    fn state(&self, state: State, changed: bool, text: &str) -> String {
        let colour = match state {
            _ if !changed => DIM,
            State::Closed | State::Listen => BOLD,
            State::SynSent | State::SynReceived => YELLOW,
            State::Established => GREEN,
            State::TimeWait => MAGENTA,
            _ => BLUE,
        };
        self.paint(colour, text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        self.style.paint(code, text)
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{}", text.trim_end());
    }
}

pub(super) fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars()
        .take(columns.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// Columns between the two lifelines.
const SPAN: usize = 47;

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_plain_drawing_is_exactly_this() {
        sample::assert_snapshot("ladder.txt", &to_text(&sample::ladder(), Style::Plain));
    }

    #[test]
    fn no_line_is_wider_than_100_columns() {
        let mut ladder = sample::ladder();
        ladder.steps[0].note = "x".repeat(300);
        ladder.steps[1].seq = u32::MAX;
        ladder.steps[1].ack = Some(u32::MAX);
        ladder.steps[1].len = 4_000_000_000;
        for line in to_text(&ladder, Style::Plain).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn colour_adds_nothing_but_escape_sequences() {
        let coloured = to_text(&sample::ladder(), Style::Colour);
        assert!(coloured.contains("\x1b[1;32m"));
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            plain.push_str(before);
            rest = after.split_once('m').expect("the end of a sequence").1;
        }
        plain.push_str(rest);
        let trimmed: Vec<&str> = plain.lines().map(str::trim_end).collect();
        assert_eq!(
            trimmed.join("\n"),
            to_text(&sample::ladder(), Style::Plain).trim_end()
        );
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(cut("ÄÖÜß", 4), "ÄÖÜß");
        assert_eq!(cut("ÄÖÜßx", 4), "ÄÖÜ…");
    }
}
