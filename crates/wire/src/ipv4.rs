//! IPv4 header (RFC 791). Options are skipped by length and never emitted.

use core::fmt;
use core::net::Ipv4Addr;
use core::ops::Range;

use crate::bytes::{array_at, array_mut, slice_at};
use crate::checksum::Checksum;
use crate::error::{EmitError, Layer, Malformed, ParseError};

/// The protocol behind an IP header: IPv4's protocol field and IPv6's next-header field.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// IPv6 Hop-by-Hop Options.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 Routing header.
    pub const ROUTING: Self = Self(43);
    /// IPv6 Fragment header.
    pub const FRAGMENT: Self = Self(44);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows the IPv6 header.
    pub const NO_NEXT: Self = Self(59);
    /// IPv6 Destination Options.
    pub const DEST_OPTIONS: Self = Self(60);
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::HOP_BY_HOP => "hop-by-hop options",
            Self::ICMP => "ICMP",
            Self::TCP => "TCP",
            Self::UDP => "UDP",
            Self::ROUTING => "routing header",
            Self::FRAGMENT => "fragment header",
            Self::ICMPV6 => "ICMPv6",
            Self::NO_NEXT => "no next header",
            Self::DEST_OPTIONS => "destination options",
            Self(other) => return write!(f, "protocol {other}"),
        })
    }
}

/// An IPv4 header.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct Ipv4Header {
    /// DSCP (upper 6 bits) and ECN (lower 2 bits).
    pub tos: u8,
    /// Header and payload, in bytes; 0 in a super-frame longer than 65,535 bytes (BIG TCP).
    pub total_len: u16,
    /// Identification of the datagram that a fragment belongs to.
    pub id: u16,
    /// Must not be fragmented.
    pub dont_fragment: bool,
    /// A fragment that is not the last.
    pub more_fragments: bool,
    /// Where the payload stands in the whole datagram's, in bytes; a multiple of 8, at most 65,528.
    pub fragment_offset: u16,
    /// Hops left.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: IpProtocol,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Options that stood between the fixed header and the payload, in bytes: a multiple of 4, at
    /// most 40. They are skipped, whatever they say (RFC 9293 §3.9.2, MUST-50).
    pub options_len: u8,
}

impl Ipv4Header {
    /// Length of a header without options, in bytes.
    pub const MIN_LEN: usize = 20;

    /// The header of a received packet and its length; `packet` may go on behind the packet
    /// (Ethernet padding).
    ///
    /// # Errors
    /// [`ParseError::Truncated`] where the packet ends before its header or its total length says;
    /// [`ParseError::Malformed`] for a wrong version, header length, total length, fragment range
    /// or header checksum.
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<(Self, usize), ParseError> {
        let (header, len) = Self::parse_unverified(packet)?;
        // RFC 1122 §3.2.1.2: verified on every received datagram.
        if checksum_of(packet, len)? != 0 {
            return Err(ParseError::malformed(Layer::Ipv4, 10, Malformed::Checksum));
        }
        Ok((header, len))
    }

    /// As [`parse`](Self::parse), without the header checksum: for a device that vouches for it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but for the checksum.
    #[inline]
    pub fn parse_unverified(packet: &[u8]) -> Result<(Self, usize), ParseError> {
        let (header, len) = Self::parse_quoted(packet)?;
        slice_at(Layer::Ipv4, packet, 0, usize::from(header.total_len))?;
        Ok((header, len))
    }

