//! Lock of a shard: calls run under it; wake-ups, log events and drops follow after it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tidewire_core::Instant;

use super::state::{State, Stop, Turn};

/// What the driver and all handles share.
#[derive(Debug)]
pub(crate) struct Shard {
    state: Mutex<State>,
}

impl Shard {
    pub(super) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// Runs `f` under the lock, sends what it made ready to send, and wakes the tasks concerned.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State, Instant) -> R) -> R {
        // Outside of the closure, because it may be a handle: should `after_call` panic, it is
        // dropped when the lock is free.
        let mut result = None;
        self.inspect(|state| {
            let now = state.now();
            result = Some(f(state, now));
            state.after_call();
        });
        let Some(result) = result else {
            unreachable!("it was made under the lock")
        };
        result
    }

    /// Runs `f` under the lock. What may run foreign code follows after it: tasks are woken, and
    /// memory that the application has lent is dropped.
    pub(crate) fn inspect<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let on_panic = StopOnPanic(self);
        let mut state = self.lock();
        let result = f(&mut state);
        let wakes = state.wakes.take();
        let must_release = state.must_release();
        drop(state);
        std::mem::forget(on_panic);
        if let Some(wakes) = wakes {
            wakes.finish();
        }
        if must_release {
            self.drop_released();
        }
        result
    }

    /// One turn of the driver; see [`State::turn`].
    pub(super) fn turn(&self, waker: &Waker, armed: Option<Instant>) -> Turn {
        self.inspect(|state| state.turn(waker, armed))
    }

    /// Stops the stack: connections are reset, tasks that wait are woken, and from now on all
    /// operations fail.
    pub(crate) fn stop(&self, why: Stop) {
        let device = self.inspect(|state| state.stop(why));
        drop(device);
    }

    /// Drops the application's memory that the stack does not need any more. Its owner may be
    /// anything, a stream of this stack included.
    fn drop_released(&self) {
        let on_panic = ReleaseOnPanic(self);
        loop {
            let mut batch: [Option<Bytes>; RELEASED] = Default::default();
            let is_last = self.lock().take_released(&mut batch);
            drop(batch);
            if is_last {
                break;
            }
        }
        std::mem::forget(on_panic);
    }

    /// Fails once the stack has stopped.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.inspect(|state| state.check())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<_>| {
                let mut state: MutexGuard<'_, State> = poisoned.into_inner();
                state.condemn();
                self.state.clear_poison();
                state
            })
    }
}

/// Stops the stack when a panic leaves a call in the middle, so that no task waits for what cannot
/// come any more.
struct StopOnPanic<'a>(&'a Shard);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        self.0.stop(Stop::Panicked);
    }
}

/// Lets another call drop what is left when dropping something panics.
struct ReleaseOnPanic<'a>(&'a Shard);

impl Drop for ReleaseOnPanic<'_> {
    fn drop(&mut self) {
        self.0.lock().stop_releasing();
    }
}

/// Buffers dropped at a time.
const RELEASED: usize = 16;
