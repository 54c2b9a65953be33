//! The path to the peer, as ICMP reports it: its MTU, and errors that are not final.

use tidewire_wire::SeqNum;

use super::tcb::Connection;
use crate::error::ConnError;
use crate::time::Instant;

/// What a connection knows of its path.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Path {
    /// The version of the stack's cache that this is from.
    version: u32,
    /// Until when the MTU was reported for; `None` where nothing was reported.
    until: Option<Instant>,
    /// Largest payload with options that reaches the peer; `u32::MAX` where nothing was reported and the link
    /// is as it was.
    pub(crate) mss: u32,
}

impl Path {
    /// Nothing known: version 0 of the cache is the empty one.
    pub(crate) const UNKNOWN: Self = Self {
        version: 0,
        until: None,
        mss: u32::MAX,
    };

    /// Whether there is nothing newer to know.
    pub(crate) fn is_current(&self, version: u32, now: Instant) -> bool {
        self.version == version && self.until.is_none_or(|until| until > now)
    }
}

impl Connection {
    /// Whether a sequence number was sent and is not acknowledged: SND.UNA =< SEG.SEQ < SND.NXT (RFC 5927 §4.1).
    pub(crate) fn is_in_flight(&self, seq: SeqNum) -> bool {
        self.snd
            .position(seq)
            .is_some_and(|position| (self.snd.una..self.snd.nxt).contains(&position))
    }

    /// The network says that a segment did not arrive. That ends an attempt to connect; a connection goes on, and
    /// remembers why if it should time out (RFC 5461 §2.2 and §4, RFC 9293 §3.9.2.2, MUST-56).
    ///
    /// DEVIATION(RFC 9293 §3.9.2.2, SHLD-26): hard errors end a synchronized connection no more than soft ones do (RFC
    /// 5461 4.1, RFC 5927 §6.1).
    ///
    /// DEVIATION(RFC 9293 §3.9.2.2, MUST-56): soft errors end attempts too, as in Linux, so that other addresses of the
    /// peer are tried without waiting (RFC 5461 §4.1).
    ///
    /// Says whether an attempt to connect ended.
    pub(crate) fn on_unreachable(&mut self, error: ConnError) -> bool {
        let was_connecting = self.is_connecting();
        if was_connecting {
            self.fail(error);
        } else {
            self.app.soft_error = Some(error);
        }
        was_connecting
    }

    /// What a connection that got no answer fails with.
    pub(crate) fn time_out_error(&self) -> ConnError {
        self.app.soft_error.unwrap_or(ConnError::TimedOut)
    }

    /// Takes over what the cache says of the path, of which the link is the first part. Where that takes less than before, what is in flight in larger
    /// segments is sent again, cut anew. That is no sign of congestion (RFC 8201 §5.4): the window is not told.
    ///
    /// Once for each change: the router answers every segment that was too large, and most of its reports come when the
    /// data has left again.
    ///
    /// `mss` is the payload with options of the largest packet that reaches the peer, and `until` when a report that it
    /// rests on is too old to be believed.
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
