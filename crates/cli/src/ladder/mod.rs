//! Ladder diagrams: the segments of one connection in time between its two ends, with the state at
//! either end.
//!
//! [`Recorder`] makes a [`Ladder`] of a real connection on a slow wire; [`to_text`] draws it for a
//! terminal and [`to_svg`] as a picture.

mod end;
mod layout;
mod model;
mod record;
mod segment;
mod svg;
mod text;

pub use crate::lab::Direction;
pub use crate::state::{State, StateSource};
pub use model::{Flags, Ladder, Step};
pub use record::{PreparedRecording, Recorder, Recording};
pub use segment::{Segment, parse as parse_segment};
pub use svg::to_svg;
pub use text::to_text;

#[cfg(test)]
mod sample;
