//! Selective-acknowledgment blocks (RFC 2018 §3).

use core::fmt;

use crate::seq::SeqNum;

/// Bytes received out of order: `left <= seq < right`.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct SackBlock {
    /// The first sequence number of the block.
    pub left: SeqNum,
    /// The sequence number behind the last.
    pub right: SeqNum,
}

impl SackBlock {
    const UNUSED: Self = Self {
        left: SeqNum::new(0),
        right: SeqNum::new(0),
    };
}

impl fmt::Display for SackBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}:{}}}", self.left, self.right)
    }
}

/// The blocks of one SACK option, in their order: at most four fit.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct SackBlocks {
    /// Slots from `len` on are `SackBlock::UNUSED`, so that equality can be derived.
    blocks: [SackBlock; Self::CAPACITY],
    len: u8,
}

impl SackBlocks {
    /// Blocks that fit into the 40 bytes of options.
    pub const CAPACITY: usize = 4;

    /// No blocks.
    pub const EMPTY: Self = Self {
        blocks: [SackBlock::UNUSED; Self::CAPACITY],
        len: 0,
    };

    /// Appends a block; false, and no change, where four are there already.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let Some(slot) = self.blocks.get_mut(usize::from(self.len)) else {
            return false;
        };
        *slot = block;
        self.len = self.len.saturating_add(1);
        true
    }

    /// The blocks.
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The blocks, in their order.
    pub fn iter(&self) -> core::slice::Iter<'_, SackBlock> {
        self.as_slice().iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for SackBlocks {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl<'a> IntoIterator for &'a SackBlocks {
    type Item = &'a SackBlock;
    type IntoIter = core::slice::Iter<'a, SackBlock>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<SackBlock> for SackBlocks {
    /// The first four blocks.
    fn from_iter<I: IntoIterator<Item = SackBlock>>(iter: I) -> Self {
        let mut blocks = Self::EMPTY;
        for block in iter.into_iter().take(Self::CAPACITY) {
            blocks.push(block);
        }
        blocks
    }
}
