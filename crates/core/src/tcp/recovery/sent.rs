//! Sent records: departure time of each transmitted (super-)segment.
//!
//! Records are split where an acknowledgement ends inside them.

use alloc::collections::VecDeque;
use core::ops::Range;

use crate::tcp::pool::{Pool, Reusable};
use crate::time::Instant;

/// A run of sequence space that was sent in one segment.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Record {
    range: Range<u64>,
    /// Time of the last transmission.
    sent_at: Instant,
    /// Sent more than once: its acknowledgement gives no RTT sample (Karn, RFC 6298 §3).
    retransmitted: bool,
    /// Selectively acknowledged: its RTT sample has been taken.
    sacked: bool,
}

impl Reusable for VecDeque<Record> {
    fn size(&self) -> usize {
        self.capacity() * size_of::<Record>()
    }
}

/// The records of everything between SND.UNA and SND.NXT, in sequence order, without gaps.
#[derive(Debug, Default)]
pub(crate) struct SentRecords {
    records: VecDeque<Record>,
}

impl SentRecords {
    /// New sequence space was sent.
    pub(crate) fn push(&mut self, range: Range<u64>, now: Instant) {
        self.records.push_back(Record {
            range,
            sent_at: now,
            retransmitted: false,
            sacked: false,
        });
    }

    /// Old sequence space was sent again.
    pub(crate) fn resend(&mut self, range: Range<u64>, now: Instant) {
        for index in self.isolate(range) {
            if let Some(record) = self.records.get_mut(index) {
                record.sent_at = now;
                record.retransmitted = true;
            }
        }
    }

    /// A range was selectively acknowledged. Returns when its newest part was sent, of those sent
    /// only once.
    pub(crate) fn sack(&mut self, range: Range<u64>) -> Option<Instant> {
        let mut newest = None;
        let inside = self.isolate(range);
        for index in inside.clone() {
            if let Some(record) = self.records.get_mut(index).filter(|record| !record.sacked) {
                record.sacked = true;
                if !record.retransmitted {
                    newest = newest.max(Some(record.sent_at));
                }
            }
        }
        self.merge_sacked(inside);
        newest
    }

    /// Everything below `position` was acknowledged. Returns when the newest part was sent; `None`
    /// if a part was sent twice, which makes the acknowledgement ambiguous (RFC 6298 §3).
    pub(crate) fn ack_to(&mut self, position: u64) -> Option<Instant> {
        let mut newest = None;
        let mut ambiguous = false;
        while let Some(record) = self
            .records
            .front_mut()
            .filter(|record| record.range.start < position)
        {
            ambiguous |= record.retransmitted;
            if !record.sacked {
                newest = newest.max(Some(record.sent_at));
            }
            if record.range.end > position {
                record.range.start = position;
                break;
            }
            self.records.pop_front();
        }
        newest.filter(|_| !ambiguous)
    }

    /// The ranges that were sent again and not acknowledged since.
    pub(crate) fn retransmitted(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let again = |record: &&Record| record.retransmitted && !record.sacked;
        self.records
            .iter()
            .filter(again)
            .map(|record| record.range.clone())
    }

    /// The ranges of the transmissions longer than `len`.
    pub(crate) fn longer_than(&self, len: u64) -> impl Iterator<Item = Range<u64>> {
        self.records
            .iter()
            .map(|record| record.range.clone())
            .filter(move |range| range.end - range.start > len)
    }

    /// The receiver dropped data that it had selectively acknowledged (RFC 2018 §8).
    pub(crate) fn forget_sacks(&mut self) {
        for record in &mut self.records {
            record.sacked = false;
        }
    }

    pub(super) fn supply(&mut self, pool: &mut Pool) {
        if self.records.capacity() == 0 {
            self.records = pool.queue();
        }
    }

    pub(super) fn reclaim(&mut self, pool: &mut Pool) {
        if self.records.is_empty() && self.records.capacity() > 0 {
            pool.give_queue(core::mem::take(&mut self.records));
        }
    }

    pub(super) fn memory_held(&self) -> usize {
        self.records.size()
    }

    /// Merges a SACKed run with its SACKed neighbours. So the number of records is bounded by
    /// transmissions and runs, even if a peer sends very small blocks (CVE-2019-11478).
    fn merge_sacked(&mut self, inside: Range<usize>) {
        let is_sacked = |index: usize| self.records.get(index).is_some_and(|record| record.sacked);
        let from = if inside.start > 0 && is_sacked(inside.start - 1) {
            inside.start - 1
        } else {
            inside.start
        };
        let to = if is_sacked(inside.end) {
            inside.end + 1
        } else {
            inside.end
        };
        if to <= from + 1 {
            return;
        }
        let mut merged: Option<Record> = None;
        for record in self.records.drain(from..to) {
            match &mut merged {
                None => merged = Some(record),
                Some(run) => {
                    run.range.end = record.range.end;
                    run.retransmitted |= record.retransmitted;
                    run.sent_at = run.sent_at.max(record.sent_at);
                }
            }
        }
        if let Some(run) = merged {
            self.records.insert(from, run);
        }
    }

    /// Splits records at both ends of `range`, and returns the indices of those inside.
    fn isolate(&mut self, range: Range<u64>) -> Range<usize> {
        self.split_at(range.start);
        self.split_at(range.end);
        let from = self
            .records
            .partition_point(|record| record.range.end <= range.start);
        let to = self
            .records
            .partition_point(|record| record.range.start < range.end);
        from..to.max(from)
    }

    fn split_at(&mut self, position: u64) {
        let index = self
            .records
            .partition_point(|record| record.range.end <= position);
        let Some(record) = self
            .records
            .get_mut(index)
            .filter(|record| record.range.start < position)
        else {
            return;
        };
        let mut tail = record.clone();
        tail.range.start = position;
        record.range.end = position;
        self.records.insert(index + 1, tail);
    }
}

#[cfg(test)]
mod tests {
    use super::SentRecords;
    use crate::time::Instant;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn an_ack_measures_the_newest_part_it_covers() {
        let mut sent = SentRecords::default();
        sent.push(0..100, at(1));
        sent.push(100..200, at(2));
        assert_eq!(sent.ack_to(150), Some(at(2)));
        assert_eq!(sent.ack_to(200), Some(at(2)));
        assert_eq!(sent.ack_to(200), None);
    }

    #[test]
    fn an_ack_over_a_retransmission_measures_nothing() {
        let mut sent = SentRecords::default();
        sent.push(0..300, at(1));
        sent.resend(100..200, at(9));
        assert_eq!(sent.ack_to(100), Some(at(1)));
        assert_eq!(sent.ack_to(200), None);
        assert_eq!(sent.ack_to(300), Some(at(1)));
    }

    #[test]
    fn a_sack_measures_once() {
        let mut sent = SentRecords::default();
        sent.push(0..300, at(1));
        assert_eq!(sent.sack(100..200), Some(at(1)));
        assert_eq!(sent.sack(100..200), None);
        assert_eq!(sent.sack(100..250), Some(at(1)));
        sent.forget_sacks();
        assert_eq!(sent.sack(100..200), Some(at(1)));
    }

    #[test]
    fn finely_cut_sacks_do_not_multiply_records() {
        let mut sent = SentRecords::default();
        sent.push(0..10_000, at(1));
        for end in 2..5_000 {
            sent.sack(1..end);
        }
        assert_eq!(sent.records.len(), 3);
    }
}
