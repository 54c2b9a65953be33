//! Connection configuration: defaults of the RFCs or of Linux, and validation.

use super::congestion::Algorithm;
use crate::error::ConfigError;
use crate::time::Duration;
use crate::types::IpFields;

/// Keep-alive probes on idle connections (RFC 9293 §3.8.4).
///
/// Off by default (MUST-25), and set for each connection (MUST-24, MUST-27).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct KeepAlive {
    /// Idle time before the first probe. Default: two hours (MUST-28).
    pub idle: Duration,
    /// Time between probes that are not answered. Default: 75 s, as Linux has it.
    pub interval: Duration,
    /// Unanswered probes that end the connection with
    /// [`ConnError::TimedOut`](crate::ConnError::TimedOut); one alone should not (MUST-29).
    /// Default: 9, as Linux has it.
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

/// Size of a buffer.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum BufferSize {
    /// Grows with the need of the connection, up to `max` bytes.
    Auto {
        /// Most bytes.
        max: usize,
    },
    /// Always this many bytes, as set by the application (SO_SNDBUF, SO_RCVBUF).
    Fixed(usize),
}

impl BufferSize {
    /// The largest size in bytes.
    #[must_use]
    pub const fn max(self) -> usize {
        match self {
            Self::Auto { max } => max,
            Self::Fixed(size) => size,
        }
    }
}

/// Configuration of a connection; a listener's applies to the connections that it accepts.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Limit of the send buffer: bytes written and not yet acknowledged. By default it follows the
    /// congestion window, up to 4 MiB.
    pub send_buffer: BufferSize,
    /// Limit of the receive buffer: bytes not yet read, and the largest window ever advertised. By
    /// default it follows the data that the application reads in a round trip, from 64 KiB up to 4
    /// MiB.
    pub recv_buffer: BufferSize,
    /// Send small segments at once (true) or gather them while data is in flight (false: Nagle,
    /// RFC 9293 §3.7.4).
    pub nodelay: bool,
    /// The congestion controller of new connections.
    pub congestion: Algorithm,
    /// Longest delay of an ACK (SHLD-18); RFC 9293 §3.8.6.3 allows 500 ms (MUST-40), Linux uses 40
    /// ms.
    pub delayed_ack: Duration,
    /// RTO before the first measurement, RFC 6298 §2.1: 1 s.
    pub initial_rto: Duration,
    /// Smallest RTO. DEVIATION(RFC 6298 §2.4): 200 ms as in Linux, where the RFC says 1 s;
    /// RFC 8961 §4 allows it.
    pub min_rto: Duration,
    /// Largest RTO, RFC 6298 §2.5: at least 60 s.
    pub max_rto: Duration,
    /// Retransmissions of a SYN or SYN-ACK before the attempt fails. DEVIATION(RFC 9293 §3.8.3,
    /// MUST-23): 6 as in Linux, which is 127 s, where the RFC says three minutes; 7 is 255 s.
    pub syn_retries: u8,
    /// Retransmissions of the same data before the connection fails (RFC 9293 §3.8.3, R2; the
    /// default is minutes, SHLD-11).
    pub data_retries: u8,
    /// Probing of idle connections; `None` (the default, MUST-25) for never.
    pub keepalive: Option<KeepAlive>,
    /// Longest time without progress before the connection ends: sent data unacknowledged, a closed
    /// window with data waiting, or keep-alive probes unanswered (RFC 9293 §3.8.3, MUST-21; Linux:
    /// TCP_USER_TIMEOUT). With `None`, `data_retries` and [`KeepAlive::count`] apply, and a peer
    /// that answers may keep its window closed for ever.
    pub user_timeout: Option<Duration>,
    /// TTL or hop limit of every packet (RFC 9293 §3.9.2, MUST-49). Default: 64 (RFC 1700). At
    /// least 1.
    pub hop_limit: u8,
    /// The IPv4 TOS or IPv6 traffic class byte of every packet (RFC 9293 §3.9.1.9, MUST-48): the
    /// DiffServ code point in the upper six bits. The lower two are ECN's and count as 0.
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
