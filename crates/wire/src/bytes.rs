//! Checked access to byte slices: a length that does not suffice becomes an error here.

use crate::error::{EmitError, Layer, ParseError};

/// The `N` bytes of `bytes` at `offset`.
#[inline]
pub(crate) fn array_at<const N: usize>(
    layer: Layer,
    bytes: &[u8],
    offset: usize,
) -> Result<&[u8; N], ParseError> {
    let tail = tail(bytes, offset);
    tail.first_chunk().ok_or(ParseError::Truncated {
        layer,
        offset,
        needed: N,
        available: tail.len(),
    })
}

/// The `needed` bytes of `bytes` at `offset`.
#[inline]
pub(crate) fn slice_at(
    layer: Layer,
    bytes: &[u8],
    offset: usize,
    needed: usize,
) -> Result<&[u8], ParseError> {
    let tail = tail(bytes, offset);
    tail.get(..needed).ok_or(ParseError::Truncated {
        layer,
        offset,
        needed,
        available: tail.len(),
    })
}

/// What follows `offset`; empty where the slice ends before it.
#[inline]
pub(crate) fn tail(bytes: &[u8], offset: usize) -> &[u8] {
    bytes.get(offset..).unwrap_or_default()
}

/// The first `N` bytes of an output buffer.
#[inline]
pub(crate) fn array_mut<const N: usize>(
    layer: Layer,
    buffer: &mut [u8],
) -> Result<&mut [u8; N], EmitError> {
    let available = buffer.len();
    buffer.first_chunk_mut().ok_or(EmitError::BufferTooSmall {
        layer,
        needed: N,
        available,
    })
}

/// The first `needed` bytes of an output buffer.
#[inline]
pub(crate) fn slice_mut(
    layer: Layer,
    buffer: &mut [u8],
    needed: usize,
) -> Result<&mut [u8], EmitError> {
    let available = buffer.len();
    buffer.get_mut(..needed).ok_or(EmitError::BufferTooSmall {
        layer,
        needed,
        available,
    })
}

/// Appends pieces to a buffer whose size was checked before; what does not fit is an error.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    layer: Layer,
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(layer: Layer, buffer: &'a mut [u8]) -> Self {
        Self {
            layer,
            rest: buffer,
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, piece: &[u8]) -> Result<(), EmitError> {
        let rest = core::mem::take(&mut self.rest);
        let available = rest.len();
        let Some((head, rest)) = rest.split_at_mut_checked(piece.len()) else {
            return Err(EmitError::BufferTooSmall {
                layer: self.layer,
                needed: piece.len(),
                available,
            });
        };
        head.copy_from_slice(piece);
        self.rest = rest;
        Ok(())
    }
}
