//! IPv6 header (RFC 8200 §3).

use core::net::Ipv6Addr;
use core::ops::Range;

use crate::bytes::{array_at, array_mut, slice_at};
use crate::error::{EmitError, Layer, Malformed, ParseError};
use crate::ipv4::IpProtocol;

/// An IPv6 header.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct Ipv6Header {
    /// DSCP (upper 6 bits) and ECN (lower 2 bits).
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// What follows this header, extension headers included, in bytes; 0 in a super-frame longer
    /// than 65,535 bytes (BIG TCP, or a jumbogram of RFC 2675).
    pub payload_len: u16,
    /// The first extension header, or the upper protocol.
    pub next_header: IpProtocol,
    /// Hops left.
    pub hop_limit: u8,
    /// Source.
    pub src: Ipv6Addr,
    /// Destination.
    pub dst: Ipv6Addr,
}

impl Ipv6Header {
    /// Length, in bytes.
    pub const LEN: usize = 40;

    /// The header of a received packet and its length; `packet` may go on behind the packet
    /// (Ethernet padding).
    ///
    /// # Errors
    /// [`ParseError::Truncated`] where the packet ends before its header or its payload length
    /// says; [`ParseError::Malformed`] for a wrong version.
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<(Self, usize), ParseError> {
        let (header, len) = Self::parse_quoted(packet)?;
        slice_at(Layer::Ipv6, packet, len, usize::from(header.payload_len))?;
        Ok((header, len))
    }

    /// The header of a packet that an ICMP error quotes and has cut: the payload length is not
    /// compared with the bytes.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] where the bytes end within the header; [`ParseError::Malformed`]
    /// for a wrong version.
    #[inline]
    pub fn parse_quoted(packet: &[u8]) -> Result<(Self, usize), ParseError> {
        let h: &[u8; Self::LEN] = array_at(Layer::Ipv6, packet, 0)?;
        if h[0] >> 4 != 6 {
            return Err(ParseError::malformed(Layer::Ipv6, 0, Malformed::Version));
        }
        let mut src = [0; 16];
        let mut dst = [0; 16];
        src.copy_from_slice(&h[8..24]);
        dst.copy_from_slice(&h[24..]);
        let header = Self {
            traffic_class: (h[0] << 4) | (h[1] >> 4),
            flow_label: u32::from_be_bytes([0, h[1] & 0x0f, h[2], h[3]]),
            payload_len: u16::from_be_bytes([h[4], h[5]]),
            next_header: IpProtocol(h[6]),
            hop_limit: h[7],
            src: Ipv6Addr::from_octets(src),
            dst: Ipv6Addr::from_octets(dst),
        };
        Ok((header, Self::LEN))
    }

    /// Where the payload stands, from the start of the header: as long as the payload length says,
    /// or up to `available` (bytes from the start of the header) where that is 0 and a header
    /// follows, or beyond `available`.
    #[inline]
    pub fn payload_range(&self, available: usize) -> Range<usize> {
        let end = match self.payload_len {
            0 if self.next_header != IpProtocol::NO_NEXT => available,
            len => usize::from(len).saturating_add(Self::LEN).min(available),
        };
        Self::LEN.min(end)..end
    }

    /// Writes the header and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`]; [`EmitError::ValueOutOfRange`] for a flow label of more than
    /// 20 bits.
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let [high, flow_a, flow_b, flow_c] = self.flow_label.to_be_bytes();
        if high != 0 || flow_a > 0x0f {
            return Err(EmitError::ValueOutOfRange {
                layer: Layer::Ipv6,
                field: "flow_label",
            });
        }
        let h: &mut [u8; Self::LEN] = array_mut(Layer::Ipv6, buffer)?;
        h[0] = 0x60 | (self.traffic_class >> 4);
        h[1] = (self.traffic_class << 4) | flow_a;
        h[2] = flow_b;
        h[3] = flow_c;
        h[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        h[6] = self.next_header.0;
        h[7] = self.hop_limit;
        h[8..24].copy_from_slice(&self.src.octets());
        h[24..].copy_from_slice(&self.dst.octets());
        Ok(Self::LEN)
    }
}
