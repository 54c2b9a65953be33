//! Devices, which carry frames: packet sockets, memory, and wrappers that record or impair.
//!
//! All of it hides behind [`Device`]. A device never loses a frame silently: one that the layer
//! below does not take for now is kept, and one that is lost is counted.

mod filter;
mod impair;
mod interface;
mod memory;
mod packet_socket;
mod packet_tx;
mod pcapng;
mod pool;
mod sys;
mod tap;

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tidewire_core::{FrameBuffer, Instant, LinkCaps, RxMeta, Transmit, TxOffload};

pub(crate) use impair::Impaired;
pub use impair::Impairment;
pub(crate) use interface::Interface;
pub use memory::MemoryLink;
pub(crate) use packet_socket::{PacketOptions, PacketSocket};
pub(crate) use tap::Tap;

use crate::wakes::Wakes;

/// Where received frames go.
pub(crate) type Sink<'a> = dyn FnMut(&mut dyn FrameBuffer, RxMeta) + 'a;

/// How to look for a frame.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Ask the layer below, which may take a system call.
    Eagerly,
    /// Once nothing was found, rely on the runtime's readiness, which tells of a new frame a little
    /// later.
    Lazily,
}

/// Something that sends and receives Ethernet frames without blocking.
pub(crate) trait Device: fmt::Debug + Send {
    /// What the link can do now; it may change with every call of [`send`](Self::send).
    fn link(&self) -> LinkCaps;

    /// Shows the next frame to `sink`, or returns `false` where none is waiting.
    fn receive(&mut self, now: Instant, look: Look, sink: &mut Sink<'_>) -> bool;

    /// Sends what was kept back; `true` when nothing is left of it and [`send`](Self::send) may be
    /// called.
    fn flush(&mut self, now: Instant) -> bool;

    /// Sends a frame, or keeps a copy until it can be sent. After each call the next one must wait
    /// for [`flush`](Self::flush) to return `true`.
    fn send(&mut self, now: Instant, frame: Frame<'_>);

    /// Whether frames are kept back.
    fn is_blocked(&self) -> bool;

    /// Ready when [`receive`](Self::receive) has a frame; else the task is woken when one may have
    /// arrived.
    ///
    /// # Errors
    /// The runtime that watches the device is shutting down.
    fn poll_receive(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when [`flush`](Self::flush) returns `true`; else the task is woken when it may, or has
    /// to look again at [`deadline`](Self::deadline).
    ///
    /// # Errors
    /// As [`poll_receive`](Self::poll_receive).
    fn poll_send(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// When the device has to be polled even though nothing woke the task.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Hands over the tasks to wake and the events to log since the last call.
    fn collect_wakes(&mut self, wakes: &mut Wakes) {
        let _ = wakes;
    }

    /// Housekeeping that may take a system call; called before the driver sleeps.
    fn on_idle(&mut self) {}

    /// What happened so far.
    fn stats(&mut self) -> LinkStats;
}

/// Counters of the device below the stack.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Received frames that were longer than the buffer, and dropped.
    pub rx_truncated: u64,
    /// Times that the kernel was asked for a frame and had none.
    pub rx_empty: u64,
    /// Received frames that the kernel dropped because the socket's buffer was full.
    pub rx_overflows: u64,
    /// Failed receive calls, a link that is down included.
    pub rx_errors: u64,
    /// Times that a frame had to wait until the device took it.
    pub tx_blocked: u64,
    /// Frames that the device did not take at last; TCP sends their data again.
    pub tx_lost: u64,
    /// Super-frames that had to be cut in software because the device refused them.
    pub tx_resegmented: u64,
    /// Frames lost or displaced on purpose by an [`Impairment`].
    pub impaired: u64,
}

/// A frame to send, in pieces.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Frame<'a> {
    header: &'a [u8],
    payload: &'a [&'a [u8]],
    offload: TxOffload,
}

impl<'a> Frame<'a> {
    fn len(&self) -> usize {
        self.header.len() + self.payload.iter().map(|piece| piece.len()).sum::<usize>()
    }

    fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.header).chain(self.payload.iter().copied())
    }

    /// A copy in one piece.
    fn to_owned(self) -> OwnedFrame {
        let mut bytes = Vec::with_capacity(self.len());
        self.pieces()
            .for_each(|piece| bytes.extend_from_slice(piece));
        OwnedFrame {
            bytes: bytes.into(),
            offload: self.offload,
        }
    }
}

impl<'a> From<&'a Transmit<'a>> for Frame<'a> {
    fn from(transmit: &'a Transmit<'a>) -> Self {
        Self {
            header: transmit.header(),
            payload: transmit.payload(),
            offload: transmit.offload(),
        }
    }
}

/// A frame that waits for something.
#[derive(Clone, Debug)]
struct OwnedFrame {
    bytes: Bytes,
    offload: TxOffload,
}

impl OwnedFrame {
    fn as_frame(&self) -> Frame<'_> {
        Frame {
            header: &self.bytes,
            payload: &[],
            offload: self.offload,
        }
    }
}
