//! Sending half of a packet socket: one system call a frame, and frames that have to wait.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use socket2::Socket;
use tidewire_core::wire::{GsoType, VnetFlags, VnetHeader};
use tidewire_core::{Instant, Transmit, TxOffload};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Frame, OwnedFrame, sys};

/// The sending half: frames that have to wait.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) vnet: bool,
    /// One frame, or the pieces of one.
    pub(super) kept: VecDeque<OwnedFrame>,
    /// How often the first of them was refused for want of buffers.
    pub(super) refused: u32,
    /// The socket once more, watched for room while there is none. Watched all the time it would
    /// wake the runtime once for every frame that leaves.
    pub(super) room: Option<AsyncFd<Socket>>,
    /// When to try it again, where no event tells when there is room.
    pub(super) retry_at: Option<Instant>,
    pub(super) blocked: u64,
    pub(super) lost: u64,
    pub(super) resegmented: u64,
    /// The frame before was refused for want of buffers, and given up.
    lost_last: bool,
    /// The frame after such a one was taken at once: a filter drops certain frames.
    filtered: bool,
    /// Frames lost since that was logged, and why the last one.
    pub(super) loss: Option<(u64, io::Error)>,
}

impl Sender {
    pub(super) fn new(vnet: bool) -> Self {
        Self {
            vnet,
            kept: VecDeque::new(),
            room: None,
            refused: 0,
            retry_at: None,
            blocked: 0,
            lost: 0,
            resegmented: 0,
            lost_last: false,
            filtered: false,
            loss: None,
        }
    }

    /// Whether a frame that was refused for want of buffers is tried again.
    pub(super) fn waits_for_room(&mut self) -> bool {
        if self.filtered && !self.lost_last {
            return false;
        }
        // Two in a row: the queue is full.
        self.filtered = false;
        self.refused < MAX_REFUSALS
    }

    pub(super) fn record_sent(&mut self) {
        let at_once = std::mem::take(&mut self.refused) == 0;
        self.filtered |= std::mem::take(&mut self.lost_last) && at_once;
    }

    pub(super) fn record_lost(&mut self, error: &io::Error) {
        self.refused = 0;
        self.lost += 1;
        let code = error.raw_os_error();
        self.lost_last = code == Some(libc::ENOBUFS);
        let error = code.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        let count = self.loss.take().map_or(0, |(count, _)| count) + 1;
        self.loss = Some((count, error));
    }

    /// Watches for room from now on.
    pub(super) fn watch_room(&mut self, socket: &Socket) {
        if self.room.is_none() {
            let watched = socket
                .try_clone()
                .and_then(|socket| sys::watch(socket, Interest::WRITABLE));
            self.room = watched.ok();
        }
    }

    pub(super) fn transmit(&self, socket: &Socket, frame: Frame<'_>) -> io::Result<()> {
        let vnet = vnet_header(frame.offload).encode();
        let mut pieces = [IoSlice::new(&[]); 2 + Transmit::MAX_SLICES];
        let mut used = 0;
        let prefix: &[u8] = if self.vnet { &vnet } else { &[] };
        for (slot, piece) in pieces
            .iter_mut()
            .zip(std::iter::once(prefix).chain(frame.pieces()))
        {
            *slot = IoSlice::new(piece);
            used += 1;
        }
        let pieces = &pieces[..used];
        // A packet socket takes a frame whole or not at all. The error of an interface that went
        // down is reported once, even where it has come up again.
        match socket.send_vectored(pieces) {
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {
                socket.send_vectored(pieces).map(|_| ())
            }
            result => result.map(|_| ()),
        }
    }
}

fn vnet_header(offload: TxOffload) -> VnetHeader {
    match offload {
        TxOffload::None => VnetHeader::default(),
        TxOffload::Checksum { start, offset } => VnetHeader {
            flags: VnetFlags::NEEDS_CSUM,
            csum_start: start,
            csum_offset: offset,
            ..VnetHeader::default()
        },
        TxOffload::Tcp {
            v6,
            header_len,
            mss,
            start,
            offset,
        } => VnetHeader {
            flags: VnetFlags::NEEDS_CSUM,
            gso: if v6 { GsoType::TcpV6 } else { GsoType::TcpV4 },
            ecn: false,
            header_len,
            gso_size: mss,
            csum_start: start,
            csum_offset: offset,
        },
    }
}
/// Times that one frame may be refused for want of buffers before it counts as lost.
const MAX_REFUSALS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offload_becomes_a_virtio_header() {
        let header = vnet_header(TxOffload::Tcp {
            v6: true,
            header_len: 86,
            mss: 1428,
            start: 54,
            offset: 16,
        });
        assert_eq!(header.gso, GsoType::TcpV6);
        assert_eq!(
            (header.gso_size, header.csum_start, header.csum_offset),
            (1428, 54, 16)
        );
        assert!(header.flags.contains(VnetFlags::NEEDS_CSUM));
        assert_eq!(vnet_header(TxOffload::None).encode(), [0; VnetHeader::LEN]);
    }

    #[test]
    fn frames_that_a_filter_takes_hold_up_others_once() {
        let refused = io::Error::from_raw_os_error(libc::ENOBUFS);
        let mut tx = Sender::new(true);
        // The first is tried again and given up; the next passes at once.
        for _ in 0..MAX_REFUSALS {
            assert!(tx.waits_for_room());
            tx.refused += 1;
        }
        assert!(!tx.waits_for_room());
        tx.record_lost(&refused);
        tx.record_sent();
        // From then on none of that kind is waited for.
        for _ in 0..5 {
            assert!(!tx.waits_for_room());
            tx.record_lost(&refused);
            tx.record_sent();
        }
        // Two in a row: the queue is full after all.
        assert!(!tx.waits_for_room());
        tx.record_lost(&refused);
        assert!(tx.waits_for_room());
        // It passes after a while, which says nothing of a filter.
        tx.refused += 1;
        tx.record_sent();
        assert!(tx.waits_for_room());
        assert_eq!((tx.lost, tx.loss.map(|(count, _)| count)), (7, Some(7)));
    }
}
