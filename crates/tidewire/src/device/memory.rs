//! Link in memory: two stacks in one process, without an interface or privilege.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidewire_core::{Instant, LinkCaps, RxMeta};

use super::{Device, Frame, LinkStats, Look, OwnedFrame, Sink};
use crate::wakes::Wakes;

/// One end of a link in memory, to start a [`Stack`](crate::Stack) on.
///
/// Frames are neither lost nor reordered, and a full queue holds the sender back. An end that no
/// stack is started on can be played by hand: [`recv`](Self::recv) takes the frames that the other
/// end sends, [`send`](Self::send) gives it frames.
///
/// ```
/// use tidewire::{MemoryLink, Stack, net::{TcpListener, TcpStream}};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (left, right) = MemoryLink::pair();
/// let server = Stack::in_memory(left).address("10.0.0.1/24").start().await?;
/// let client = Stack::in_memory(right).address("10.0.0.2/24").start().await?;
///
/// let listener = TcpListener::bind_on(&server, "10.0.0.1:80").await?;
/// let mut stream = TcpStream::connect_on(&client, "10.0.0.1:80").await?;
/// let (mut accepted, _peer) = listener.accept().await?;
/// stream.write_all(b"hello").await?;
/// let mut word = [0; 5];
/// accepted.read_exact(&mut word).await?;
/// assert_eq!(&word, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryLink {
    to_peer: Arc<Channel>,
    from_peer: Arc<Channel>,
}

