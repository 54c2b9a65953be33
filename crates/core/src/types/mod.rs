//! Vocabulary: plain values that all rooms above share, without the behaviour of any layer.

mod drop;
mod events;
mod hash;
mod id;
mod ip_fields;
mod link;
mod slices;
mod stats;
mod tuple;

pub use drop::DropReason;
pub use events::{ConnEvents, Event};
pub(crate) use hash::HashKey;
pub use hash::Secret;
pub(crate) use id::Key;
pub use id::{ConnId, ListenerId};
pub(crate) use ip_fields::IpFields;
pub use link::LinkCaps;
pub(crate) use slices::{MAX_SLICES, Slices};
pub use stats::Stats;
pub(crate) use tuple::{FourTuple, ipv4_mapped};
