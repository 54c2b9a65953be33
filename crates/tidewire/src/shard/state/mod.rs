//! State behind the lock: the core stack, the device, wakers; the driver's turn.

mod ending;
mod frames;

use std::io;
use std::task::{Context, Poll, Waker};

use tidewire_core::{Duration, Event, Instant, LinkCaps, Stack};

use super::wakers::Wakers;
use crate::clock::Clock;
use crate::device::{Device, LinkStats};
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

/// The state of a shard.
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
    orphaned: bool,
    driver: DriverState,
    /// How long the driver keeps looking for frames after the last activity.
    spin: Duration,
    last_activity: Instant,
    /// The same on the machine's clock: a test may stop tokio's, and the spin must end all the
    /// same.
    spinning_since: std::time::Instant,
    last_transmit: Instant,
    /// The newest change of the link that the stack cannot use.
    refused_link: Option<LinkCaps>,
    /// Bytes sent since the device was last asked for frames.
    sent_since_receive: usize,
    last_now: Instant,
    /// The driver's next turn sends what this call has written.
    defer_transmit: bool,
    /// Bytes written and deferred since the last frame.
    deferred_bytes: usize,
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
            orphaned: false,
            driver: DriverState::default(),
            spin,
            last_activity: now,
            spinning_since: std::time::Instant::now(),
            last_transmit: Instant::ZERO,
            refused_link: None,
            sent_since_receive: 0,
            last_now: now,
            defer_transmit: false,
            deferred_bytes: 0,
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

    /// What follows every call of the application: timers that are due, frames to send, tasks to
    /// wake, and the driver if it has to do something before it would by itself.
    pub(super) fn after_call(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        // Receiving may have moved it on.
        let now = self.last_now;
        self.run_timers(now);
        let more = self.transmit_after_call(now);
        self.collect_events();
        let is_asleep = self.driver.waker.is_some();
        if is_asleep && (more || self.needs_driver(now)) {
            self.wake_driver();
        }
    }

    /// One turn of the driver. `armed` is when its timer fires.
    pub(super) fn turn(&mut self, waker: &Waker, armed: Option<Instant>) -> Turn {
        if self.stopped.is_some() {
            return Turn::Stop;
        }
        self.wakes.discard(self.driver.waker.take());
        let more = self.run_once();
        if self.orphaned && self.is_quiet() {
            return Turn::Stop;
        }
        if self.wakers.anyone_drains() && self.is_drained() {
            self.wakers.wake_drain(&mut self.wakes);
        }
        if more || self.is_spinning() {
            return Turn::Again {
                woke: !self.wakes.is_empty(),
            };
        }
        self.fall_asleep(waker, armed)
    }

    /// Receives, runs timers and sends, each up to its budget; says whether there may be more.
    fn run_once(&mut self) -> bool {
        let now = self.now();
        let more_to_receive = self.receive(now).more;
        // Receiving may have moved it on.
        let now = self.last_now;
        self.run_timers(now);
        let more_to_send = self.transmit(now);
        self.collect_events();
        more_to_receive || more_to_send
    }

    /// From here on the driver has to be woken for what comes before its timer.
    fn fall_asleep(&mut self, waker: &Waker, armed: Option<Instant>) -> Turn {
        if let Some(device) = &mut self.device {
            device.on_idle();
        }
        let deadline = self.next_deadline();
        self.driver.waker = Some(waker.clone());
        self.driver.wakes_at = earlier(deadline, armed);
        Turn::Sleep(deadline)
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
        // Polling the device may have set a deadline that the timer does not know.
        if self.wakes_too_late() {
            return Poll::Ready(Ok(()));
        }
        received.map(Ok)
    }

    /// Whether the driver, asleep, has to run before it would by itself.
    fn needs_driver(&self, now: Instant) -> bool {
        let may_spin = self.spin > Duration::ZERO && self.last_activity >= now;
        let is_ending = self.orphaned || self.wakers.anyone_drains();
        may_spin || is_ending || self.is_blocked() || self.wakes_too_late()
    }

    /// Whether something is due before the driver wakes by itself.
    fn wakes_too_late(&self) -> bool {
        let wakes_at = self.driver.wakes_at;
        self.next_deadline()
            .is_some_and(|due| wakes_at.is_none_or(|at| due < at))
    }

    fn is_blocked(&self) -> bool {
        self.device
            .as_ref()
            .is_some_and(|device| device.is_blocked())
    }

    fn wake_driver(&mut self) {
        self.wakes.wake(self.driver.waker.take());
    }

    fn run_timers(&mut self, now: Instant) {
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
        }
    }

    fn collect_events(&mut self) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Conn(id, events) => self.wakers.wake_conn(id, events, &mut self.wakes),
                Event::Acceptable(id) => self.wakers.wake_listener(id, &mut self.wakes),
                _ => {}
            }
        }
        if let Some(device) = &mut self.device {
            device.collect_wakes(&mut self.wakes);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let device = self.device.as_ref().and_then(|device| device.deadline());
        earlier(self.stack.poll_timeout(), device)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
