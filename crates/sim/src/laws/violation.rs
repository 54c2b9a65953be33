//! A broken law, as a report.

use std::fmt;

use tidewire_core::Instant;

/// The name of a law; the table is in this crate's documentation.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Law {
    /// Delivered bytes are a prefix of the sent ones.
    P1,
    /// Sequence numbers: within the peer's window, without holes, acknowledged only once sent.
    P2,
    /// The advertised right edge is monotone.
    P3,
    /// Segments fit MSS and MTU and are well formed.
    P4,
    /// Bytes in flight are within cwnd.
    P5,
    /// Liveness: a timer, or an event, for everything that waits.
    P6,
    /// One ACK per received frame.
    P7,
    /// No busy loop.
    P8,
    /// Bounded memory.
    P9,
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
