//! Handle of a stack: shutdown, addresses, counters, trace.
//!
//! Its other methods are where what they need is: `on` and `in_memory` in `builder.rs`,
//! `set_default`, `scope` and `current` in `ambient.rs`, `connect` and `bind` in `net/on_stack.rs`.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tidewire_core::wire::MacAddr;
use tidewire_core::{Stats, TcpConfig, TraceEntry};

use crate::device::LinkStats;
use crate::shard::{ShardRef, State, Stop};

/// A TCP/IP stack of its own on one link.
///
/// This is a handle: clones are the same stack. When the last handle, stream and listener is gone,
/// the stack finishes what was closed in the background and ends.
///
/// ```no_run
/// use tidewire::Stack;
///
/// # async fn example() -> std::io::Result<()> {
/// let stack = Stack::on("eth0").address("10.0.0.2/24").gateway("10.0.0.1").start().await?;
/// let stream = stack.connect("10.0.0.1:80").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stack {
    shard: ShardRef,
    about: Arc<About>,
}

/// What does not change after the start.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) interface: String,
    pub(crate) mac: MacAddr,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) tcp: TcpConfig,
}

impl Stack {
    pub(crate) fn new(shard: ShardRef, about: About) -> Self {
        Self {
            shard,
            about: Arc::new(about),
        }
    }

    /// Ends the stack in an orderly way.
    ///
    /// Listeners stop accepting, and every connection, those of living streams included, sends
    /// what was written and a FIN. When all of that has been delivered and answered, or `deadline`
    /// has passed, what is left is reset and every operation fails from then on. That includes
    /// connections whose streams were dropped before and that were still being closed.
    ///
    /// When the future is dropped, the listeners stay closed and the connections end as they can.
    ///
    /// # Errors
    /// `TimedOut` when something had to be reset; otherwise, that the stack had stopped before.
    pub async fn shutdown(&self, deadline: Duration) -> io::Result<()> {
        self.shard.with(State::shut_down_all);
        let result = tokio::time::timeout(deadline, self.shard.drain()).await;
        self.shard.stop(Stop::Shutdown);
        tracing::info!(interface = self.about.interface, "stack shut down");
        result.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the stack still works: it was not shut down, and its runtime lives.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shard.check().is_ok()
    }

    /// The interface's name.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.about.interface
    }

    /// The stack's own MAC address.
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.about.mac
    }

    /// The stack's own IP addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.about.addresses
    }

    /// The last other host that claimed one of the stack's own addresses since the start, and the
    /// address it claims.
    #[must_use]
    pub fn address_conflict(&self) -> Option<(IpAddr, MacAddr)> {
        self.shard.inspect(|state| state.stack().address_conflict())
    }

    /// The defaults of new connections.
    #[must_use]
    pub fn tcp_config(&self) -> TcpConfig {
        self.about.tcp.clone()
    }

    /// Counters of the stack.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shard.inspect(|state| state.stack().stats().clone())
    }

    /// Counters of the device below it.
    #[must_use]
    pub fn link_stats(&self) -> LinkStats {
        self.shard.inspect(State::link_stats)
    }

    /// Takes what was traced since the last call, oldest first, where
    /// [`StackBuilder::trace`](crate::StackBuilder::trace) turned tracing on.
    #[must_use]
    pub fn take_trace(&self) -> Vec<TraceEntry> {
        self.shard
            .inspect(|state| std::iter::from_fn(|| state.stack().poll_trace()).collect())
    }

    pub(crate) fn shard(&self) -> &ShardRef {
        &self.shard
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("interface", &self.about.interface)
            .field("addresses", &self.about.addresses)
            .finish_non_exhaustive()
    }
}
