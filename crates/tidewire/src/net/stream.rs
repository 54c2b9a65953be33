//! Public stream: [`TcpStream`].

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use tidewire_core::{Algorithm, ConnId, ConnectOptions, KeepAlive, State, TcpInfo};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::task::coop;

use super::options::{check_keepalive, hop_limit};
use super::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, split, split_owned};
use super::{ToSocketAddrs, lookup_host, no_address};
use crate::error::{ToOsError, os_error};
use crate::shard::{Connection, Slot};
use crate::stack::Stack;

/// A TCP stream between a local and a remote socket, as [`tokio::net::TcpStream`].
///
/// Dropping it closes the connection: with a FIN after everything that was written, in the
/// background, or with a reset where received data was never read (RFC 2525 §2.17).
///
/// Writes are sent by the task that calls `poll_write`, except that small ones in quick succession
/// are gathered until the task yields or 64 KiB are complete. Flushing sends what was gathered and
/// waits for nothing; shutting down does not wait for the peer.
///
/// ```no_run
/// use tidewire::net::TcpStream;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # async fn example() -> std::io::Result<()> {
/// let mut stream = TcpStream::connect("10.0.0.1:80").await?;
/// stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
/// let mut reply = Vec::new();
/// stream.read_to_end(&mut reply).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    conn: Connection,
}

