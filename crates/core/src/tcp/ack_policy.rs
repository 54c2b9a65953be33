//! Acknowledgement policy (RFC 9293 §3.8.6.3, RFC 5681 §4.2): at once or after the delay.
//!
//! An ACK leaves at once for every second full-sized segment, for anything out of order, at the
//! start of a connection and after a pause. Otherwise it waits for the delay.
//!
//! A connection is interactive while the application answers what it reads: the answer carries the
//! ACK. Interactive connections have no quick start, until an ACK has waited for the whole delay.

/// Segments acknowledged at once when a connection starts, so that the peer's slow start is not
/// slowed by delays.
const QUICK_START: u8 = 16;
/// Duplicate ACKs that one batch of segments may still owe a peer without SACK.
const MAX_OWED: u8 = 8;

/// The ACKs that are due to the peer.
#[derive(Copy, Clone, Debug)]
pub(crate) struct AckPolicy {
    /// ACKs to send at once: one, or more where a peer without SACK counts duplicates
    /// (RFC 5681 §3.2).
    owed: u8,
    /// Bytes received in order since the last ACK left: one ACK covers them all (MUST-58, MUST-59).
    unacked: u32,
    /// Immediate ACKs that remain of the quick start.
    quick: u8,
    /// The application answered within the delay.
    interactive: bool,
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self {
            owed: 0,
            unacked: 0,
            quick: QUICK_START,
            interactive: false,
        }
    }
}

impl AckPolicy {
    /// Data arrived in order. Returns whether the ACK may wait for the delay.
    pub(crate) fn on_data(&mut self, bytes: u32, full_segment: u32) -> bool {
        self.unacked = self.unacked.saturating_add(bytes);
        let quick = self.is_quick();
        self.quick = self.quick.saturating_sub(u8::from(quick));
        // SHLD-19: at least every second full-sized segment.
        if quick || self.unacked >= full_segment.saturating_mul(2) {
            self.send_now();
        }
        self.owed == 0
    }

    /// The application asks for ACKs at once, or for delayed ones.
    pub(crate) fn set_quick(&mut self, quick: bool) {
        self.quick = if quick { QUICK_START } else { 0 };
        self.interactive = !quick;
        if quick && self.unacked > 0 {
            self.send_now();
        }
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.quick > 0 && !self.interactive
    }

    /// Data arrives after a pause longer than the RTO: the peer may be in slow start again.
    pub(crate) fn on_idle(&mut self) {
        self.quick = QUICK_START;
    }

    /// Data was sent soon after data arrived, and carried the ACK.
    pub(crate) fn on_reply(&mut self) {
        self.interactive = true;
    }

    /// The delay is over, and no data carried the ACK.
    pub(crate) fn on_delay_over(&mut self) {
        self.interactive = false;
        self.send_now();
    }

    /// An ACK must leave at once.
    pub(crate) fn send_now(&mut self) {
        self.owed = self.owed.max(1);
    }

    /// Another duplicate ACK must leave at once: a peer without SACK counts them.
    pub(crate) fn send_duplicate_now(&mut self) {
        self.owed = (self.owed + 1).min(MAX_OWED);
    }

    /// The ACK that was due for a segment is not sent.
    pub(crate) fn withhold(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }

    pub(crate) fn is_due(&self) -> bool {
        self.owed > 0
    }

    /// A segment with the ACK flag was sent.
    pub(crate) fn on_sent(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.unacked = 0;
    }
}
