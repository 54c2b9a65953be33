//! Receive buffer and reassembly (RFC 9293 §3.10.7.4, SHLD-31).
//!
//! Data in order waits for the application, out-of-order data for the gap before it to be filled.
//!
//! A large payload is kept by reference to its frame; a small one is copied into a block, so that
//! one byte never pins a 64 KiB frame. By reference means that the payload fills at least half of
//! its frame.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Range;

use bytes::{Buf, Bytes};
use tidewire_wire::{SackBlock, SackBlocks};

use super::pool::{MIN_BLOCK, Pool, Reusable, new_block};
use super::ranges::SeqRanges;
use crate::offload::FrameBuffer;

/// Fixed cost of out-of-order data: the structures, and the unused slots in the first B-tree node.
const GAP_OVERHEAD: usize = 640;
/// Cost of a piece of out-of-order data beside its bytes: the smallest allocation (32), a slot in a
/// B-tree with half-full nodes (100), and a range in another (35); rounded
/// up. Measured for a piece of one byte: 150 in all.
const PIECE_OVERHEAD: usize = 192;
/// Cost of a gap and of a few pieces beside their bytes. A small buffer may hold it as well, up to
/// the second figure in all.
const FREE_OVERHEAD: usize = GAP_OVERHEAD + 8 * PIECE_OVERHEAD;
const SMALL_BUFFER: usize = 8 * 1024;
/// Runs whose order of arrival is remembered; SACK reports four, and some of them merge.
const MAX_RECENT: usize = 8;

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

    /// Whether the frame takes at most twice the memory of the payload.
    fn is_worth_adopting(&self) -> bool {
        self.len() >= self.frame.truesize() / 2
    }

    /// Bytes that are copied when the payload is kept.
    pub(crate) fn copied_len(&self) -> usize {
        if self.is_worth_adopting() {
            0
        } else {
            self.len()
        }
    }

    /// The payload by reference, or a copy.
    fn take(&mut self) -> ChargedBytes {
        if self.is_worth_adopting() {
            ChargedBytes {
                charge: self.frame.truesize(),
                bytes: self.frame.adopt(self.range.clone()),
            }
        } else {
            ChargedBytes::copy(self.bytes())
        }
    }
}

/// Bytes, and the memory that they keep alive.
#[derive(Debug)]
struct ChargedBytes {
    bytes: Bytes,
    charge: usize,
}

impl ChargedBytes {
    /// A part by reference; a copy if it is small, so that it does not pin the whole.
    fn part(&self, part: Range<usize>) -> Option<Self> {
        let bytes = self.bytes.get(part.clone())?;
        if 2 * bytes.len() < self.bytes.len() {
            return Some(Self::copy(bytes));
        }
        Some(Self {
            bytes: self.bytes.slice(part),
            charge: self.charge,
        })
    }

    fn copy(bytes: &[u8]) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(bytes),
            charge: bytes.len(),
        }
    }
}

/// A piece of data in order.
#[derive(Debug)]
enum Piece {
    /// Small payloads, copied next to each other; those before `read` have been read.
    Block { data: Vec<u8>, read: usize },
    /// A large payload in its frame.
    Frame(ChargedBytes),
}

impl Piece {
    /// The bytes not read yet.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Block { data, read } => data.get(*read..).unwrap_or_default(),
            Self::Frame(payload) => &payload.bytes,
        }
    }

    fn skip(&mut self, n: usize) {
        match self {
            Self::Block { read, .. } => *read += n,
            Self::Frame(payload) => payload.bytes.advance(n),
        }
    }

    fn charge(&self) -> usize {
        match self {
            Self::Block { data, .. } => data.capacity(),
            Self::Frame(payload) => payload.charge,
        }
    }

    fn give_back(self, pool: &mut Pool) {
        if let Self::Block { data, .. } = self {
            pool.give_block(data);
        }
    }
}

/// The queue of a buffer that is not empty or is about to become so.
#[derive(Debug, Default)]
struct Store {
    /// In order, oldest first. Small payloads are added to the last block.
    queue: VecDeque<Piece>,
    /// A block for the next copy.
    spare: Option<Vec<u8>>,
}

impl Reusable for Box<Store> {
    fn size(&self) -> usize {
        self.queue.capacity() * size_of::<Piece>()
    }
}

impl Store {
    /// Free bytes in the last block.
    fn room(&self) -> usize {
        match self.queue.back() {
            Some(Piece::Block { data, .. }) => data.capacity() - data.len(),
            _ => 0,
        }
    }
}

/// The receive buffer: data in order, and data beyond a gap.
#[derive(Debug, Default)]
pub(crate) struct RecvBuffer {
    /// None while empty: an idle connection holds no memory.
    store: Option<Box<Store>>,
    queued: usize,
    /// Bytes of memory behind the data in order.
    memory: usize,
    out_of_order: Option<Box<OutOfOrder>>,
}

