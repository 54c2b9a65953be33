//! Counters of the whole stack, drops by reason.

use super::DropReason;

/// Counters since the stack was made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Frames handed to `handle_frame`.
    pub frames_in: u64,
    /// Bytes in them.
    pub bytes_in: u64,
    /// Frames handed out by `poll_transmit`.
    pub frames_out: u64,
    /// Bytes in them.
    pub bytes_out: u64,
    /// TCP segments in, as frames (a super-frame is one).
    pub segments_in: u64,
    /// TCP segments out, as frames.
    pub segments_out: u64,
    /// Frames that carried data sent before.
    pub retransmitted: u64,
    /// Resets sent.
    pub resets_out: u64,
    /// Resets that ended a connection.
    pub resets_in: u64,
    /// Connections opened actively.
    pub active_opens: u64,
    /// Connections handed to accept queues.
    pub passive_opens: u64,
    /// SYNs answered with a cookie for want of room for a half-open record (RFC 4987 §3.6).
    pub syn_cookies_sent: u64,
    /// Handshakes that a cookie completed.
    pub syn_cookies_accepted: u64,
    /// Connection attempts that failed.
    pub failed_attempts: u64,
    /// Closed connections that were reset because there were too many of them
    /// ([`StackConfig::max_orphans`](crate::StackConfig::max_orphans)).
    pub orphans_reset: u64,
    /// Challenge ACKs that did not leave because of the limit of the whole stack
    /// ([`StackConfig::challenge_acks_per_second`](crate::StackConfig::challenge_acks_per_second)).
    pub challenges_withheld: u64,
    /// ICMP errors about segments in flight.
    pub icmp_errors_in: u64,
    /// ICMP errors sent.
    pub icmp_errors_out: u64,
    /// Times that an ICMP error lowered a path MTU.
    pub path_mtu_lowered: u64,
    drops: [u64; DropReason::COUNT],
}

impl Stats {
    /// Frames and segments dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Every reason with its count, in declaration order.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.dropped(reason)))
    }

    /// Counts a broken invariant, such as a reference into a table that finds nothing. Debug builds
    /// stop there.
    #[cold]
    pub(crate) fn count_broken(&mut self, what: &'static str) {
        debug_assert!(false, "broken invariant: {what}");
        self.count_drop(DropReason::Internal);
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count += 1;
        }
    }
}
