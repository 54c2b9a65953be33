//! Laws checked after every event; [`Law`] lists them.

mod connection;
mod flow;
mod tail;
mod violation;

pub(crate) use connection::{Connections, MEMORY_ALLOWANCE, Observed, is_full};
pub(crate) use flow::Flows;
pub(crate) use tail::{Remark, Tail};
pub(crate) use violation::Breach;
pub use violation::{Law, Violation};

/// What made a stack act.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cause {
    /// This many IP packets arrived.
    Frames(usize),
    /// A neighbour answered, perhaps among other frames: packets that waited for its address go
    /// out.
    Neighbor,
    /// A deadline passed.
    Timeout,
    /// The application called, or the link changed.
    Call,
}
