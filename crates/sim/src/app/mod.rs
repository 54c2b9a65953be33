//! Applications: state machines that a world runs on events and at times they asked for.

mod ledger;
mod peer;
mod plan;
mod read;
mod server;
mod stream;

use std::fmt;
use std::net::SocketAddr;

pub(crate) use ledger::{Fate, Ledger};
pub use peer::Peer;
pub use plan::{Ending, Plan};
pub use server::Server;
pub(crate) use stream::Stream;

use tidewire_core::{
    ConnEvents, ConnId, ConnectError, ConnectOptions, Duration, Instant, ListenError,
    ListenOptions, ListenerId, Stack,
};

use crate::laws::{Breach, Law};
use crate::rng::Rng;

/// An application on a host.
///
/// It is run once when it is added, then for every event of a connection or listener of its own,
/// and when a time it asked for has come. Each run should go on until everything it does is
/// blocked.
pub trait App: fmt::Debug {
    /// Acts.
    fn run(&mut self, cx: &mut AppCx<'_>);

    /// Whether it has nothing left to do.
    fn is_done(&self) -> bool;

    /// The connection it works on, and the events without which it cannot go on. A world checks
    /// that none of them has come true unannounced ([`Law::EveryWaitEnds`]).
    fn waits_for(&self) -> Option<(ConnId, ConnEvents)> {
        None
    }
}

/// What an application may use while it runs.
pub struct AppCx<'a> {
    /// The virtual time.
    pub now: Instant,
    /// The host's stack. Connections and listeners opened on it directly have no events here.
    pub stack: &'a mut Stack,
    /// The host's source of randomness.
    pub rng: &'a mut Rng,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) wake_after: Option<Duration>,
    pub(crate) owned: Vec<Owned>,
    pub(crate) spawned: Vec<Box<dyn App>>,
    pub(crate) breach: Option<Breach>,
}

/// Whose events an application gets.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum Owned {
    Conn(ConnId),
    Listener(ListenerId),
}

impl AppCx<'_> {
    /// Opens a connection whose events come here.
    ///
    /// # Errors
    /// As [`Stack::connect`].
    pub fn connect(
        &mut self,
        to: SocketAddr,
        options: ConnectOptions,
    ) -> Result<ConnId, ConnectError> {
        let id = self.stack.connect(self.now, to, options)?;
        self.owned.push(Owned::Conn(id));
        Ok(id)
    }

    /// Opens a listener whose events come here.
    ///
    /// # Errors
    /// As [`Stack::listen`].
    pub fn listen(
        &mut self,
        on: SocketAddr,
        options: ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let id = self.stack.listen(on, options)?;
        self.owned.push(Owned::Listener(id));
        Ok(id)
    }

    /// Makes the events of a connection come here.
    pub fn own(&mut self, id: ConnId) {
        self.owned.push(Owned::Conn(id));
    }

    /// Adds an application to this host; it runs after this one.
    pub fn spawn(&mut self, app: impl App + 'static) {
        self.spawned.push(Box::new(app));
    }

    /// Asks for another run after `delay`, or earlier.
    pub fn wake_after(&mut self, delay: Duration) {
        self.wake_after = Some(self.wake_after.map_or(delay, |earlier| earlier.min(delay)));
    }

    /// Reports a broken law; the run ends with the first one.
    pub(crate) fn fail(&mut self, law: Law, what: String) {
        self.breach.get_or_insert_with(|| Breach::new(law, what));
    }
}

impl fmt::Debug for AppCx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCx")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
