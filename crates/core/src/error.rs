//! Errors: one small enum per operation.
//!
//! `Blocked` is flow control, not a failure: the driver turns it into `Poll::Pending`. Bad packets
//! are not errors at all, they are counted ([`DropReason`](crate::DropReason)).

use core::fmt;

/// Why a connection ended before its streams did.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ConnError {
    /// The peer answered the SYN with a reset (RFC 9293 §3.10.7.3): `ECONNREFUSED`.
    Refused,
    /// The peer reset an established connection (RFC 9293 §3.10.7.4): `ECONNRESET`.
    Reset,
    /// The peer reset a connection after its FIN, in CLOSE-WAIT: it will read no more. `EPIPE`, as
    /// Linux has it.
    BrokenPipe,
    /// Retransmissions went unanswered for too long (RFC 9293 §3.8.3, R2): `ETIMEDOUT`.
    TimedOut,
    /// The application aborted the connection itself: `ECONNABORTED`.
    Aborted,
    /// No neighbour answers for the next hop, or ICMP said so during connect: `EHOSTUNREACH`.
    HostUnreachable,
    /// ICMP reported the network unreachable during connect: `ENETUNREACH`.
    NetworkUnreachable,
}

/// Why a `write` took no bytes.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum WriteError {
    /// The send buffer is full, or the handshake is not over; wait for `WRITABLE`.
    Blocked,
    /// The write side was shut down, or the connection ended and its error was already reported:
    /// `EPIPE`.
    Closed,
    /// The connection failed; reported once.
    Failed(ConnError),
}

/// Why a `read` gave no bytes. The end of the stream is not an error: `Ok(0)` (RFC 9293 §3.6,
/// MUST-12).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing has arrived; wait for `READABLE`.
    Blocked,
    /// The connection failed before the peer's FIN. Every later read fails as well, so that a reset
    /// never looks like a clean end of file.
    Failed(ConnError),
}

/// Why a write side could not be shut down.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The connection is not established yet, or no more: `ENOTCONN`.
    NotConnected,
}

/// Why a connection attempt could not start.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ConnectError {
    /// Every ephemeral port towards this destination is taken: `EADDRNOTAVAIL`.
    PortsExhausted,
    /// This 4-tuple is in use: `EADDRNOTAVAIL`, as Linux has it.
    AddrInUse,
    /// The local address is not one of the stack's: `EADDRNOTAVAIL`.
    AddrNotAvailable,
    /// No on-link prefix and no gateway leads to the destination: `ENETUNREACH`.
    NoRoute,
    /// The destination cannot be a TCP peer (multicast, broadcast, port 0): `ENETUNREACH`, and for
    /// port 0 `ECONNREFUSED`.
    InvalidDestination,
    /// The stack's limit of connections is reached: `ENOBUFS`.
    TooManyConnections,
    /// The stack's memory budget is used up: `ENOBUFS`.
    NoMemory,
    /// The TCP options given are out of range: `EINVAL`.
    InvalidOptions,
}

/// Why a listener could not be made.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ListenError {
    /// Another listener or binding has this address and port: `EADDRINUSE`.
    AddrInUse,
    /// The address is not one of the stack's: `EADDRNOTAVAIL`.
    AddrNotAvailable,
    /// Port 0 was asked for and no ephemeral port is free: `EADDRINUSE`, as Linux has it.
    PortsExhausted,
    /// The TCP options given are out of range: `EINVAL`.
    InvalidOptions,
}

/// Why a [`StackConfig`](crate::StackConfig) was refused.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum ConfigError {
    /// The stack needs at least one address of its own.
    NoAddress,
    /// This address cannot be a host's (unspecified, loopback, multicast, broadcast) or its prefix
    /// is out of range.
    BadAddress,
    /// No own address is on the gateway's link.
    GatewayOffLink,
    /// The link's MTU is not within 128 to 65,535 bytes, or below 1,280 with an IPv6 address
    /// (RFC 8200 §5).
    BadMtu,
    /// The link's MAC address is a group address or all zeros.
    BadMac,
    /// A limit or time in the configuration is zero, or a lower bound is above its upper one; the
    /// field is named.
    BadLimit(&'static str),
}

macro_rules! display_error {
    ($($type:ty { $($pattern:pat => $text:expr),+ $(,)? })+) => { $(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( $pattern => f.write_str($text), )+
                }
            }
        }

        impl core::error::Error for $type {}
    )+ };
}

display_error! {
    ConnError {
        Self::Refused => "connection refused",
        Self::Reset => "connection reset by peer",
        Self::BrokenPipe => "broken pipe",
        Self::TimedOut => "connection timed out",
        Self::Aborted => "connection aborted",
        Self::HostUnreachable => "no route to host",
        Self::NetworkUnreachable => "network is unreachable",
    }
    ShutdownError {
        Self::NotConnected => "not connected",
    }
    ConnectError {
        Self::PortsExhausted => "every ephemeral port towards this destination is in use",
        Self::AddrInUse => "a connection between these addresses and ports exists",
        Self::AddrNotAvailable => "the local address does not belong to this stack",
        Self::NoRoute => "no on-link prefix and no gateway leads to the destination",
        Self::InvalidDestination => "the destination cannot be a TCP peer",
        Self::TooManyConnections => "the stack's limit of connections is reached",
        Self::NoMemory => "the stack's memory budget is used up",
        Self::InvalidOptions => "the TCP options are out of range",
    }
    ListenError {
        Self::AddrInUse => "the address and port are taken",
        Self::AddrNotAvailable => "the address does not belong to this stack",
        Self::PortsExhausted => "no ephemeral port is free",
        Self::InvalidOptions => "the TCP options are out of range",
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("the send buffer is full"),
            Self::Closed => f.write_str("the write side is closed"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("nothing has arrived"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReadError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the stack needs an address of its own"),
            Self::BadAddress => {
                f.write_str("an own address is not a host address or its prefix is out of range")
            }
            Self::GatewayOffLink => f.write_str("the gateway is on no own address's link"),
            Self::BadMtu => {
                f.write_str("the link's MTU must be 128 to 65535 bytes, and at least 1280 for IPv6")
            }
            Self::BadMac => f.write_str("the link's MAC address must be a unicast address"),
            Self::BadLimit(field) => write!(f, "the configuration's {field} is out of range"),
        }
    }
}

impl core::error::Error for ConfigError {}
