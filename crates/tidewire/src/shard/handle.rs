//! The handles of a shard: the first one starts the driver, the last one ends it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tidewire_core::Stack;

use super::drain::Drain;
use super::driver::Driver;
use super::lock::Shard;
use super::state::State;
use crate::clock::Clock;
use crate::device::Device;

/// A handle of a shard. When the last one is gone the driver finishes what was closed and stops.
#[derive(Clone, Debug)]
pub(crate) struct ShardRef(Arc<Owner>);

impl ShardRef {
    /// Makes a shard and starts its driver on the current runtime. `spin` is how long the driver
    /// keeps looking for frames after the last one before it sleeps.
    pub(crate) fn start(stack: Stack, device: Box<dyn Device>, spin: Duration) -> Self {
        let shard = Arc::new(Shard::new(State::new(
            stack,
            device,
            spin.into(),
            Clock::now(),
        )));
        tokio::spawn(Driver::new(Arc::clone(&shard)));
        Self(Arc::new(Owner { shard }))
    }

    /// Waits until everything has been delivered.
    pub(crate) fn drain(&self) -> Drain<'_> {
        Drain::new(self)
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
        self.shard.with(|state, _| state.orphan());
    }
}
