//! Loss recovery: the ranges in flight, selectively acknowledged, or lost.
//!
//! RFC 6298 (timeout), RFC 5681 and RFC 6582 (duplicate ACKs without SACK), RFC 6675 (SACK). All
//! state is in sets of positions: SND.NXT never moves back, and a byte is always acknowledged, in
//! flight, or lost. Congestion control, not this module, bounds the data in flight.

mod rtt;
mod sent;

use core::ops::Range;

pub(crate) use rtt::RttEstimator;
use sent::SentRecords;

use super::pool::Pool;
use super::ranges::SeqRanges;
use crate::time::Instant;

/// DupThresh: duplicate ACKs, or segments SACKed above a hole, from which on the hole is lost
/// (RFC 5681 §3.2, RFC 6675 §2).
const DUP_THRESH: u64 = 3;
/// SACKed runs that are always kept.
const MIN_SACK_RUNS: u64 = 1024;

/// Phase of loss recovery.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Phase {
    /// No loss.
    #[default]
    Open,
    /// Loss was detected by ACKs; ends when `point` is acknowledged (RecoveryPoint, RFC 6675).
    Recovery { point: u64 },
    /// The retransmission timer expired; ends likewise.
    Loss { point: u64 },
}

/// Data newly acknowledged by one segment.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Delivered {
    pub(crate) bytes: u64,
    /// When the newest byte was sent, if it was sent only once (Karn).
    pub(crate) sent_at: Option<Instant>,
}

/// Bytes between SND.UNA and SND.NXT by their state.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outstanding {
    /// Selectively acknowledged.
    pub(crate) sacked: u64,
    /// Lost and not sent again yet.
    pub(crate) lost: u64,
    /// Sent again, and neither acknowledged nor lost since.
    pub(crate) retransmitted: u64,
}

/// One connection's recovery state.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    phase: Phase,
    sent: SentRecords,
    /// Selectively acknowledged by the peer.
    sacked: SeqRanges,
    /// Lost and not sent again yet. Disjoint from `sacked`.
    lost: SeqRanges,
    /// End of the data that was ever marked lost: data below is marked again only by a timeout.
    marked_to: u64,
    /// Duplicate ACKs in a row, for peers without SACK.
    dup_acks: u32,
    /// Bytes that left the network according to those duplicate ACKs (RFC 5681 §3.2 "inflation").
    dup_credit: u64,
    /// SND.NXT at the first sign of loss: FlightSize excludes later data, which limited transmit
    /// sent (RFC 3042).
    before_disorder: Option<u64>,
    /// The next retransmission is sent at any cwnd: the first of a recovery (RFC 5681 §3.2 step 3,
    /// RFC 6675 §5 step 4.3), and one for each partial ACK of a peer without SACK (RFC 6582 §3.2
    /// step 5).
    first_retransmission_exempt: bool,
    /// Number of times that data sent once was acknowledged after later data.
    reordered: u32,
    /// Timeouts in a row without progress (RFC 9293 §3.8.3).
    pub(crate) retries: u8,
}

impl Recovery {
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// "pipe" of RFC 6675 §4: bytes sent, and neither acknowledged, selectively acknowledged, nor
    /// lost.
    pub(crate) fn in_flight(&self, una: u64, nxt: u64) -> u64 {
        (nxt - una).saturating_sub(self.sacked.bytes() + self.lost.bytes() + self.dup_credit)
    }

    /// The first range to send again.
    pub(crate) fn next_lost(&self) -> Option<Range<u64>> {
        self.lost.first()
    }

    /// A segment with new sequence space was sent.
    pub(crate) fn on_sent(&mut self, range: Range<u64>, now: Instant) {
        self.sent.push(range, now);
    }

    /// A lost range was sent again, and is in flight.
    pub(crate) fn on_resent(&mut self, range: Range<u64>, now: Instant) {
        self.lost.remove(range.clone());
        self.sent.resend(range, now);
    }

    /// The cumulative acknowledgement moved from `una` to `ack`. Returns the data that was not
    /// selectively acknowledged before.
    pub(crate) fn on_ack(&mut self, una: u64, ack: u64, sack_enabled: bool, mss: u64) -> Delivered {
        let overtaken = self.sacked_to().is_some_and(|sacked_to| sacked_to > una);
        let known = self.sacked.remove_below(ack);
        self.lost.remove_below(ack);
        let sent_at = self.sent.ack_to(ack);
        self.count_reordered(overtaken && sent_at.is_some());
        self.retries = 0;
        self.dup_acks = 0;
        match self.phase {
            Phase::Recovery { point } if ack < point && !sack_enabled => {
                // RFC 6582 §3.2 step 5, partial ACK: the next segment is lost too. Deflates by the
                // acknowledged bytes, and allows one segment.
                self.dup_credit = (self.dup_credit + mss).saturating_sub(ack - una);
                self.mark_lost(ack..(ack + mss).min(point));
                self.first_retransmission_exempt = true;
            }
            _ => self.dup_credit = 0,
        }
        if self.sacked.is_empty() {
            self.before_disorder = None;
        }
        Delivered {
            bytes: ack - una - known,
            sent_at,
        }
    }