#[derive(Debug, Default)]
struct OutOfOrder {
    pieces: BTreeMap<u64, ChargedBytes>,
    ranges: SeqRanges,
    /// Bytes of memory behind the pieces.
    memory: usize,
    /// Positions of the latest arrivals, newest first: the order of the SACK blocks (RFC 2018 §4).
    recent: VecDeque<u64>,
}

impl OutOfOrder {
    /// Stores the parts of a payload that are new.
    fn keep(&mut self, at: u64, payload: &mut Payload<'_>) {
        let range = at..at + payload.len() as u64;
        let adopted = payload.is_worth_adopting().then(|| payload.take());
        for gap in self.ranges.gaps(range.clone()) {
            let offset = |position: u64| usize::try_from(position - at).unwrap_or(usize::MAX);
            let part = offset(gap.start)..offset(gap.end);
            let piece = match &adopted {
                Some(whole) => whole.part(part),
                None => payload.bytes().get(part).map(ChargedBytes::copy),
            };
            if let Some(piece) = piece {
                self.memory += piece.charge;
                self.pieces.insert(gap.start, piece);
            }
        }
        self.ranges.insert(range);
    }

    /// Cost of storing the new parts of `range`; 0 if there are none.
    fn cost_of(&self, range: Range<u64>) -> usize {
        let gaps = self.ranges.gaps(range);
        gaps.fold(0_usize, |cost, gap| {
            let len = usize::try_from(gap.end - gap.start).unwrap_or(usize::MAX);
            cost.saturating_add(len).saturating_add(PIECE_OVERHEAD)
        })
    }

    fn cost(&self) -> usize {
        self.memory
            .saturating_add(self.pieces.len().saturating_mul(PIECE_OVERHEAD))
            .saturating_add(GAP_OVERHEAD)
    }
}

impl RecvBuffer {
    /// Bytes ready to be read.
    pub(crate) fn len(&self) -> usize {
        self.queued
    }

    /// Bytes of memory held: whole blocks, and the frames kept by reference.
    pub(crate) fn memory_held(&self) -> usize {
        self.memory + self.out_of_order.as_ref().map_or(0, |ooo| ooo.cost())
    }

    /// Takes a block for copying `len` bytes from the pool.
    pub(crate) fn supply(&mut self, len: usize, pool: &mut Pool) {
        let store = self.store.get_or_insert_with(|| pool.queue());
        if len > store.room() && store.spare.is_none() {
            store.spare = Some(pool.block(len.max(self.queued / 4)));
        }
    }

    /// Gives unused memory back to the pool.
    pub(crate) fn reclaim(&mut self, pool: &mut Pool) {
        let Some(store) = &mut self.store else {
            return;
        };
        if let Some(spare) = store.spare.take() {
            pool.give_block(spare);
        }
        if store.queue.is_empty()
            && let Some(store) = self.store.take()
        {
            pool.give_queue(store);
        }
    }

    /// Bytes of out-of-order data.
    pub(crate) fn out_of_order(&self) -> usize {
        self.out_of_order.as_ref().map_or(0, |ooo| {
            usize::try_from(ooo.ranges.bytes()).unwrap_or(usize::MAX)
        })
    }

    /// Separate runs of out-of-order data.
    pub(crate) fn runs(&self) -> usize {
        self.out_of_order
            .as_ref()
            .map_or(0, |ooo| ooo.ranges.count())
    }

    pub(crate) fn has_gap(&self) -> bool {
        self.out_of_order.is_some()
    }

    /// Adds the payload at RCV.NXT, which is `at`, and the out-of-order runs that it reaches.
    /// Returns the new RCV.NXT.
    pub(crate) fn append(&mut self, at: u64, payload: &mut Payload<'_>) -> u64 {
        let Some(mut ooo) = self.out_of_order.take() else {
            self.push(payload);
            return at + payload.len() as u64;
        };
        // By the same path as out-of-order data, so that the first received copy of a byte stays.
        ooo.keep(at, payload);
        let mut end = at;
        while let Some(piece) = ooo.pieces.remove(&end) {
            end += piece.bytes.len() as u64;
            ooo.memory -= piece.charge;
            self.push_piece(piece);
        }
        ooo.ranges.remove_below(end);
        if !ooo.ranges.is_empty() {
            self.out_of_order = Some(ooo);
        }
        end
    }

    /// Stores the new parts of a payload beyond a gap. `max_memory` bounds the memory of all
    /// out-of-order data. Returns whether the payload is stored now.
    pub(crate) fn insert(&mut self, at: u64, payload: &mut Payload<'_>, max_memory: usize) -> bool {
        let end = at + payload.len() as u64;
        let ooo = self.out_of_order.get_or_insert_default();
        let cost = ooo.cost_of(at..end);
        let max_cost = match max_memory {
            0 => 0,
            _ => max_memory.max((max_memory.saturating_add(FREE_OVERHEAD)).min(SMALL_BUFFER)),
        };
        if cost > 0 && ooo.cost().saturating_add(cost) > max_cost {
            if ooo.ranges.is_empty() {
                self.out_of_order = None;
            }
            return false;
        }
        if cost > 0 {
            ooo.keep(at, payload);
        }
        let run = ooo.ranges.containing(at).unwrap_or(at..end);
        ooo.recent.retain(|position| !run.contains(position));
        ooo.recent.push_front(at);
        ooo.recent.truncate(MAX_RECENT);
        true
    }

