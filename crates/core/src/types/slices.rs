//! Payload of a frame as slices of the memory that holds it.

/// Most payload slices of one frame; a segment that would need more is cut short.
pub(crate) const MAX_SLICES: usize = 20;

/// A short list of slices, in place.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Slices<'a> {
    slices: [&'a [u8]; MAX_SLICES],
    count: usize,
    bytes: usize,
}

impl<'a> Slices<'a> {
    pub(crate) const EMPTY: Self = Self {
        slices: [&[]; MAX_SLICES],
        count: 0,
        bytes: 0,
    };

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        self.slices.get(..self.count).unwrap_or_default()
    }

    /// Total bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Adds a piece; says whether there was room.
    pub(crate) fn push(&mut self, slice: &'a [u8]) -> bool {
        let Some(slot) = self.slices.get_mut(self.count) else {
            return false;
        };
        *slot = slice;
        self.count += 1;
        self.bytes += slice.len();
        true
    }
}