    /// Ends recovery once its point is acknowledged. Returns whether it ended.
    pub(crate) fn exit_if_done(&mut self, una: u64) -> bool {
        let (Phase::Recovery { point } | Phase::Loss { point }) = self.phase else {
            return false;
        };
        if una < point {
            return false;
        }
        self.phase = Phase::Open;
        self.dup_credit = 0;
        self.before_disorder = None;
        true
    }

    /// The peer selectively acknowledged a range inside (SND.UNA, SND.NXT]. Returns what is news of
    /// it.
    ///
    /// A range that would be a run of its own is ignored where there are `segments` runs, as many
    /// as the whole window has segments: only a peer that cuts them to pieces reports more
    /// (CVE-2019-11478). One that joins a run counts.
    pub(crate) fn on_sack(&mut self, range: Range<u64>, segments: u64) -> Delivered {
        let known = self
            .sacked
            .containing(range.start)
            .is_some_and(|run| run.end >= range.end);
        let is_full = self.sacked.count() as u64 >= segments.max(MIN_SACK_RUNS);
        if known || is_full && !self.sacked.touches(&range) {
            return Delivered::default();
        }
        self.lost.remove(range.clone());
        let overtaken = self
            .sacked_to()
            .is_some_and(|sacked_to| sacked_to > range.start);
        let bytes = self.sacked.insert(range.clone());
        let sent_at = self.sent.sack(range);
        self.count_reordered(overtaken && sent_at.is_some());
        Delivered { bytes, sent_at }
    }

    /// End of the highest run that the peer has selectively acknowledged.
    fn sacked_to(&self) -> Option<u64> {
        self.sacked.iter().next_back().map(|run| run.end)
    }

    /// RFC 8985 §6.2 step 4: data sent only once and acknowledged after later data was reordered.
    fn count_reordered(&mut self, reordered: bool) {
        self.reordered = self.reordered.saturating_add(u32::from(reordered));
    }

    /// Number of reorderings seen.
    pub(crate) fn reordered(&self) -> u32 {
        self.reordered
    }

    /// The bytes between SND.UNA and SND.NXT by their state.
    pub(crate) fn outstanding(&self) -> Outstanding {
        let retransmitted = self
            .sent
            .retransmitted()
            .flat_map(|range| self.lost.gaps(range))
            .map(|range| range.end - range.start)
            .sum();
        Outstanding {
            sacked: self.sacked.bytes(),
            lost: self.lost.bytes(),
            retransmitted,
        }
    }

    /// Whether data is lost, or was sent again and is not acknowledged yet.
    pub(crate) fn is_repairing(&self) -> bool {
        !self.lost.is_empty() || self.sent.retransmitted().next().is_some()
    }

    /// A duplicate ACK from a peer without SACK. Returns whether it is the third, which marks the
    /// first segment lost.
    pub(crate) fn on_dup_ack(&mut self, una: u64, nxt: u64, mss: u64) -> bool {
        self.dup_acks = self.dup_acks.saturating_add(1);
        // Limited transmit (RFC 3042) and inflation: each duplicate ACK is a segment that left the
        // network. Limited transmit allows two segments; only recovery inflates further.
        let most = if matches!(self.phase, Phase::Recovery { .. }) {
            nxt - una
        } else {
            (2 * mss).min(nxt - una)
        };
        self.dup_credit = (self.dup_credit + mss).min(most);
        if u64::from(self.dup_acks) != DUP_THRESH
            || self.phase != Phase::Open
            || una < self.marked_to
        {
            // RFC 6582 §3.2 step 1: no second recovery for data of an earlier one.
            return false;
        }
        self.mark_lost(una..(una + mss).min(nxt));
        true
    }

    /// A duplicate ACK with new SACK ranges (RFC 6675 §2, "duplicate acknowledgment"). Returns
    /// whether it is the third, which marks the first segment lost (RFC 6675 §5 step 1). Many small
    /// segments are few bytes above a hole, so that the count of bytes alone would miss the loss.
    pub(crate) fn on_sack_dup_ack(&mut self, una: u64, mss: u64) -> bool {
        self.dup_acks = self.dup_acks.saturating_add(1);
        if u64::from(self.dup_acks) != DUP_THRESH
            || self.phase != Phase::Open
            || una < self.marked_to
        {
            return false;
        }
        let hole_end = self.sacked.first().map_or(una, |run| run.start);
        self.mark_lost(una..hole_end.min(una + mss));
        true
    }

