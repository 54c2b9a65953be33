//! Calls on listeners: listen, accept, close.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::{IpAddr, SocketAddr};

use super::bindings::BindOptions;
use super::listener::Listener;
use super::{ListenOptions, Stack};
use crate::error::ListenError;
use crate::ip::covers;
use crate::tcp::config::TcpConfig;
use crate::time::Instant;
use crate::types::{ConnId, FourTuple, ListenerId};

impl Stack {
    /// Opens a listener (RFC 9293 §3.10.1, passive), whatever connections have its port (MUST-41,
    /// MUST-42). An unspecified address stands for all own ones, port 0 for an ephemeral port.
    ///
    /// `[::]` serves IPv4 as well, as a Linux socket does that is not `IPV6_V6ONLY`: such
    /// connections show both ends as IPv4-mapped addresses, `::ffff:192.0.2.1` (RFC 4291 §2.5.5.2).
    /// A mapped address serves IPv4 alone, and shows the same.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(
        &mut self,
        local: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        if options
            .tcp
            .as_ref()
            .is_some_and(|tcp| tcp.validate().is_err())
        {
            return Err(ListenError::InvalidOptions);
        }
        let addr = self.local_for(local)?;
        // As tokio's listener, which sets `SO_REUSEADDR`.
        let sharing = BindOptions {
            reuse_addr: true,
            reuse_port: options.reuse_port,
        };
        if self.locals.is_taken(addr, sharing) {
            return Err(ListenError::AddrInUse);
        }
        let listener = Listener {
            addr,
            mapped: addr.ip() != local.ip(),
            backlog: options.backlog.max(1),
            reuse_port: options.reuse_port,
            config: options
                .tcp
                .map_or_else(|| Arc::clone(&self.tcp_defaults), Arc::new),
            queue: VecDeque::new(),
            half_open: 0,
            in_events: false,
        };
        Ok(self.locals.add_listener(listener))
    }

    /// The address of a listener, as it was asked for.
    #[must_use]
    pub fn listener_addr(&self, id: ListenerId) -> Option<SocketAddr> {
        self.locals.listener(id).map(Listener::shown_addr)
    }

    /// The configuration of connections accepted from now on, including those now half-open.
    pub fn listener_config(&mut self, id: ListenerId) -> Option<&mut TcpConfig> {
        let listener = self.locals.listener_mut(id)?;
        Some(Arc::make_mut(&mut listener.config))
    }

    /// The next connection of a listener's accept queue, which the peer may have closed or reset
    /// already.
    pub fn accept(&mut self, id: ListenerId) -> Option<(ConnId, SocketAddr)> {
        let listener = self.locals.listener_mut(id)?;
        while let Some(conn_id) = listener.queue.pop_front() {
            if let Some(conn) = self.conns.get(conn_id) {
                return Some((conn_id, conn.remote_addr()));
            }
        }
        None
    }

    /// Whether [`accept`](Self::accept) would return a connection.
    #[must_use]
    pub fn is_acceptable(&self, id: ListenerId) -> bool {
        self.locals
            .listener(id)
            .is_some_and(|listener| !listener.queue.is_empty())
    }

    /// Closes a listener: connections not yet accepted are reset, half-open ones forgotten. To find
    /// these it visits all half-open records of the stack.
    pub fn close_listener(&mut self, now: Instant, id: ListenerId) {
        self.advance(now);
        let Some(listener) = self.locals.remove_listener(id) else {
            return;
        };
        for conn_id in listener.queue {
            if let Some(conn) = self.conn(conn_id) {
                conn.abort(now);
            }
        }
        for key in self.handshakes.of_listener(id) {
            self.forget_half_open(key);
        }
    }

    /// The listener that serves a tuple. Several that share its address are chosen from by the
    /// keyed hash of the tuple.
    pub(super) fn listener_for(&self, tuple: &FourTuple) -> Option<ListenerId> {
        let choose = |count| self.flows.spread(tuple, count);
        self.locals.listener_for(tuple, choose)
    }

    /// The address to listen on or to bind, its port chosen if it is 0.
    pub(super) fn local_for(&mut self, local: SocketAddr) -> Result<SocketAddr, ListenError> {
        let ip = local.ip().to_canonical();
        let mut own = self.config.addresses.iter();
        if !own.any(|cidr| covers(ip, cidr.address)) {
            return Err(ListenError::AddrNotAvailable);
        }
        let port = match local.port() {
            0 => self
                .free_local_port(ip)
                .ok_or(ListenError::PortsExhausted)?,
            port => port,
        };
        Ok(SocketAddr::new(ip, port))
    }

    fn free_local_port(&mut self, ip: IpAddr) -> Option<u16> {
        let to = (ip, ip, 0);
        let (locals, flows) = (&self.locals, &self.flows);
        let is_free = |port| !locals.has_port(port);
        // A port without connections first: an active open from it must find its 4-tuple free.
        let is_unused = |port| is_free(port) && !flows.has_port(port);
        let choice = (locals.ports.find(self.now, to, is_unused))
            .or_else(|| locals.ports.find(self.now, to, is_free))?;
        self.locals.ports.take(to, choice);
        Some(choice.port)
    }
}
