//! Registered wakers of each connection and listener, and of the drain.

use std::collections::VecDeque;
use std::task::Waker;

use tidewire_core::{ConnEvents, ConnId, ListenerId};

use crate::wakes::Wakes;

/// Names one of many waiters of the same connection or listener.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct WaiterKey(u64);

/// What a task waits for on a connection.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
}

impl Side {
    fn is_woken_by(self, events: ConnEvents) -> bool {
        // The end of a connection ends every wait.
        let over = ConnEvents::CONNECTED | ConnEvents::CLOSED;
        let awaited = match self {
            Self::Read => ConnEvents::READABLE | over,
            Self::Write => ConnEvents::WRITABLE | over,
            Self::Both => ConnEvents::READABLE | ConnEvents::WRITABLE | over,
        };
        events.intersects(awaited)
    }
}

/// One waker per `poll_*` method: the last caller of each is woken, as tokio documents it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Slot {
    /// `poll_read`.
    Read,
    /// `poll_write`.
    Write,
    /// `poll_peek` and `poll_read_ready`.
    ReadReady,
    /// `poll_write_ready`.
    WriteReady,
}

impl Slot {
    const COUNT: usize = 4;
    const ALL: [Self; Self::COUNT] = [Self::Read, Self::Write, Self::ReadReady, Self::WriteReady];

    const fn side(self) -> Side {
        match self {
            Self::Read | Self::ReadReady => Side::Read,
            Self::Write | Self::WriteReady => Side::Write,
        }
    }
}

/// All registered wakers.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    /// By the connection's index, which the core keeps dense.
    conns: Vec<Option<ConnWaiters>>,
    listeners: Vec<Option<ListenerWaiters>>,
    /// Tasks that wait for the stack to have finished.
    drain: Vec<(WaiterKey, Waker)>,
    next_key: u64,
}

#[derive(Debug)]
struct ConnWaiters {
    id: ConnId,
    slots: [Option<Waker>; Slot::COUNT],
    /// The async methods take `&self`, so that any number of tasks may be in them.
    others: Vec<(WaiterKey, Side, Waker)>,
}

#[derive(Debug)]
struct ListenerWaiters {
    id: ListenerId,
    /// `poll_accept`.
    slot: Option<Waker>,
    /// `accept`, in the order of the calls.
    queue: VecDeque<(WaiterKey, Waker)>,
}

impl Wakers {
    /// A connection has a handle from now on.
    pub(crate) fn add_conn(&mut self, id: ConnId) {
        let slots = [const { None }; Slot::COUNT];
        let others = Vec::new();
        put(
            &mut self.conns,
            id.index(),
            ConnWaiters { id, slots, others },
        );
    }

    /// A connection has no handle any more.
    pub(crate) fn remove_conn(&mut self, id: ConnId, wakes: &mut Wakes) {
        if self.conn(id).is_some()
            && let Some(waiters) = self.conns.get_mut(id.index()).and_then(Option::take)
        {
            waiters
                .slots
                .into_iter()
                .for_each(|waker| wakes.discard(waker));
            waiters
                .others
                .into_iter()
                .for_each(|(.., waker)| wakes.discard(Some(waker)));
        }
    }

    /// The connections that have a handle.
    pub(crate) fn conn_ids(&self) -> impl Iterator<Item = ConnId> {
        self.conns.iter().flatten().map(|waiters| waiters.id)
    }

    /// Registers the caller of a `poll_*` method.
    pub(crate) fn wait(&mut self, id: ConnId, slot: Slot, waker: &Waker, wakes: &mut Wakes) {
        if let Some(waiters) = self.conn(id) {
            wakes.register(&mut waiters.slots[slot as usize], waker);
        }
    }

    /// Registers the caller of an async method, or renews its registration.
    pub(crate) fn wait_as(
        &mut self,
        id: ConnId,
        key: &mut Option<WaiterKey>,
        side: Side,
        waker: &Waker,
        wakes: &mut Wakes,
    ) {
        let fresh = self.fresh_key();
        let Some(waiters) = self.conn(id) else { return };
        let known = waiters
            .others
            .iter_mut()
            .find(|(own, ..)| Some(*own) == *key);
        match known {
            Some((_, _, old)) if old.will_wake(waker) => {}
            Some((_, _, old)) => wakes.discard(Some(std::mem::replace(old, waker.clone()))),
            None => {
                waiters.others.push((fresh, side, waker.clone()));
                *key = Some(fresh);
            }
        }
    }

    /// An async method returned or was dropped.
    pub(crate) fn stop_waiting(&mut self, id: ConnId, key: WaiterKey, wakes: &mut Wakes) {
        if let Some(waiters) = self.conn(id)
            && let Some(at) = waiters.others.iter().position(|(own, ..)| *own == key)
        {
            wakes.discard(Some(waiters.others.swap_remove(at).2));
        }
    }

    /// Wakes the tasks that wait for any of `events`.
    pub(crate) fn wake_conn(&mut self, id: ConnId, events: ConnEvents, wakes: &mut Wakes) {
        let Some(waiters) = self.conn(id) else { return };
        for slot in Slot::ALL {
            if slot.side().is_woken_by(events) {
                wakes.wake(waiters.slots[slot as usize].take());
            }
        }
        for (.., waker) in waiters
            .others
            .extract_if(.., |(_, side, _)| side.is_woken_by(events))
        {
            wakes.wake(Some(waker));
        }
    }

