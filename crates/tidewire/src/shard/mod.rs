//! One device, one core stack, one mutex, one driver task.
//!
//! Every call of the application does its work under the lock, inline: it plans and sends frames
//! from the caller's task, and before it would have to wait it receives what has arrived. The
//! driver task does the same when no one calls, and watches the device and the clock. Wakers are
//! taken under the lock and woken after it.

mod accept;
mod binding;
mod conn;
mod drain;
mod driver;
mod state;
mod wakers;

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use accept::Listener;
pub(crate) use binding::Binding;
pub(crate) use conn::Connection;
pub(crate) use state::{State, Stop};
pub(crate) use wakers::Slot;

use crate::clock::Clock;
use crate::device::Device;
use drain::Drain;
use driver::Driver;
use tidewire_core as core;

/// A handle of a shard. When the last one is gone the driver finishes what was closed and stops.
#[derive(Clone, Debug)]
pub(crate) struct ShardRef(Arc<Owner>);

impl ShardRef {
    /// Makes a shard and starts its driver on the current runtime. `spin` is how long the driver
    /// keeps looking for frames after the last one before it sleeps.
    pub(crate) fn start(stack: core::Stack, device: Box<dyn Device>, spin: Duration) -> Self {
        let shard = Arc::new(Shard {
            state: Mutex::new(State::new(stack, device, spin.into(), Clock::now())),
        });
        tokio::spawn(Driver::new(Arc::clone(&shard)));
        Self(Arc::new(Owner { shard }))
    }
}

impl Deref for ShardRef {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.0.shard
    }
}

/// What all handles share; its end is the end of the last handle.
#[derive(Debug)]
struct Owner {
    shard: Arc<Shard>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shard.with(|state, _| state.release());
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Shard {
    state: Mutex<State>,
}

impl Shard {
    /// Runs `f` under the lock, then sends what it made ready to send, and wakes whom it concerns.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State, core::Instant) -> R) -> R {
        // Out here, because it may be a handle: should settling panic, it is dropped when the lock is free.
        let mut result = None;
        self.inspect(|state| {
            let now = state.now();
            result = Some(f(state, now));
            state.settle();
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
        let wakes = std::mem::take(&mut state.wakes);
        let must_release = state.must_release();
        drop(state);
        std::mem::forget(on_panic);
        wakes.finish();
        if must_release {
            self.drop_released();
        }
        result
    }

    /// One turn of the driver; see [`State::turn`].
    fn turn(&self, waker: &Waker, armed: Option<core::Instant>) -> state::Turn {
        self.inspect(|state| state.turn(waker, armed))
    }

    /// Ends everything: what connections there are is reset, from now on all operations fail, and
    /// whoever waits is woken to learn that.
    pub(crate) fn stop(&self, why: Stop) {
        let device = self.inspect(|state| state.stop(why));
        drop(device);
    }

    /// Waits until everything has been delivered.
    pub(crate) fn drain(&self) -> Drain<'_> {
        Drain::new(self)
    }

    /// Drops the application's memory that the stack does not need any more. Its owner may be anything,
    /// a stream of this stack included.
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
