//! End of a stack: shutdown, drain, stop, panics.

use bytes::Bytes;
use tidewire_core::{Instant, Secret, Stack, State as TcpState};

use super::{State, Stop};
use crate::device::Device;

impl State {
    /// No handle is left.
    pub(crate) fn orphan(&mut self) {
        self.orphaned = true;
    }

    /// See `Shard::stop`. The first reason stays. Hands out the device, to be closed when the lock
    /// is free.
    pub(crate) fn stop(&mut self, why: Stop) -> Option<Box<dyn Device>> {
        if self.stopped.is_none() {
            // Resets tell the peers, which nobody will answer any more.
            let now = self.now();
            self.abort_all(now);
        }
        self.stopped.get_or_insert(why);
        let mut device = self.device.take()?;
        self.last_stats = device.stats();
        device.collect_wakes(&mut self.wakes);
        self.wakers.wake_all(&mut self.wakes);
        self.wake_driver();
        Some(device)
    }

    /// Whether this call is the one that has to drop what the stack has released. There is one at a
    /// time: an owner that uses the stack when it is dropped would otherwise drop the next one, and
    /// so on.
    pub(crate) fn must_release(&mut self) -> bool {
        let must = self.stack.has_released() && !self.is_releasing;
        self.is_releasing |= must;
        must
    }

    /// Takes some of what the stack has released; says whether that was all of it.
    pub(crate) fn take_released(&mut self, batch: &mut [Option<Bytes>]) -> bool {
        batch.fill_with(|| self.stack.poll_released());
        self.is_releasing = self.stack.has_released();
        !self.is_releasing
    }

    /// The call that was dropping what the stack has released does not go on.
    pub(crate) fn stop_releasing(&mut self) {
        self.is_releasing = false;
    }

    /// Replaces a stack that a panic has left in the middle of a change by an empty one, which
    /// knows none of the connections and listeners that handles may name.
    pub(crate) fn condemn(&mut self) {
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
            wakers.wake_listener(id, wakes);
        }
    }

    /// Resets every connection, those that are being closed in the background included.
    fn abort_all(&mut self, now: Instant) {
        let ids: Vec<_> = self.stack.conn_ids().collect();
        for id in ids {
            if let Some(conn) = self.stack.conn(id) {
                conn.abort(now);
            }
            // The core's queue of resets is short, and what exceeds it is dropped.
            self.transmit(now);
        }
        let listeners: Vec<_> = self.wakers.listener_ids().collect();
        for id in listeners {
            self.stack.close_listener(now, id);
        }
        while self.transmit(now) {}
    }

    /// Whether no connection is being closed in the background and the device holds no frame back.
    pub(super) fn is_quiet(&self) -> bool {
        let holds = self
            .device
            .as_ref()
            .is_some_and(|device| device.is_blocked() || device.deadline().is_some());
        self.stack.closing_connections() == 0 && !holds
    }
}
