//! Writer of pcapng files (draft-ietf-opsawg-pcapng): one section, one Ethernet interface,
//! nanosecond time stamps.

use std::io::{self, Write};

/// Writes blocks to `W`, in the byte order of the host.
#[derive(Debug)]
pub(super) struct PcapngWriter<W> {
    out: W,
}

/// Which way a captured frame went, as `epb_flags` has it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum FrameDirection {
    Inbound = 1,
    Outbound = 2,
}

impl<W: Write> PcapngWriter<W> {
    /// Starts the file with its section header and the interface called `name`.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn new(out: W, name: &str) -> io::Result<Self> {
        let mut writer = Self { out };
        let mut section = Vec::new();
        section.extend_from_slice(&BYTE_ORDER_MAGIC.to_ne_bytes());
        section.extend_from_slice(&1_u16.to_ne_bytes());
        section.extend_from_slice(&0_u16.to_ne_bytes());
        section.extend_from_slice(&u64::MAX.to_ne_bytes()); // length unknown
        writer.block(SECTION_HEADER, &[&section])?;

        let mut interface = Vec::new();
        interface.extend_from_slice(&LINKTYPE_ETHERNET.to_ne_bytes());
        interface.extend_from_slice(&0_u16.to_ne_bytes());
        interface.extend_from_slice(&0_u32.to_ne_bytes()); // no snapshot length
        option(&mut interface, OPTION_IF_NAME, name.as_bytes());
        option(&mut interface, OPTION_IF_TSRESOL, &[9]);
        option(&mut interface, OPTION_END, &[]);
        writer.block(INTERFACE_DESCRIPTION, &[&interface])?;
        Ok(writer)
    }

    /// Adds a frame, seen `unix_nanos` nanoseconds after 1970.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn frame<'a>(
        &mut self,
        unix_nanos: u64,
        direction: FrameDirection,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let mut frame = Vec::new();
        pieces.for_each(|piece| frame.extend_from_slice(piece));
        let len = block_len(frame.len());
        let mut head = Vec::with_capacity(20);
        head.extend_from_slice(&0_u32.to_ne_bytes()); // the interface
        head.extend_from_slice(&((unix_nanos >> 32) as u32).to_ne_bytes());
        head.extend_from_slice(&(unix_nanos as u32).to_ne_bytes());
        head.extend_from_slice(&len.to_ne_bytes());
        head.extend_from_slice(&len.to_ne_bytes());
        let padding = &[0; 3][..padding(frame.len())];
        let mut options = Vec::with_capacity(12);
        option(
            &mut options,
            OPTION_EPB_FLAGS,
            &(direction as u32).to_ne_bytes(),
        );
        option(&mut options, OPTION_END, &[]);
        self.block(ENHANCED_PACKET, &[&head, &frame, padding, &options])
    }

    /// Hands everything written so far to the file.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn block(&mut self, kind: u32, body: &[&[u8]]) -> io::Result<()> {
        let total = block_len(12 + body.iter().map(|part| part.len()).sum::<usize>());
        self.out.write_all(&kind.to_ne_bytes())?;
        self.out.write_all(&total.to_ne_bytes())?;
        for part in body {
            self.out.write_all(part)?;
        }
        self.out.write_all(&total.to_ne_bytes())
    }
}

/// Appends an option, padded to 32 bits.
fn option(to: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(u16::MAX.into())];
    to.extend_from_slice(&code.to_ne_bytes());
    to.extend_from_slice(&(value.len() as u16).to_ne_bytes());
    to.extend_from_slice(value);
    to.extend_from_slice(&[0; 3][..padding(value.len())]);
}

/// Bytes missing to a multiple of four.
fn padding(len: usize) -> usize {
    len.next_multiple_of(4) - len
}

/// A length as the format has it; frames and interface names are far below its limit.
fn block_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET: u16 = 1;
const OPTION_END: u16 = 0;
const OPTION_IF_NAME: u16 = 2;
const OPTION_IF_TSRESOL: u16 = 9;
const OPTION_EPB_FLAGS: u16 = 2;

#[cfg(test)]
mod tests {
    use super::{FrameDirection, PcapngWriter};

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn every_block_is_framed_by_its_length_and_padded() {
        let mut writer = PcapngWriter::new(Vec::new(), "veth0").unwrap();
        let nanos = 0x0123_4567_89ab_cdef;
        let pieces = [&b"abc"[..], &b"de"[..]];
        writer
            .frame(nanos, FrameDirection::Outbound, pieces.into_iter())
            .unwrap();
        writer
            .frame(nanos, FrameDirection::Inbound, [&b"four"[..]].into_iter())
            .unwrap();

        let bytes = &writer.out;
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let len = u32_at(bytes, at + 4) as usize;
            assert_eq!(len % 4, 0);
            assert_eq!(u32_at(bytes, at + len - 4) as usize, len);
            blocks.push((u32_at(bytes, at), &bytes[at..at + len]));
            at += len;
        }
        let kinds: Vec<u32> = blocks.iter().map(|&(kind, _)| kind).collect();
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 6]);
        let frame = blocks[2].1;
        assert_eq!(
            (u32_at(frame, 12), u32_at(frame, 16)),
            (0x0123_4567, 0x89ab_cdef)
        );
        assert_eq!((u32_at(frame, 20), u32_at(frame, 24)), (5, 5));
        assert_eq!(&frame[28..36], b"abcde\0\0\0");
        assert_eq!(u32_at(frame, 40), FrameDirection::Outbound as u32);
        assert_eq!(u32_at(blocks[3].1, 36), FrameDirection::Inbound as u32);
    }
}
