//! Receiving and sending of frames in budgets, and deferral of small writes.

use tidewire_core::{Duration, Instant, LinkCaps};

use super::State;
use crate::clock::Clock;
use crate::device::{Frame, Look};
use crate::note::Note;

/// What [`State::receive`] did.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Received {
    /// It received something.
    pub(crate) any: bool,
    /// It stopped at its budget: there may be more.
    pub(super) more: bool,
}

impl State {
    /// Receives what has arrived, up to the budget.
    pub(crate) fn receive(&mut self, mut now: Instant) -> Received {
        self.sent_since_receive = 0;
        let look = self.look();
        let Some(device) = &mut self.device else {
            return Received {
                any: false,
                more: false,
            };
        };
        let (mut frames, mut attempts, mut bytes, mut more) = (0, 0, 0, true);
        while more && attempts < RX_FRAMES && bytes < RX_BYTES {
            attempts += 1;
            let mut len = 0;
            more = device.receive(now, look, &mut |frame, meta| {
                frames += 1;
                len += frame.bytes().len();
                self.stack.handle_frame(now, frame, meta);
            });
            bytes += len;
            // Copying a large frame takes long enough to matter to round-trip times.
            if len > CLOCK_BYTES {
                now = self.last_now.max(Clock::now());
                self.last_now = now;
            }
        }
        if frames > 0 {
            self.record_activity(now);
        }
        Received {
            any: frames > 0,
            more,
        }
    }

    /// While the driver spins, it wants a frame sooner than the runtime learns of it.
    fn look(&self) -> Look {
        if self.is_spinning() {
            Look::Eagerly
        } else {
            Look::Lazily
        }
    }

    /// Sends what the stack has to send, up to the budget; says whether there may be more.
    pub(crate) fn transmit(&mut self, now: Instant) -> bool {
        if self.device.is_none() {
            return false;
        }
        self.deferred_bytes = 0;
        let (mut frames, mut more) = (0, false);
        while self.flush(now) {
            if frames == TX_FRAMES {
                more = true;
                break;
            }
            if !self.transmit_frame(now) {
                break;
            }
            frames += 1;
        }
        if frames > 0 {
            self.record_activity(now);
            self.last_transmit = now;
        }
        more
    }

    /// Whether the device takes a frame now.
    fn flush(&mut self, now: Instant) -> bool {
        self.device.as_mut().is_some_and(|device| device.flush(now))
    }

    /// Sends one frame, where there is one. Only after [`flush`](Self::flush) returned `true`.
    fn transmit_frame(&mut self, now: Instant) -> bool {
        let Some(device) = &mut self.device else {
            return false;
        };
        let Some(transmit) = self.stack.poll_transmit(now) else {
            return false;
        };
        self.sent_since_receive += transmit.len();
        device.send(now, Frame::from(&transmit));
        let link = device.link();
        if link != self.stack.link() {
            self.change_link(now, link);
        }
        true
    }

    /// Follows a change of what the device can do. One that the stack cannot use is logged once.
    fn change_link(&mut self, now: Instant, link: LinkCaps) {
        if self.refused_link == Some(link) {
            return;
        }
        if let Err(error) = self.stack.set_link(now, link) {
            self.refused_link = Some(link);
            self.wakes.note(Note::BadLink(error));
        }
    }

    /// The application wrote `bytes`. In a burst of small writes they are not sent by this call but
    /// by the driver, which runs as soon as the writing task yields or, at the latest, by the call
    /// that completes a super-frame: one frame costs about as much as another, whatever its length.
    pub(crate) fn defer_small_write(&mut self, now: Instant, bytes: usize) {
        let in_burst = now.duration_since(self.last_transmit) < BURST;
        if in_burst && self.deferred_bytes + bytes < DEFER_BYTES {
            self.deferred_bytes += bytes;
            self.defer_transmit = true;
        }
    }

    /// Sends what a call has made ready, unless that is deferred, and receives acknowledgements
    /// once calls have sent much; says whether the driver has to go on.
    pub(super) fn transmit_after_call(&mut self, now: Instant) -> bool {
        let mut more = std::mem::take(&mut self.defer_transmit) || self.transmit(now);
        if self.sent_since_receive >= ACK_BYTES && self.receive(now).any {
            more |= self.transmit(self.last_now);
        }
        more
    }

    fn record_activity(&mut self, now: Instant) {
        self.last_activity = now;
        self.spinning_since = std::time::Instant::now();
    }

    /// Whether the driver keeps looking for frames because of what happened a moment ago.
    pub(super) fn is_spinning(&self) -> bool {
        self.spin > Duration::ZERO && Duration::from(self.spinning_since.elapsed()) < self.spin
    }
}

/// Frames received at a time, so that other tasks get their turn and the lock is free again soon.
const RX_FRAMES: usize = 64;
/// Bytes received at a time: some 10 us of copying, so that the application finds them in the
/// cache.
const RX_BYTES: usize = 1 << 17;
/// Frames sent at a time.
const TX_FRAMES: usize = 64;
/// Writes this soon after a frame was sent belong to a burst.
const BURST: Duration = Duration::from_micros(50);
/// Bytes of a burst that are sent together: the payload of a super-frame.
const DEFER_BYTES: usize = 64_000;
/// Bytes that the application's calls send before they receive acknowledgements. A writer who goes
/// on until its buffer is full uses as much memory as that, and all of it has left the cache by the
/// time it is used again.
const ACK_BYTES: usize = 250_000;
/// A frame larger than this moves the clock on.
const CLOCK_BYTES: usize = 16 << 10;
