//! What the lock guards: the core stack, the device, and who waits.

use std::io;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidewire_core::{Duration, Event, Instant, LinkCaps, Secret, Stack, State as TcpState};

use super::wakers::Wakers;
use crate::clock::Clock;
use crate::device::{Device, Frame, LinkStats, Look};
use crate::note::Note;
use crate::wakes::Wakes;

/// Why a stack has stopped.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// `Stack::shutdown` has finished.
    Shutdown,
    /// The driver task is gone: its runtime was dropped.
    RuntimeGone,
    /// A bug: the core or the driver panicked.
    Panicked,
}

impl Stop {
    /// What operations fail with from then on.
    pub(crate) fn error(self) -> io::Error {
        io::Error::other(match self {
            Self::Shutdown => "the tidewire stack was shut down",
            Self::RuntimeGone => {
                "the tidewire stack has stopped: the tokio runtime that drove it was shut down"
            }
            Self::Panicked => "the tidewire stack has stopped after a panic",
        })
    }
}

/// What the driver does next.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// Let other tasks run, then come back at once; `woke` when some were woken for that.
    Again { woke: bool },
    /// Sleep until a frame arrives or this instant has come.
    Sleep(Option<Instant>),
    /// The stack has stopped.
    Stop,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct State {
    stack: Stack,
    /// A stack that panicked, not to be used any more.
    condemned: Option<Stack>,
    /// A call is dropping what the stack has released, and goes on until there is nothing left.
    is_releasing: bool,
    /// `None` once the stack has stopped: nothing is sent or received any more.
    device: Option<Box<dyn Device>>,
    /// What the device had counted when the stack stopped.
    last_stats: LinkStats,
    pub(crate) wakers: Wakers,
    pub(crate) wakes: Wakes,
    stopped: Option<Stop>,
    /// No handle is left.
    released: bool,
    driver: DriverState,
    /// How long the driver keeps looking for frames after the last activity.
    spin: Duration,
    last_activity: Instant,
    /// The same on the machine's clock: a test may stop tokio's, and the spin must end all the same.
    spun_from: std::time::Instant,
    last_transmit: Instant,
    /// What the link changed to last that the stack cannot use.
    refused_link: Option<LinkCaps>,
    /// Bytes sent since the device was asked for frames last.
    unheard: usize,
    last_now: Instant,
    /// What this call has written is left to the driver's next turn.
    hold: bool,
    /// Bytes written and left so since the last frame.
    held: usize,
}

/// What [`State::receive`] did.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Received {
    /// It received something.
    pub(crate) any: bool,
    /// It stopped at its budget: there may be more.
    more: bool,
}

/// The driver task as others see it.
#[derive(Debug, Default)]
struct DriverState {
    /// `None` while it is certain to run again without being woken.
    waker: Option<Waker>,
    /// When it wakes by itself.
    wakes_at: Option<Instant>,
}

impl State {
    pub(super) fn new(
        mut stack: Stack,
        device: Box<dyn Device>,
        spin: Duration,
        now: Instant,
    ) -> Self {
        stack.keep_released(true);
        Self {
            stack,
            condemned: None,
            is_releasing: false,
            device: Some(device),
            last_stats: LinkStats::default(),
            wakers: Wakers::default(),
            wakes: Wakes::default(),
            stopped: None,
            released: false,
            driver: DriverState::default(),
            spin,
            last_activity: now,
            spun_from: std::time::Instant::now(),
            last_transmit: Instant::ZERO,
            refused_link: None,
            unheard: 0,
            last_now: now,
            hold: false,
            held: 0,
        }
    }

    /// The core stack.
    pub(crate) fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// What happened on the device.
    pub(crate) fn link_stats(&mut self) -> LinkStats {
        self.device
            .as_mut()
            .map_or(self.last_stats, |device| device.stats())
    }

