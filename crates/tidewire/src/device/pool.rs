//! Pool of receive buffers: payloads are handed out by reference, and a buffer comes back when the
//! last reference is gone.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tidewire_core::FrameBuffer;

/// The least capacity of a buffer: a peer on the same host hands over super-frames of up to 65,535
/// bytes whether or not this side asked for them.
const MIN_CAPACITY: usize = 65_536;

/// The largest frame a buffer grows to: Linux' `GSO_MAX_SIZE` (8 * 65,536) and an Ethernet header.
const MAX_CAPACITY: usize = 8 * 65_536 + 64;

/// Most buffers kept for later; more than that are freed when they come back.
const MAX_FREE: usize = 64;

/// A pool of equal receive buffers. The last one returned is the first one used, so that it is
/// still in the cache.
#[derive(Clone)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    free: Mutex<Vec<Box<[u8]>>>,
    capacity: AtomicUsize,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                free: Mutex::new(Vec::with_capacity(MAX_FREE)),
                capacity: AtomicUsize::new(MIN_CAPACITY),
            }),
        }
    }

    /// An empty buffer, used before or new.
    pub(super) fn take(&self) -> RxBuffer {
        let storage = self.shared.lock().pop();
        let storage = storage.unwrap_or_else(|| {
            vec![0; self.shared.capacity.load(Ordering::Relaxed)].into_boxed_slice()
        });
        RxBuffer {
            storage,
            len: 0,
            pool: Arc::clone(&self.shared),
        }
    }

    /// A frame of `len` bytes was cut: buffers from now on hold such frames (BIG TCP peers send up
    /// to 512 KiB at once).
    pub(super) fn grow_to(&self, len: usize) {
        let wanted = len.next_multiple_of(MIN_CAPACITY).min(MAX_CAPACITY);
        if self.shared.capacity.fetch_max(wanted, Ordering::Relaxed) < wanted {
            self.shared.lock().clear();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("free", &self.shared.lock().len())
            .field("capacity", &self.shared.capacity)
            .finish()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, storage: Box<[u8]>) {
        // Too small ones are from before the pool grew; empty ones were handed over.
        if storage.len() < self.capacity.load(Ordering::Relaxed) {
            return;
        }
        let mut free = self.lock();
        if free.len() < MAX_FREE {
            free.push(storage);
        }
    }
}

/// One receive buffer and the frame in it.
pub(super) struct RxBuffer {
    storage: Box<[u8]>,
    len: usize,
    pool: Arc<Shared>,
}

impl RxBuffer {
    /// Where to receive to.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.storage
    }

    /// Says how long the frame is that was received to [`space`](Self::space).
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len.min(self.storage.len());
    }

    /// Whether the frame was handed over, so that another buffer is needed for the next.
    pub(super) fn is_spent(&self) -> bool {
        self.storage.is_empty()
    }
}

impl FrameBuffer for RxBuffer {
    fn bytes(&self) -> &[u8] {
        self.storage.get(..self.len).unwrap_or_default()
    }

    fn truesize(&self) -> usize {
        self.storage.len()
    }

    fn adopt(&mut self, range: Range<usize>) -> Bytes {
        if range.start > range.end || range.end > self.len {
            return Bytes::new();
        }
        self.len = 0;
        Bytes::from_owner(Adopted {
            storage: std::mem::take(&mut self.storage),
            range,
            pool: Arc::clone(&self.pool),
        })
    }
}

impl Drop for RxBuffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.storage));
    }
}

impl fmt::Debug for RxBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxBuffer")
            .field("capacity", &self.storage.len())
            .field("len", &self.len)
            .finish()
    }
}

/// A payload in a buffer of the pool.
struct Adopted {
    storage: Box<[u8]>,
    range: Range<usize>,
    pool: Arc<Shared>,
}

impl AsRef<[u8]> for Adopted {
    fn as_ref(&self) -> &[u8] {
        self.storage.get(self.range.clone()).unwrap_or_default()
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.storage));
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameBuffer, MIN_CAPACITY, Pool};

    #[test]
    fn an_adopted_payload_returns_its_buffer_when_the_last_reference_goes() {
        let pool = Pool::new();
        let mut buffer = pool.take();
        let place = buffer.space().as_ptr();
        buffer.space()[..5].copy_from_slice(b"hello");
        buffer.set_len(5);
        let payload = buffer.adopt(1..4);
        assert!(buffer.is_spent() && buffer.bytes().is_empty());
        drop(buffer);

        let copy = payload.clone();
        drop(payload);
        assert_eq!(&copy[..], b"ell");
        assert_ne!(pool.take().space().as_ptr(), place, "it is still in use");
        drop(copy);
        assert_eq!(
            pool.take().space().as_ptr(),
            place,
            "the last one returned is used first"
        );
    }

    #[test]
    fn a_range_outside_the_frame_is_refused_and_keeps_the_buffer() {
        let pool = Pool::new();
        let mut buffer = pool.take();
        buffer.set_len(10);
        assert!(buffer.adopt(0..11).is_empty());
        assert_eq!(buffer.bytes().len(), 10);
    }

    #[test]
    fn a_pool_that_grew_forgets_its_small_buffers() {
        let pool = Pool::new();
        let small = pool.take();
        pool.grow_to(187_000);
        drop(small);
        assert_eq!(pool.take().truesize(), 3 * MIN_CAPACITY);
        pool.grow_to(70_000);
        assert_eq!(pool.take().truesize(), 3 * MIN_CAPACITY, "it never shrinks");
    }
}
