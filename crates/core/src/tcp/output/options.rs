//! Options of segments after the handshake: timestamps, SACK and DSACK blocks.

use tidewire_wire::{SackBlock, SackBlocks, TcpOptions, TcpTimestamps};

use crate::tcp::tcb::Connection;
use crate::time::Instant;

impl Connection {
    /// The options of a segment sent at `now`.
    pub(super) fn options(&self, now: Instant) -> TcpOptions {
        let mut options = TcpOptions::default();
        if self.negotiated.timestamps {
            options.timestamps = Some(TcpTimestamps {
                value: self.ts.value(now),
                echo: self.ts.recent,
            });
        }
        let blocks = self.sack_count();
        if blocks > 0 {
            // RFC 2883 §4: first the duplicate range, then the block that contains it, then the
            // others.
            let duplicate = self.rcv.duplicate().map(|range| SackBlock {
                left: self.rcv.seq(range.start),
                right: self.rcv.seq(range.end),
            });
            let rest = blocks - usize::from(duplicate.is_some());
            let received = self
                .rcv
                .buffer
                .sack_blocks(rest, |position| self.rcv.seq(position));
            options.sack = duplicate
                .into_iter()
                .chain(received.iter().copied())
                .collect();
        }
        debug_assert_eq!(options.emitted_len(), self.options_len() as usize);
        options
    }

    /// Bytes of these options.
    pub(super) fn options_len(&self) -> u32 {
        let timestamps = self.fixed_options_len();
        match self.sack_count() {
            0 => timestamps,
            // Two bytes of padding, kind, length, and eight bytes a block.
            blocks => timestamps + 4 + 8 * blocks as u32,
        }
    }

    /// Number of SACK blocks in the next segment.
    fn sack_count(&self) -> usize {
        if !self.negotiated.sack {
            return 0;
        }
        // RFC 2018 §3: 40 bytes of options hold four blocks, or three beside timestamps.
        let most = if self.negotiated.timestamps {
            3
        } else {
            SackBlocks::CAPACITY
        };
        let duplicate = usize::from(self.rcv.duplicate().is_some());
        (duplicate + self.rcv.buffer.runs()).min(most)
    }

    /// Payload of a full segment with the present options (RFC 9293 §3.7.1, MUST-16).
    pub(super) fn segment_size(&self) -> u32 {
        self.snd_mss().saturating_sub(self.options_len()).max(1)
    }
}
