//! Bytes on their way in: in order for the application, out of order until the gap before them is filled.
//!
//! A large payload is kept by reference to the frame it arrived in; a small one is copied next to its predecessors, so
//! that a byte never pins a 64 KiB frame. At most half of the memory held is not payload.

use alloc::collections::{BTreeMap, VecDeque};
use core::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use tidewire_wire::{SackBlock, SackBlocks};

use super::ranges::SeqRanges;
use crate::offload::FrameBuffer;

/// What a piece of out-of-order data costs beside its bytes.
const PIECE_OVERHEAD: usize = 128;
/// Most separate runs of out-of-order data; a peer that makes more has its newest refused.
const MAX_RUNS: usize = 256;
/// Runs whose order of arrival is known; SACK reports four, and some of them merge.
const MAX_RECENT: usize = 8;
const MIN_BLOCK: usize = 512;
const MAX_BLOCK: usize = 64 * 1024;

/// A payload in the frame that carries it.
pub(crate) struct Payload<'a> {
    pub(crate) frame: &'a mut dyn FrameBuffer,
    pub(crate) range: Range<usize>,
}

impl Payload<'_> {
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Drops the first `n` bytes.
    pub(crate) fn skip(&mut self, n: usize) {
        self.range.start = self.range.start.saturating_add(n).min(self.range.end);
    }

    /// Drops everything after the first `n` bytes.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.range.end = self.range.end.min(self.range.start.saturating_add(n));
    }

    fn bytes(&self) -> &[u8] {
        self.frame
            .bytes()
            .get(self.range.clone())
            .unwrap_or_default()
    }

    /// Whether keeping the frame holds less than twice the memory that is of use.
    fn is_worth_adopting(&self) -> bool {
        self.len() >= self.frame.truesize() / 2
    }

    fn take(&mut self) -> Bytes {
        if self.is_worth_adopting() {
            self.frame.adopt(self.range.clone())
        } else {
            Bytes::copy_from_slice(self.bytes())
        }
    }
}

/// The receive side's data.
#[derive(Debug, Default)]
pub(crate) struct RecvBuffer {
    /// In order, complete pieces, oldest first.
    queue: VecDeque<Bytes>,
    /// In order, after `queue`: the block that small payloads are copied to.
    tail: BytesMut,
    queued: usize,
    out_of_order: Option<alloc::boxed::Box<OutOfOrder>>,
}

#[derive(Debug, Default)]
struct OutOfOrder {
    pieces: BTreeMap<u64, Bytes>,
    ranges: SeqRanges,
    /// Where data arrived last, newest first: the order in which SACK reports the runs (RFC 2018 4).
    recent: VecDeque<u64>,
}

impl OutOfOrder {
    /// Stores those parts of a payload that are not held yet.
    fn keep(&mut self, at: u64, payload: &mut Payload<'_>) {
        let range = at..at + payload.len() as u64;
        let bytes = payload.take();
        for gap in self.ranges.gaps(range.clone()) {
            let offset = |position: u64| usize::try_from(position - at).unwrap_or(usize::MAX);
            let piece = offset(gap.start)..offset(gap.end);
            if piece.end <= bytes.len() {
                // A small part must not pin the whole frame.
                let part = bytes.slice(piece);
                let part = if part.len() * 2 >= bytes.len() {
                    part
                } else {
                    Bytes::copy_from_slice(&part)
                };
                self.pieces.insert(gap.start, part);
            }
        }
        self.ranges.insert(range);
    }

    fn cost(&self) -> usize {
        usize::try_from(self.ranges.bytes())
            .unwrap_or(usize::MAX)
            .saturating_add(self.pieces.len().saturating_mul(PIECE_OVERHEAD))
    }
}

impl RecvBuffer {
    /// Bytes ready to be read.
    pub(crate) fn len(&self) -> usize {
        self.queued
    }

    /// Bytes waiting for a gap to be filled.
    pub(crate) fn out_of_order(&self) -> usize {
        self.out_of_order.as_ref().map_or(0, |ooo| {
            usize::try_from(ooo.ranges.bytes()).unwrap_or(usize::MAX)
        })
    }

    pub(crate) fn has_gap(&self) -> bool {
        self.out_of_order.is_some()
    }

    /// Adds the payload that follows everything received in order, at position `at`, and whatever it connects to.
    /// Returns the position after the last byte in order.
    pub(crate) fn append(&mut self, at: u64, payload: &mut Payload<'_>) -> u64 {
        let Some(mut ooo) = self.out_of_order.take() else {
            self.push(payload);
            return at + payload.len() as u64;
        };
        // Through the same place as all out-of-order data, so that of an overlap the first received wins.
        ooo.keep(at, payload);
        let mut end = at;
        while let Some(piece) = ooo.pieces.remove(&end) {
            end += piece.len() as u64;
            self.push_piece(piece);
        }
        ooo.ranges.remove_below(end);
        if !ooo.ranges.is_empty() {
            self.out_of_order = Some(ooo);
        }
        end
    }

