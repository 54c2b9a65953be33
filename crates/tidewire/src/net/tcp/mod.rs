//! The halves of a [`TcpStream`](super::TcpStream), as `tokio::net::tcp` has them.

pub(super) mod split;
pub(super) mod split_owned;

pub use split::{ReadHalf, WriteHalf};
pub use split_owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