    /// Marks data lost by IsLost() of RFC 6675 §4: three runs, or more than two segments, SACKed
    /// above it. Returns whether new data is lost.
    pub(crate) fn detect_loss(&mut self, una: u64, mss: u64) -> bool {
        let mut above = 0;
        let mut runs = 0;
        let mut lost_below = None;
        for run in self.sacked.iter().rev() {
            above += run.end - run.start;
            runs += 1;
            if runs >= DUP_THRESH || above > (DUP_THRESH - 1) * mss {
                lost_below = Some(run.start);
                break;
            }
        }
        let from = una.max(self.marked_to);
        let Some(to) = lost_below.filter(|&to| to > from) else {
            return false;
        };
        let before = self.lost.bytes();
        self.mark_lost(from..to);
        self.lost.bytes() > before
    }

    /// Records SND.NXT at the first sign of loss.
    pub(crate) fn note_disorder(&mut self, nxt: u64) {
        self.before_disorder.get_or_insert(nxt);
    }

    /// Loss was detected: enters recovery. Returns FlightSize if congestion control must be
    /// informed, which is once for each window (RFC 6675 §5).
    pub(crate) fn enter_recovery(&mut self, una: u64, nxt: u64) -> Option<u64> {
        if self.phase != Phase::Open {
            return None;
        }
        self.phase = Phase::Recovery { point: nxt };
        self.first_retransmission_exempt = true;
        let flight_end = self.before_disorder.take().filter(|&at| at > una);
        Some(flight_end.unwrap_or(nxt) - una)
    }

    /// Whether the next retransmission may be sent at any cwnd.
    pub(crate) fn is_first_retransmission_exempt(&self) -> bool {
        self.first_retransmission_exempt
    }

    /// A retransmission was sent: the next one needs room in cwnd.
    pub(crate) fn use_exemption(&mut self) {
        self.first_retransmission_exempt = false;
    }

    /// Whether there is a sign of loss, without a recovery.
    pub(crate) fn is_in_disorder(&self) -> bool {
        self.before_disorder.is_some()
    }

    /// The retransmission timer expired: all data in flight is marked lost (RFC 6675 §5.1). Returns
    /// whether the same data timed out before.
    pub(crate) fn on_timeout(&mut self, una: u64, nxt: u64) -> bool {
        // Progress since the last timeout makes this one a new loss (RFC 5681 §3.1).
        let repeated = matches!(self.phase, Phase::Loss { .. }) && self.retries > 0;
        self.retries = self.retries.saturating_add(1);
        self.dup_acks = 0;
        self.dup_credit = 0;
        self.forget_reneged(una);
        self.mark_lost(una..nxt);
        self.before_disorder = None;
        // The point only moves forward: data sent since the first timeout belongs to the same
        // recovery.
        self.phase = Phase::Loss { point: nxt };
        repeated
    }

    /// Reneging: the receiver may drop data that it SACKed (RFC 2018 §8). A SACKed run at SND.UNA
    /// that is not acknowledged proves it, and all SACKs are forgotten.
    fn forget_reneged(&mut self, una: u64) {
        let reneged = self.sacked.containing(una).is_some()
            || self.sacked.first().is_some_and(|run| run.start <= una);
        if reneged {
            self.sacked.clear();
            self.sent.forget_sacks();
        }
    }

    /// Marks all data in flight lost for another reason than congestion: it was sent into a closed
    /// window, or is a SYN that now needs an ACK.
    pub(crate) fn mark_all_lost(&mut self, una: u64, nxt: u64) {
        self.forget_reneged(una);
        self.mark_lost(una..nxt);
        self.prolong(nxt);
    }

    /// Marks segments of more than `len` bytes lost: they are too large for the path.
    pub(crate) fn mark_longer_lost(&mut self, len: u64) {
        let too_long: alloc::vec::Vec<_> = self.sent.longer_than(len).collect();
        for range in too_long {
            let end = range.end;
            self.mark_lost(range);
            self.prolong(end);
        }
    }

    /// Extends a recovery that is going on to data that was lost for another reason than
    /// congestion, so that this loss is not reported as a new one when the recovery ends.
    fn prolong(&mut self, to: u64) {
        if let Phase::Recovery { point } | Phase::Loss { point } = &mut self.phase {
            *point = (*point).max(to);
        }
    }

    /// Takes a queue for the sent records from the pool.
    pub(crate) fn supply(&mut self, pool: &mut Pool) {
        self.sent.supply(pool);
    }

