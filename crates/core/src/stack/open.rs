//! Active open: the choice of the 4-tuple, and the connection in SYN-SENT.

use alloc::sync::Arc;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Stack;
use crate::error::ConnectError;
use crate::tcp::{Connection, Pressure, TcpConfig};
use crate::time::Instant;
use crate::types::{ConnId, FourTuple};

/// Options of an active open.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// The local end (RFC 9293 §3.9.1.1, MUST-43). An unspecified address or port 0, like `None`,
    /// lets the stack choose.
    pub local: Option<SocketAddr>,
    /// What the connection uses; `None`: the stack's defaults.
    pub tcp: Option<TcpConfig>,
}

impl Stack {
    /// Starts an active open (RFC 9293 §3.10.1). The id is valid at once;
    /// [`ConnEvents::CONNECTED`](crate::ConnEvents::CONNECTED) tells when the connection is
    /// established or has failed.
    ///
    /// # Errors
    /// [`ConnectError`] when the attempt cannot even start.
    pub fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        options: ConnectOptions,
    ) -> Result<ConnId, ConnectError> {
        self.advance(now);
        // An IPv4-mapped address is an IPv4 peer that the application sees through IPv6
        // (RFC 4291 §2.5.5.2).
        let mapped = remote.is_ipv6() && remote.ip().to_canonical().is_ipv4();
        let plain = |addr: SocketAddr| match addr.ip().to_canonical() {
            IpAddr::V6(ip) if mapped && ip.is_unspecified() => {
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port())
            }
            ip => SocketAddr::new(ip, addr.port()),
        };
        let tuple = self.choose_tuple(plain(remote), options.local.map(plain))?;
        if self.conns.len() >= self.config.max_connections {
            return Err(ConnectError::TooManyConnections);
        }
        if self.pressure() == Pressure::Full {
            return Err(ConnectError::NoMemory);
        }
        if options
            .tcp
            .as_ref()
            .is_some_and(|tcp| tcp.validate().is_err())
        {
            return Err(ConnectError::InvalidOptions);
        }
        let config = options
            .tcp
            .map_or_else(|| Arc::clone(&self.tcp_defaults), Arc::new);
        let after = self.displace_time_wait(&tuple);
        let iss = self.fresh_iss(&tuple, after);
        let ts_offset = self.iss.timestamp_offset(&tuple);
        let mut conn = Connection::active(
            tuple,
            config,
            self.net.link_mss(tuple.local),
            iss,
            ts_offset,
            self.now,
        );
        conn.app.mapped = mapped;
        let id = self.add_connection(conn);
        self.net.stats.active_opens += 1;
        self.settle(id);
        Ok(id)
    }

    /// Where `remote` is: the unspecified address is this host, as Linux has it.
    fn destination(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<SocketAddr, ConnectError> {
        if !remote.ip().is_unspecified() {
            return Ok(remote);
        }
        let bound = local.map(|local| local.ip());
        let here = bound
            .filter(|ip| !ip.is_unspecified())
            .or_else(|| self.net.source_for(remote.ip()))
            .ok_or(ConnectError::NoRoute)?;
        Ok(SocketAddr::new(here, remote.port()))
    }

    /// Both ends of an active open (RFC 9293 §3.9.1.1: the source address is chosen now, MUST-44,
    /// and stays, MUST-45).
    fn choose_tuple(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<FourTuple, ConnectError> {
        let remote = self.destination(remote, local)?;
        let invalid = match remote.ip() {
            // MUST-46: never to broadcast or multicast.
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        if invalid || remote.port() == 0 || self.net.is_subnet_broadcast(remote.ip()) {
            return Err(ConnectError::InvalidDestination);
        }
        if !self.net.is_own(remote.ip()) && self.net.next_hop(remote.ip()).is_none() {
            return Err(ConnectError::NoRoute);
        }
        let source = match local
            .map(|local| local.ip())
            .filter(|ip| !ip.is_unspecified())
        {
            Some(ip) if self.net.is_own(ip) && ip.is_ipv4() == remote.is_ipv4() => ip,
            Some(_) => return Err(ConnectError::AddrNotAvailable),
            None => self
                .net
                .source_for(remote.ip())
                .ok_or(ConnectError::NoRoute)?,
        };
        let tuple = |port| FourTuple::new(SocketAddr::new(source, port), remote);
        if let Some(port) = local.map(|local| local.port()).filter(|&port| port != 0) {
            return if self.may_connect(&tuple(port)) {
                Ok(tuple(port))
            } else {
                Err(ConnectError::AddrInUse)
            };
        }
        let to = (source, remote.ip(), remote.port());
        let is_free = |port| !self.locals.has_port(port) && self.may_connect(&tuple(port));
        let Some(choice) = self.locals.ports.find(self.now, to, is_free) else {
            self.locals.ports.note_exhausted(self.now, to);
            return Err(ConnectError::PortsExhausted);
        };
        self.locals.ports.take(to, choice);
        Ok(tuple(choice.port))
    }
}
