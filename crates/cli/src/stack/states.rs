//! Connection states from a stack's trace.

use core::net::SocketAddr;
use std::collections::HashMap;
use std::io;

use tidewire::{Stack, State as StackState};

use crate::state::{State, StateSource};

/// States of a stack's connections, from the stack's trace, which has the state after each segment.
///
/// It also reports on connections whose stream has been dropped. A connection without a segment in
/// the trace is CLOSED.
#[derive(Debug)]
pub struct StackStates {
    stack: Stack,
    /// By local and remote address.
    states: HashMap<(SocketAddr, SocketAddr), State>,
}

impl StackStates {
    /// Reads the trace of `stack`, which was started with one
    /// ([`StackBuilder::trace`](tidewire::StackBuilder::trace)); nobody else may take entries from
    /// it.
    #[must_use]
    pub fn new(stack: Stack) -> Self {
        Self {
            stack,
            states: HashMap::new(),
        }
    }
}

impl StateSource for StackStates {
    fn state(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<State> {
        for entry in self.stack.take_trace() {
            let ends = (entry.local, entry.remote);
            self.states.insert(ends, translated(entry.after));
        }
        let state = self.states.get(&(local, remote));
        Ok(state.copied().unwrap_or(State::Closed))
    }
}

fn translated(state: StackState) -> State {
    match state {
        StackState::Listen => State::Listen,
        StackState::SynSent => State::SynSent,
        StackState::SynReceived => State::SynReceived,
        StackState::Established => State::Established,
        StackState::FinWait1 => State::FinWait1,
        StackState::FinWait2 => State::FinWait2,
        StackState::CloseWait => State::CloseWait,
        StackState::Closing => State::Closing,
        StackState::LastAck => State::LastAck,
        StackState::TimeWait => State::TimeWait,
        StackState::Closed => State::Closed,
    }
}

#[cfg(test)]
mod tests {
    use tidewire::MemoryLink;

    use super::*;

    #[tokio::test]
    async fn the_states_of_a_connection_in_memory() {
        let (near, far) = MemoryLink::pair();
        let start = |link, address: &str| Stack::in_memory(link).address(address).trace(64).start();
        let client = start(near, "10.0.0.1/24").await.expect("a stack");
        let server = start(far, "10.0.0.2/24").await.expect("a stack");
        let listener = server.bind("10.0.0.2:7").await.expect("a listener");
        let stream = client.connect("10.0.0.2:7").await.expect("a connection");
        let (accepted, _) = listener.accept().await.expect("an accepted connection");
        let local = stream.local_addr().expect("an address");
        let remote = accepted.local_addr().expect("an address");

        let mut states = StackStates::new(client);
        let mut of = |local, remote| states.state(local, remote).expect("a state");
        assert_eq!(of(local, remote), State::Established);
        assert_eq!(of(remote, local), State::Closed);

        // The trace outlives the stream.
        drop(stream);
        accepted.readable().await.expect("a readable stream");
        assert!(matches!(
            of(local, remote),
            State::FinWait1 | State::FinWait2
        ));
    }
}
