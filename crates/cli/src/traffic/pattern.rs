//! Seeded byte pattern without equal blocks.

use twox_hash::XxHash3_64;

/// An endless, seeded sequence of bytes in which no two blocks are alike, so that a lost, doubled
/// or misplaced piece of it changes the hash of the whole.
#[derive(Debug, Clone)]
pub struct Pattern {
    block: Vec<u8>,
    next_stamp: u64,
}

impl Pattern {
    /// A pattern that comes in blocks of `block_len` bytes (at least one).
    #[must_use]
    pub fn new(seed: u64, block_len: usize) -> Self {
        let mut block = Vec::with_capacity(block_len.max(1));
        let mut counter = seed;
        while block.len() < block_len.max(1) {
            block.extend_from_slice(&XxHash3_64::oneshot(&counter.to_le_bytes()).to_le_bytes());
            counter = counter.wrapping_add(1);
        }
        block.truncate(block_len.max(1));
        Self {
            block,
            next_stamp: seed,
        }
    }

    /// The next block.
    pub fn next_block(&mut self) -> &[u8] {
        for stamped in self.block.chunks_exact_mut(STAMP_INTERVAL) {
            if let Some(place) = stamped.first_chunk_mut::<8>() {
                *place = self.next_stamp.to_le_bytes();
            }
            self.next_stamp = self.next_stamp.wrapping_add(1);
        }
        &self.block
    }
}

/// Shorter than any MTU, so that no two segments are alike.
const STAMP_INTERVAL: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_blocks_differ() {
        let (mut a, mut b) = (Pattern::new(7, 4096), Pattern::new(7, 4096));
        let first = a.next_block().to_vec();
        assert_eq!(first, b.next_block());
        assert_ne!(first, a.next_block());
        assert_ne!(first, Pattern::new(8, 4096).next_block());
    }

    #[test]
    fn every_segment_sized_piece_is_unique() {
        let mut pattern = Pattern::new(1, 8192);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..16 {
            for piece in pattern.next_block().chunks(512) {
                assert!(seen.insert(piece.to_vec()));
            }
        }
    }

    #[test]
    fn a_block_is_never_empty() {
        assert_eq!(Pattern::new(0, 0).next_block().len(), 1);
    }
}
