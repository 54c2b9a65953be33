//! TCP streams and listeners with the names and the behaviour of `tokio::net`.
//!
//! Replacing `tokio::net` by `tidewire::net` is the whole port of most programs. What has no
//! meaning without a kernel socket is absent: file descriptors, and conversions from and to
//! `std::net`.
//!
//! The static constructors ([`TcpStream::connect`], [`TcpListener::bind`], [`TcpSocket`]) use the
//! stack of the surrounding [`Stack::scope`](crate::Stack::scope), else the process' default
//! ([`Stack::set_default`](crate::Stack::set_default)), else one that they start themselves from
//! the environment variables `TIDEWIRE_IFACE`, `TIDEWIRE_ADDR` and, optionally,
//! `TIDEWIRE_GATEWAY`.

mod listener;
mod on_stack;
mod options;
mod socket;
mod stream;
pub mod tcp;

pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
/// What can be resolved to addresses, tokio's own trait.
pub use tokio::net::ToSocketAddrs;
/// Resolves a host name, as tokio does it: through the kernel's network, not through a stack.
pub use tokio::net::lookup_host;

use std::io;

/// The error of a name that resolved to nothing.
fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "could not resolve to any address",
    )
}
