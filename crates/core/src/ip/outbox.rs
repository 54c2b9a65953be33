//! Frames of no connection that wait for the driver: ARP, ICMP, resets, SYN-ACKs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most frames that wait; more are dropped, as a full queue on the way would drop them.
const MAX_FRAMES: usize = 512;

/// The queue: complete frames, bounded.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The frame handed out last: the driver borrows it.
    current: Vec<u8>,
}

impl Outbox {
    /// Bytes of the frames that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a frame; says whether there was room.
    pub(crate) fn push(&mut self, frame: Vec<u8>) -> bool {
        let has_room = self.frames.len() < MAX_FRAMES;
        if has_room {
            self.bytes += frame.len();
            self.frames.push_back(frame);
        }
        has_room
    }

    /// Takes the oldest frame, to be read by [`current`](Self::current); says whether there was
    /// one.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(frame) = self.frames.pop_front() else {
            return false;
        };
        self.bytes -= frame.len();
        self.current = frame;
        true
    }

    /// The frame taken last.
    pub(crate) fn current(&self) -> &[u8] {
        &self.current
    }
}
