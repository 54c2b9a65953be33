//! Capture in pcapng: nanosecond resolution, one interface per host.

use tidewire_core::Instant;

use crate::HostId;

/// Which way a frame crossed a host's interface.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Crossing {
    In,
    Out,
}

/// A capture in memory.
#[derive(Debug)]
pub(crate) struct Capture {
    bytes: Vec<u8>,
    snap_len: usize,
}

impl Capture {
    /// A capture of hosts that are named in the order of their ids; of each frame `snap_len` bytes
    /// are kept.
    pub(crate) fn new<'a>(hosts: impl Iterator<Item = &'a str>, snap_len: usize) -> Self {
        let mut capture = Self {
            bytes: Vec::new(),
            snap_len,
        };
        // Section header: byte-order magic, version 1.0, length unknown.
        let mut section = Vec::from(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend([1, 0, 0, 0]);
        section.extend([0xff; 8]);
        capture.block(0x0a0d_0d0a, &section);
        for name in hosts {
            // Interface description: LINKTYPE_ETHERNET, no limit; if_name (2), if_tsresol (9) of
            // 10^-9 s.
            let mut interface = vec![1, 0, 0, 0, 0, 0, 0, 0];
            option(&mut interface, 2, name.as_bytes());
            option(&mut interface, 9, &[9]);
            option(&mut interface, 0, &[]);
            capture.block(1, &interface);
        }
        capture
    }

    /// Adds a frame.
    pub(crate) fn frame(&mut self, at: Instant, host: HostId, crossing: Crossing, frame: &[u8]) {
        let kept = &frame[..frame.len().min(self.snap_len)];
        let nanos = at.as_nanos();
        let fields = [
            host.0 as u32,
            (nanos >> 32) as u32,
            nanos as u32,
            kept.len() as u32,
            frame.len() as u32,
        ];
        let mut packet = Vec::with_capacity(kept.len() + 40);
        packet.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        padded(&mut packet, kept);
        let direction: u32 = match crossing {
            Crossing::In => 1,
            Crossing::Out => 2,
        };
        option(&mut packet, 2, &direction.to_le_bytes());
        option(&mut packet, 0, &[]);
        self.block(6, &packet);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let len = (body.len() as u32 + 12).to_le_bytes();
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(len);
        self.bytes.extend(body);
        self.bytes.extend(len);
    }
}

fn option(into: &mut Vec<u8>, code: u16, value: &[u8]) {
    into.extend(code.to_le_bytes());
    into.extend((value.len() as u16).to_le_bytes());
    padded(into, value);
}

fn padded(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend(bytes);
    into.resize(into.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use tidewire_core::Instant;

    use super::{Capture, Crossing};
    use crate::HostId;

    #[test]
    fn a_capture_is_a_chain_of_blocks() {
        let mut capture = Capture::new(["a", "b"].into_iter(), 4);
        capture.frame(
            Instant::from_nanos(0x1_0000_0002),
            HostId(1),
            Crossing::Out,
            &[1, 2, 3, 4, 5],
        );
        let mut rest = capture.bytes();
        let mut kinds = Vec::new();
        while let Some((kind, after)) = rest.split_first_chunk::<4>() {
            let len = u32::from_le_bytes(after[..4].try_into().unwrap()) as usize;
            assert_eq!(rest[len - 4..len], after[..4], "both lengths of a block");
            kinds.push(u32::from_le_bytes(*kind));
            if kinds.len() == 4 {
                assert_eq!(
                    rest[8..28],
                    [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0]
                );
                assert_eq!(rest[28..32], [1, 2, 3, 4]);
            }
            rest = &rest[len..];
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 1, 6]);
    }
}
