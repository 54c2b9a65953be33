//! Fixed part of a TCP header (RFC 9293 §3.1).

use super::flags::TcpFlags;
use crate::bytes::{array_at, slice_at, slice_mut, tail};
use crate::error::{EmitError, Layer, Malformed, ParseError};
use crate::seq::SeqNum;

/// A TCP header without its options.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct TcpHeader {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; counts only with [`TcpFlags::ACK`].
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field as it stands, before scaling (RFC 7323 §2.2).
    pub window: u16,
    /// The checksum field as it stands.
    pub checksum: u16,
    /// The urgent pointer; counts only with [`TcpFlags::URG`].
    pub urgent: u16,
}

impl TcpHeader {
    /// Length of a header without options, in bytes.
    pub const MIN_LEN: usize = 20;
    /// Length of a header with as many options as there can be, in bytes.
    pub const MAX_LEN: usize = 60;
    /// Where the checksum field stands in the header, in bytes.
    pub const CHECKSUM_OFFSET: usize = 16;

    /// The header of a segment, its options and the length of both. The checksum is not verified
    /// (see [`verify_tcp`](crate::verify_tcp)).
    ///
    /// # Errors
    /// [`ParseError::Truncated`] where the segment ends before its data offset;
    /// [`ParseError::Malformed`] for a data offset below five words.
    #[inline]
    pub fn parse(segment: &[u8]) -> Result<(Self, &[u8], usize), ParseError> {
        let h: &[u8; Self::MIN_LEN] = array_at(Layer::Tcp, segment, 0)?;
        let len = usize::from((h[12] >> 4) << 2);
        if len < Self::MIN_LEN {
            return Err(ParseError::malformed(Layer::Tcp, 12, Malformed::DataOffset));
        }
        let options = tail(slice_at(Layer::Tcp, segment, 0, len)?, Self::MIN_LEN);
        let header = Self {
            src_port: u16::from_be_bytes([h[0], h[1]]),
            dst_port: u16::from_be_bytes([h[2], h[3]]),
            seq: SeqNum::new(u32::from_be_bytes([h[4], h[5], h[6], h[7]])),
            ack: SeqNum::new(u32::from_be_bytes([h[8], h[9], h[10], h[11]])),
            flags: TcpFlags::from_bits(u16::from_be_bytes([h[12], h[13]])),
            window: u16::from_be_bytes([h[14], h[15]]),
            checksum: u16::from_be_bytes([h[16], h[17]]),
            urgent: u16::from_be_bytes([h[18], h[19]]),
        };
        Ok((header, options, len))
    }

    /// Writes the header and `options`, which are padded to a multiple of 4 bytes, and returns the
    /// length of both. The checksum is written as it stands in the field.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`]; [`EmitError::ValueOutOfRange`] for options of more than 40
    /// bytes or not padded.
    #[inline]
    pub fn emit(&self, options: &[u8], buffer: &mut [u8]) -> Result<usize, EmitError> {
        let len = options.len().saturating_add(Self::MIN_LEN);
        if len > Self::MAX_LEN || len & 3 != 0 {
            return Err(EmitError::ValueOutOfRange {
                layer: Layer::Tcp,
                field: "options",
            });
        }
        let header = slice_mut(Layer::Tcp, buffer, len)?;
        let Some((h, tail)) = header.split_first_chunk_mut::<{ Self::MIN_LEN }>() else {
            let (needed, available) = (len, header.len());
            return Err(EmitError::BufferTooSmall {
                layer: Layer::Tcp,
                needed,
                available,
            });
        };
        h[..2].copy_from_slice(&self.src_port.to_be_bytes());
        h[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        h[4..8].copy_from_slice(&self.seq.raw().to_be_bytes());
        h[8..12].copy_from_slice(&self.ack.raw().to_be_bytes());
        // Length in words, three reserved bits of 0, nine flags.
        let words = u16::try_from(len >> 2).unwrap_or_default();
        h[12..14].copy_from_slice(&((words << 12) | self.flags.bits()).to_be_bytes());
        h[14..16].copy_from_slice(&self.window.to_be_bytes());
        h[16..18].copy_from_slice(&self.checksum.to_be_bytes());
        h[18..].copy_from_slice(&self.urgent.to_be_bytes());
        tail.copy_from_slice(options);
        Ok(len)
    }
}
