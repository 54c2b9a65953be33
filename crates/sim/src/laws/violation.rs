//! Names of the laws, and the report of a broken one.

use std::fmt;

use tidewire_core::Instant;

/// What must hold after every event, whatever the network does.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Law {
    /// What an application reads is a prefix of what the other one wrote.
    PrefixDelivered,
    /// Nothing is sent beyond the peer's window or behind a hole, and nothing is acknowledged
    /// before it was sent.
    WithinPeerWindow,
    /// The right edge of an advertised window never moves left, except by rounding to the window
    /// scale.
    EdgeMonotone,
    /// No segment is above the peer's MSS or the link's MTU; every frame parses and its checksums
    /// are right.
    WellFormed,
    /// What is sent keeps the bytes in flight within cwnd, except for two segments of limited
    /// transmit and one probe.
    FlightWithinCwnd,
    /// A sender with data has a timer, and no application waits for what is there already. A
    /// lingering close, a user timeout, and keep-alive whose peer is gone each end the connection
    /// in time, and not before.
    EveryWaitEnds,
    /// A received frame is answered by one ACK at most.
    OneAckPerFrame,
    /// At one instant the number of timeouts, frames and application runs is bounded.
    NoBusyLoop,
    /// Queues stay within the configured buffers, and all memory within the budget and the
    /// allowance of each connection. While the budget is full, no queue grows beyond that
    /// allowance.
    MemoryBounded,
}

/// What was wrong, before the world adds where and when.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) law: Law,
    pub(crate) what: String,
}

impl Breach {
    pub(crate) fn new(law: Law, what: String) -> Self {
        Self { law, what }
    }
}

/// A law was broken: everything that is needed to replay and read the case.
#[derive(Debug)]
#[non_exhaustive]
pub struct Violation {
    /// Which law.
    pub law: Law,
    /// What was seen.
    pub what: String,
    /// The world's seed.
    pub seed: u64,
    /// When, in virtual time.
    pub at: Instant,
    /// On which host.
    pub host: String,
    /// The last frames on all interfaces, oldest first.
    pub tail: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} broken on {} at {} (seed {}): {}",
            self.law, self.host, self.at, self.seed, self.what
        )?;
        self.tail
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use tidewire_core::Instant;

    use super::{Law, Violation};

    #[test]
    fn a_report_names_the_law() {
        let violation = Violation {
            law: Law::EdgeMonotone,
            what: "back to 1".into(),
            seed: 7,
            at: Instant::ZERO,
            host: "10.0.0.1".into(),
            tail: vec!["a frame".into()],
        };
        let at = Instant::ZERO;
        assert_eq!(
            violation.to_string(),
            format!("EdgeMonotone broken on 10.0.0.1 at {at} (seed 7): back to 1\n  a frame\n")
        );
    }
}