impl MemoryLink {
    /// The two ends of a new link.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let forth = Arc::new(Channel::default());
        let back = Arc::new(Channel::default());
        let left = Self {
            to_peer: Arc::clone(&forth),
            from_peer: Arc::clone(&back),
        };
        let right = Self {
            to_peer: back,
            from_peer: forth,
        };
        (left, right)
    }

    /// Takes the next frame that the other end has sent, if there is one, and what its device said
    /// of it.
    pub fn try_recv(&mut self) -> Option<(Bytes, RxMeta)> {
        let (frame, sender) = self.from_peer.pop()?;
        sender.into_iter().for_each(Waker::wake);
        Some(frame)
    }

    /// Waits for the next frame that the other end sends. Nothing is lost when the future is
    /// dropped.
    pub async fn recv(&mut self) -> (Bytes, RxMeta) {
        poll_fn(|cx| {
            if let Some(frame) = self.try_recv() {
                return Poll::Ready(frame);
            }
            let mut queue = self.from_peer.lock();
            if !queue.frames.is_empty() {
                // It came in between.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let before = queue.receiver.replace(cx.waker().clone());
            drop(queue);
            drop(before);
            Poll::Pending
        })
        .await
    }

    /// Gives the other end a frame, an Ethernet frame without checksum at its end, as its device
    /// would: `meta` says which checksum is still open, and whether it is a super-frame. An other
    /// end that is gone takes everything.
    ///
    /// # Errors
    /// `WouldBlock` when 4 MiB wait there.
    pub fn send(&mut self, frame: impl Into<Bytes>, meta: RxMeta) -> io::Result<()> {
        match self.to_peer.push(frame.into(), meta) {
            Ok(receiver) => {
                receiver.into_iter().for_each(Waker::wake);
                Ok(())
            }
            Err(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// A device of this end. With `offload`, super-frames pass whole, as on veth.
    pub(crate) fn into_device(self, plain: LinkCaps, offload: bool) -> MemoryDevice {
        MemoryDevice {
            end: self,
            link: if offload { plain.with_offload() } else { plain },
            kept: None,
            wake: Wakes::default(),
            blocked: 0,
        }
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        let mut queue = self.from_peer.lock();
        queue.closed = true;
        queue.charged = 0;
        let frames = std::mem::take(&mut queue.frames);
        let (sender, receiver) = (queue.sender.take(), queue.receiver.take());
        drop(queue);
        drop((frames, receiver));
        if let Some(sender) = sender {
            sender.wake();
        }
    }
}

/// Frames on their way in one direction.
#[derive(Debug, Default)]
struct Channel(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Bytes, RxMeta)>,
    /// What the frames count for, against [`QUEUE_BYTES`].
    charged: usize,
    receiver: Option<Waker>,
    sender: Option<Waker>,
    /// The receiving end is gone: frames vanish, as on a cable that ends nowhere.
    closed: bool,
}

impl Channel {
    /// The next frame, and who has to be woken because of the room that it leaves.
    fn pop(&self) -> Option<((Bytes, RxMeta), Option<Waker>)> {
        let mut queue = self.lock();
        let frame = queue.frames.pop_front()?;
        queue.charged -= charge(&frame.0);
        let has_room = queue.charged < QUEUE_BYTES / 2;
        let sender = queue.sender.take_if(|_| has_room);
        Some((frame, sender))
    }

    /// Adds a frame and says who has to be woken for it; a full queue hands it back.
    fn push(&self, frame: Bytes, meta: RxMeta) -> Result<Option<Waker>, Bytes> {
        let mut queue = self.lock();
        if queue.closed {
            return Ok(None);
        }
        if queue.charged >= QUEUE_BYTES {
            return Err(frame);
        }
        queue.charged += charge(&frame);
        queue.frames.push_back((frame, meta));
        Ok(queue.receiver.take())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A started end of a link in memory.
#[derive(Debug)]
pub(crate) struct MemoryDevice {
    end: MemoryLink,
    link: LinkCaps,
    /// A frame that found the queue full.
    kept: Option<OwnedFrame>,
    wake: Wakes,
    blocked: u64,
}

impl MemoryDevice {
    fn push(&mut self, frame: OwnedFrame) {
        let OwnedFrame { bytes, offload } = frame;
        match self.end.to_peer.push(bytes, RxMeta::from(offload)) {
            Ok(receiver) => self.wake.wake(receiver),
            Err(bytes) => {
                self.blocked += 1;
                self.kept = Some(OwnedFrame { bytes, offload });
            }
        }
    }
}

impl Device for MemoryDevice {
    fn link(&self) -> LinkCaps {
        self.link
    }

    fn receive(&mut self, _now: Instant, _look: Look, sink: &mut Sink<'_>) -> bool {
        let Some(((mut frame, meta), sender)) = self.end.from_peer.pop() else {
            return false;
        };
        self.wake.wake(sender);
        sink(&mut frame, meta);
        true
    }

    fn flush(&mut self, _now: Instant) -> bool {
        if let Some(frame) = self.kept.take() {
            self.push(frame);
        }
        self.kept.is_none()
    }

    fn send(&mut self, _now: Instant, frame: Frame<'_>) {
        self.push(frame.to_owned());
    }

    fn is_blocked(&self) -> bool {
        self.kept.is_some()
    }

    fn poll_receive(&mut self, _now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queue = self.end.from_peer.lock();
        if !queue.frames.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.wake.register(&mut queue.receiver, cx.waker());
        Poll::Pending
    }

    fn poll_send(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        {
            let mut queue = self.end.to_peer.lock();
            if queue.charged >= QUEUE_BYTES && !queue.closed {
                self.wake.register(&mut queue.sender, cx.waker());
                return Poll::Pending;
            }
        }
        // This end alone adds to the queue, so that there is still room.
        self.flush(now);
        Poll::Ready(Ok(()))
    }

    fn collect_wakes(&mut self, wakes: &mut Wakes) {
        wakes.append(&mut self.wake);
    }

    fn stats(&mut self) -> LinkStats {
        LinkStats {
            tx_blocked: self.blocked,
            ..LinkStats::default()
        }
    }
}

/// A frame's bytes and what it costs to keep one.
fn charge(frame: &Bytes) -> usize {
    frame.len() + 256
}

/// How much one direction holds before its sender has to wait.
const QUEUE_BYTES: usize = 4 << 20;
