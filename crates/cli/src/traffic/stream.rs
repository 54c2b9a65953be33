//! Connection of a transport, and what it reports.

use core::net::SocketAddr;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of a [`Transport`](super::Transport), with the queries and options that both TCP
/// implementations have.
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

    /// The implementation's report on the connection.
    ///
    /// # Errors
    /// When the connection is gone, or the kernel does not report it.
    fn info(&self) -> io::Result<StreamInfo>;
}

/// Report of a TCP implementation on one of its connections, with iperf3's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Retransmitted segments.
    pub retransmits: u64,
    /// Congestion window in bytes.
    pub snd_cwnd: u64,
    /// The peer's window in bytes.
    pub snd_wnd: u64,
    /// Smoothed round-trip time in microseconds; 0 before the first measurement.
    pub rtt: u64,
    /// Round-trip time variation in microseconds.
    pub rttvar: u64,
    /// Bytes per full segment.
    pub snd_mss: u32,
}
