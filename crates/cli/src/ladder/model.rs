//! Ladder model: control bits, segments, and the states at both ends.

use core::fmt;
use core::time::Duration;

use serde::Serialize;

use crate::lab::Direction;
use crate::state::State;

/// The control bits of a segment (RFC 9293 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);

    /// True if any bit of `other` is set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 8] = [
            (0x02, "SYN"),
            (0x01, "FIN"),
            (0x04, "RST"),
            (0x08, "PSH"),
            (0x10, "ACK"),
            (0x20, "URG"),
            (0x40, "ECE"),
            (0x80, "CWR"),
        ];
        let names: Vec<&str> = NAMES
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|(_, name)| *name)
            .collect();
        f.pad(&names.join(" "))
    }
}

/// One segment, and the states at both ends after it has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Time of departure, from the first segment's departure.
    #[serde(serialize_with = "as_seconds")]
    pub departed: Duration,
    /// Time of arrival, from the first segment's departure.
    #[serde(serialize_with = "as_seconds")]
    pub arrived: Duration,
    /// Which way it went.
    #[serde(serialize_with = "as_arrow")]
    pub direction: Direction,
    /// Its control bits.
    #[serde(serialize_with = "as_text")]
    pub flags: Flags,
    /// SEG.SEQ relative to the sender's initial sequence number.
    pub seq: u32,
    /// SEG.ACK relative to the receiver's initial sequence number, if ACK is set.
    pub ack: Option<u32>,
    /// Bytes of data.
    pub len: u32,
    /// Remarks: a SYN's options, "retransmission".
    pub note: String,
    /// The left end's state: after sending, or after processing.
    pub left_state: State,
    /// The right end's state: after sending, or after processing.
    pub right_state: State,
}

impl Step {
    /// Flags, numbers and length in a line: `SYN ACK seq=0 ack=1`.
    #[must_use]
    pub fn label(&self) -> String {
        let mut text = format!("{} seq={}", self.flags, self.seq);
        if let Some(ack) = self.ack {
            text.push_str(&format!(" ack={ack}"));
        }
        if self.len > 0 {
            text.push_str(&format!(" len={}", self.len));
        }
        text
    }
}

/// The segments of one connection and the states at both ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ladder {
    /// Version of the JSON form.
    pub schema: u32,
    /// A line over the picture.
    pub title: String,
    /// Who is on the left, such as `Tidewire 10.77.0.2:49152`.
    pub left: String,
    /// Who is on the right.
    pub right: String,
    /// The left end's state before the first segment.
    pub left_start: State,
    /// The right end's state before the first segment.
    pub right_start: State,
    /// The segments in order of departure.
    pub steps: Vec<Step>,
}

impl Ladder {
    /// Version 1 of the JSON form.
    pub const SCHEMA: u32 = 1;

    /// The states that the left end was in, in order, without repetitions.
    #[must_use]
    pub fn left_states(&self) -> Vec<State> {
        distinct(
            self.left_start,
            self.steps.iter().map(|step| step.left_state),
        )
    }

    /// The states that the right end was in, in order, without repetitions.
    #[must_use]
    pub fn right_states(&self) -> Vec<State> {
        distinct(
            self.right_start,
            self.steps.iter().map(|step| step.right_state),
        )
    }
}

fn distinct(first: State, rest: impl Iterator<Item = State>) -> Vec<State> {
    let mut states = vec![first];
    states.extend(rest);
    states.dedup();
    states
}

fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn as_text<S: serde::Serializer>(flags: &Flags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(flags)
}

fn as_arrow<S: serde::Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match direction {
        Direction::ToRight => "to-right",
        Direction::ToLeft => "to-left",
    })
}
