//! Path to the peer: its MTU, and ICMP errors that are not final.

use tidewire_wire::SeqNum;

use super::tcb::Connection;
use crate::error::ConnError;
use crate::time::Instant;

/// A connection's copy of the cached path.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Path {
    /// Version of the stack's path cache at the time of the copy.
    version: u32,
    /// When the reported MTU expires; `None` without a report.
    until: Option<Instant>,
    /// Largest payload with options that reaches the peer; `u32::MAX` without a report and with the
    /// link's MTU unchanged.
    pub(crate) mss: u32,
}

impl Path {
    /// The path before the first look at the cache: version 0 is the empty cache.
    pub(crate) const UNKNOWN: Self = Self {
        version: 0,
        until: None,
        mss: u32::MAX,
    };

    /// Whether the copy is up to date.
    pub(crate) fn is_current(&self, version: u32, now: Instant) -> bool {
        self.version == version && self.until.is_none_or(|until| until > now)
    }
}

impl Connection {
    /// Whether a sequence number is in flight: SND.UNA =< SEG.SEQ < SND.NXT (RFC 5927 §4.1).
    pub(crate) fn is_in_flight(&self, seq: SeqNum) -> bool {
        self.snd
            .position(seq)
            .is_some_and(|position| (self.snd.una..self.snd.nxt).contains(&position))
    }

    /// An ICMP error reports that a segment did not arrive. It ends a connection attempt. An
    /// established connection continues, and uses the error as the reason if it times out later
    /// (RFC 5461 §2.2 and §4, RFC 9293 §3.9.2.2, MUST-56).
    ///
    /// DEVIATION(RFC 9293 §3.9.2.2, SHLD-26): a hard error does not end a synchronized connection
    /// either (RFC 5461 §4.1, RFC 5927 §6.1).
    ///
    /// DEVIATION(RFC 9293 §3.9.2.2, MUST-56): a soft error ends a connection attempt too, as in
    /// Linux, so that the next address of the peer is tried without delay (RFC 5461 §4.1).
    ///
    /// Returns whether a connection attempt ended.
    pub(crate) fn on_unreachable(&mut self, error: ConnError) -> bool {
        let was_connecting = self.is_connecting();
        if was_connecting {
            self.fail(error);
        } else {
            self.app.soft_error = Some(error);
        }
        was_connecting
    }

    /// The error of a connection that times out.
    pub(crate) fn time_out_error(&self) -> ConnError {
        self.app.soft_error.unwrap_or(ConnError::TimedOut)
    }

    /// Updates the path from the cache; the link is its first hop. If the MSS shrinks, data in
    /// flight in larger segments is marked lost and sent again in smaller ones. This is no sign of
    /// congestion, so the congestion window stays (RFC 8201 §5.4).
    ///
    /// One update for each change of the cache: the router reports every segment that was too
    /// large, and most of the reports arrive after the retransmission.
    ///
    /// `mss` is the largest payload with options that reaches the peer; `until` is when the ICMP
    /// report behind it expires.
    pub(crate) fn set_path(&mut self, version: u32, mss: u32, until: Option<Instant>) {
        let before = self.eff_snd_mss();
        self.path = Path {
            version,
            until,
            mss,
        };
        let mss = self.eff_snd_mss();
        if mss != before {
            self.congestion.set_mss(mss);
        }
        if mss < before && self.state.is_synchronized() {
            self.recovery.mark_longer_lost(mss.into());
        }
    }
}
