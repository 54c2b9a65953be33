//! Bytes on their way out: written by the application, kept until acknowledged, read in place by every transmission.
//!
//! A queue of chunks. `write` copies into blocks of the buffer's own, `write_bytes` keeps the application's memory by
//! reference. Chunks never move while they hold unacknowledged data, so that a frame can be sent as slices of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use crate::stack::Slices;

/// Size of a block once a connection sends in bulk: what one super-frame takes.
const MAX_BLOCK: usize = 64 * 1024;
const MIN_BLOCK: usize = 512;
/// Shorter `Bytes` are copied: a frame can only be made of so many pieces.
const MIN_SHARED: usize = 4 * 1024;
/// Empty blocks kept warm while data flows.
const MAX_SPARE: usize = 2;

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

/// The buffer: stream positions `start()..end()`.
#[derive(Debug)]
pub(crate) struct SendBuffer {
    chunks: VecDeque<Chunk>,
    spare: Vec<Vec<u8>>,
    start: u64,
    end: u64,
}

impl SendBuffer {
    /// An empty buffer whose first byte will be at this position.
    pub(crate) fn new(start: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            spare: Vec::new(),
            start,
            end: start,
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

    /// Copies `data` to the end.
    pub(crate) fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = match self.chunks.back_mut() {
                Some(Chunk {
                    data: Data::Block(block),
                    ..
                }) if block.len() < block.capacity() => block,
                _ => {
                    self.add_block(data.len());
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

    /// Adds `data` to the end, by reference where that is worth it.
    pub(crate) fn write_bytes(&mut self, data: Bytes) {
        if data.len() < MIN_SHARED {
            return self.write(&data);
        }
        let start = self.end;
        self.end += data.len() as u64;
        self.chunks.push_back(Chunk {
            start,
            data: Data::Shared(data),
        });
    }

    /// Adds the pieces of `range` to `slices`; returns the position up to which there was room for them.
    pub(crate) fn slices<'a>(&'a self, range: Range<u64>, slices: &mut Slices<'a>) -> u64 {
        let mut at = range.start;
        let first = self.chunks.partition_point(|chunk| chunk.end() <= at);
        for chunk in self.chunks.range(first..) {
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

    /// How far a frame starting at `range.start` can reach into `range` before it has too many pieces.
    pub(crate) fn reach(&self, range: Range<u64>) -> u64 {
        let mut slices = Slices::EMPTY;
        self.slices(range, &mut slices)
    }

    /// Frees everything below `position`.
    pub(crate) fn ack_to(&mut self, position: u64) {
        self.start = position.clamp(self.start, self.end);
        while self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.end() <= self.start)
        {
            if let Some(Chunk {
                data: Data::Block(mut block),
                ..
            }) = self.chunks.pop_front()
                && block.capacity() == MAX_BLOCK
                && self.spare.len() < MAX_SPARE
            {
                block.clear();
                self.spare.push(block);
            }
        }
        if self.start == self.end {
            // An idle connection holds no memory.
            self.chunks = VecDeque::new();
            self.spare = Vec::new();
        }
    }

    /// Frees everything.
    pub(crate) fn clear(&mut self) {
        self.ack_to(self.end);
    }

    fn add_block(&mut self, wanted: usize) {
        // Blocks grow with what is queued already: a request-response connection stays small.
        let size = wanted
            .max(self.len())
            .next_power_of_two()
            .clamp(MIN_BLOCK, MAX_BLOCK);
        let block = match self.spare.pop() {
            Some(spare) => spare,
            None => Vec::with_capacity(size),
        };
        self.chunks.push_back(Chunk {
            start: self.end,
            data: Data::Block(block),
        });
    }

    fn offset(position: u64, chunk: &Chunk) -> Option<usize> {
        usize::try_from(position.checked_sub(chunk.start)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BLOCK, SendBuffer};
    use crate::stack::Slices;
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
            let mut model: Vec<u8> = Vec::new();
            let mut acked = 0;
            for (op, n) in ops {
                let data: Vec<u8> = (model.len()..model.len() + n).map(|i| (i % 251) as u8).collect();
                match op {
                    0 => { buffer.write(&data); model.extend(data); }
                    1 => { model.extend(&data); buffer.write_bytes(Bytes::from(data)); }
                    _ => { acked = (acked + n).min(model.len()); buffer.ack_to(1 + acked as u64); }
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
        buffer.write(&[7; 3 * MAX_BLOCK]);
        buffer.clear();
        assert_eq!(
            (
                buffer.len(),
                buffer.chunks.capacity(),
                buffer.spare.capacity()
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_small_write_takes_a_small_block() {
        let mut buffer = SendBuffer::new(0);
        buffer.write(b"hello");
        assert!(
            matches!(&buffer.chunks[0].data, super::Data::Block(block) if block.capacity() == 512)
        );
    }
}
