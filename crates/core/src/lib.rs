//! Tidewire's protocol core: TCP over IPv4 and IPv6 on Ethernet, sans-I/O.
//!
//! One type, [`Stack`], is the entry. It owns no socket, no clock, no thread and no task: frames and time go in, frames,
//! deadlines and events come out, so that the same code runs under a tokio driver, in virtual time, and under a script
//! player, and does the same thing every time. All randomness comes from one [`Secret`].
//!
//! ```text
//!             handle_frame   handle_timeout   set_link        connect listen accept
//!                  |               |              |            conn(id).read/write ...
//!                  v               v              v                    |
//!   stack/   ingress -> delivery -> tcp::Connection <------------------+
//!                                        |
//!            egress  <-------------------+------> events, deadlines
//!                  |                                |
//!                  v                                v
//!            poll_transmit                poll_event, poll_timeout
//! ```
//!
//! The crate is `no_std` with `alloc`, and has no `unsafe` code. Nothing a peer sends can make it panic: what is wrong
//! is dropped and counted ([`DropReason`]).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

extern crate alloc;

mod error;
mod ip;
mod offload;
mod stack;
mod tcp;
mod time;
mod types;

pub use error::{
    ConfigError, ConnError, ConnectError, ListenError, ReadError, ShutdownError, WriteError,
};
pub use ip::{Gateways, IpCidr};
pub use offload::{Coalescer, FrameBuffer, RxChecksum, RxMeta, TxOffload, segment};
pub use stack::{
    BindOptions, BindingId, Conn, ConnectOptions, ConnectionCounts, Direction, ListenOptions,
    Stack, StackConfig, TraceEntry, Transmit,
};
pub use tcp::congestion::{
    AckSample, Algorithm, CongestionControl, CongestionEvent, Cubic, NewReno, initial_window,
};
pub use tcp::{BufferSize, KeepAlive, SendLimit, State, TcpConfig, TcpInfo, Transition};
pub use tidewire_wire as wire;
pub use time::{Duration, Instant};
pub use types::{ConnEvents, ConnId, DropReason, Event, LinkCaps, ListenerId, Secret, Stats};
