//! Memory between two uses: blocks and queues that one connection gave back and the next one takes.
//!
//! Buffers start empty and are freed when they are empty again, so that an idle connection holds none. Were they
//! freed to the allocator, every request and every answer would cost a few allocations; through here they cost none.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::recovery::Record;
use super::{recv_buffer, send_buffer};

/// Sizes of blocks: every power of two from the least to the greatest, which holds what one super-frame carries.
pub(crate) const MIN_BLOCK: usize = 512;
pub(crate) const MAX_BLOCK: usize = 64 * 1024;
const CLASSES: usize = (MAX_BLOCK / MIN_BLOCK).ilog2() as usize + 1;

/// Most bytes kept: what a connection in full flow gives back and takes again, both ways.
const MAX_BYTES: usize = 8 << 20;
/// Most queues of each kind kept.
const MAX_QUEUES: usize = 256;

/// See the module's documentation. One per stack.
#[derive(Debug, Default)]
#[allow(
    clippy::vec_box,
    reason = "the boxes are what is reused: buffers hold them"
)]
pub(crate) struct Pool {
    blocks: [Vec<Vec<u8>>; CLASSES],
    bytes: usize,
    send: Vec<Box<send_buffer::Store>>,
    recv: Vec<Box<recv_buffer::Store>>,
    records: Vec<VecDeque<Record>>,
    pub(crate) released: Released,
}

/// The application's own memory that is no longer needed.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Whether somebody takes it; otherwise it is dropped at once.
    pub(crate) is_kept: bool,
    buffers: Vec<Bytes>,
}

impl Released {
    pub(crate) fn give(&mut self, bytes: Bytes) {
        if self.is_kept {
            self.buffers.push(bytes);
        }
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        self.buffers.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }
}

/// The class that holds blocks of exactly this capacity.
fn class(capacity: usize) -> Option<usize> {
    let is_class = capacity.is_power_of_two() && (MIN_BLOCK..=MAX_BLOCK).contains(&capacity);
    is_class.then(|| (capacity / MIN_BLOCK).ilog2() as usize)
}

/// A block that was never used, for at least `wanted` bytes or for as many as a block can take.
pub(crate) fn new_block(wanted: usize) -> Vec<u8> {
    Vec::with_capacity(block_size(wanted))
}

fn block_size(wanted: usize) -> usize {
    wanted.clamp(MIN_BLOCK, MAX_BLOCK).next_power_of_two()
}

impl Pool {
    /// As [`new_block`], but one that was used before where there is one.
    pub(crate) fn block(&mut self, wanted: usize) -> Vec<u8> {
        let kept = class(block_size(wanted)).and_then(|class| self.blocks.get_mut(class)?.pop());
        match kept {
            Some(block) => {
                self.bytes -= block.capacity();
                block
            }
            None => new_block(wanted),
        }
    }

    /// Takes a block that is no longer used.
    pub(crate) fn give_block(&mut self, mut block: Vec<u8>) {
        let capacity = block.capacity();
        let Some(class) = class(capacity) else {
            return;
        };
        if self.keep(capacity)
            && let Some(kept) = self.blocks.get_mut(class)
        {
            block.clear();
            kept.push(block);
        }
    }

    pub(crate) fn send_store(&mut self) -> Box<send_buffer::Store> {
        let store = self.send.pop().unwrap_or_default();
        self.bytes -= store.size();
        store
    }

    pub(crate) fn give_send_store(&mut self, store: Box<send_buffer::Store>) {
        if self.send.len() < MAX_QUEUES && self.keep(store.size()) {
            self.send.push(store);
        }
    }

    pub(crate) fn recv_store(&mut self) -> Box<recv_buffer::Store> {
        let store = self.recv.pop().unwrap_or_default();
        self.bytes -= store.size();
        store
    }

    pub(crate) fn give_recv_store(&mut self, store: Box<recv_buffer::Store>) {
        if self.recv.len() < MAX_QUEUES && self.keep(store.size()) {
            self.recv.push(store);
        }
    }

    pub(crate) fn records(&mut self) -> VecDeque<Record> {
        let records = self.records.pop().unwrap_or_default();
        self.bytes -= size_of_records(&records);
        records
    }

    pub(crate) fn give_records(&mut self, records: VecDeque<Record>) {
        if self.records.len() < MAX_QUEUES && self.keep(size_of_records(&records)) {
            self.records.push(records);
        }
    }

    /// Counts `size` more bytes as kept, if that is not too much.
    fn keep(&mut self, size: usize) -> bool {
        let fits = self.bytes + size <= MAX_BYTES;
        self.bytes += if fits { size } else { 0 };
        fits
    }

    /// Frees everything kept, but for what somebody else has to drop.
    pub(crate) fn clear(&mut self) {
        if self.bytes > 0 {
            *self = Self {
                released: core::mem::take(&mut self.released),
                ..Self::default()
            };
        }
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size_of_records(records: &VecDeque<Record>) -> usize {
    records.capacity() * size_of::<Record>()
}

#[cfg(test)]
mod tests {
    use super::{MAX_BLOCK, MAX_BYTES, Pool};
    use alloc::vec::Vec;

    #[test]
    fn gives_out_what_it_was_given_and_keeps_a_bounded_amount() {
        let mut pool = Pool::default();
        let block = pool.block(600);
        assert_eq!((block.capacity(), block.len()), (1024, 0));
        let place = block.as_ptr();
        pool.give_block(block);
        assert_eq!(pool.bytes(), 1024);
        let (other, same) = (pool.block(1025), pool.block(513));
        assert_ne!(other.as_ptr(), place, "a block of another size");
        assert_eq!(same.as_ptr(), place);
        assert_eq!(pool.bytes(), 0);
        for _ in 0..1_000 {
            pool.give_block(Vec::with_capacity(MAX_BLOCK));
        }
        assert_eq!(pool.bytes(), MAX_BYTES);
        pool.give_block(Vec::with_capacity(777));
        assert_eq!(pool.bytes(), MAX_BYTES, "no block of ours");
    }
}