    /// The time, which never goes backwards even where a test pauses the clock of one runtime.
    pub(super) fn now(&mut self) -> Instant {
        self.last_now = self.last_now.max(Clock::now());
        self.last_now
    }

    /// Fails once the stack has stopped.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.stopped.map_or(Ok(()), |why| Err(why.error()))
    }

    /// Why the stack has stopped, if it has.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stopped
    }

    fn note_activity(&mut self, now: Instant) {
        self.last_activity = now;
        self.spun_from = std::time::Instant::now();
    }

    /// Whether the driver keeps looking for frames because of what happened a moment ago.
    fn is_spinning(&self) -> bool {
        self.spin > Duration::ZERO && Duration::from(self.spun_from.elapsed()) < self.spin
    }

    /// Receives what has arrived, up to the budget.
    pub(crate) fn receive(&mut self, mut now: Instant) -> Received {
        self.unheard = 0;
        // Whoever spins wants a frame sooner than the runtime hears of it.
        let look = if self.is_spinning() {
            Look::Eagerly
        } else {
            Look::Lazily
        };
        let Self {
            stack,
            device: Some(device),
            ..
        } = self
        else {
            return Received {
                any: false,
                more: false,
            };
        };
        let (mut frames, mut attempts, mut bytes, mut more) = (0, 0, 0, true);
        while more && attempts < RX_FRAMES && bytes < RX_BYTES {
            attempts += 1;
            let before = bytes;
            more = device.receive(now, look, &mut |frame, meta| {
                frames += 1;
                bytes += frame.bytes().len();
                stack.handle_frame(now, frame, meta);
            });
            // Copying a large frame takes long enough to matter to round-trip times.
            if bytes - before > CLOCK_BYTES {
                now = self.last_now.max(Clock::now());
                self.last_now = now;
            }
        }
        if frames > 0 {
            self.note_activity(now);
        }
        Received {
            any: frames > 0,
            more,
        }
    }

    /// Sends what the stack has to send, up to the budget; says whether there may be more.
    pub(crate) fn transmit(&mut self, now: Instant) -> bool {
        let Self {
            stack,
            device: Some(device),
            refused_link,
            wakes,
            ..
        } = self
        else {
            return false;
        };
        self.held = 0;
        let (mut frames, mut more) = (0, false);
        while device.flush(now) {
            if frames == TX_FRAMES {
                more = true;
                break;
            }
            let Some(transmit) = stack.poll_transmit(now) else {
                break;
            };
            self.unheard += transmit.len();
            device.send(now, Frame::from(&transmit));
            frames += 1;
            let link = device.link();
            if link != stack.link()
                && *refused_link != Some(link)
                && let Err(error) = stack.set_link(now, link)
            {
                *refused_link = Some(link);
                wakes.note(Note::BadLink(error));
            }
        }
        if frames > 0 {
            self.note_activity(now);
            self.last_transmit = now;
        }
        more
    }

    /// The application wrote `bytes`. In a burst of small writes they are not sent by this call but
    /// by the driver, which runs as soon as the writing task yields or, at the latest, by the call
    /// that completes a super-frame: one frame costs about as much as another, whatever its length.
    pub(crate) fn wrote(&mut self, now: Instant, bytes: usize) {
        let in_burst = now.duration_since(self.last_transmit) < BURST;
        if in_burst && self.held + bytes < HOLD_BYTES {
            self.held += bytes;
            self.hold = true;
        }
    }

    /// What follows every call of the application: timers that are due, frames to send, tasks to
    /// wake, and the driver if it has to do something before it would by itself.
    pub(super) fn settle(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        // Receiving may have moved it on.
        let now = self.last_now;
        self.run_timers(now);
        let mut more = std::mem::take(&mut self.hold) || self.transmit(now);
        if self.unheard >= HEAR_BYTES && self.receive(now).any {
            more |= self.transmit(self.last_now);
        }
        self.collect_events();
        if self.driver.waker.is_some() {
            let wanted = self.next_deadline();
            let is_late = wanted.is_some_and(|at| self.driver.wakes_at.is_none_or(|own| at < own));
            let may_spin = self.spin > Duration::ZERO && self.last_activity >= now;
            let is_blocked = self
                .device
                .as_ref()
                .is_some_and(|device| device.is_blocked());
            let is_ending = self.released || self.wakers.anyone_drains();
            if more || is_late || may_spin || is_blocked || is_ending {
                self.wake_driver();
            }
        }
    }

    /// One turn of the driver. `armed` is when its timer fires.
    pub(super) fn turn(&mut self, waker: &Waker, armed: Option<Instant>) -> Turn {
        if self.stopped.is_some() {
            return Turn::Stop;
        }
        self.wakes.discard(self.driver.waker.take());
        let now = self.now();
        let more_to_receive = self.receive(now).more;
        let now = self.last_now;
        self.run_timers(now);
        let more_to_send = self.transmit(now);
        self.collect_events();
        if self.released && self.is_quiet() {
            return Turn::Stop;
        }
        if self.wakers.anyone_drains() && self.is_drained() {
            self.wakers.take_drain(&mut self.wakes);
        }
        if more_to_receive || more_to_send || self.is_spinning() {
            return Turn::Again {
                woke: !self.wakes.is_empty(),
            };
        }
        if let Some(device) = &mut self.device {
            device.rest();
        }
        let wanted = self.next_deadline();
        self.driver.waker = Some(waker.clone());
        self.driver.wakes_at = earlier(wanted, armed);
        Turn::Sleep(wanted)
    }

    /// Asks the device to wake the driver. Ready when there is something to do already.
    pub(super) fn poll_device(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.now();
        let Some(device) = &mut self.device else {
            return Poll::Ready(Ok(())); // the next turn ends the driver
        };
        if device.is_blocked() && device.poll_send(now, cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let received = device.poll_receive(now, cx)?;
        // Looking may have set a deadline that the timer does not know.
        let is_late = self
            .next_deadline()
            .is_some_and(|at| self.driver.wakes_at.is_none_or(|own| at < own));
        if is_late {
            return Poll::Ready(Ok(()));
        }
        received.map(Ok)
    }

    /// No handle is left.
    pub(super) fn release(&mut self) {
        self.released = true;
    }

    /// See `Shard::stop`. The first reason stays. Hands out the device, to be closed when
    /// the lock is released.
    pub(super) fn stop(&mut self, why: Stop) -> Option<Box<dyn Device>> {
        if self.stopped.is_none() {
            // Nobody will answer the peers any more: this tells them.
            let now = self.now();
            self.abort_all(now);
        }
        self.stopped.get_or_insert(why);
        let mut device = self.device.take()?;
        self.last_stats = device.stats();
        device.collect_wakes(&mut self.wakes);
        self.wakers.take_all(&mut self.wakes);
        self.wake_driver();
        Some(device)
    }

    /// Whether this call is the one that has to drop what the stack has released. There is one at a time:
    /// an owner that uses the stack when it is dropped would otherwise drop the next one, and so on.
    pub(super) fn must_release(&mut self) -> bool {
        let must = self.stack.has_released() && !self.is_releasing;
        self.is_releasing |= must;
        must
    }

    /// Takes some of what the stack has released; says whether that was all of it.
    pub(super) fn take_released(&mut self, batch: &mut [Option<Bytes>]) -> bool {
        batch.fill_with(|| self.stack.poll_released());
        self.is_releasing = self.stack.has_released();
        !self.is_releasing
    }

    /// The call that was dropping what the stack has released does not go on.
    pub(super) fn stop_releasing(&mut self) {
        self.is_releasing = false;
    }

    /// A panic has left a change in the middle, and nothing may rely on the stack any more: an empty one
    /// takes its place, which knows none of the connections and listeners that handles may name.
    pub(super) fn condemn(&mut self) {
        self.stopped.get_or_insert(Stop::Panicked);
        // The configuration was good enough for the first one.
        let fresh = Stack::new(
            self.stack.config().clone(),
            Secret::new([0; 16]),
            self.last_now,
        );
        if let Ok(fresh) = fresh {
            let condemned = std::mem::replace(&mut self.stack, fresh);
            self.condemned.get_or_insert(condemned);
        }
    }

    /// Whether everything has been delivered: the connections that have a handle are over or wait
    /// for the peer alone, and none is being closed in the background.
    pub(crate) fn is_drained(&mut self) -> bool {
        let is_quiet = self.is_quiet();
        let Self { stack, wakers, .. } = self;
        is_quiet
            && wakers.conn_ids().all(|id| {
                let over = |state| matches!(state, TcpState::TimeWait | TcpState::Closed);
                stack.conn(id).is_none_or(|conn| over(conn.state()))
            })
    }

    /// Queues a FIN on every connection that has a handle, and closes every listener.
    pub(crate) fn shut_down_all(&mut self, now: Instant) {
        let Self {
            stack,
            wakers,
            wakes,
            ..
        } = self;
        for id in wakers.conn_ids() {
            if let Some(mut conn) = stack.conn(id) {
                // One that is not established has nothing to finish.
                let _ = conn.shutdown_write(now);
            }
        }
        let listeners: Vec<_> = wakers.listener_ids().collect();
        for id in listeners {
            stack.close_listener(now, id);
            // Whoever waits to accept learns that nobody will come any more.
            wakers.take_listener(id, wakes);
        }
    }

    /// Resets every connection, those that are being closed in the background included.
    fn abort_all(&mut self, now: Instant) {
        let ids: Vec<_> = self.stack.conn_ids().collect();
        for id in ids {
            if let Some(conn) = self.stack.conn(id) {
                conn.abort(now);
            }
            // The core holds so many resets and drops the rest.
            self.transmit(now);
        }
        let listeners: Vec<_> = self.wakers.listener_ids().collect();
        for id in listeners {
            self.stack.close_listener(now, id);
        }
        while self.transmit(now) {}
    }

    fn run_timers(&mut self, now: Instant) {
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
        }
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Conn(id, events) => self.wakers.take_conn(id, events, &mut self.wakes),
                Event::Acceptable(id) => self.wakers.take_listener(id, &mut self.wakes),
                _ => {}
            }
        }
        if let Some(device) = &mut self.device {
            device.collect_wakes(&mut self.wakes);
        }
    }

    /// Whether no connection is being closed in the background and the device holds no frame back.
    fn is_quiet(&self) -> bool {
        let holds = self
            .device
            .as_ref()
            .is_some_and(|device| device.is_blocked() || device.deadline().is_some());
        self.stack.closing_connections() == 0 && !holds
    }

    fn next_deadline(&self) -> Option<Instant> {
        let device = self.device.as_ref().and_then(|device| device.deadline());
        earlier(self.stack.poll_timeout(), device)
    }

    fn wake_driver(&mut self) {
        self.wakes.wake(self.driver.waker.take());
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

/// Frames taken at a time, so that other tasks get their turn and the lock is not held for long.
const RX_FRAMES: usize = 64;
/// Bytes taken at a time: some 10 us of copying, so that the application finds them in the cache.
const RX_BYTES: usize = 1 << 17;
/// Frames sent at a time.
const TX_FRAMES: usize = 64;
/// Writes this soon after a frame was sent belong to a burst.
const BURST: Duration = Duration::from_micros(50);
/// Bytes of a burst that are sent at once: the payload of a super-frame.
const HOLD_BYTES: usize = 64_000;
/// Bytes that the application's calls send before they look for acknowledgements: a writer who goes on until its buffer
/// is full sends from as much memory as that, all of which has left the cache by the time it is used again.
const HEAR_BYTES: usize = 250_000;
/// A frame larger than this moves the clock on.
const CLOCK_BYTES: usize = 16 << 10;
