//! Handle of a listener: accepting.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tidewire_core::{ListenError, ListenOptions, ListenerId, Stack, TcpConfig};

use super::conn::Connection;
use super::handle::ShardRef;
use super::state::State;
use super::wakers::WaiterKey;
use crate::error::{ToOsError, os_error};

/// A handle of one listener. Dropping it closes the listener.
#[derive(Debug)]
pub(crate) struct Listener {
    shard: ShardRef,
    id: ListenerId,
    local: SocketAddr,
}

impl Listener {
    /// Opens a listener; port 0 lets the stack choose one.
    ///
    /// # Errors
    /// As a kernel socket's `bind` and `listen`.
    pub(crate) fn bind(
        shard: &ShardRef,
        local: SocketAddr,
        options: ListenOptions,
    ) -> io::Result<Self> {
        Self::open(shard, local, |stack| stack.listen(local, options))
    }

    /// Makes a handle of the listener that `listen` opens at `local`.
    pub(super) fn open(
        shard: &ShardRef,
        local: SocketAddr,
        listen: impl FnOnce(&mut Stack) -> Result<ListenerId, ListenError>,
    ) -> io::Result<Self> {
        shard.with(|state, _| {
            state.check()?;
            let id = listen(state.stack()).map_err(|error| error.to_io())?;
            state.wakers.add_listener(id);
            Ok(Self {
                shard: shard.clone(),
                id,
                local: state.stack().listener_addr(id).unwrap_or(local),
            })
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Looks at, or changes, what connections accepted from now on begin with; `None` after the
    /// stack was shut down.
    pub(crate) fn config<R>(&self, f: impl FnOnce(&mut TcpConfig) -> R) -> Option<R> {
        let with = |state: &mut State, _| state.stack().listener_config(self.id).map(f);
        self.shard.with(with)
    }

    /// Why there is no [`config`](Self::config).
    pub(crate) fn gone(&self) -> io::Error {
        let stopped = self.shard.check().err();
        stopped.unwrap_or_else(|| os_error(libc::EINVAL))
    }

    /// Waits for a connection. Any number of tasks may.
    pub(crate) fn accept(&self) -> Accept<'_> {
        Accept {
            listener: self,
            key: None,
        }
    }

    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        self.poll(cx.waker(), |state, waker| {
            state.wakers.wait_accept(self.id, waker, &mut state.wakes);
        })
    }

    fn poll(
        &self,
        waker: &Waker,
        register: impl FnOnce(&mut State, &Waker),
    ) -> Poll<io::Result<Connection>> {
        self.shard.with(|state, now| {
            state.check()?;
            if state.stack().listener_addr(self.id).is_none() {
                // The stack is being shut down.
                return Poll::Ready(Err(os_error(libc::EINVAL)));
            }
            if let Some(conn) = self.take(state) {
                return Poll::Ready(Ok(conn));
            }
            if state.receive(now).any
                && let Some(conn) = self.take(state)
            {
                return Poll::Ready(Ok(conn));
            }
            register(state, waker);
            Poll::Pending
        })
    }

    fn take(&self, state: &mut State) -> Option<Connection> {
        let (id, peer) = state.stack().accept(self.id)?;
        Some(Connection::adopt(&self.shard, state, id, peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shard.with(|state, now| {
            state.wakers.remove_listener(self.id, &mut state.wakes);
            state.stack().close_listener(now, self.id);
        });
    }
}

/// The future of [`Listener::accept`]. A connection leaves the queue only when it is returned, so
/// that dropping the future loses none.
#[derive(Debug)]
pub(crate) struct Accept<'a> {
    listener: &'a Listener,
    key: Option<WaiterKey>,
}

impl Future for Accept<'_> {
    type Output = io::Result<Connection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let coop = std::task::ready!(tokio::task::coop::poll_proceed(cx));
        let Self { listener, key } = self.get_mut();
        let poll = listener.poll(cx.waker(), |state, waker| {
            let State { wakers, wakes, .. } = state;
            wakers.wait_accept_as(listener.id, key, waker, wakes);
        });
        if poll.is_ready() {
            coop.made_progress();
        }
        poll
    }
}

impl Drop for Accept<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.listener.shard.with(|state, _| {
                state
                    .wakers
                    .stop_accepting(self.listener.id, key, &mut state.wakes);
            });
        }
    }
}
