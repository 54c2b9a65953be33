//! Handle of a connection: connecting, reading, writing, readiness.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tidewire_core::{
    Conn, ConnId, ConnectOptions, Instant, ReadError, State as TcpState, WriteError,
};
use tokio::io::{Interest, ReadBuf, Ready};

use super::handle::ShardRef;
use super::state::State;
use super::wakers::{Side, Slot, WaiterKey};
use crate::error::{ToOsError, os_error};

/// A handle of one connection. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Connection {
    shard: ShardRef,
    id: ConnId,
    local: SocketAddr,
    peer: SocketAddr,
}

/// What an attempt gives: `None` where it would have to wait.
type Attempt<T> = Option<io::Result<T>>;

impl Connection {
    /// Opens a connection and waits until it is established. Dropping the future gives it up.
    ///
    /// # Errors
    /// As a kernel socket's `connect`.
    pub(crate) async fn connect(
        shard: &ShardRef,
        remote: SocketAddr,
        options: ConnectOptions,
    ) -> io::Result<Self> {
        if remote.port() == 0 {
            // The kernel sends a SYN, which no peer can accept at port 0.
            return Err(os_error(libc::ECONNREFUSED));
        }
        let conn = shard.with(|state, now| -> io::Result<Self> {
            state.check()?;
            let id = state
                .stack()
                .connect(now, remote, options)
                .map_err(|error| error.to_io())?;
            // The unspecified address stands for one of our own.
            let peer = state.stack().conn(id).map(|conn| conn.peer_addr());
            Ok(Self::adopt(shard, state, id, peer.unwrap_or(remote)))
        })?;
        let attempt = |conn: &mut Conn<'_>, _| {
            let result = conn.connect_result()?;
            Some(result.map_err(|error| error.to_io()))
        };
        conn.wait(Side::Both, attempt).await?;
        tracing::debug!(local = %conn.local, peer = %conn.peer, "connected");
        Ok(conn)
    }

    /// Makes a handle of the connection `id`, which has none.
    pub(super) fn adopt(shard: &ShardRef, state: &mut State, id: ConnId, peer: SocketAddr) -> Self {
        state.wakers.add_conn(id);
        let local = state.stack().conn(id).map(|conn| conn.local_addr());
        Self {
            shard: shard.clone(),
            id,
            local: local.unwrap_or(peer),
            peer,
        }
    }

    pub(crate) fn id(&self) -> ConnId {
        self.id
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Runs `f` with the connection, which it may read or change; `None` when it is gone, which
    /// happens when the stack was shut down.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Conn<'_>, Instant) -> R) -> Option<R> {
        self.shard.with(|state, now| {
            state
                .stack()
                .conn(self.id)
                .map(|mut conn| f(&mut conn, now))
        })
    }

    /// Why [`with`](Self::with) gave `None`.
    pub(crate) fn gone(&self) -> io::Error {
        let stopped = self.shard.check().err();
        stopped.unwrap_or_else(|| os_error(libc::ENOTCONN))
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let max = buf.remaining();
        self.poll_slot(Slot::Read, cx, |conn, now| {
            if max == 0 {
                return Some(Ok(()));
            }
            let mut sink = |piece: &[u8]| buf.put_slice(piece);
            let read = conn.read_with(now, max, &mut sink);
            read_attempt(conn, read.map(|_| ()))
        })
    }

    pub(crate) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.poll_slot(Slot::ReadReady, cx, |conn, _| {
            let peeked = conn.peek(buf.initialize_unfilled());
            let attempt = read_attempt(conn, peeked);
            if let Some(Ok(n)) = attempt {
                buf.advance(n);
            }
            attempt
        })
    }

    pub(crate) async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(Side::Read, |conn, _| {
            let peeked = conn.peek(buf);
            read_attempt(conn, peeked)
        })
        .await
    }

    pub(crate) async fn read_chunk(&self) -> io::Result<Bytes> {
        self.wait(Side::Read, |conn, now| {
            let chunk = conn.read_chunk(now, usize::MAX);
            read_attempt(conn, chunk)
        })
        .await
    }

    /// Reads as much as is there without waiting; `sink` takes the pieces.
    pub(crate) fn try_read(&self, max: usize, mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
        self.attempt(|conn, now| {
            let read = conn.read_with(now, max, &mut sink);
            read_attempt(conn, read)
        })
    }

    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_op(
            |state, id, now| write_attempt(state, id, now, bufs),
            wait_in(Slot::Write, cx),
        )
    }

    pub(crate) fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let attempt = self.poll_op(
            |state, id, now| write_attempt(state, id, now, bufs),
            |_, _| {},
        );
        ready_or_would_block(attempt)
    }

    /// Queues all of `data`, by reference, waiting for room where necessary.
    pub(crate) async fn write_bytes(&self, mut data: Bytes) -> io::Result<()> {
        self.wait(Side::Write, |conn, now| {
            loop {
                match conn.write_bytes(now, &mut data) {
                    Ok(_) if data.is_empty() => return Some(Ok(())),
                    Ok(_) => {}
                    Err(WriteError::Blocked) => return None,
                    Err(error) => return Some(Err(error.to_io())),
                }
            }
        })
        .await
    }

    pub(crate) fn poll_ready(&self, slot: Slot, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_slot(slot, cx, |conn, _| {
            let ready = match slot {
                Slot::Read | Slot::ReadReady => conn.is_readable(),
                Slot::Write | Slot::WriteReady => conn.is_writable(),
            };
            ready.then_some(Ok(()))
        })
    }

    /// Waits for any part of `interest`.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let side = match (interest.is_readable(), interest.is_writable()) {
            (true, false) => Side::Read,
            (false, true) => Side::Write,
            _ => Side::Both,
        };
        self.wait(side, |conn, _| ready_attempt(conn, interest))
            .await
    }

    /// What the connection is ready for of `interest`; `WouldBlock` for nothing.
    pub(crate) fn try_ready(&self, interest: Interest) -> io::Result<Ready> {
        self.attempt(|conn, _| ready_attempt(conn, interest))
    }

    /// Waits until `attempt` gives something.
    pub(crate) fn wait<T, F>(&self, side: Side, attempt: F) -> Wait<'_, F>
    where
        F: FnMut(&mut Conn<'_>, Instant) -> Attempt<T>,
    {
        Wait {
            conn: self,
            side,
            attempt,
            key: None,
        }
    }

    /// Sends a FIN after what was written.
    pub(crate) fn shutdown_write(&self) {
        self.with(|conn, now| {
            // One that is over needs none; tokio swallows the ENOTCONN, too.
            let _ = conn.shutdown_write(now);
        });
    }

    /// Sends what earlier writes have deferred.
    pub(crate) fn flush(&self) {
        // Every call that is not a write sends everything.
        self.shard.with(|_, _| ());
    }

    /// Resets the connection.
    pub(crate) fn abort(&self) {
        self.shard.with(|state, now| {
            if let Some(conn) = state.stack().conn(self.id) {
                conn.abort(now);
            }
        });
    }

    fn attempt<T>(
        &self,
        mut attempt: impl FnMut(&mut Conn<'_>, Instant) -> Attempt<T>,
    ) -> io::Result<T> {
        ready_or_would_block(self.poll_op(on_conn(&mut attempt), |_, _| {}))
    }

    fn poll_slot<T>(
        &self,
        slot: Slot,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&mut Conn<'_>, Instant) -> Attempt<T>,
    ) -> Poll<io::Result<T>> {
        self.poll_op(on_conn(&mut attempt), wait_in(slot, cx))
    }

    /// Attempts an operation, receives what has arrived if it would have to wait, attempts it once
    /// more, and registers the task under the same lock, so that no event falls in between.
    fn poll_op<T>(
        &self,
        mut op: impl FnMut(&mut State, ConnId, Instant) -> Attempt<T>,
        register: impl FnOnce(&mut State, ConnId),
    ) -> Poll<io::Result<T>> {
        self.shard.with(|state, now| {
            state.check()?;
            if let Some(result) = op(state, self.id, now) {
                return Poll::Ready(result);
            }
            if state.receive(now).any
                && let Some(result) = op(state, self.id, now)
            {
                return Poll::Ready(result);
            }
            register(state, self.id);
            Poll::Pending
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shard.with(|state, now| {
            state.wakers.remove_conn(self.id, &mut state.wakes);
            if let Some(conn) = state.stack().conn(self.id) {
                conn.close(now);
            }
        });
    }
}

/// A future that attempts an operation whenever the connection may be ready for it. Any number of
/// them may wait for the same connection.
#[derive(Debug)]
pub(crate) struct Wait<'a, F> {
    conn: &'a Connection,
    side: Side,
    attempt: F,
    key: Option<WaiterKey>,
}

impl<T, F> Future for Wait<'_, F>
where
    F: FnMut(&mut Conn<'_>, Instant) -> Attempt<T> + Unpin,
{
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let coop = std::task::ready!(tokio::task::coop::poll_proceed(cx));
        let Self {
            conn,
            side,
            attempt,
            key,
        } = self.get_mut();
        let poll = conn.poll_op(on_conn(attempt), |state, id| {
            let State { wakers, wakes, .. } = state;
            wakers.wait_as(id, key, *side, cx.waker(), wakes);
        });
        if poll.is_ready() {
            coop.made_progress();
        }
        poll
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.conn.shard.with(|state, _| {
                state
                    .wakers
                    .stop_waiting(self.conn.id, key, &mut state.wakes);
            });
        }
    }
}

/// Registers the caller of a `poll_*` method.
fn wait_in(slot: Slot, cx: &Context<'_>) -> impl FnOnce(&mut State, ConnId) {
    move |state, id| {
        let State { wakers, wakes, .. } = state;
        wakers.wait(id, slot, cx.waker(), wakes);
    }
}

/// Applies an attempt to the connection.
fn on_conn<T>(
    attempt: &mut impl FnMut(&mut Conn<'_>, Instant) -> Attempt<T>,
) -> impl FnMut(&mut State, ConnId, Instant) -> Attempt<T> {
    move |state, id, now| match state.stack().conn(id) {
        Some(mut conn) => attempt(&mut conn, now),
        None => Some(Err(os_error(libc::ECONNABORTED))),
    }
}

fn read_attempt<T>(conn: &mut Conn<'_>, result: Result<T, ReadError>) -> Attempt<T> {
    match result {
        Ok(value) => Some(Ok(value)),
        Err(ReadError::Blocked) => None,
        Err(error) => {
            // Reporting it clears SO_ERROR, so that the next write says EPIPE. Later reads repeat
            // it, unlike a kernel socket's, which then pretend the stream had ended.
            conn.take_error();
            Some(Err(error.to_io()))
        }
    }
}

/// Writes as much as fits, sending as it goes: the frames leave while their bytes are in the cache.
fn write_attempt(
    state: &mut State,
    id: ConnId,
    now: Instant,
    bufs: &[IoSlice<'_>],
) -> Attempt<usize> {
    if bufs.iter().all(|buf| buf.is_empty()) {
        return Some(write_nothing(state, id, now));
    }
    let (mut written, mut unsent) = (0, 0);
    for piece in bufs.iter().flat_map(|buf| buf.chunks(WRITE_PIECE)) {
        if unsent >= WRITE_PIECE {
            state.transmit(now);
            unsent = 0;
        }
        match write_piece(state, id, now, piece) {
            Some(Ok(n)) => {
                written += n;
                unsent += n;
                if n < piece.len() {
                    break;
                }
            }
            None if written > 0 => break,
            refused => return refused,
        }
    }
    state.defer_small_write(now, written);
    Some(Ok(written))
}

/// An empty write succeeds at once, except where nothing can be written any more: the kernel looks
/// at the error and at the shutdown before it looks at the length.
fn write_nothing(state: &mut State, id: ConnId, now: Instant) -> io::Result<usize> {
    write_piece(state, id, now, &[]).unwrap_or(Ok(0))
}

/// Copies to the send buffer what fits.
fn write_piece(state: &mut State, id: ConnId, now: Instant, piece: &[u8]) -> Attempt<usize> {
    let Some(mut conn) = state.stack().conn(id) else {
        return Some(Err(os_error(libc::ECONNABORTED)));
    };
    match conn.write(now, piece) {
        Ok(n) => Some(Ok(n)),
        Err(WriteError::Blocked) => None,
        Err(error) => Some(Err(error.to_io())),
    }
}

fn ready_attempt(conn: &mut Conn<'_>, interest: Interest) -> Attempt<Ready> {
    let ready = readiness(conn, interest);
    (!ready.is_empty()).then_some(Ok(ready))
}

/// The part of `interest` that the connection is ready for, as epoll would report it.
fn readiness(conn: &mut Conn<'_>, interest: Interest) -> Ready {
    let mut ready = Ready::EMPTY;
    let state = conn.state();
    let over = matches!(state, TcpState::TimeWait | TcpState::Closed);
    let peer_closed = over
        || matches!(
            state,
            TcpState::CloseWait | TcpState::LastAck | TcpState::Closing
        );
    if interest.is_readable() {
        if conn.is_readable() {
            ready |= Ready::READABLE;
        }
        if peer_closed {
            ready |= Ready::READ_CLOSED;
        }
    }
    if interest.is_writable() {
        if conn.is_writable() {
            ready |= Ready::WRITABLE;
        }
        if over || matches!(state, TcpState::LastAck | TcpState::Closing) {
            ready |= Ready::WRITE_CLOSED;
        }
    }
    if interest.is_error() && conn.error().is_some() {
        ready |= Ready::ERROR;
    }
    ready
}

fn ready_or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// How much of a large write is copied before it is sent: two full super-frames, which stay in
/// the second-level cache.
const WRITE_PIECE: usize = 128 << 10;
