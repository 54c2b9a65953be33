//! TCP in user space for async Rust.
//!
//! A [`Stack`] owns a raw packet socket on one Linux interface and speaks ARP, NDP, IP and TCP on
//! it by itself. Its streams and listeners, in [`net`], have the names and the behaviour of
//! `tokio::net`: replacing that path is the whole port of most programs.
//!
//! # Quick start
//!
//! ```no_run
//! use tidewire::{Stack, net::TcpListener}; // the only changed import
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     Stack::on("veth0").address("10.9.0.2/24").gateway("10.9.0.1").start().await?.set_default();
//!     let listener = TcpListener::bind("0.0.0.0:8080").await?;
//!     loop {
//!         let (mut stream, _peer) = listener.accept().await?;
//!         tokio::spawn(async move {
//!             let (mut reader, mut writer) = stream.split();
//!             tokio::io::copy(&mut reader, &mut writer).await
//!         });
//!     }
//! }
//! ```
//!
//! The address must be one that neither the kernel nor another host has; [`StackBuilder::start`]
//! checks both. The process needs `CAP_NET_RAW`, or a network of its own (`unshare -Urn`), or no
//! network at all: two stacks joined by a [`MemoryLink`] run anywhere.
//!
//! # Which stack
//!
//! The static constructors of [`net`] use the stack of the surrounding [`Stack::scope`], else the
//! default ([`Stack::set_default`]), else one started from the environment variables
//! `TIDEWIRE_IFACE`, `TIDEWIRE_ADDR` and `TIDEWIRE_GATEWAY`. [`Stack::connect`], [`Stack::bind`]
//! and the `_on` constructors name it.
//!
//! # Tasks
//!
//! One spawned task per stack watches its device, on the runtime that [`StackBuilder::start`] was
//! called in; calls of the application do their sending and, before they wait, their receiving
//! themselves. When that runtime is shut down, operations of the stack's sockets on other runtimes
//! fail.
//!
//! # Source files
//!
//! Bottom to top: a file imports only from earlier rows and from its own folder, which
//! `tests/floors.rs` keeps.
//!
//! | file or folder | is |
//! |---|---|
//! | `error.rs` | [`StackError`], and the kernel's error code for each error of the core |
//! | `clock.rs` | tokio's time as the core's instants |
//! | `note.rs` | log events, logged when no lock is held |
//! | `wakes.rs` | wake-ups, drops and log events that wait until the lock is free |
//! | `device/mod.rs` | the trait that all devices implement, and [`LinkStats`] |
//! | `device/interface.rs` | network interfaces of the host |
//! | `device/sys.rs` | system calls, the only `unsafe` |
//! | `device/filter.rs` | BPF filter of the packet socket |
//! | `device/pool.rs` | receive buffers that payloads are handed out of |
//! | `device/packet_tx.rs` | sending half of the packet socket |
//! | `device/packet_socket.rs` | packet socket: opening, receiving, errors of sending |
//! | `device/memory.rs` | [`MemoryLink`], a link in memory |
//! | `device/impair.rs` | [`Impairment`], delay and loss on purpose |
//! | `device/pcapng.rs` | writer of pcapng files |
//! | `device/tap.rs` | recording of every frame to a file |
//! | `shard/wakers.rs` | registered wakers of connections and listeners |
//! | `shard/state/` | what the lock guards: the driver's turn, frames in and out, the end |
//! | `shard/lock.rs` | the lock, and what follows after it |
//! | `shard/drain.rs` | the future of a shutdown |
//! | `shard/driver.rs` | the driver task |
//! | `shard/handle.rs` | handles: the first starts the driver, the last ends it |
//! | `shard/conn.rs` | handle of a connection: connect, read, write, readiness |
//! | `shard/accept.rs` | handle of a listener |
//! | `shard/binding.rs` | handle of a bound address |
//! | `stack.rs` | [`Stack`], the public handle |
//! | `builder.rs` | [`StackBuilder`]: settings, device, address probe |
//! | `ambient.rs` | the stack of the scope, the process or the environment |
//! | `net/options.rs` | checks of socket options |
//! | `net/stream.rs`, `net/tcp/` | [`net::TcpStream`] and its halves |
//! | `net/listener.rs` | [`net::TcpListener`] |
//! | `net/socket.rs` | [`net::TcpSocket`] |
//! | `net/on_stack.rs` | [`Stack::connect`] and [`Stack::bind`] |
//! | `axum.rs` | `axum::serve`, with the feature `axum` |
//!
//! # Features
//!
//! None is on by default. `axum`: `axum::serve` takes a [`net::TcpListener`] as it takes tokio's,
//! and `tidewire::axum::PeerAddr` tells handlers who asks.

#![deny(unsafe_code)]

// The documentation has the methods of `Stack` in the order of the modules: first what makes one.
mod builder;

mod ambient;
#[cfg(feature = "axum")]
pub mod axum;
mod clock;
mod device;
mod error;
pub mod net;
mod note;
mod shard;
mod stack;
mod wakes;

pub use builder::StackBuilder;
pub use device::{Impairment, LinkStats, MemoryLink};
pub use error::StackError;
pub use stack::Stack;

pub use tidewire_core::{
    AckSample, Algorithm, BufferSize, ConfigError, CongestionControl, CongestionEvent, ConnError,
    ConnId, Direction, DropReason, KeepAlive, NewReno, RxChecksum, RxMeta, SendLimit, State, Stats,
    TcpConfig, TcpInfo, TraceEntry, initial_window, wire,
};

/// Time as the core counts it, in [`TcpConfig`], [`TcpInfo`] and [`TraceEntry`]. The instants of
/// all stacks of a process have the same epoch.
pub mod time {
    pub use tidewire_core::{Duration, Instant};
}
