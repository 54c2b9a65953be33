//! Listener: its address, its options and its accept queue.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use crate::ip::covers;
use crate::tcp::TcpConfig;
use crate::types::{ConnId, ipv4_mapped};

/// A listener, and the connections that wait for `accept`.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) addr: SocketAddr,
    /// The application asked for the IPv4-mapped form of that address.
    pub(crate) mapped: bool,
    pub(crate) backlog: usize,
    pub(crate) reuse_port: bool,
    pub(crate) config: Arc<TcpConfig>,
    /// Established, waiting for `accept`.
    pub(crate) queue: VecDeque<ConnId>,
    /// Records of this listener in the half-open table.
    pub(crate) half_open: usize,
    pub(crate) in_events: bool,
}

impl Listener {
    /// Whether a segment to `local` is for this listener.
    pub(crate) fn serves(&self, local: IpAddr) -> bool {
        covers(self.addr.ip(), local)
    }

    /// The address as the application knows it.
    pub(crate) fn shown_addr(&self) -> SocketAddr {
        if self.mapped {
            ipv4_mapped(self.addr)
        } else {
            self.addr
        }
    }

    pub(crate) fn queue_is_full(&self) -> bool {
        self.queue.len() >= self.backlog
    }

    /// Half-open connections are bounded by the backlog too, so that each can be accepted once it
    /// is complete.
    pub(crate) fn is_full(&self) -> bool {
        self.queue_is_full() || self.half_open >= self.backlog
    }
}