impl TcpStream {
    /// Opens a connection to the first address of `addr` that answers. Dropping the future gives
    /// the attempt up.
    ///
    /// # Errors
    /// The last attempt's, with the kernel's error codes: `ECONNREFUSED`, `ETIMEDOUT`,
    /// `EHOSTUNREACH`, `ENETUNREACH`, `EADDRNOTAVAIL`; or [`StackError`](crate::StackError) when
    /// there is no stack to use.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let stack = Stack::ambient().await?;
        Self::connect_on(&stack, addr).await
    }

    /// [`connect`](Self::connect) on the given stack.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_on<A: ToSocketAddrs>(stack: &Stack, addr: A) -> io::Result<Self> {
        let mut last_error = None;
        for addr in lookup_host(addr).await? {
            match Self::connect_with(stack, addr, ConnectOptions::default()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(no_address))
    }

    pub(super) async fn connect_with(
        stack: &Stack,
        addr: SocketAddr,
        options: ConnectOptions,
    ) -> io::Result<Self> {
        let conn = Connection::connect(stack.shard(), addr, options).await?;
        Ok(Self::new(conn))
    }

    pub(super) fn new(conn: Connection) -> Self {
        Self { conn }
    }

    /// The local address.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.conn.local_addr())
    }

    /// The remote address.
    ///
    /// # Errors
    /// `ENOTCONN` once the connection is over.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self.state() {
            State::TimeWait | State::Closed => Err(os_error(libc::ENOTCONN)),
            _ => Ok(self.conn.peer_addr()),
        }
    }

    /// Takes the pending error (`SO_ERROR`), if there is one.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = self.conn.with(|conn, _| conn.take_error()).flatten();
        Ok(error.map(|error| error.to_io()))
    }

    /// Receives without taking, waiting for data. Returns 0 at the end of the stream.
    ///
    /// # Errors
    /// The connection's.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.conn.peek(buf).await
    }

    /// Receives without taking. Of all callers of this and
    /// [`poll_read_ready`](Self::poll_read_ready), the last is woken.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        cooperate(cx, |cx| self.conn.poll_peek(cx, buf))
    }

    /// Waits until the stream is ready for some of `interest`.
    ///
    /// # Errors
    /// The stack was shut down. A failed connection is ready.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.conn.ready(interest).await
    }

    /// Waits until there is something to read: data, the end of the stream or an error.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(|_| ())
    }

    /// Waits until there is room to write, or an error.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(|_| ())
    }

    /// Polls for something to read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        cooperate(cx, |cx| self.conn.poll_ready(Slot::ReadReady, cx))
    }

    /// Polls for room to write.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        cooperate(cx, |cx| self.conn.poll_ready(Slot::WriteReady, cx))
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is; the connection's.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        self.conn
            .try_read(buf.remaining(), |piece| buf.put_slice(piece))
    }

    /// Reads what is there to several buffers, filling one after the other.
    ///
    /// # Errors
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = bufs.iter().map(|buf| buf.len()).sum();
        let mut rest = bufs.iter_mut();
        let mut current: &mut [u8] = &mut [];
        self.conn.try_read(room, |mut piece| {
            while !piece.is_empty() {
                if current.is_empty() {
                    match rest.next() {
                        Some(next) => current = next,
                        None => return,
                    }
                }
                let n = piece.len().min(current.len());
                let (to, left) = std::mem::take(&mut current).split_at_mut(n);
                to.copy_from_slice(&piece[..n]);
                current = left;
                piece = &piece[n..];
            }
        })
    }

    /// Reads what is there to the end of `buf`.
    ///
    /// # Errors
    /// As [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        // A growing buffer has room for more than it would want to hold at once.
        let max = buf.remaining_mut().min(MAX_READ_BUF);
        self.conn.try_read(max, |piece| buf.put_slice(piece))
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// `WouldBlock` when nothing does; the connection's.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.conn.try_write(&[IoSlice::new(buf)])
    }

    /// Writes what fits of several buffers.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if is_nothing(bufs) {
            return Ok(0);
        }
        self.conn.try_write(bufs)
    }

    /// Whether small segments are sent at once (Nagle's algorithm off).
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.get(|conn| conn.nodelay())
    }

    /// Sends small segments at once, or lets them wait to grow while data is in flight.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.set(|conn, now| conn.set_nodelay(now, nodelay))
    }

    /// How long closing goes on delivering, `None` for as long as it takes.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.get(|conn| conn.linger().map(Into::into))
    }

    /// Bounds how long a closed connection goes on delivering what was written, in the background:
    /// after that it is reset. Unlike with a kernel socket, dropping never blocks the thread.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.get(|conn| conn.set_linger(linger.map(Into::into)))
    }

    /// Makes dropping the stream reset the connection at once, without TIME-WAIT.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Whether the next segments are acknowledged at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn quickack(&self) -> io::Result<bool> {
        self.get(|conn| conn.quickack())
    }

    /// Acknowledges the next segments at once, or goes back to delayed ACKs. As with the kernel, it
    /// is not permanent: the usual rules take over again.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.set(|conn, now| conn.set_quickack(now, quickack))
    }

    /// The TTL, or the hop limit, of the packets that are sent.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn ttl(&self) -> io::Result<u32> {
        self.get(|conn| u32::from(conn.hop_limit()))
    }

    /// Sets the TTL, or the hop limit, of the packets that are sent from now on: 1 to 255.
    ///
    /// # Errors
    /// `EINVAL` outside of that; the stack was shut down.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hop_limit = hop_limit(ttl)?;
        self.get(|conn| conn.set_hop_limit(hop_limit))
    }

    /// Runs `f` where the stream is ready for some of `interest`.
    ///
    /// There is no descriptor that `f` could use beside the stream: it calls the stream's own
    /// `try_` methods.
    ///
    /// # Errors
    /// `WouldBlock` where the stream is not ready, without running `f`; else those of `f`.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.conn.try_ready(interest)?;
        f()
    }

    /// Runs `f` whenever the stream is ready for some of `interest`, until it gives something else
    /// than `WouldBlock`.
    ///
    /// Readiness is a level here, not an edge: an `f` that says `WouldBlock` although the stream is
    /// ready is run again after every other task had its turn.
    ///
    /// # Errors
    /// Those of `f`, and of [`ready`](Self::ready).
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match f() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::task::yield_now().await;
                }
                result => return result,
            }
        }
    }

    /// Borrows the reading and the writing half.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::split(self)
    }

    /// Splits the stream into halves that can move to different tasks. Dropping the writing one
    /// shuts writing down.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split_owned(self)
    }
}

/// What a kernel socket does not have.
impl TcpStream {
    /// A snapshot of the connection: the fields of `ss -ti`. All zero after the stack was shut
    /// down.
    pub fn info(&self) -> TcpInfo {
        self.conn.with(|conn, _| conn.info()).unwrap_or_default()
    }

    /// The connection's state; CLOSED after the stack was shut down.
    pub fn state(&self) -> State {
        let state = self.conn.with(|conn, _| conn.state());
        state.unwrap_or(State::Closed)
    }

    /// The connection's name in traces and statistics.
    pub fn conn_id(&self) -> ConnId {
        self.conn.id()
    }

    /// Resets the connection: the peer sees an error, and data on its way is lost.
    pub fn abort(self) {
        self.conn.abort();
    }

    /// Waits for data and takes a piece of it without copying; empty at the end of the stream.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// The connection's.
    pub async fn read_chunk(&self) -> io::Result<Bytes> {
        self.conn.read_chunk().await
    }

