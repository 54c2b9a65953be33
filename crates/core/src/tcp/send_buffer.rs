//! Send buffer: data from the application, kept until it is acknowledged.
//!
//! A queue of chunks. `write` copies into blocks of the buffer; `write_bytes` keeps the
//! application's memory by reference. Chunks do not move while they hold unacknowledged data, so
//! that frames are sent as slices of them, without a copy.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::pool::{Pool, Reusable};
use crate::types::Slices;

/// Shorter `Bytes` are copied, because a frame has a limited number of slices.
const MIN_SHARED: usize = 4 * 1024;

#[derive(Debug)]
enum Data {
    Block(Vec<u8>),
    Shared(Bytes),
}

impl Data {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Block(block) => block,
            Self::Shared(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
struct Chunk {
    /// Position of its first byte.
    start: u64,
    data: Data,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.data.as_slice().len() as u64
    }
}

/// The queue of a buffer that is not empty.
#[derive(Debug, Default)]
struct Store {
    chunks: VecDeque<Chunk>,
}

impl Reusable for Box<Store> {
    fn size(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>()
    }
}

/// The send buffer: stream positions `start()..end()`.
#[derive(Debug)]
pub(crate) struct SendBuffer {
    /// None while empty: an idle connection holds no memory.
    store: Option<Box<Store>>,
    start: u64,
    end: u64,
    /// Bytes of memory behind the chunks.
    memory: usize,
}

impl SendBuffer {
    /// An empty buffer whose first byte will be at this position.
    pub(crate) fn new(start: u64) -> Self {
        Self {
            store: None,
            start,
            end: start,
            memory: 0,
        }
    }

    /// Position of the oldest byte held.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// Position after the newest byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.end - self.start).unwrap_or(usize::MAX)
    }

    /// Bytes of memory held, blocks that are not full included.
    pub(crate) fn memory_held(&self) -> usize {
        self.memory
    }

    /// Copies `data` to the end.
    pub(crate) fn write(&mut self, mut data: &[u8], pool: &mut Pool) {
        let queued = self.len();
        let store = self.store.get_or_insert_with(|| pool.queue());
        while !data.is_empty() {
            let room = match store.chunks.back_mut() {
                Some(Chunk {
                    data: Data::Block(block),
                    ..
                }) if block.len() < block.capacity() => block,
                _ => {
                    // The block size grows with the queue, so that request-response connections
                    // stay small.
                    let block = pool.block(data.len().max(queued));
                    self.memory += block.capacity();
                    store.chunks.push_back(Chunk {
                        start: self.end,
                        data: Data::Block(block),
                    });
                    continue;
                }
            };
            let take = data.len().min(room.capacity() - room.len());
            let (now, later) = data.split_at(take);
            room.extend_from_slice(now);
            self.end += take as u64;
            data = later;
        }
    }

    /// Adds `data` to the end; by reference if it is long enough.
    pub(crate) fn write_bytes(&mut self, data: Bytes, pool: &mut Pool) {
        if data.len() < MIN_SHARED {
            self.write(&data, pool);
            return pool.released.give(data);
        }
        let start = self.end;
        self.end += data.len() as u64;
        self.memory += data.len();
        let store = self.store.get_or_insert_with(|| pool.queue());
        store.chunks.push_back(Chunk {
            start,
            data: Data::Shared(data),
        });
    }

