//! Traffic for any pair of TCP implementations: the same code drives `tokio::net` and
//! `tidewire::net`.
//!
//! A [`Transport`] says how to bind, accept and connect; a [`Side`] adds the runtime on which that
//! happens.

mod bulk;
mod conversation;
mod latency;
mod pattern;
mod rate;
mod session;
mod stream;

pub use bulk::{Transfer, Verified, receive, send, verified_transfer};
pub use conversation::converse;
pub use latency::{Latency, echo, ping_pong, round_trips};
pub use pattern::Pattern;
pub use rate::{Limit, Rate, await_end, sink, source, throughput};
pub use session::{Flow, Side, Transport};
pub use stream::{Stream, StreamInfo};
