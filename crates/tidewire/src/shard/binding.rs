//! Handle of a bound local address, to listen on or to connect from.

use std::io;
use std::net::SocketAddr;

use tidewire_core::{BindOptions, BindingId, ListenOptions};

use super::accept::Listener;
use super::handle::ShardRef;
use crate::error::ToOsError;

/// The address, until this is dropped.
#[derive(Debug)]
pub(crate) struct Binding {
    shard: ShardRef,
    id: BindingId,
    addr: SocketAddr,
}

impl Binding {
    /// Binds an address; port 0 lets the stack choose one.
    ///
    /// # Errors
    /// As a kernel socket's `bind`.
    pub(crate) fn new(
        shard: &ShardRef,
        local: SocketAddr,
        options: BindOptions,
    ) -> io::Result<Self> {
        shard.with(|state, _| {
            state.check()?;
            let id = state
                .stack()
                .bind(local, options)
                .map_err(|error| error.to_io())?;
            Ok(Self {
                shard: shard.clone(),
                id,
                addr: state.stack().bound_addr(id).unwrap_or(local),
            })
        })
    }

    /// The address, with the port that was chosen.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens there.
    ///
    /// # Errors
    /// As a kernel socket's `listen`.
    pub(crate) fn listen(self, options: ListenOptions) -> io::Result<Listener> {
        Listener::open(&self.shard, self.addr, |stack| {
            stack.listen_bound(self.id, options)
        })
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.shard.with(|state, _| state.stack().unbind(self.id));
    }
}
