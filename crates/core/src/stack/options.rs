//! Socket options of one connection.
//!
//! A connection shares its configuration with others until one of its options is set.

use alloc::sync::Arc;

use super::Conn;
use crate::tcp::Connection;
use crate::tcp::config::{KeepAlive, TcpConfig};
use crate::tcp::congestion::{Algorithm, Controller};
use crate::time::{Duration, Instant};
use crate::types::IpFields;

impl Conn<'_> {
    /// Turns the Nagle algorithm off (true) or on (MUST-17).
    pub fn set_nodelay(&mut self, now: Instant, nodelay: bool) {
        self.stack.advance(now);
        self.connection(|conn| conn.app.nodelay = nodelay);
        self.stack.settle(self.id);
    }

    /// Whether the Nagle algorithm is off.
    #[must_use]
    pub fn nodelay(&self) -> bool {
        self.get().is_some_and(|conn| conn.app.nodelay)
    }

    /// How long [`close`](Self::close) tries to deliver what is queued before it resets: `None` for
    /// as long as it takes, zero for not at all (SO_LINGER). It never blocks.
    pub fn set_linger(&mut self, linger: Option<Duration>) {
        self.connection(|conn| conn.app.linger = linger);
    }

    /// The linger time.
    #[must_use]
    pub fn linger(&self) -> Option<Duration> {
        self.get().and_then(|conn| conn.app.linger)
    }

    /// Replaces the congestion controller; the new one starts at its initial window.
    pub fn set_congestion(&mut self, algorithm: Algorithm) {
        self.connection(|conn| conn.congestion = Controller::new(algorithm, conn.eff_snd_mss()));
    }

    /// Turns keep-alive on with these times, or off (RFC 9293 §3.8.4, MUST-24). Times of zero and a
    /// count of zero are raised to the least that works: 1 ns, one probe.
    pub fn set_keepalive(&mut self, now: Instant, keepalive: Option<KeepAlive>) {
        let least = Duration::from_nanos(1);
        let keepalive = keepalive.map(|given| KeepAlive {
            idle: given.idle.max(least),
            interval: given.interval.max(least),
            count: given.count.max(1),
        });
        if self.keepalive() == keepalive {
            return;
        }
        self.stack.advance(now);
        let now = self.stack.now;
        self.configure(|config| config.keepalive = keepalive);
        self.connection(|conn| conn.restart_keep_alive(now));
        self.stack.settle(self.id);
    }

    /// The keep-alive times; `None` while it is off.
    #[must_use]
    pub fn keepalive(&self) -> Option<KeepAlive> {
        self.get().and_then(|conn| conn.config.keepalive)
    }

    /// How long data may stay unacknowledged before the connection ends (MUST-21; see
    /// [`TcpConfig::user_timeout`]). `None` or zero: the number of retransmissions decides.
    pub fn set_user_timeout(&mut self, now: Instant, timeout: Option<Duration>) {
        let timeout = timeout.filter(|&timeout| timeout > Duration::ZERO);
        if self.user_timeout() == timeout {
            return;
        }
        self.stack.advance(now);
        let now = self.stack.now;
        self.configure(|config| config.user_timeout = timeout);
        self.connection(|conn| conn.apply_user_timeout(now));
        self.stack.settle(self.id);
    }

    /// The user timeout.
    #[must_use]
    pub fn user_timeout(&self) -> Option<Duration> {
        self.get().and_then(|conn| conn.config.user_timeout)
    }

    /// Sets the TTL or hop limit of the packets that follow (MUST-49); 0 counts as 1.
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        let hop_limit = hop_limit.max(1);
        if self.hop_limit() != hop_limit {
            self.configure(|config| config.hop_limit = hop_limit);
        }
    }

    /// The TTL or hop limit.
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        self.ip_fields().map_or(0, |fields| fields.hop_limit)
    }

    /// Sets the TOS or traffic class byte of the packets that follow (MUST-48, SHLD-21). The two
    /// ECN bits stay zero.
    pub fn set_traffic_class(&mut self, traffic_class: u8) {
        let traffic_class = traffic_class & !3;
        if self.traffic_class() != traffic_class {
            self.configure(|config| config.traffic_class = traffic_class);
        }
    }

    /// The TOS or traffic class byte.
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        self.ip_fields().map_or(0, |fields| fields.traffic_class)
    }

    /// Acknowledges the next segments, and what waits for its ACK now, at once (true), or goes back
    /// to delayed ACKs (false). It is not permanent, as TCP_QUICKACK is not: the usual rules take
    /// over again.
    pub fn set_quickack(&mut self, now: Instant, quick: bool) {
        self.stack.advance(now);
        self.connection(|conn| conn.ack.set_quick(quick));
        self.stack.settle(self.id);
    }

    /// Whether the next segment will be acknowledged at once.
    #[must_use]
    pub fn quickack(&self) -> bool {
        self.get().is_some_and(|conn| conn.ack.is_quick())
    }

    fn ip_fields(&self) -> Option<IpFields> {
        self.get().map(|conn| conn.config.ip_fields())
    }

    /// Changes this connection's configuration, and no other's.
    fn configure(&mut self, change: impl FnOnce(&mut TcpConfig)) {
        self.connection(|conn: &mut Connection| change(Arc::make_mut(&mut conn.config)));
    }
}
