//! When to acknowledge (RFC 9293 3.8.6.3, RFC 5681 4.2): every second full-sized segment, at once for anything out of
//! order and at the start of a connection, otherwise after the delay.

/// Segments acknowledged at once when a connection starts, so that the peer's slow start is not slowed by delays.
const QUICK_START: u8 = 16;
/// Duplicate ACKs that one batch of segments may still owe a peer without SACK.
const MAX_OWED: u8 = 8;

/// What is owed to the peer.
#[derive(Copy, Clone, Debug)]
pub(crate) struct AckPolicy {
    /// ACKs to send at once: one, or more where a peer without SACK counts duplicates (RFC 5681 3.2).
    owed: u8,
    /// Bytes received in order since the last ACK left.
    unacked: u32,
    /// Immediate ACKs left of the quick start.
    quick: u8,
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self {
            owed: 0,
            unacked: 0,
            quick: QUICK_START,
        }
    }
}

impl AckPolicy {
    /// Data arrived in order; says whether the ACK may wait for the delay.
    pub(crate) fn on_data(&mut self, bytes: u32, full_segment: u32) -> bool {
        self.unacked = self.unacked.saturating_add(bytes);
        let quick = self.quick > 0;
        self.quick = self.quick.saturating_sub(1);
        // SHLD-19: at least every second full-sized segment.
        if quick || self.unacked >= full_segment.saturating_mul(2) {
            self.now();
        }
        self.owed == 0
    }

    /// The application asks for ACKs at once, or for delayed ones.
    pub(crate) fn set_quick(&mut self, quick: bool) {
        self.quick = if quick { QUICK_START } else { 0 };
        if quick && self.unacked > 0 {
            self.now();
        }
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.quick > 0
    }

    /// An ACK must leave at once.
    pub(crate) fn now(&mut self) {
        self.owed = self.owed.max(1);
    }

    /// Another duplicate ACK must leave at once: the peer counts them.
    pub(crate) fn now_duplicate(&mut self) {
        self.owed = (self.owed + 1).min(MAX_OWED);
    }

    /// The ACK that was to answer a segment is withheld.
    pub(crate) fn withhold(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }

    pub(crate) fn is_due(&self) -> bool {
        self.owed > 0
    }

    /// A segment with an ACK left.
    pub(crate) fn on_sent(&mut self) {
        self.owed = self.owed.saturating_sub(1);
        self.unacked = 0;
    }
}
