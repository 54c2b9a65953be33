//! Report of an ICMP error, and the segment that it quotes.

use tidewire_wire::SeqNum;

use crate::error::ConnError;
use crate::types::FourTuple;

/// What an ICMP error reports.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Report {
    /// The packet did not arrive, and this is what a connection attempt fails with.
    Unreachable(ConnError),
    /// The packet was larger than this, the next hop's MTU; 0 where the router does not know.
    TooBig(u32),
}

/// The segment that an error quotes.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Quoted {
    pub(crate) tuple: FourTuple,
    pub(crate) seq: SeqNum,
    /// Bytes of the whole IP packet.
    pub(crate) len: u32,
}