    /// Gives the queue back to the pool while nothing is in flight: an idle connection holds no
    /// memory.
    pub(crate) fn reclaim(&mut self, pool: &mut Pool) {
        self.sent.reclaim(pool);
    }

    /// Bytes of memory held.
    pub(crate) fn memory_held(&self) -> usize {
        self.sent.memory_held()
    }

    /// Marks the parts of `range` lost that are not selectively acknowledged.
    fn mark_lost(&mut self, range: Range<u64>) {
        self.marked_to = self.marked_to.max(range.end);
        for hole in self.sacked.gaps(range) {
            self.lost.insert(hole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Recovery};
    use crate::time::Instant;

    const MSS: u64 = 1_000;

    fn with_sent(segments: u64) -> Recovery {
        let mut recovery = Recovery::default();
        for i in 0..segments {
            recovery.on_sent(i * MSS..(i + 1) * MSS, Instant::from_nanos(i));
        }
        recovery
    }

    #[test]
    fn three_segments_sacked_above_make_a_hole_lost() {
        let mut recovery = with_sent(10);
        recovery.on_sack(MSS..3 * MSS, 10);
        assert!(
            !recovery.detect_loss(0, MSS),
            "two segments' worth is not more than two"
        );
        recovery.on_sack(3 * MSS..3 * MSS + 1, 10);
        assert!(recovery.detect_loss(0, MSS));
        assert_eq!(recovery.next_lost(), Some(0..MSS));
        assert_eq!(
            recovery.in_flight(0, 10 * MSS),
            10 * MSS - MSS - 2 * MSS - 1
        );
        assert!(!recovery.detect_loss(0, MSS), "a hole is marked once");
    }

    #[test]
    fn three_runs_make_the_holes_below_lost() {
        let mut recovery = with_sent(10);
        for start in [1, 3, 5] {
            recovery.on_sack(start * MSS..start * MSS + 10, 10);
        }
        assert!(recovery.detect_loss(0, MSS));
        assert_eq!(recovery.next_lost(), Some(0..MSS));
        assert_eq!(recovery.enter_recovery(0, 10 * MSS), Some(10 * MSS));
        assert_eq!(
            recovery.enter_recovery(0, 10 * MSS),
            None,
            "congestion control hears of it once"
        );
    }

    #[test]
    fn a_retransmission_is_in_flight_again() {
        let mut recovery = with_sent(10);
        recovery.on_sack(MSS..10 * MSS, 10);
        recovery.detect_loss(0, MSS);
        assert_eq!(recovery.in_flight(0, 10 * MSS), 0);
        recovery.on_resent(0..MSS, Instant::from_nanos(99));
        assert_eq!(
            (recovery.next_lost(), recovery.in_flight(0, 10 * MSS)),
            (None, MSS)
        );
    }

    #[test]
    fn the_third_duplicate_ack_marks_one_segment_and_partial_acks_the_next() {
        let mut recovery = with_sent(10);
        assert!(!recovery.on_dup_ack(0, 10 * MSS, MSS) && !recovery.on_dup_ack(0, 10 * MSS, MSS));
        assert!(recovery.on_dup_ack(0, 10 * MSS, MSS));
        recovery.enter_recovery(0, 10 * MSS);
        recovery.on_resent(0..MSS, Instant::from_nanos(50));
        assert_eq!(recovery.next_lost(), None);
        recovery.on_ack(0, 4 * MSS, false, MSS);
        assert_eq!(recovery.next_lost(), Some(4 * MSS..5 * MSS));
        assert!(!recovery.exit_if_done(4 * MSS));
        recovery.on_ack(4 * MSS, 10 * MSS, false, MSS);
        assert!(recovery.exit_if_done(10 * MSS));
        assert_eq!(recovery.phase(), Phase::Open);
    }

    #[test]
    fn a_timeout_marks_all_but_what_was_sacked() {
        let mut recovery = with_sent(10);
        recovery.on_sack(2 * MSS..4 * MSS, 10);
        assert!(!recovery.on_timeout(0, 10 * MSS));
        assert_eq!(recovery.in_flight(0, 10 * MSS), 0);
        assert_eq!(recovery.next_lost(), Some(0..2 * MSS));
        assert!(
            recovery.on_timeout(0, 10 * MSS),
            "the same data timed out again"
        );
    }

    #[test]
    fn a_timeout_at_a_sacked_left_edge_distrusts_all_sacks() {
        let mut recovery = with_sent(4);
        recovery.on_sack(0..MSS, 4);
        recovery.on_timeout(0, 4 * MSS);
        assert_eq!(recovery.next_lost(), Some(0..4 * MSS));
    }
}
