//! Local addresses and ports in use: listeners, bindings, ephemeral ports.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::bindings::{BindOptions, Bindings};
use super::listener::Listener;
use super::ports::Ports;
use super::slab::Slab;
use crate::ip::overlap;
use crate::types::{FourTuple, ListenerId};

/// Tables of local addresses and ports.
#[derive(Debug)]
pub(super) struct Locals {
    listeners: Slab<Listener>,
    by_port: BTreeMap<u16, Vec<ListenerId>>,
    pub(super) bindings: Bindings,
    pub(super) ports: Ports,
}

impl Locals {
    pub(super) fn new(ports: Ports) -> Self {
        Self {
            listeners: Slab::default(),
            by_port: BTreeMap::new(),
            bindings: Bindings::default(),
            ports,
        }
    }

    pub(super) fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(id.0)
    }

    pub(super) fn listener_mut(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.listeners.get_mut(id.0)
    }

    pub(super) fn add_listener(&mut self, listener: Listener) -> ListenerId {
        let port = listener.addr.port();
        let id = ListenerId(self.listeners.insert(listener));
        self.by_port.entry(port).or_default().push(id);
        id
    }

    pub(super) fn remove_listener(&mut self, id: ListenerId) -> Option<Listener> {
        let listener = self.listeners.remove(id.0)?;
        let port = listener.addr.port();
        if let Some(ids) = self.by_port.get_mut(&port) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.by_port.remove(&port);
                self.ports.on_local_port_freed();
            }
        }
        Some(listener)
    }

    /// The listener for a tuple: one on exactly its local address goes before one on all addresses.
    /// Of several that share an address
    /// ([`ListenOptions::reuse_port`](super::ListenOptions::reuse_port)) `choose` picks an index
    /// below their number.
    pub(super) fn listener_for(
        &self,
        tuple: &FourTuple,
        choose: impl Fn(usize) -> usize,
    ) -> Option<ListenerId> {
        let ids = self.by_port.get(&tuple.local_port)?;
        let serving = |exact: bool| {
            ids.iter().copied().filter(move |&id| {
                self.listener(id).is_some_and(|listener| {
                    if exact {
                        listener.addr.ip() == tuple.local
                    } else {
                        listener.serves(tuple.local)
                    }
                })
            })
        };
        let one_of = |exact| match serving(exact).count() {
            0 => None,
            1 => serving(exact).next(),
            count => serving(exact).nth(choose(count)),
        };
        one_of(true).or_else(|| one_of(false))
    }

    /// Whether a listener or a binding that does not share has this address, or one that includes
    /// it.
    pub(super) fn is_taken(&self, addr: SocketAddr, options: BindOptions) -> bool {
        let ids = self.by_port.get(&addr.port()).into_iter().flatten();
        ids.filter_map(|&id| self.listener(id))
            .filter(|listener| !(options.reuse_port && listener.reuse_port))
            .any(|listener| overlap(listener.addr.ip(), addr.ip()))
            || self.bindings.is_taken(addr, options)
    }

    /// Whether a listener or a binding has this port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.by_port.contains_key(&port) || self.bindings.has_port(port)
    }
}
