//! Ethernet II framing with at most one IEEE 802.1Q tag.
//!
//! A type field below 0x0600 is an IEEE 802.3 length; it is handed out as it is
//! ([`EtherType::is_length`]), and no LLC header is parsed.

use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

use crate::bytes::{array_at, slice_mut};
use crate::error::{EmitError, Layer, ParseError};

/// A 48-bit IEEE 802 address.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The address of an IPv6 multicast group (RFC 2464 §7).
    pub const fn ipv6_multicast(group: Ipv6Addr) -> Self {
        let o = group.octets();
        Self([0x33, 0x33, o[12], o[13], o[14], o[15]])
    }

    /// Whether the group bit is set; true for the broadcast address too.
    pub const fn is_multicast(&self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether this is the broadcast address.
    pub fn is_broadcast(&self) -> bool {
        *self == Self::BROADCAST
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = ParseMacAddrError;

    /// Six pairs of hexadecimal digits, separated by `:`.
    fn from_str(text: &str) -> Result<Self, ParseMacAddrError> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or(ParseMacAddrError)?;
            // `from_str_radix` alone would take a sign.
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(ParseMacAddrError);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| ParseMacAddrError)?;
        }
        match parts.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(ParseMacAddrError),
        }
    }
}

/// The text is not six pairs of hexadecimal digits separated by `:`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct ParseMacAddrError;

impl fmt::Display for ParseMacAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "invalid MAC address: expected six pairs of hexadecimal digits separated by ':'",
        )
    }
}

impl core::error::Error for ParseMacAddrError {}

/// The type field of an Ethernet II frame.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// An IEEE 802.1Q tag.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);

    /// Whether the field is an IEEE 802.3 length and not a type.
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4 => f.write_str("IPv4"),
            Self::ARP => f.write_str("ARP"),
            Self::VLAN => f.write_str("802.1Q"),
            Self::IPV6 => f.write_str("IPv6"),
            Self(other) => write!(f, "{other:#06x}"),
        }
    }
}

/// An IEEE 802.1Q tag.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct VlanTag {
    /// Tag control information: priority (3 bits), drop eligible (1 bit), VLAN identifier (12
    /// bits).
    pub tci: u16,
}

impl VlanTag {
    /// The VLAN identifier, 0 to 4095; 0 marks a priority tag.
    pub const fn id(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The priority code point, 0 to 7.
    pub const fn priority(self) -> u8 {
        self.tci.to_be_bytes()[0] >> 5
    }
}

/// The header of an Ethernet II frame.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct EthernetHeader {
    /// Destination.
    pub dst: MacAddr,
    /// Source.
    pub src: MacAddr,
    /// The 802.1Q tag, where there is one.
    pub vlan: Option<VlanTag>,
    /// Type of the payload, behind the tag.
    pub ether_type: EtherType,
}

impl EthernetHeader {
    /// Length of a header without a tag, in bytes.
    pub const LEN: usize = 14;
    /// Length of a header with an 802.1Q tag, in bytes.
    pub const TAGGED_LEN: usize = 18;

    /// The header and its length.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] where the frame ends within the header.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<(Self, usize), ParseError> {
        let h: &[u8; Self::LEN] = array_at(Layer::Ethernet, frame, 0)?;
        let mut header = Self {
            dst: MacAddr([h[0], h[1], h[2], h[3], h[4], h[5]]),
            src: MacAddr([h[6], h[7], h[8], h[9], h[10], h[11]]),
            vlan: None,
            ether_type: EtherType(u16::from_be_bytes([h[12], h[13]])),
        };
        if header.ether_type != EtherType::VLAN {
            return Ok((header, Self::LEN));
        }
        let t: &[u8; 4] = array_at(Layer::Ethernet, frame, Self::LEN)?;
        header.vlan = Some(VlanTag {
            tci: u16::from_be_bytes([t[0], t[1]]),
        });
        header.ether_type = EtherType(u16::from_be_bytes([t[2], t[3]]));
        Ok((header, Self::TAGGED_LEN))
    }

    /// Length of this header on the wire, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        if self.vlan.is_some() {
            Self::TAGGED_LEN
        } else {
            Self::LEN
        }
    }

    /// Writes the header and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let mut header = [0; Self::TAGGED_LEN];
        header[..6].copy_from_slice(&self.dst.0);
        header[6..12].copy_from_slice(&self.src.0);
        if let Some(tag) = self.vlan {
            header[12..14].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
            header[14..16].copy_from_slice(&tag.tci.to_be_bytes());
            header[16..].copy_from_slice(&self.ether_type.0.to_be_bytes());
            slice_mut(Layer::Ethernet, buffer, Self::TAGGED_LEN)?.copy_from_slice(&header);
        } else {
            header[12..14].copy_from_slice(&self.ether_type.0.to_be_bytes());
            slice_mut(Layer::Ethernet, buffer, Self::LEN)?.copy_from_slice(&header[..Self::LEN]);
        }
        Ok(self.len())
    }
}
