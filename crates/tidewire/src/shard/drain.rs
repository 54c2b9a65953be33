//! Future of a shutdown: waits until everything has been delivered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::lock::Shard;
use super::state::{State, Stop};
use super::wakers::WaiterKey;

/// A future that ends when everything has been delivered, or when the stack has stopped.
#[derive(Debug)]
pub(crate) struct Drain<'a> {
    shard: &'a Shard,
    key: Option<WaiterKey>,
}

impl<'a> Drain<'a> {
    pub(super) fn new(shard: &'a Shard) -> Self {
        Self { shard, key: None }
    }
}

impl Future for Drain<'_> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shard, key } = self.get_mut();
        shard.with(|state, _| match state.stopped() {
            Some(Stop::Shutdown) => Poll::Ready(Ok(())),
            Some(why) => Poll::Ready(Err(why.error())),
            None if state.is_drained() => Poll::Ready(Ok(())),
            None => {
                state.wakers.wait_drain(key, cx.waker(), &mut state.wakes);
                Poll::Pending
            }
        })
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let leave = |state: &mut State| {
                state.wakers.stop_draining(key, &mut state.wakes);
            };
            self.shard.inspect(leave);
        }
    }
}
