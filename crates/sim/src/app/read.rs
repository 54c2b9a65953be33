//! Reads from a connection: copied, by reference, peeked.

use tidewire_core::{Conn, Instant, ReadError};

/// Puts the next bytes into `scratch`, by one of the ways there are, and says how many; none at the
/// end.
pub(super) fn read_piece(
    conn: &mut Conn<'_>,
    now: Instant,
    size: usize,
    by_reference: bool,
    scratch: &mut Vec<u8>,
) -> Result<usize, ReadError> {
    if by_reference {
        let piece = conn.read_chunk(now, size)?;
        scratch.clear();
        scratch.extend_from_slice(&piece);
        return Ok(piece.len());
    }
    if scratch.len() < size {
        scratch.resize(size, 0);
    }
    conn.read(now, &mut scratch[..size])
}

/// As [`read_piece`]; what a peek showed comes first, so that a difference becomes a wrong byte.
pub(super) fn peek_and_read(
    conn: &mut Conn<'_>,
    now: Instant,
    size: usize,
    scratch: &mut Vec<u8>,
) -> Result<usize, ReadError> {
    let mut peeked = vec![0; size];
    let peeked_len = conn.peek(&mut peeked)?;
    scratch.clear();
    let read = conn.read_with(now, size, &mut |bytes| scratch.extend_from_slice(bytes))?;
    let common = peeked_len.min(read);
    scratch[..common].copy_from_slice(&peeked[..common]);
    Ok(read)
}
