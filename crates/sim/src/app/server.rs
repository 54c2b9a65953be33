//! Server: a listener that gives every connection a [`Peer`].

use std::fmt;
use std::net::SocketAddr;

use tidewire_core::{Duration, Instant, ListenOptions, ListenerId};

use super::{App, AppCx, Peer, Plan};
use crate::laws::Law;

/// An application that listens, accepts a number of connections, and closes its listener. Some time
/// after an end of any connection was lost it stops expecting more: the lost one may be among
/// those it waits for.
pub struct Server {
    on: SocketAddr,
    options: ListenOptions,
    expected: usize,
    plan: Box<dyn FnMut(SocketAddr) -> Plan>,
    listener: Option<ListenerId>,
    accepted: usize,
    late: Duration,
    accepts_at: Option<Instant>,
    gave_up: bool,
}

impl Server {
    /// A server on `on` that accepts `expected` connections; `plan` says what to do with one from a
    /// client's address.
    pub fn new(
        on: SocketAddr,
        expected: usize,
        plan: impl FnMut(SocketAddr) -> Plan + 'static,
    ) -> Self {
        let options = ListenOptions::default();
        Self {
            on,
            options,
            expected,
            plan: Box::new(plan),
            listener: None,
            accepted: 0,
            late: Duration::ZERO,
            accepts_at: None,
            gave_up: false,
        }
    }

    /// The same server with other options.
    #[must_use]
    pub fn with_options(mut self, options: ListenOptions) -> Self {
        self.options = options;
        self
    }

    /// The same server, which accepts nothing for so long after it began to listen: meanwhile its
    /// backlog fills.
    #[must_use]
    pub fn accepting_after(mut self, delay: Duration) -> Self {
        self.late = delay;
        self
    }
}

impl App for Server {
    fn run(&mut self, cx: &mut AppCx<'_>) {
        if self.is_done() {
            return;
        }
        let listener = match self.listener {
            Some(listener) => listener,
            None => match cx.listen(self.on, self.options.clone()) {
                Ok(listener) => *self.listener.insert(listener),
                Err(error) => {
                    return cx.fail(
                        Law::PrefixDelivered,
                        format!("listen on {}: {error}", self.on),
                    );
                }
            },
        };
        let accepts_at = *self.accepts_at.get_or_insert(cx.now + self.late);
        if cx.now < accepts_at {
            return cx.wake_after(accepts_at.duration_since(cx.now));
        }
        while !self.is_done()
            && let Some((conn, client)) = cx.stack.accept(listener)
        {
            self.accepted += 1;
            let plan = (self.plan)(client);
            cx.spawn(Peer::accepted(conn, plan));
        }
        let patience_ends = cx.ledger.last_loss().map(|at| at + PATIENCE);
        self.gave_up = patience_ends.is_some_and(|at| at <= cx.now);
        if self.is_done() {
            cx.stack.close_listener(cx.now, listener);
        } else {
            cx.wake_after(PATIENCE);
        }
    }

    fn is_done(&self) -> bool {
        self.accepted >= self.expected || self.gave_up
    }
}

/// A SYN is sent for 127 s.
const PATIENCE: Duration = Duration::from_secs(200);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("on", &self.on)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}
