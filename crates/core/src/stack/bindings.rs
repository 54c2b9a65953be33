//! Bound addresses: local addresses and ports taken by `bind`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::slab::Slab;
use super::{ListenOptions, Stack};
use crate::error::ListenError;
use crate::ip::overlap;
use crate::types::{Key, ListenerId};

/// Id of a binding. An id whose binding is gone finds nothing.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct BindingId(Key);

/// Sharing of a local address and port: both sides have to allow it.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct BindOptions {
    /// With other bindings, as long as none of them listens (`SO_REUSEADDR`).
    pub reuse_addr: bool,
    /// With other bindings and listeners (`SO_REUSEPORT`).
    pub reuse_port: bool,
}

#[derive(Debug)]
struct Binding {
    addr: SocketAddr,
    /// As it was asked for: an IPv4 address may be in its IPv4-mapped form.
    shown: SocketAddr,
    options: BindOptions,
}

/// Table of bindings.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    table: Slab<Binding>,
    by_port: BTreeMap<u16, Vec<Key>>,
}

impl Bindings {
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.by_port.contains_key(&port)
    }

    /// Whether a binding that does not share with `options` has this address, or one that overlaps
    /// it.
    pub(super) fn is_taken(&self, addr: SocketAddr, options: BindOptions) -> bool {
        let keys = self.by_port.get(&addr.port()).into_iter().flatten();
        keys.filter_map(|&key| self.table.get(key))
            .filter(|binding| !binding.shares(options))
            .any(|binding| overlap(binding.addr.ip(), addr.ip()))
    }

    fn insert(&mut self, binding: Binding) -> BindingId {
        let port = binding.addr.port();
        let key = self.table.insert(binding);
        self.by_port.entry(port).or_default().push(key);
        BindingId(key)
    }

    fn remove(&mut self, id: BindingId) -> Option<Binding> {
        let binding = self.table.remove(id.0)?;
        let port = binding.addr.port();
        if let Some(keys) = self.by_port.get_mut(&port) {
            keys.retain(|&key| key != id.0);
            if keys.is_empty() {
                self.by_port.remove(&port);
            }
        }
        Some(binding)
    }
}

impl Binding {
    fn shares(&self, options: BindOptions) -> bool {
        (self.options.reuse_addr && options.reuse_addr)
            || (self.options.reuse_port && options.reuse_port)
    }
}

impl Stack {
    /// Takes a local address and port until [`unbind`](Self::unbind) or
    /// [`listen_bound`](Self::listen_bound): no other listener may have them, and no connection
    /// gets the port as its ephemeral one. An unspecified address stands for all own ones, port 0
    /// for an ephemeral port. Connections that use the port do not prevent it, whatever their state
    /// (MUST-41, MUST-42).
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(
        &mut self,
        local: SocketAddr,
        options: BindOptions,
    ) -> Result<BindingId, ListenError> {
        let addr = self.local_for(local)?;
        if self.locals.is_taken(addr, options) {
            return Err(ListenError::AddrInUse);
        }
        Ok(self.locals.bindings.insert(Binding {
            addr,
            shown: SocketAddr::new(local.ip(), addr.port()),
            options,
        }))
    }

    /// The address of a binding, as it was asked for, with its port.
    #[must_use]
    pub fn bound_addr(&self, id: BindingId) -> Option<SocketAddr> {
        Some(self.locals.bindings.table.get(id.0)?.shown)
    }

    /// Releases a binding. A connection from its port keeps the port.
    pub fn unbind(&mut self, id: BindingId) {
        if self.locals.bindings.remove(id).is_some() {
            self.locals.ports.on_local_port_freed();
        }
    }

    /// Turns a binding into a listener; see [`listen`](Self::listen).
    ///
    /// # Errors
    /// [`ListenError`]; the binding is released in any case.
    pub fn listen_bound(
        &mut self,
        id: BindingId,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let binding = self.locals.bindings.remove(id);
        let binding = binding.ok_or(ListenError::AddrNotAvailable)?;
        self.listen(binding.shown, options)
    }
}