    /// Keeps a payload that lies beyond a gap, as far as it is new. `limit` bounds the memory of all such data; says
    /// whether it was kept (or known).
    pub(crate) fn insert(&mut self, at: u64, payload: &mut Payload<'_>, limit: usize) -> bool {
        let end = at + payload.len() as u64;
        let ooo = self.out_of_order.get_or_insert_default();
        let known = ooo.ranges.containing(at).is_some_and(|run| run.end >= end);
        if !known
            && (ooo.ranges.count() >= MAX_RUNS || ooo.cost().saturating_add(payload.len()) > limit)
        {
            if ooo.ranges.is_empty() {
                self.out_of_order = None;
            }
            return false;
        }
        if !known {
            ooo.keep(at, payload);
        }
        let run = ooo.ranges.containing(at).cloned().unwrap_or(at..end);
        ooo.recent.retain(|position| !run.contains(position));
        ooo.recent.push_front(at);
        ooo.recent.truncate(MAX_RECENT);
        true
    }

    /// SACK blocks, newest first, at most `max`; `seq` turns positions into sequence numbers.
    pub(crate) fn sack_blocks(
        &self,
        max: usize,
        seq: impl Fn(u64) -> tidewire_wire::SeqNum,
    ) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        let Some(ooo) = &self.out_of_order else {
            return blocks;
        };
        let mut reported: [u64; SackBlocks::CAPACITY] = [u64::MAX; SackBlocks::CAPACITY];
        let runs = ooo
            .recent
            .iter()
            .filter_map(|&position| ooo.ranges.containing(position));
        for (count, run) in runs
            .chain(ooo.ranges.iter())
            .enumerate()
            .take(2 * SackBlocks::CAPACITY)
        {
            if blocks.as_slice().len() >= max {
                break;
            }
            if reported.contains(&run.start) {
                continue;
            }
            if let Some(slot) = reported.get_mut(count % SackBlocks::CAPACITY) {
                *slot = run.start;
            }
            blocks.push(SackBlock {
                left: seq(run.start),
                right: seq(run.end),
            });
        }
        blocks
    }

    /// Hands up to `max` bytes to `sink`, oldest first, and drops them.
    pub(crate) fn read_with(&mut self, max: usize, sink: &mut dyn FnMut(&[u8])) -> usize {
        let mut left = max.min(self.queued);
        let total = left;
        while left > 0 {
            if let Some(front) = self.queue.front_mut() {
                let n = left.min(front.len());
                sink(front.get(..n).unwrap_or_default());
                front.advance(n);
                left -= n;
                if front.is_empty() {
                    self.queue.pop_front();
                }
            } else {
                let n = left.min(self.tail.len());
                if n == 0 {
                    break;
                }
                sink(self.tail.get(..n).unwrap_or_default());
                self.tail.advance(n);
                left -= n;
            }
        }
        self.consumed(total - left)
    }

    /// Takes up to `max` bytes as one piece, without copying.
    pub(crate) fn read_chunk(&mut self, max: usize) -> Bytes {
        let chunk = match self.queue.front_mut() {
            Some(front) if front.len() > max => front.split_to(max),
            Some(_) => self.queue.pop_front().unwrap_or_default(),
            None => {
                let n = max.min(self.tail.len());
                self.tail.split_to(n).freeze()
            }
        };
        self.consumed(chunk.len());
        chunk
    }

    /// Copies the oldest bytes without dropping them.
    pub(crate) fn peek(&self, into: &mut [u8]) -> usize {
        let mut at = 0;
        for piece in self
            .queue
            .iter()
            .map(|piece| &piece[..])
            .chain(core::iter::once(&self.tail[..]))
        {
            let n = piece.len().min(into.len() - at);
            let (Some(to), Some(from)) = (into.get_mut(at..at + n), piece.get(..n)) else {
                break;
            };
            to.copy_from_slice(from);
            at += n;
        }
        at
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops what waits for a gap to be filled.
    pub(crate) fn clear_out_of_order(&mut self) {
        self.out_of_order = None;
    }

    fn consumed(&mut self, n: usize) -> usize {
        self.queued -= n;
        if self.queued == 0 {
            // An idle connection holds no memory.
            self.queue = VecDeque::new();
            self.tail = BytesMut::new();
        }
        n
    }

    fn push(&mut self, payload: &mut Payload<'_>) {
        if payload.is_worth_adopting() {
            let piece = payload.take();
            self.push_piece(piece);
        } else {
            self.copy(payload.bytes());
        }
    }

    fn push_piece(&mut self, piece: Bytes) {
        if piece.len() < MIN_BLOCK {
            return self.copy(&piece);
        }
        self.seal_tail();
        self.queued += piece.len();
        self.queue.push_back(piece);
    }

    /// Copies to the tail block, and to a new one where that is full. A block never grows: it would move its bytes.
    fn copy(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.tail.len() == self.tail.capacity() {
                let size = data
                    .len()
                    .max(self.queued / 4)
                    .next_power_of_two()
                    .clamp(MIN_BLOCK, MAX_BLOCK);
                self.seal_tail();
                self.tail = BytesMut::with_capacity(size);
            }
            let (now, later) =
                data.split_at(data.len().min(self.tail.capacity() - self.tail.len()));
            self.tail.extend_from_slice(now);
            self.queued += now.len();
            data = later;
        }
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let block = core::mem::take(&mut self.tail);
            let is_mostly_empty = block.len() * 2 < block.capacity();
            self.queue.push_back(if is_mostly_empty {
                Bytes::copy_from_slice(&block)
            } else {
                block.freeze()
            });
        }
    }
}

#[cfg(test)]
mod tests;
