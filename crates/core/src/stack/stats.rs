//! Counters of the whole stack, drops by reason.

/// Why a frame or segment was dropped.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum DropReason {
    /// Ethernet: too short, or neither to our MAC address nor to a group.
    NotForUs,
    /// A protocol this stack does not speak.
    UnknownProtocol,
    /// A header that does not parse, or contradicts its lengths.
    Malformed,
    /// A checksum that does not match.
    BadChecksum,
    /// A source that cannot be a host (RFC 1122 §3.2.1.3), or our own address from the wire.
    BadSource,
    /// An IP fragment.
    Fragment,
    /// An ARP packet that nothing asked for.
    UnsolicitedNeighbor,
    /// A TCP segment for no connection and no listener; it is answered with a reset unless it is one.
    NoConnection,
    /// The sequence number is outside the window (RFC 9293 §3.10.7.4).
    OutOfWindow,
    /// The acknowledgement is of something never sent, or too old (RFC 5961 §5).
    BadAck,
    /// The timestamp is older than the last one (PAWS, RFC 7323 §5).
    Paws,
    /// A segment without ACK, or with flags that make no sense in this state.
    BadFlags,
    /// A SYN or a reset that has to prove itself (RFC 5961 §3 and §4); a challenge ACK answered it.
    Challenged,
    /// A segment lacks the timestamp that was negotiated (RFC 7323 §3.2).
    MissingTimestamp,
    /// Nothing new in it.
    Duplicate,
    /// No memory, or a queue or table at its limit.
    NoMemory,
    /// A listener's backlog is full.
    BacklogFull,
    /// Data beyond the receive window.
    BeyondWindow,
    /// An ICMP message that asks nothing of this host (router advertisements, redirects, unknown types), or an error that
    /// quotes no segment in flight.
    IcmpIgnored,
    /// A packet to an unresolved neighbour was displaced or its resolution failed.
    NeighborUnresolved,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::NeighborUnresolved as usize + 1;

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
        Self::BeyondWindow,
        Self::IcmpIgnored,
        Self::NeighborUnresolved,
    ];
}

/// Counters since the stack was made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Frames handed to `handle_frame`.
    pub frames_in: u64,
    /// Bytes in them.
    pub bytes_in: u64,
    /// Frames handed out by `poll_transmit`.
    pub frames_out: u64,
    /// Bytes in them.
    pub bytes_out: u64,
    /// TCP segments in, as frames (a super-frame is one).
    pub segments_in: u64,
    /// TCP segments out, as frames.
    pub segments_out: u64,
    /// Frames that carried data sent before.
    pub retransmitted: u64,
    /// Resets sent.
    pub resets_out: u64,
    /// Resets that ended a connection.
    pub resets_in: u64,
    /// Connections opened actively.
    pub active_opens: u64,
    /// Connections handed to accept queues.
    pub passive_opens: u64,
    /// SYNs that there was no room to remember, answered with a cookie (RFC 4987 §3.6).
    pub syn_cookies_sent: u64,
    /// Handshakes that a cookie completed.
    pub syn_cookies_accepted: u64,
    /// Connection attempts that failed.
    pub failed_attempts: u64,
    /// Closed connections that were reset because there were too many of them
    /// ([`StackConfig::max_orphans`](crate::StackConfig::max_orphans)).
    pub orphans_reset: u64,
    /// Challenge ACKs that did not leave because of the limit of the whole stack
    /// ([`StackConfig::challenge_acks_per_second`](crate::StackConfig::challenge_acks_per_second)).
    pub challenges_withheld: u64,
    /// ICMP errors about segments in flight.
    pub icmp_errors_in: u64,
    /// ICMP errors sent.
    pub icmp_errors_out: u64,
    /// Times that an ICMP error lowered a path MTU.
    pub path_mtu_lowered: u64,
    drops: [u64; DropReason::COUNT],
}

impl Stats {
    /// Frames and segments dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Every reason with its count, in declaration order.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.dropped(reason)))
    }

    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count += 1;
        }
    }
}
