//! Configuration: plain structs with RFC or Linux defaults, checked where they are handed in.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use crate::error::ConfigError;
use crate::ip::is_link_local;
use crate::tcp::congestion::Algorithm;
use crate::time::Duration;
use crate::types::IpFields;
use crate::types::LinkCaps;

/// An own address with the length of its on-link prefix, `10.0.0.2/24`.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct IpCidr {
    /// The address.
    pub address: IpAddr,
    /// Leading bits shared by all hosts of the link: 0 to 32, or 0 to 128.
    pub prefix_len: u8,
}

impl IpCidr {
    /// `address/prefix_len`.
    #[must_use]
    pub const fn new(address: IpAddr, prefix_len: u8) -> Self {
        Self {
            address,
            prefix_len,
        }
    }

    /// Whether `other` is on this prefix. Addresses of the other IP version never are.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix_len.min(32)))
                    .unwrap_or(0);
                (u32::from(own) ^ u32::from(other)) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix_len.min(128)))
                    .unwrap_or(0);
                (u128::from(own) ^ u128::from(other)) & mask == 0
            }
            _ => false,
        }
    }
}

/// Next hops for destinations off every own prefix: one of each IP version at most.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Gateways {
    /// The router for IPv4.
    pub v4: Option<Ipv4Addr>,
    /// The router for IPv6; a link-local address is the usual one.
    pub v6: Option<Ipv6Addr>,
}

impl Gateways {
    /// Sets the gateway of the address's own version.
    pub fn set(&mut self, gateway: IpAddr) {
        match gateway {
            IpAddr::V4(gateway) => self.v4 = Some(gateway),
            IpAddr::V6(gateway) => self.v6 = Some(gateway),
        }
    }

    /// The gateway that leads to `destination`.
    #[must_use]
    pub fn to(&self, destination: IpAddr) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

impl From<IpAddr> for Gateways {
    fn from(gateway: IpAddr) -> Self {
        let mut gateways = Self::default();
        gateways.set(gateway);
        gateways
    }
}

/// The whole stack's configuration.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Own addresses, of both IP versions; the stack answers ARP and Neighbor Solicitations for these and no others.
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
    /// Answer SYNs beyond that, or beyond a listener's backlog, with cookies, when most half-open connections are not
    /// answered and the accept queue has room (RFC 4987 §3.6; Linux: tcp_syncookies). They cost no memory; without
    /// timestamps such connections have neither window scaling nor SACK.
    pub syn_cookies: bool,
    /// Most TIME-WAIT records; past it the oldest is dropped.
    pub max_time_wait: usize,
    /// Most connections without a handle that still have data or FINs to exchange; one more is reset when its handle
    /// is given back (Linux: tcp_max_orphans).
    pub max_orphans: usize,
    /// Most answers to suspicious segments in a second, over all connections (RFC 5961 §7); a secret, changing part of
    /// up to a half of it is withheld. Each connection has a limit of its own besides.
    pub challenge_acks_per_second: u32,
    /// Bytes that connections may hold together: buffers, out-of-order data, handshakes under way, and the control
    /// blocks themselves (about 700 bytes each). Near it windows and buffers shrink, and what is not acknowledged yet is
    /// dropped; see [`Stack::memory_used`](crate::Stack::memory_used). Default: 256 MiB.
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
            // RFC 6335 dynamic range start, as Linux' default upper part; RFC 6056 §3.2 asks for as many as possible.
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

/// How an idle connection is asked whether its peer is still there (RFC 9293 §3.8.4).
///
/// It is off unless asked for (MUST-25), and set per connection (MUST-24, MUST-27).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct KeepAlive {
    /// Idle time before the first probe. Default: two hours (MUST-28).
    pub idle: Duration,
    /// Time between probes that are not answered. Default: 75 s, as Linux has it.
    pub interval: Duration,
    /// Unanswered probes that end the connection with [`ConnError::TimedOut`](crate::ConnError::TimedOut); one alone
    /// should not (MUST-29). Default: 9, as Linux has it.
    pub count: u8,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(7_200),
            interval: Duration::from_secs(75),
            count: 9,
        }
    }
}

impl KeepAlive {
    pub(crate) fn is_valid(&self) -> bool {
        self.idle > Duration::ZERO && self.interval > Duration::ZERO && self.count > 0
    }
}

/// How large a buffer may become.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum BufferSize {
    /// It grows with what the connection can use, up to `max` bytes.
    Auto {
        /// Most bytes.
        max: usize,
    },
    /// This many bytes, whatever the connection can use: what an application asked for (SO_SNDBUF, SO_RCVBUF).
    Fixed(usize),
}

impl BufferSize {
    /// The most bytes that it may become.
    #[must_use]
    pub const fn max(self) -> usize {
        match self {
            Self::Auto { max } => max,
            Self::Fixed(size) => size,
        }
    }
}