    /// The header of a packet that an ICMP error quotes: the packet is cut, and routers on the way
    /// may have changed fields without correcting the quoted checksum, so neither the total length
    /// against the bytes nor the checksum is checked.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but for these two.
    #[inline]
    pub fn parse_quoted(packet: &[u8]) -> Result<(Self, usize), ParseError> {
        let h: &[u8; Self::MIN_LEN] = array_at(Layer::Ipv4, packet, 0)?;
        let malformed = |offset, what| Err(ParseError::malformed(Layer::Ipv4, offset, what));
        if h[0] >> 4 != 4 {
            return malformed(0, Malformed::Version);
        }
        let header_len = (h[0] & 0x0f) << 2;
        let Some(options_len) = header_len.checked_sub(MIN_LEN_U8) else {
            return malformed(0, Malformed::HeaderLength);
        };
        let len = usize::from(header_len);
        slice_at(Layer::Ipv4, packet, 0, len)?;
        let total_len = u16::from_be_bytes([h[2], h[3]]);
        let payload_len = total_len.checked_sub(u16::from(header_len));
        // A total length of 0 marks a super-frame; the device says where it ends.
        if payload_len.is_none() && total_len != 0 {
            return malformed(2, Malformed::TotalLength);
        }
        let fragment = u16::from_be_bytes([h[6], h[7]]);
        let fragment_offset = (fragment & OFFSET_MASK) << 3;
        // A reassembled datagram has at most 65,535 bytes with its header.
        if fragment_offset.checked_add(total_len).is_none() {
            return malformed(6, Malformed::FragmentRange);
        }
        let header = Self {
            tos: h[1],
            total_len,
            id: u16::from_be_bytes([h[4], h[5]]),
            dont_fragment: fragment & DONT_FRAGMENT != 0,
            more_fragments: fragment & MORE_FRAGMENTS != 0,
            fragment_offset,
            ttl: h[8],
            protocol: IpProtocol(h[9]),
            src: Ipv4Addr::new(h[12], h[13], h[14], h[15]),
            dst: Ipv4Addr::new(h[16], h[17], h[18], h[19]),
            options_len,
        };
        Ok((header, len))
    }

    /// Where the payload stands, from the start of the header: up to the total length, or up to
    /// `available` (bytes from the start of the header) where the total length is 0 or beyond it.
    #[inline]
    pub fn payload_range(&self, available: usize) -> Range<usize> {
        let start = usize::from(self.options_len).saturating_add(Self::MIN_LEN);
        let end = match self.total_len {
            0 => available,
            len => usize::from(len).min(available),
        };
        start.min(end)..end
    }

    /// Whether the packet is a fragment of a larger datagram.
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// Writes the header, without options and with its checksum, and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`]; [`EmitError::ValueOutOfRange`] for a fragment offset that is
    /// no multiple of 8.
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        if self.fragment_offset & 7 != 0 {
            let field = "fragment_offset";
            return Err(EmitError::ValueOutOfRange {
                layer: Layer::Ipv4,
                field,
            });
        }
        let h: &mut [u8; Self::MIN_LEN] = array_mut(Layer::Ipv4, buffer)?;
        let mut fragment = self.fragment_offset >> 3;
        if self.dont_fragment {
            fragment |= DONT_FRAGMENT;
        }
        if self.more_fragments {
            fragment |= MORE_FRAGMENTS;
        }
        h[0] = 0x45;
        h[1] = self.tos;
        h[2..4].copy_from_slice(&self.total_len.to_be_bytes());
        h[4..6].copy_from_slice(&self.id.to_be_bytes());
        h[6..8].copy_from_slice(&fragment.to_be_bytes());
        h[8] = self.ttl;
        h[9] = self.protocol.0;
        h[10..12].fill(0);
        h[12..16].copy_from_slice(&self.src.octets());
        h[16..].copy_from_slice(&self.dst.octets());
        let mut sum = Checksum::new();
        sum.add_bytes(h);
        h[10..12].copy_from_slice(&sum.finish().to_be_bytes());
        Ok(Self::MIN_LEN)
    }
}

/// 0 where the header's own checksum is right.
#[inline]
fn checksum_of(packet: &[u8], header_len: usize) -> Result<u16, ParseError> {
    let mut sum = Checksum::new();
    if header_len == Ipv4Header::MIN_LEN {
        // The common length as a constant: the sum unrolls.
        let fixed: &[u8; Ipv4Header::MIN_LEN] = array_at(Layer::Ipv4, packet, 0)?;
        sum.add_bytes(fixed);
    } else {
        sum.add_bytes(slice_at(Layer::Ipv4, packet, 0, header_len)?);
    }
    Ok(sum.finish())
}

const MIN_LEN_U8: u8 = 20;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
