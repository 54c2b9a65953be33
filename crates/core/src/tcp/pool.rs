//! Memory pool: free lists of the blocks and queues that connections give back.
//!
//! Buffers start empty and give their memory back when they are empty again, so that an idle
//! connection holds none. With the allocator each request and each answer would cost a few
//! allocations; with the pool they cost none. Each type of queue has a free list of its own; all
//! that the pool knows of a queue is [`Reusable`].

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;

use bytes::Bytes;

/// Sizes of blocks: every power of two from `MIN_BLOCK` to `MAX_BLOCK`, the payload of one
/// super-frame.
pub(crate) const MIN_BLOCK: usize = 512;
pub(crate) const MAX_BLOCK: usize = 64 * 1024;
const CLASSES: usize = (MAX_BLOCK / MIN_BLOCK).ilog2() as usize + 1;

/// Most bytes kept: enough for bulk transfers in both directions.
const MAX_BYTES: usize = 8 << 20;
/// Most queues of each type kept.
const MAX_QUEUES: usize = 256;

/// An empty queue that keeps its memory for the next use.
pub(crate) trait Reusable: Default + Send + Sync + 'static {
    /// Bytes of its own memory; 0 before the first use.
    fn size(&self) -> usize;
}

type FreeList<T> = Vec<T>;

/// The free lists of a stack.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    blocks: [FreeList<Vec<u8>>; CLASSES],
    /// A `FreeList<T>` for each type of queue. They are few, so a linear search is fast.
    queues: Vec<Box<dyn Any + Send + Sync>>,
    /// Bytes kept, in blocks and queues.
    bytes: usize,
    pub(crate) released: Released,
}

/// Memory of the application that the send buffers do not need any more.
#[derive(Debug, Default)]
pub(crate) struct Released {
    /// Whether the driver fetches it; otherwise it is dropped at once.
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

/// The size class of blocks of exactly this capacity.
fn class(capacity: usize) -> Option<usize> {
    let is_class = capacity.is_power_of_two() && (MIN_BLOCK..=MAX_BLOCK).contains(&capacity);
    is_class.then(|| (capacity / MIN_BLOCK).ilog2() as usize)
}

/// A new block for at least `wanted` bytes, or of the largest size.
pub(crate) fn new_block(wanted: usize) -> Vec<u8> {
    Vec::with_capacity(block_size(wanted))
}

fn block_size(wanted: usize) -> usize {
    wanted.clamp(MIN_BLOCK, MAX_BLOCK).next_power_of_two()
}

impl Pool {
    /// A used block if there is one, else a [`new_block`].
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

    /// Takes back a block.
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

    /// A used queue if there is one, else a new one.
    pub(crate) fn queue<T: Reusable>(&mut self) -> T {
        let kept = self.queues_of::<T>().and_then(Vec::pop);
        let queue = kept.unwrap_or_default();
        self.bytes -= queue.size();
        queue
    }

    /// Takes back an empty queue.
    pub(crate) fn give_queue<T: Reusable>(&mut self, queue: T) {
        let kept = self.queues_of::<T>().map_or(0, |list| list.len());
        if kept >= MAX_QUEUES || !self.keep(queue.size()) {
            return;
        }
        match self.queues_of() {
            Some(list) => list.push(queue),
            None => self.queues.push(Box::new(FreeList::from([queue]))),
        }
    }

    fn queues_of<T: Reusable>(&mut self) -> Option<&mut FreeList<T>> {
        self.queues.iter_mut().find_map(|list| list.downcast_mut())
    }

    /// Counts `size` more bytes as kept, if they fit into the limit.
    fn keep(&mut self, size: usize) -> bool {
        let fits = self.bytes + size <= MAX_BYTES;
        self.bytes += if fits { size } else { 0 };
        fits
    }

    /// Frees everything kept, except the application's own memory.
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

#[cfg(test)]
mod tests {
    use super::{MAX_BLOCK, MAX_BYTES, MAX_QUEUES, Pool, Reusable};
    use alloc::vec::Vec;

    #[derive(Default)]
    struct Queue<T>(Vec<T>);

    impl<T: Default + Send + Sync + 'static> Reusable for Queue<T> {
        fn size(&self) -> usize {
            self.0.capacity() * size_of::<T>()
        }
    }

    #[test]
    fn queues_come_back_to_their_own_type() {
        let mut pool = Pool::default();
        let words = || Queue::<u32>(Vec::with_capacity(100));
        pool.give_queue(words());
        assert_eq!(pool.bytes(), 400);
        assert_eq!(pool.queue::<Queue<u64>>().size(), 0);
        assert_eq!(pool.queue::<Queue<u32>>().size(), 400);
        assert_eq!(pool.queue::<Queue<u32>>().size(), 0);
        assert_eq!(pool.bytes(), 0);
        for _ in 0..2 * MAX_QUEUES {
            pool.give_queue(words());
        }
        assert_eq!(pool.bytes(), 400 * MAX_QUEUES);
        pool.give_queue(Queue::<u64>(Vec::with_capacity(100)));
        pool.give_queue(Queue::<u64>(Vec::with_capacity(MAX_BYTES / 8)));
        assert_eq!(pool.bytes(), 400 * MAX_QUEUES + 800);
        pool.clear();
        assert_eq!(pool.bytes(), 0);
        assert_eq!(pool.queue::<Queue<u32>>().size(), 0);
    }

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
