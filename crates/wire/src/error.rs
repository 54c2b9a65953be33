//! Errors of parsing and emission: plain values, no allocation.

use core::fmt;

/// The protocol layer whose parser or emitter failed.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum Layer {
    /// Ethernet II, with or without an 802.1Q tag.
    Ethernet,
    /// ARP (RFC 826).
    Arp,
    /// IPv4 (RFC 791).
    Ipv4,
    /// IPv6 and its extension headers (RFC 8200).
    Ipv6,
    /// ICMP for IPv4 (RFC 792).
    Icmpv4,
    /// ICMP for IPv6 (RFC 4443).
    Icmpv6,
    /// Neighbor Discovery (RFC 4861).
    Ndp,
    /// TCP (RFC 9293).
    Tcp,
    /// `struct virtio_net_hdr`.
    Vnet,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::Arp => "ARP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Icmpv4 => "ICMPv4",
            Self::Icmpv6 => "ICMPv6",
            Self::Ndp => "NDP",
            Self::Tcp => "TCP",
            Self::Vnet => "virtio_net_hdr",
        })
    }
}

/// Which rule of the format the bytes break.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// The IP version field does not match the parser.
    Version,
    /// The IPv4 header length is below five words.
    HeaderLength,
    /// The IPv4 total length is shorter than the header.
    TotalLength,
    /// The checksum does not match.
    Checksum,
    /// The ARP hardware type is not Ethernet.
    HardwareType,
    /// The ARP protocol type is not IPv4.
    ProtocolType,
    /// An ARP address length is not 6 (hardware) or 4 (protocol).
    AddressLength,
    /// The TCP data offset is below five words.
    DataOffset,
    /// An option's length is below its minimum or wrong for its kind.
    OptionLength,
    /// A fragment would end beyond the largest datagram.
    FragmentRange,
    /// A second Fragment header in one chain.
    DuplicateFragment,
    /// A type 0 Routing header (deprecated by RFC 5095).
    RoutingType0,
    /// A Routing header that asks this host to forward.
    SegmentsLeft,
    /// More extension headers, or more bytes of them, than a host has to accept (RFC 8504 §5.3).
    ExtensionLimit,
    /// A Hop-by-Hop Options header that is not the first.
    HopByHopPosition,
    /// An option that is not recognised and whose type says to discard the packet.
    UnrecognizedOption,
    /// A Neighbor Discovery message whose code is not 0.
    Code,
    /// A Neighbor Discovery message whose hop limit is not 255.
    HopLimit,
    /// A Neighbor Discovery target that is a multicast address.
    TargetAddress,
    /// Source, destination and options of a Neighbor Discovery message contradict each other.
    Addressing,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "wrong version",
            Self::HeaderLength => "header length below the minimum",
            Self::TotalLength => "total length below the header length",
            Self::Checksum => "checksum mismatch",
            Self::HardwareType => "hardware type is not Ethernet",
            Self::ProtocolType => "protocol type is not IPv4",
            Self::AddressLength => "wrong address length",
            Self::DataOffset => "data offset below the minimum",
            Self::OptionLength => "wrong option length",
            Self::FragmentRange => "fragment ends beyond the largest datagram",
            Self::DuplicateFragment => "second fragment header",
            Self::RoutingType0 => "type 0 routing header",
            Self::SegmentsLeft => "routing header with segments left",
            Self::ExtensionLimit => "too many extension headers",
            Self::HopByHopPosition => "hop-by-hop options not first",
            Self::UnrecognizedOption => "unrecognised option that must not be skipped",
            Self::Code => "code is not 0",
            Self::HopLimit => "hop limit is not 255",
            Self::TargetAddress => "target is a multicast address",
            Self::Addressing => "addresses and options contradict each other",
        })
    }
}

/// Why bytes are not a value of the format.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum ParseError {
    /// The bytes end too early.
    Truncated {
        /// The layer that was parsed.
        layer: Layer,
        /// Where the missing field starts, in bytes from the start of the parser's input.
        offset: usize,
        /// Bytes needed from `offset` on.
        needed: usize,
        /// Bytes available from `offset` on; less than `needed`.
        available: usize,
    },
    /// The bytes suffice but break a rule of the format.
    Malformed {
        /// The layer that was parsed.
        layer: Layer,
        /// The offending field, in bytes from the start of the parser's input.
        offset: usize,
        /// The rule.
        what: Malformed,
    },
}

impl ParseError {
    /// The layer that was parsed.
    pub const fn layer(&self) -> Layer {
        match *self {
            Self::Truncated { layer, .. } | Self::Malformed { layer, .. } => layer,
        }
    }

    /// The offending or missing field, in bytes from the start of the parser's input.
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Truncated { offset, .. } | Self::Malformed { offset, .. } => offset,
        }
    }

    pub(crate) const fn malformed(layer: Layer, offset: usize, what: Malformed) -> Self {
        Self::Malformed {
            layer,
            offset,
            what,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated {
                layer,
                offset,
                needed,
                available,
            } => write!(
                f,
                "{layer}: truncated at byte {offset}: {needed} bytes needed, {available} available"
            ),
            Self::Malformed {
                layer,
                offset,
                what,
            } => {
                write!(f, "{layer}: malformed at byte {offset}: {what}")
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// Why a value cannot be written.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum EmitError {
    /// The buffer is shorter than what is to be written.
    BufferTooSmall {
        /// The layer that was emitted.
        layer: Layer,
        /// Bytes needed.
        needed: usize,
        /// Bytes available; less than `needed`.
        available: usize,
    },
    /// A field's value has no representation in the format.
    ValueOutOfRange {
        /// The layer that was emitted.
        layer: Layer,
        /// The field.
        field: &'static str,
    },
}

impl EmitError {
    /// The layer that was emitted.
    pub const fn layer(&self) -> Layer {
        match *self {
            Self::BufferTooSmall { layer, .. } | Self::ValueOutOfRange { layer, .. } => layer,
        }
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall {
                layer,
                needed,
                available,
            } => write!(
                f,
                "{layer}: buffer too small: {needed} bytes needed, {available} available"
            ),
            Self::ValueOutOfRange { layer, field } => {
                write!(f, "{layer}: {field} out of range")
            }
        }
    }
}

impl core::error::Error for EmitError {}
