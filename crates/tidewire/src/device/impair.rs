//! Impairment wrapper: delay and loss on purpose.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tidewire_core::{FrameBuffer, Instant, LinkCaps, RxMeta};

use super::{Device, Frame, LinkStats, Look, OwnedFrame, Sink};
use crate::wakes::Wakes;

/// What an impaired link does to the frames of one stack. The default does nothing.
///
/// A super-frame counts as one frame: with segmentation offload, losing one loses up to 64 KiB.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Impairment {
    /// How much later frames leave.
    pub transmit_delay: Duration,
    /// How much later frames arrive.
    pub receive_delay: Duration,
    /// Which part of the leaving frames is lost, 0.0 to 1.0.
    pub transmit_loss: f64,
    /// Which part of the arriving frames is lost, 0.0 to 1.0.
    pub receive_loss: f64,
    /// Picks the frames that are lost; the same seed picks the same ones.
    pub seed: u64,
}

impl Impairment {
    /// Whether it does nothing.
    pub(crate) fn is_none(&self) -> bool {
        let Self {
            transmit_delay,
            receive_delay,
            transmit_loss,
            receive_loss,
            seed: _,
        } = *self;
        transmit_delay.is_zero()
            && receive_delay.is_zero()
            && transmit_loss <= 0.0
            && receive_loss <= 0.0
    }
}

/// A device whose frames are delayed and lost.
#[derive(Debug)]
pub(crate) struct Impaired {
    inner: Box<dyn Device>,
    leaving: Line<OwnedFrame>,
    arriving: Line<(Bytes, RxMeta)>,
    impaired: u64,
}

impl Impaired {
    pub(crate) fn new(inner: Box<dyn Device>, how: Impairment) -> Self {
        Self {
            inner,
            leaving: Line::new(how.transmit_delay, how.transmit_loss, how.seed),
            arriving: Line::new(how.receive_delay, how.receive_loss, !how.seed),
            impaired: 0,
        }
    }

    /// Takes everything that has arrived to the delay line.
    fn pull(&mut self, now: Instant, look: Look) {
        let Self {
            inner,
            arriving,
            impaired,
            ..
        } = self;
        while inner.receive(now, look, &mut |frame, meta| {
            let bytes = frame.bytes();
            let len = bytes.len();
            let keep = || (Bytes::copy_from_slice(bytes), meta);
            *impaired += u64::from(!arriving.push(now, len, keep));
        }) {}
    }
}

impl Device for Impaired {
    fn link(&self) -> LinkCaps {
        self.inner.link()
    }

    fn receive(&mut self, now: Instant, look: Look, sink: &mut Sink<'_>) -> bool {
        self.pull(now, look);
        let Some((mut frame, meta)) = self.arriving.pop_due(now) else {
            return false;
        };
        sink(&mut frame as &mut dyn FrameBuffer, meta);
        true
    }

    fn flush(&mut self, now: Instant) -> bool {
        while self.inner.flush(now) {
            let Some(frame) = self.leaving.pop_due(now) else {
                return true;
            };
            self.inner.send(now, frame.as_frame());
        }
        false
    }

    fn send(&mut self, now: Instant, frame: Frame<'_>) {
        let taken = self.leaving.push(now, frame.len(), || frame.to_owned());
        self.impaired += u64::from(!taken);
        self.flush(now);
    }

    fn is_blocked(&self) -> bool {
        self.inner.is_blocked()
    }

    fn poll_receive(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.arriving.is_due(now) {
                return Poll::Ready(Ok(()));
            }
            match self.inner.poll_receive(now, cx) {
                Poll::Ready(Ok(())) => self.pull(now, Look::Lazily),
                other => return other,
            }
        }
    }

    fn poll_send(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_send(now, cx)
    }

    fn deadline(&self) -> Option<Instant> {
        // What waits for the device is not waited for by the clock.
        let leaving = self.leaving.due().filter(|_| !self.inner.is_blocked());
        let dues = [leaving, self.arriving.due(), self.inner.deadline()];
        dues.into_iter().flatten().min()
    }

    fn collect_wakes(&mut self, wakes: &mut Wakes) {
        self.inner.collect_wakes(wakes);
    }

    fn on_idle(&mut self) {
        self.inner.on_idle();
    }

    fn stats(&mut self) -> LinkStats {
        let mut stats = self.inner.stats();
        stats.impaired += self.impaired;
        stats
    }
}

