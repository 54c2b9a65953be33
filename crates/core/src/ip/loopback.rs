//! Loopback queue: packets to own addresses, which never see the link.

use alloc::collections::VecDeque;

use bytes::Bytes;

/// Most packets on their way; more are dropped, as a full queue of a link would drop them.
const MAX_PACKETS: usize = 256;

/// A packet to an own address.
#[derive(Debug)]
pub(crate) struct LoopbackPacket {
    pub(crate) packet: Bytes,
    /// Payload of each TCP segment, where it is several.
    pub(crate) segment_len: Option<u16>,
}

/// The packets on their way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Loopback(VecDeque<LoopbackPacket>);

impl Loopback {
    /// Adds a packet; says whether there was room.
    pub(super) fn push(&mut self, packet: Bytes, segment_len: Option<u16>) -> bool {
        let has_room = self.0.len() < MAX_PACKETS;
        if has_room {
            self.0.push_back(LoopbackPacket {
                packet,
                segment_len,
            });
        }
        has_room
    }

    pub(crate) fn pop(&mut self) -> Option<LoopbackPacket> {
        self.0.pop_front()
    }
}