    /// A listener has a handle from now on.
    pub(crate) fn add_listener(&mut self, id: ListenerId) {
        let queue = VecDeque::new();
        let waiters = ListenerWaiters {
            id,
            slot: None,
            queue,
        };
        put(&mut self.listeners, id.index(), waiters);
    }

    /// A listener has no handle any more.
    pub(crate) fn remove_listener(&mut self, id: ListenerId, wakes: &mut Wakes) {
        if self.listener(id).is_some()
            && let Some(waiters) = self.listeners.get_mut(id.index()).and_then(Option::take)
        {
            wakes.discard(waiters.slot);
            waiters
                .queue
                .into_iter()
                .for_each(|(_, waker)| wakes.discard(Some(waker)));
        }
    }

    /// The listeners that have a handle.
    pub(crate) fn listener_ids(&self) -> impl Iterator<Item = ListenerId> {
        self.listeners.iter().flatten().map(|waiters| waiters.id)
    }

    /// Registers the caller of `poll_accept`.
    pub(crate) fn wait_accept(&mut self, id: ListenerId, waker: &Waker, wakes: &mut Wakes) {
        if let Some(waiters) = self.listener(id) {
            wakes.register(&mut waiters.slot, waker);
        }
    }

    /// Registers the caller of `accept`, or renews its registration.
    pub(crate) fn wait_accept_as(
        &mut self,
        id: ListenerId,
        key: &mut Option<WaiterKey>,
        waker: &Waker,
        wakes: &mut Wakes,
    ) {
        let fresh = self.fresh_key();
        let Some(waiters) = self.listener(id) else {
            return;
        };
        let known = waiters.queue.iter_mut().find(|(own, _)| Some(*own) == *key);
        match known {
            Some((_, old)) if old.will_wake(waker) => {}
            Some((_, old)) => wakes.discard(Some(std::mem::replace(old, waker.clone()))),
            None => {
                waiters.queue.push_back((fresh, waker.clone()));
                *key = Some(fresh);
            }
        }
    }

    /// An `accept` returned or was dropped.
    pub(crate) fn stop_accepting(&mut self, id: ListenerId, key: WaiterKey, wakes: &mut Wakes) {
        if let Some(waiters) = self.listener(id)
            && let Some(at) = waiters.queue.iter().position(|(own, _)| *own == key)
        {
            wakes.discard(waiters.queue.remove(at).map(|(_, waker)| waker));
        }
    }

    /// Wakes all tasks that wait for a connection: all, because one event may stand for
    /// several connections, and because a waiter that is dropped after it was woken must not keep
    /// the others from accepting.
    pub(crate) fn wake_listener(&mut self, id: ListenerId, wakes: &mut Wakes) {
        if let Some(waiters) = self.listener(id) {
            wakes.wake(waiters.slot.take());
            waiters
                .queue
                .drain(..)
                .for_each(|(_, waker)| wakes.wake(Some(waker)));
        }
    }

    /// Registers a task that waits for the stack to finish.
    pub(crate) fn wait_drain(
        &mut self,
        key: &mut Option<WaiterKey>,
        waker: &Waker,
        wakes: &mut Wakes,
    ) {
        let fresh = self.fresh_key();
        let key = *key.get_or_insert(fresh);
        match self.drain.iter_mut().find(|(own, _)| *own == key) {
            Some((_, old)) => wakes.discard(Some(std::mem::replace(old, waker.clone()))),
            None => self.drain.push((key, waker.clone())),
        }
    }

    /// A wait for the stack to finish returned or was dropped.
    pub(crate) fn stop_draining(&mut self, key: WaiterKey, wakes: &mut Wakes) {
        if let Some(at) = self.drain.iter().position(|(own, _)| *own == key) {
            wakes.discard(Some(self.drain.swap_remove(at).1));
        }
    }

    /// Whether a task waits for the stack to finish.
    pub(crate) fn anyone_drains(&self) -> bool {
        !self.drain.is_empty()
    }

    /// Wakes the tasks that wait for the stack to finish.
    pub(crate) fn wake_drain(&mut self, wakes: &mut Wakes) {
        self.drain
            .drain(..)
            .for_each(|(_, waker)| wakes.wake(Some(waker)));
    }

    /// Wakes all tasks: the stack has stopped.
    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        for waiters in self.conns.iter_mut().flatten() {
            waiters
                .slots
                .iter_mut()
                .for_each(|slot| wakes.wake(slot.take()));
            waiters
                .others
                .drain(..)
                .for_each(|(.., waker)| wakes.wake(Some(waker)));
        }
        for waiters in self.listeners.iter_mut().flatten() {
            wakes.wake(waiters.slot.take());
            waiters
                .queue
                .drain(..)
                .for_each(|(_, waker)| wakes.wake(Some(waker)));
        }
        self.wake_drain(wakes);
    }

    fn conn(&mut self, id: ConnId) -> Option<&mut ConnWaiters> {
        let slot = self.conns.get_mut(id.index())?;
        slot.as_mut().filter(|waiters| waiters.id == id)
    }

    fn listener(&mut self, id: ListenerId) -> Option<&mut ListenerWaiters> {
        let slot = self.listeners.get_mut(id.index())?;
        slot.as_mut().filter(|waiters| waiters.id == id)
    }

    fn fresh_key(&mut self) -> WaiterKey {
        self.next_key += 1;
        WaiterKey(self.next_key)
    }
}

/// Puts `value` at `index`, with `None` in between.
fn put<T>(table: &mut Vec<Option<T>>, index: usize, value: T) {
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(value);
}