    /// The first part of `range` that was received out of order before (RFC 2883 §4).
    pub(crate) fn first_duplicate(&self, range: &Range<u64>) -> Option<Range<u64>> {
        self.out_of_order.as_ref()?.ranges.first_in(range)
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
        let recent = ooo.recent.iter();
        let recent = recent.filter_map(|&position| ooo.ranges.containing(position));
        for run in recent.chain(ooo.ranges.iter()) {
            if blocks.len() >= max.min(SackBlocks::CAPACITY) {
                break;
            }
            let block = SackBlock {
                left: seq(run.start),
                right: seq(run.end),
            };
            if !blocks.as_slice().contains(&block) {
                blocks.push(block);
            }
        }
        blocks
    }

    /// Hands up to `max` bytes to `sink`, oldest first, and drops them.
    pub(crate) fn read_with(
        &mut self,
        max: usize,
        sink: &mut dyn FnMut(&[u8]),
        pool: &mut Pool,
    ) -> usize {
        let mut read = 0;
        while read < max
            && let Some(piece) = self
                .store
                .as_mut()
                .and_then(|store| store.queue.front_mut())
        {
            let bytes = piece.bytes();
            let n = bytes.len().min(max - read);
            sink(bytes.get(..n).unwrap_or_default());
            read += n;
            if n < bytes.len() {
                piece.skip(n);
                break;
            }
            self.pop_piece(pool);
        }
        self.queued -= read;
        self.reclaim(pool);
        read
    }

    /// Takes up to `max` bytes as one piece; without a copy if they fill their memory.
    pub(crate) fn read_chunk(&mut self, max: usize, pool: &mut Pool) -> Bytes {
        let front = self
            .store
            .as_mut()
            .and_then(|store| store.queue.front_mut());
        let Some(front) = front else {
            return Bytes::new();
        };
        let len = front.bytes().len();
        let n = len.min(max);
        let chunk = match front {
            Piece::Frame(payload) => payload.bytes.split_to(n),
            // A chunk in the application's hands must not pin a block that is mostly empty or still
            // used.
            Piece::Block { data, read } if n < len || 2 * n < data.capacity() => {
                let chunk = Bytes::copy_from_slice(data.get(*read..*read + n).unwrap_or_default());
                *read += n;
                chunk
            }
            Piece::Block { data, read } => {
                self.memory -= data.capacity();
                let mut chunk = Bytes::from(core::mem::take(data));
                chunk.advance(core::mem::take(read));
                chunk
            }
        };
        if n == len {
            self.pop_piece(pool);
        }
        self.queued -= n;
        self.reclaim(pool);
        chunk
    }

    /// Copies the oldest bytes without dropping them.
    pub(crate) fn peek(&self, into: &mut [u8]) -> usize {
        let mut at = 0;
        for piece in self.store.iter().flat_map(|store| &store.queue) {
            let bytes = piece.bytes();
            let n = bytes.len().min(into.len() - at);
            let (Some(to), Some(from)) = (into.get_mut(at..at + n), bytes.get(..n)) else {
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

    /// Drops the out-of-order data.
    pub(crate) fn clear_out_of_order(&mut self) {
        self.out_of_order = None;
    }

    fn pop_piece(&mut self, pool: &mut Pool) {
        if let Some(piece) = self
            .store
            .as_mut()
            .and_then(|store| store.queue.pop_front())
        {
            self.memory -= piece.charge();
            piece.give_back(pool);
        }
    }

    fn push(&mut self, payload: &mut Payload<'_>) {
        if payload.is_worth_adopting() {
            let piece = payload.take();
            self.push_piece(piece);
        } else {
            self.copy(payload.bytes());
        }
    }

    fn push_piece(&mut self, piece: ChargedBytes) {
        if piece.bytes.len() < MIN_BLOCK {
            return self.copy(&piece.bytes);
        }
        self.queued += piece.bytes.len();
        self.memory += piece.charge;
        let store = self.store.get_or_insert_default();
        store.queue.push_back(Piece::Frame(piece));
    }

    /// Copies into the last block, and into new ones once that is full. A block never grows, since
    /// growing would move its bytes.
    fn copy(&mut self, mut data: &[u8]) {
        let store = self.store.get_or_insert_default();
        self.queued += data.len();
        while !data.is_empty() {
            let room = store.room();
            if let Some(Piece::Block { data: block, .. }) = store.queue.back_mut()
                && room > 0
            {
                let (now, later) = data.split_at(data.len().min(room));
                block.extend_from_slice(now);
                data = later;
                continue;
            }
            let block = store.spare.take().unwrap_or_else(|| new_block(data.len()));
            self.memory += block.capacity();
            store.queue.push_back(Piece::Block {
                data: block,
                read: 0,
            });
        }
    }
}

#[cfg(test)]
mod tests;