    /// Adds the slices of `range` to `slices`. Returns the position up to which they fitted.
    pub(crate) fn slices<'a>(&'a self, range: Range<u64>, slices: &mut Slices<'a>) -> u64 {
        let mut at = range.start;
        let Some(store) = &self.store else {
            return at;
        };
        let first = store.chunks.partition_point(|chunk| chunk.end() <= at);
        for chunk in store.chunks.range(first..) {
            if at >= range.end {
                break;
            }
            let until = range.end.min(chunk.end());
            let piece = Self::offset(at, chunk).zip(Self::offset(until, chunk));
            let Some(piece) = piece.and_then(|(from, to)| chunk.data.as_slice().get(from..to))
            else {
                break;
            };
            if !slices.push(piece) {
                break;
            }
            at = until;
        }
        at
    }

    /// The position up to which the slices of `range` fit into one frame.
    pub(crate) fn reach(&self, range: Range<u64>) -> u64 {
        let mut slices = Slices::EMPTY;
        self.slices(range, &mut slices)
    }

    /// Everything below `position` is acknowledged; [`reclaim`](Self::reclaim) frees it.
    pub(crate) fn ack_to(&mut self, position: u64) {
        self.start = position.clamp(self.start, self.end);
    }

    /// Marks all data as acknowledged.
    pub(crate) fn clear(&mut self) {
        self.ack_to(self.end);
    }

    /// Gives the memory of acknowledged data back to the pool.
    pub(crate) fn reclaim(&mut self, pool: &mut Pool) {
        let Some(store) = &mut self.store else {
            return;
        };
        while store
            .chunks
            .front()
            .is_some_and(|chunk| chunk.end() <= self.start)
        {
            match store.chunks.pop_front().map(|chunk| chunk.data) {
                Some(Data::Block(block)) => {
                    self.memory -= block.capacity();
                    pool.give_block(block);
                }
                Some(Data::Shared(bytes)) => {
                    self.memory -= bytes.len();
                    pool.released.give(bytes);
                }
                None => break,
            }
        }
        if self.start == self.end
            && let Some(store) = self.store.take()
        {
            pool.give_queue(store);
        }
    }

    fn offset(position: u64, chunk: &Chunk) -> Option<usize> {
        usize::try_from(position.checked_sub(chunk.start)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::SendBuffer;
    use crate::tcp::pool::{MAX_BLOCK, Pool};
    use crate::types::Slices;
    use alloc::vec::Vec;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn read(buffer: &SendBuffer, mut range: core::ops::Range<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        while !range.is_empty() {
            let mut slices = Slices::EMPTY;
            range.start = buffer.slices(range.clone(), &mut slices);
            slices
                .as_slice()
                .iter()
                .for_each(|piece| out.extend_from_slice(piece));
        }
        out
    }

    proptest! {
        #[test]
        fn holds_what_was_written(ops in prop::collection::vec((0u8..3, 1usize..20_000), 1..40)) {
            let mut buffer = SendBuffer::new(1);
            let mut pool = Pool::default();
            let mut model: Vec<u8> = Vec::new();
            let mut acked = 0;
            for (op, n) in ops {
                let data: Vec<u8> = (model.len()..model.len() + n).map(|i| (i % 251) as u8).collect();
                match op {
                    0 => { buffer.write(&data, &mut pool); model.extend(data); }
                    1 => { model.extend(&data); buffer.write_bytes(Bytes::from(data), &mut pool); }
                    _ => { acked = (acked + n).min(model.len()); buffer.ack_to(1 + acked as u64); buffer.reclaim(&mut pool); }
                }
                prop_assert_eq!(buffer.start(), 1 + acked as u64);
                prop_assert_eq!(buffer.end(), 1 + model.len() as u64);
                prop_assert_eq!(read(&buffer, buffer.start()..buffer.end()), &model[acked..]);
            }
        }
    }

    #[test]
    fn an_empty_buffer_holds_no_memory() {
        let mut buffer = SendBuffer::new(0);
        let mut pool = Pool::default();
        buffer.write(&[7; 3 * MAX_BLOCK], &mut pool);
        assert_eq!(buffer.memory_held(), 3 * MAX_BLOCK);
        buffer.clear();
        buffer.reclaim(&mut pool);
        assert_eq!((buffer.len(), buffer.memory_held()), (0, 0));
        assert!(pool.bytes() >= 3 * MAX_BLOCK);
        assert!(buffer.store.is_none());
    }

    #[test]
    fn a_small_write_takes_a_small_block() {
        let mut buffer = SendBuffer::new(0);
        buffer.write(b"hello", &mut Pool::default());
        assert_eq!(buffer.memory_held(), 512);
    }
}
