//! Public listener: [`TcpListener`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidewire_core::ListenOptions;

use super::options::hop_limit;
use super::{TcpStream, ToSocketAddrs, lookup_host, no_address};
use crate::shard::{Binding, Connection, Listener};
use crate::stack::Stack;

/// A TCP socket that accepts connections, as [`tokio::net::TcpListener`].
///
/// Dropping it resets the connections that were not accepted and frees the port.
///
/// ```no_run
/// use tidewire::net::TcpListener;
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = TcpListener::bind("0.0.0.0:8080").await?;
/// loop {
///     let (mut stream, _peer) = listener.accept().await?;
///     tokio::spawn(async move {
///         let (mut reader, mut writer) = stream.split();
///         tokio::io::copy(&mut reader, &mut writer).await
///     });
/// }
/// # }
/// ```
pub struct TcpListener {
    listener: Listener,
    /// What every accepted stream inherits, where it was set on the socket.
    linger: Option<Duration>,
}

impl TcpListener {
    /// Listens at the first address of `addr` that can be bound; port 0 lets the stack choose one.
    ///
    /// # Errors
    /// The last attempt's: `EADDRINUSE`, or `EADDRNOTAVAIL` when the address is not one of the
    /// stack's; or [`StackError`](crate::StackError) when there is no stack to use.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let stack = Stack::ambient().await?;
        Self::bind_on(&stack, addr).await
    }

    /// [`bind`](Self::bind) on the given stack.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_on<A: ToSocketAddrs>(stack: &Stack, addr: A) -> io::Result<Self> {
        let mut last_error = None;
        for addr in lookup_host(addr).await? {
            match Self::bind_with(stack, addr, ListenOptions::default(), None) {
                Ok(listener) => return Ok(listener),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(no_address))
    }

    pub(super) fn bind_with(
        stack: &Stack,
        addr: SocketAddr,
        options: ListenOptions,
        linger: Option<Duration>,
    ) -> io::Result<Self> {
        let listener = Listener::bind(stack.shard(), addr, options)?;
        Ok(Self { listener, linger })
    }

    pub(super) fn on_bound(
        binding: Binding,
        options: ListenOptions,
        linger: Option<Duration>,
    ) -> io::Result<Self> {
        let listener = binding.listen(options)?;
        Ok(Self { listener, linger })
    }

    /// Waits for a connection. Any number of tasks may, and dropping the future loses none.
    ///
    /// # Errors
    /// The stack has stopped.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener
            .accept()
            .await
            .and_then(|conn| self.finish(conn))
    }

    /// Polls for a connection. Of all callers of this, the last is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        let conn = ready!(self.listener.poll_accept(cx));
        budget.made_progress();
        Poll::Ready(conn.and_then(|conn| self.finish(conn)))
    }

    /// The address that is listened at, with the port that was chosen.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.listener.local_addr())
    }

    /// The TTL, or the hop limit, of the packets of accepted streams.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn ttl(&self) -> io::Result<u32> {
        let config = self.listener.config(|config| u32::from(config.hop_limit));
        config.ok_or_else(|| self.listener.gone())
    }

    /// Sets the TTL, or the hop limit, that streams accepted from now on begin with: 1 to 255.
    ///
    /// # Errors
    /// `EINVAL` outside of that; the stack was shut down.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hop_limit = hop_limit(ttl)?;
        let set = self.listener.config(|config| config.hop_limit = hop_limit);
        set.ok_or_else(|| self.listener.gone())
    }

    fn finish(&self, conn: Connection) -> io::Result<(TcpStream, SocketAddr)> {
        let peer = conn.peer_addr();
        let stream = TcpStream::new(conn);
        if self.linger.is_some() {
            stream.set_linger(self.linger)?;
        }
        Ok((stream, peer))
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("addr", &self.listener.local_addr())
            .finish_non_exhaustive()
    }
}
