//! Driver task: keeps a stack going while no one calls it.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tidewire_core::Instant;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Sleep;

use super::lock::Shard;
use super::state::{Stop, Turn};
use crate::clock::Clock;

/// Receives, runs timers and sends until the stack stops. While it spins it wakes itself, which
/// lets every other task run in between and costs a fraction of what sleeping and waking does.
#[derive(Debug)]
pub(super) struct Driver {
    shard: Arc<Shard>,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` fires. It is reset only for an earlier instant: an alarm too early costs one
    /// idle turn, and resetting for every acknowledgement would cost more.
    armed: Option<Instant>,
    /// Turns so far that another one follows at once.
    yields: u32,
    /// Whether one thread runs everything, so that yielding takes more than waking oneself.
    is_alone: bool,
}

impl Driver {
    pub(super) fn new(shard: Arc<Shard>) -> Self {
        Self {
            shard,
            sleep: Box::pin(tokio::time::sleep_until(tokio::time::Instant::now())),
            armed: None,
            yields: 0,
            is_alone: Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread,
        }
    }

    /// Whether the runtime gets its turn before the next one of this task; `woke` when there are
    /// tasks that wait for theirs.
    fn must_yield(&mut self, woke: bool) -> bool {
        self.yields = self.yields.wrapping_add(1);
        self.is_alone && (woke || self.yields.is_multiple_of(YIELD_INTERVAL))
    }

    /// Ready when there is something to do. Else the task is woken for whatever happens from here
    /// on: its waker is with the state since the turn, with the timer, and with the device, which
    /// looks for a frame once more after it has taken the waker.
    fn poll_sleep(
        &mut self,
        deadline: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_deadline(deadline, cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.shard.inspect(|state| state.poll_device(cx))
    }

    /// Arms the timer; ready when `deadline` has passed already.
    fn poll_deadline(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(at) = deadline
            && self.armed.is_none_or(|armed| at < armed)
        {
            self.sleep.as_mut().reset(Clock::to_tokio(at));
            self.armed = Some(at);
        }
        if self.armed.is_some() && self.sleep.as_mut().poll(cx).is_ready() {
            self.armed = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        match this.shard.turn(cx.waker(), this.armed) {
            Turn::Stop => {
                this.shard.stop(Stop::Shutdown);
                return Poll::Ready(());
            }
            Turn::Again { woke } => {
                if this.must_yield(woke) {
                    return yield_to_runtime(cx);
                }
            }
            Turn::Sleep(deadline) => match this.poll_sleep(deadline, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                // Only a runtime that shuts down makes this fail.
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            },
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Lets the runtime look at everything else before it polls this task again.
///
/// Only for a current-thread runtime: a task that merely wakes itself keeps it, for dozens of
/// turns, from polling the future that it blocks on and from looking for other I/O. It costs
/// several times as much as waking oneself. On other runtimes it would bind the driver to a worker
/// that may be computing; there any worker can take a task that woke itself.
fn yield_to_runtime(cx: &mut Context<'_>) -> Poll<()> {
    // Polled once, it hands the waker to the runtime for later; that is all it is for.
    pin!(tokio::task::yield_now()).poll(cx)
}

/// Turns without anything to do between two that the runtime gets: a few microseconds.
const YIELD_INTERVAL: u32 = 8;

impl Drop for Driver {
    fn drop(&mut self) {
        let why = if std::thread::panicking() {
            Stop::Panicked
        } else {
            Stop::RuntimeGone
        };
        self.shard.stop(why);
    }
}
