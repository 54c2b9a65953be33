use core::net::SocketAddr;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of a [`Transport`](super::Transport), with what both TCP implementations can be asked and told.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The own address and the peer's.
    ///
    /// # Errors
    /// When the connection is gone.
    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)>;

    /// Switches Nagle's algorithm off, or on again.
    ///
    /// # Errors
    /// When the connection is gone.
    fn set_nodelay(&self, nodelay: bool) -> io::Result<()>;

    /// What the implementation says of the connection.
    ///
    /// # Errors
    /// When the connection is gone, or the kernel does not tell.
    fn info(&self) -> io::Result<StreamInfo>;
}

/// The account that a TCP implementation gives of one of its connections, named as iperf3 names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Segments sent again.
    pub retransmits: u64,
    /// Congestion window in bytes.
    pub snd_cwnd: u64,
    /// The peer's window in bytes.
    pub snd_wnd: u64,
    /// Smoothed round trip in microseconds; 0 before the first measurement.
    pub rtt: u64,
    /// Its variation in microseconds.
    pub rttvar: u64,
    /// Bytes per full segment.
    pub snd_mss: u32,
}