/// Defaults of a connection; a listener's apply to the connections it accepts.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Most bytes of application data held for sending, acknowledged ones excluded. By default it follows the
    /// congestion window, up to 4 MiB.
    pub send_buffer: BufferSize,
    /// Most bytes held for the application to read; the largest window ever advertised. By default it follows what the
    /// application reads in a round trip, from 64 KiB up to 4 MiB.
    pub recv_buffer: BufferSize,
    /// Send small segments at once (true) or gather them while data is in flight (false: Nagle, RFC 9293 §3.7.4).
    pub nodelay: bool,
    /// The congestion controller of new connections.
    pub congestion: Algorithm,
    /// Longest delay of an ACK (SHLD-18); RFC 9293 §3.8.6.3 allows 500 ms (MUST-40), Linux uses 40 ms.
    pub delayed_ack: Duration,
    /// RTO before the first measurement, RFC 6298 §2.1: 1 s.
    pub initial_rto: Duration,
    /// Least RTO. DEVIATION(RFC 6298 §2.4): 200 ms as Linux has it, where the RFC says 1 s; RFC 8961 §4 allows it.
    pub min_rto: Duration,
    /// Greatest RTO, RFC 6298 §2.5: at least 60 s.
    pub max_rto: Duration,
    /// Retransmissions of a SYN or SYN-ACK before giving up.
    /// DEVIATION(RFC 9293 §3.8.3, MUST-23): 6 as Linux has it, which is 127 s where the RFC says three minutes; 7 is 255
    /// s.
    pub syn_retries: u8,
    /// Retransmissions of data in a row before giving up (RFC 9293 §3.8.3, R2; the default is minutes, SHLD-11).
    pub data_retries: u8,
    /// Probing of idle connections; `None` (the default, MUST-25) for never.
    pub keepalive: Option<KeepAlive>,
    /// How long sent data may stay unacknowledged, a closed window may stay closed with data waiting, or keep-alive
    /// probes unanswered, before the connection ends (RFC 9293 §3.8.3, MUST-21; Linux: TCP_USER_TIMEOUT). `None`:
    /// `data_retries` and [`KeepAlive::count`] decide, and a peer that answers may keep its window closed for ever.
    pub user_timeout: Option<Duration>,
    /// TTL or hop limit of every packet (RFC 9293 §3.9.2, MUST-49). Default: 64 (RFC 1700). At least 1.
    pub hop_limit: u8,
    /// The IPv4 TOS or IPv6 traffic class byte of every packet (RFC 9293 §3.9.1.9, MUST-48): the DiffServ code point in
    /// the upper six bits. The lower two are ECN's and count as 0.
    pub traffic_class: u8,
    /// How long TIME-WAIT lasts (2 MSL). Linux: 60 s.
    pub time_wait: Duration,
    /// How long a closed connection waits in FIN-WAIT-2 for the peer's FIN. Linux: 60 s.
    pub fin_wait_2: Duration,
    /// Offer timestamps (RFC 7323).
    pub timestamps: bool,
    /// Offer selective acknowledgements (RFC 2018).
    pub sack: bool,
    /// Offer window scaling (RFC 7323).
    pub window_scaling: bool,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            send_buffer: BufferSize::Auto { max: 4 << 20 },
            recv_buffer: BufferSize::Auto { max: 4 << 20 },
            nodelay: false,
            congestion: Algorithm::Cubic,
            delayed_ack: Duration::from_millis(40),
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_millis(200),
            max_rto: Duration::from_secs(120),
            syn_retries: 6,
            data_retries: 15,
            keepalive: None,
            user_timeout: None,
            hop_limit: 64,
            traffic_class: 0,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            timestamps: true,
            sack: true,
            window_scaling: true,
        }
    }
}

impl TcpConfig {
    /// The IP header's fields that a connection with this configuration sends.
    pub(crate) fn ip_fields(&self) -> IpFields {
        IpFields {
            hop_limit: self.hop_limit,
            // RFC 3168 §5: ECT belongs to data segments of connections that negotiated ECN.
            traffic_class: self.traffic_class & !3,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let field = if self.send_buffer.max() == 0 {
            "tcp.send_buffer"
        } else if self.recv_buffer.max() == 0 || self.recv_buffer.max() > 1 << 30 {
            // RFC 7323 §2.3: windows end at 2^30.
            "tcp.recv_buffer"
        } else if self.min_rto == Duration::ZERO || self.min_rto > self.max_rto {
            "tcp.min_rto"
        } else if self.initial_rto < self.min_rto || self.initial_rto > self.max_rto {
            "tcp.initial_rto"
        } else if self.delayed_ack > Duration::from_millis(500) {
            "tcp.delayed_ack"
        } else if self
            .keepalive
            .is_some_and(|keepalive| !keepalive.is_valid())
        {
            "tcp.keepalive"
        } else if self.user_timeout == Some(Duration::ZERO) {
            "tcp.user_timeout"
        } else if self.hop_limit == 0 {
            "tcp.hop_limit"
        } else {
            return Ok(());
        };
        Err(ConfigError::BadLimit(field))
    }
}