/// A delay line for one direction: frames come out in the order they went in.
#[derive(Debug)]
struct Line<T> {
    queue: VecDeque<Delayed<T>>,
    queued_bytes: usize,
    delay: Duration,
    /// Draws below it are lost.
    loss_threshold: u64,
    random: u64,
}

#[derive(Debug)]
struct Delayed<T> {
    due: Instant,
    len: usize,
    frame: T,
}

impl<T> Line<T> {
    fn new(delay: Duration, loss: f64, seed: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            delay,
            // Saturates: 1.0 and more lose every frame, NaN and less than 0 none.
            loss_threshold: (loss * LOSS_SCALE as f64) as u64,
            random: seed,
        }
    }

    /// Adds a frame, unless it is lost; says whether it was taken.
    fn push(&mut self, now: Instant, len: usize, frame: impl FnOnce() -> T) -> bool {
        if self.draw() % LOSS_SCALE < self.loss_threshold || self.queued_bytes + len > LINE_BYTES {
            return false;
        }
        self.queued_bytes += len;
        self.queue.push_back(Delayed {
            due: now + self.delay.into(),
            len,
            frame: frame(),
        });
        true
    }

    fn pop_due(&mut self, now: Instant) -> Option<T> {
        let delayed = self.queue.pop_front_if(|delayed| delayed.due <= now)?;
        self.queued_bytes -= delayed.len;
        Some(delayed.frame)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    fn due(&self) -> Option<Instant> {
        self.queue.front().map(|delayed| delayed.due)
    }

    /// SplitMix64: one addition and three mixing steps, every seed is good.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Resolution of a loss rate.
const LOSS_SCALE: u64 = 1 << 32;

/// What one direction holds before it drops, like a router whose queue is full: 25 ms at 10 Gbit/s.
const LINE_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LINE_BYTES, Line};
    use tidewire_core::Instant;

    const START: Instant = Instant::ZERO;

    #[test]
    fn a_frame_comes_out_after_the_delay_and_in_order() {
        let mut line = Line::new(Duration::from_millis(10), 0.0, 1);
        assert!(line.push(START, 100, || 'a'));
        let later = START + tidewire_core::Duration::from_millis(4);
        assert!(line.push(later, 100, || 'b'));
        assert_eq!(line.pop_due(later), None);
        let due = START + tidewire_core::Duration::from_millis(10);
        assert_eq!(line.due(), Some(due));
        assert_eq!((line.pop_due(due), line.pop_due(due)), (Some('a'), None));
    }

    #[test]
    fn loss_follows_rate_and_seed() {
        let lost = |rate, seed| {
            let mut line = Line::new(Duration::ZERO, rate, seed);
            let lost: Vec<bool> = (0..10_000).map(|n| !line.push(START, 0, || n)).collect();
            (lost.iter().filter(|&&lost| lost).count(), lost)
        };
        assert_eq!(lost(0.0, 7).0, 0);
        assert_eq!(lost(1.0, 7).0, 10_000);
        let (count, which) = lost(0.05, 7);
        assert!((400..600).contains(&count), "{count} of 10,000");
        assert_eq!(which, lost(0.05, 7).1);
        assert_ne!(which, lost(0.05, 8).1);
    }

    #[test]
    fn a_full_line_drops() {
        let mut line = Line::new(Duration::from_secs(1), 0.0, 1);
        assert!(line.push(START, LINE_BYTES, || 'a'));
        assert!(!line.push(START, 1, || 'b'));
        let due = START + tidewire_core::Duration::from_secs(1);
        assert_eq!(line.pop_due(due), Some('a'));
        assert!(line.push(due, 1, || 'c'));
    }
}
