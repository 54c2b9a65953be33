//! Laws that hold after every event, checked from outside; the table is in the crate's documentation.

mod connection;
mod flow;
mod tail;
mod violation;

pub(crate) use connection::{Connections, LEAST, Observed, is_full};
pub(crate) use flow::Flows;
pub(crate) use tail::{Remark, Tail};
pub(crate) use violation::Breach;
pub use violation::{Law, Violation};

/// What made a stack act.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// This many IP packets arrived.
    Frames(usize),
    /// A neighbour answered, which sets free what waited for its address, perhaps among other frames.
    Neighbor,
    /// A deadline passed.
    Timeout,
    /// The application called, or the link changed.
    Call,
}
