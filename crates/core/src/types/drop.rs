//! Drop reasons of frames and segments.

/// Why a frame or segment was dropped.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum DropReason {
    /// Ethernet: too short, or neither to our MAC address nor to a group.
    NotForUs,
    /// A protocol that this stack does not support.
    UnknownProtocol,
    /// A header that does not parse, or contradicts its lengths.
    Malformed,
    /// A checksum that does not match.
    BadChecksum,
    /// A source that cannot be a host (RFC 1122 §3.2.1.3), or our own address from the wire.
    BadSource,
    /// An IP fragment.
    Fragment,
    /// An ARP reply or Neighbor Advertisement for which the neighbour cache has no entry.
    UnsolicitedNeighbor,
    /// A TCP segment for no connection and no listener; it is answered with a reset unless it is
    /// one.
    NoConnection,
    /// The sequence number is outside the window (RFC 9293 §3.10.7.4).
    OutOfWindow,
    /// The acknowledgement is of something never sent, or too old (RFC 5961 §5).
    BadAck,
    /// The timestamp is older than the last one (PAWS, RFC 7323 §5).
    Paws,
    /// A segment without ACK, or with flags that make no sense in this state.
    BadFlags,
    /// A SYN or a reset that may be forged (RFC 5961 §3 and §4); a challenge ACK answered it.
    Challenged,
    /// A segment lacks the timestamp that was negotiated (RFC 7323 §3.2).
    MissingTimestamp,
    /// The segment brings nothing new.
    Duplicate,
    /// No memory, or a queue or table at its limit.
    NoMemory,
    /// A listener's backlog is full.
    BacklogFull,
    /// An ICMP message without a meaning for this host (router advertisements, redirects, unknown
    /// types), or an error that quotes no segment in flight.
    IcmpIgnored,
    /// A packet to an unresolved neighbour was displaced or its resolution failed.
    NeighborUnresolved,
    /// A broken invariant, such as a table of the stack and a reference into it that disagree: a
    /// defect of the stack, never of a peer.
    Internal,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::Internal as usize + 1;

    /// All of them, in declaration order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NotForUs,
        Self::UnknownProtocol,
        Self::Malformed,
        Self::BadChecksum,
        Self::BadSource,
        Self::Fragment,
        Self::UnsolicitedNeighbor,
        Self::NoConnection,
        Self::OutOfWindow,
        Self::BadAck,
        Self::Paws,
        Self::BadFlags,
        Self::Challenged,
        Self::MissingTimestamp,
        Self::Duplicate,
        Self::NoMemory,
        Self::BacklogFull,
        Self::IcmpIgnored,
        Self::NeighborUnresolved,
        Self::Internal,
    ];
}
