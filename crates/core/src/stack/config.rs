//! Configuration of a stack: RFC or Linux defaults, and their validation.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::error::ConfigError;
use crate::ip::{Gateways, IpCidr, is_link_local};
use crate::tcp::TcpConfig;
use crate::types::LinkCaps;

/// The whole stack's configuration.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Own addresses, of both IP versions; the stack answers ARP and Neighbor Solicitations for
    /// these and no others.
    pub addresses: Vec<IpCidr>,
    /// Next hops for destinations off every own prefix.
    pub gateways: Gateways,
    /// What the link below can do; [`Stack::set_link`](crate::Stack::set_link) changes it later.
    pub link: LinkCaps,
    /// Defaults of every connection.
    pub tcp: TcpConfig,
    /// Ephemeral ports (RFC 6056): connects and port-0 listeners draw from these.
    pub ephemeral_ports: RangeInclusive<u16>,
    /// Most connections at once, closing ones included.
    pub max_connections: usize,
    /// Most half-open passive connections at once, over all listeners (RFC 4987).
    pub max_half_open: usize,
    /// Answer SYNs beyond that, or beyond a listener's backlog, with cookies, when most half-open
    /// connections are not answered and the accept queue has room (RFC 4987 §3.6; Linux:
    /// tcp_syncookies). They cost no memory; without timestamps such connections have neither
    /// window scaling nor SACK.
    pub syn_cookies: bool,
    /// Most TIME-WAIT records; past it the oldest is dropped.
    pub max_time_wait: usize,
    /// Most connections without a handle that still have data or FINs to exchange; one more is
    /// reset when its handle is given back (Linux: tcp_max_orphans).
    pub max_orphans: usize,
    /// Most challenge ACKs in a second, over all connections, half-open and TIME-WAIT ones included
    /// (RFC 5961 §7). Each second a secret part of them, up to a half, is withheld. Each connection
    /// has a limit of its own as well.
    pub challenge_acks_per_second: u32,
    /// Bytes that connections may hold together: buffers, out-of-order data, handshakes under way,
    /// and the control blocks themselves (about 700 bytes each). Near it windows and buffers
    /// shrink, and what is not acknowledged yet is dropped; see
    /// [`Stack::memory_used`](crate::Stack::memory_used). Default: 256 MiB.
    pub memory: usize,
    /// Most entries of the neighbour cache.
    pub max_neighbors: usize,
}

impl StackConfig {
    /// A configuration with one address on the given link and the default of everything else.
    #[must_use]
    pub fn new(address: IpCidr, link: LinkCaps) -> Self {
        Self {
            addresses: alloc::vec![address],
            gateways: Gateways::default(),
            link,
            tcp: TcpConfig::default(),
            // RFC 6335 dynamic range start, as Linux' default upper part; RFC 6056 §3.2 asks for as
            // many as possible.
            ephemeral_ports: 32_768..=65_535,
            max_connections: 1 << 20,
            max_half_open: 4_096,
            syn_cookies: true,
            max_time_wait: 65_536,
            max_orphans: 16_384,
            challenge_acks_per_second: 1_000,
            memory: 256 << 20,
            max_neighbors: 1_024,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.addresses.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        for cidr in &self.addresses {
            let (bits, bad) = match cidr.address {
                IpAddr::V4(a) => (
                    32,
                    a.is_unspecified() || a.is_multicast() || a.is_broadcast() || a.is_loopback(),
                ),
                IpAddr::V6(a) => (
                    128,
                    a.is_unspecified() || a.is_multicast() || a.is_loopback(),
                ),
            };
            if bad || cidr.prefix_len > bits {
                return Err(ConfigError::BadAddress);
            }
        }
        self.validate_gateways()?;
        let speaks_ipv6 = self.addresses.iter().any(|cidr| cidr.address.is_ipv6());
        self.link.validate(speaks_ipv6)?;
        let limits = [
            (
                "ephemeral_ports",
                usize::from(!self.ephemeral_ports.is_empty() && *self.ephemeral_ports.start() > 0),
            ),
            ("max_connections", self.max_connections),
            ("max_half_open", self.max_half_open),
            ("max_time_wait", self.max_time_wait),
            (
                "challenge_acks_per_second",
                self.challenge_acks_per_second as usize,
            ),
            ("memory", self.memory),
            ("max_neighbors", self.max_neighbors),
        ];
        if let Some((field, _)) = limits.into_iter().find(|&(_, limit)| limit == 0) {
            return Err(ConfigError::BadLimit(field));
        }
        self.tcp.validate()
    }

    fn validate_gateways(&self) -> Result<(), ConfigError> {
        let Gateways { v4, v6 } = self.gateways;
        for gateway in [v4.map(IpAddr::V4), v6.map(IpAddr::V6)]
            .into_iter()
            .flatten()
        {
            let mut own = self.addresses.iter();
            let same_version = |cidr: &IpCidr| cidr.address.is_ipv4() == gateway.is_ipv4();
            let on_link = own
                .any(|cidr| cidr.contains(gateway) || is_link_local(gateway) && same_version(cidr));
            if !on_link {
                return Err(ConfigError::GatewayOffLink);
            }
        }
        Ok(())
    }
}
