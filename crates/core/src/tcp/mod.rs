//! TCP (RFC 9293), without IP: segments in, segments out, timers.
//!
//! [`tcb`] is the state of one connection. [`input`] is SEGMENT ARRIVES, check by check. [`output`]
//! plans the segments to send. [`recovery`] detects loss, [`congestion`] bounds the data in flight.
//! The parts exchange plain values; no file here depends on frames, tasks, or addresses beyond the
//! 4-tuple.

mod ack_policy;
mod autotune;
pub(crate) mod challenge;
pub(crate) mod config;
pub(crate) mod congestion;
pub(crate) mod half_open;
mod info;
mod input;
mod iss;
pub(crate) mod negotiation;
mod output;
mod path;
pub(crate) mod pool;
pub(crate) mod pressure;
mod progress;
mod ranges;
mod recovery;
mod recv_buffer;
pub(crate) mod segment;
mod send_buffer;
mod state;
pub(crate) mod syn_cookies;
pub(crate) mod tcb;
pub(crate) mod time_wait;
mod timer;
mod timestamps;

pub use config::{BufferSize, KeepAlive, TcpConfig};
pub use info::{SendLimit, TcpInfo};
pub(crate) use input::Verdict;
pub(crate) use iss::IssGenerator;
pub(crate) use output::TimerOutcome;
pub(crate) use pressure::Pressure;
pub(crate) use recv_buffer::Payload;
pub use state::{State, Transition};
pub(crate) use tcb::Connection;