    /// Writes all of `data` without copying it, waiting for room where necessary. The memory is
    /// kept until the peer has acknowledged it.
    ///
    /// Not cancel safe: when the future is dropped, a part may have been written.
    ///
    /// # Errors
    /// The connection's.
    pub async fn write_bytes(&self, data: Bytes) -> io::Result<()> {
        self.conn.write_bytes(data).await
    }

    /// Replaces the congestion controller. The new one starts from its initial window.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn set_congestion(&self, algorithm: Algorithm) -> io::Result<()> {
        self.get(|conn| conn.set_congestion(algorithm))
    }

    /// The congestion controller's name, as in [`TcpInfo`].
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn congestion(&self) -> io::Result<&'static str> {
        self.get(|conn| conn.info().congestion)
    }

    /// How an idle connection is probed; `None` while keep-alive is off.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn keepalive(&self) -> io::Result<Option<KeepAlive>> {
        self.get(|conn| conn.keepalive())
    }

    /// Probes the peer while the connection is idle (`SO_KEEPALIVE`, `TCP_KEEPIDLE`,
    /// `TCP_KEEPINTVL`, `TCP_KEEPCNT`), or stops doing so. A peer that answers none of the probes
    /// ends the connection with `ETIMEDOUT`.
    ///
    /// # Errors
    /// `EINVAL` for times or a count of zero; the stack was shut down.
    pub fn set_keepalive(&self, keepalive: Option<KeepAlive>) -> io::Result<()> {
        check_keepalive(keepalive)?;
        self.set(|conn, now| conn.set_keepalive(now, keepalive))
    }

    /// How long sent data may stay unacknowledged before the connection ends; `None`: the number of
    /// retransmissions decides.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn user_timeout(&self) -> io::Result<Option<Duration>> {
        self.get(|conn| conn.user_timeout().map(Into::into))
    }

    /// Ends the connection with `ETIMEDOUT` when sent data stays unacknowledged, or the peer's
    /// window closed, for this long (`TCP_USER_TIMEOUT`). `None` or zero: as long as the number of
    /// retransmissions lasts.
    ///
    /// # Errors
    /// The stack was shut down.
    pub fn set_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set(|conn, now| conn.set_user_timeout(now, timeout.map(Into::into)))
    }

    fn set(
        &self,
        f: impl FnOnce(&mut tidewire_core::Conn<'_>, tidewire_core::Instant),
    ) -> io::Result<()> {
        self.conn.with(f).ok_or_else(|| self.conn.gone())
    }

    fn get<R>(&self, f: impl FnOnce(&mut tidewire_core::Conn<'_>) -> R) -> io::Result<R> {
        let result = self.conn.with(|conn, _| f(conn));
        result.ok_or_else(|| self.conn.gone())
    }

    pub(super) fn poll_read_shared(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        cooperate(cx, |cx| self.conn.poll_read(cx, buf))
    }

    pub(super) fn poll_write_shared(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        cooperate(cx, |cx| self.conn.poll_write(cx, bufs))
    }

    pub(super) fn poll_write_vectored_shared(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if is_nothing(bufs) {
            return Poll::Ready(Ok(0));
        }
        self.poll_write_shared(cx, bufs)
    }

    pub(super) fn shutdown_write(&self) {
        self.conn.shutdown_write();
    }

    /// Sends what small writes have left for the driver to send.
    pub(super) fn flush(&self) {
        self.conn.flush();
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_shared(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_shared(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored_shared(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Sends at once what a burst of small writes has left for the driver task. It does not wait
    /// for the peer.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush();
        Poll::Ready(Ok(()))
    }

    /// Queues a FIN after what was written, without waiting for the peer.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("addr", &self.conn.local_addr())
            .field("peer", &self.conn.peer_addr())
            .field("id", &self.conn.id())
            .finish()
    }
}

impl AsRef<Self> for TcpStream {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Runs `poll` within tokio's budget, so that a fast peer does not starve the other tasks.
fn cooperate<T>(cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
    let budget = ready!(coop::poll_proceed(cx));
    let result = poll(cx);
    if result.is_ready() {
        budget.made_progress();
    }
    result
}

/// The kernel's `writev` of nothing does not get as far as the connection, and never fails; its
/// `send` does.
fn is_nothing(bufs: &[IoSlice<'_>]) -> bool {
    bufs.iter().all(|buf| buf.is_empty())
}

/// Most bytes that one `try_read_buf` appends.
const MAX_READ_BUF: usize = 64 << 10;
