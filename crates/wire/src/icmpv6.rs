//! ICMP for IPv6 (RFC 4443), with the two messages of address resolution (RFC 4861).

use core::net::Ipv6Addr;

use crate::bytes::{Writer, array_at, slice_mut, tail};
use crate::checksum::{transport_checksum, verify_transport};
use crate::error::{EmitError, Layer, Malformed, ParseError};
use crate::ipv4::IpProtocol;
use crate::ndp::{NeighborAdvert, NeighborSolicit};

/// An ICMPv6 message.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum Icmpv6Message<'a> {
    /// The destination cannot be reached (type 1).
    Unreachable {
        /// Why; see [`Self::CODE_PORT_UNREACHABLE`].
        code: u8,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// Larger than the next hop's MTU (type 2).
    PacketTooBig {
        /// The MTU of the next hop, in bytes.
        mtu: u32,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// Too many hops, or fragments missing too long (type 3).
    TimeExceeded {
        /// 0: hop limit; 1: reassembly.
        code: u8,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// A header field was not understood (type 4).
    ParameterProblem {
        /// 0: erroneous field; 1: unknown next header; 2: unknown option.
        code: u8,
        /// The byte that was not understood, from the start of the quoted packet.
        pointer: u32,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// Asks for an echo (type 128, code 0).
    EchoRequest {
        /// Identifier of the asking process.
        id: u16,
        /// Sequence number within it.
        seq: u16,
        /// What comes back.
        data: &'a [u8],
    },
    /// An echo (type 129, code 0).
    EchoReply {
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        seq: u16,
        /// Data of the request.
        data: &'a [u8],
    },
    /// Asks for a neighbor's link-layer address (type 135).
    NeighborSolicit(NeighborSolicit),
    /// Tells a link-layer address (type 136).
    NeighborAdvert(NeighborAdvert),
    /// Any other type, or an echo with a code.
    Other {
        /// Type; from 128 on the message is informational.
        kind: u8,
        /// Code.
        code: u8,
        /// What follows the checksum.
        rest: &'a [u8],
    },
}

impl<'a> Icmpv6Message<'a> {
    /// Code of [`Self::Unreachable`]: no such port on the destination.
    pub const CODE_PORT_UNREACHABLE: u8 = 4;

    /// The message that `bytes` are, to their end; the checksum is verified, with the pseudo-header
    /// of `src` and `dst`.
    ///
    /// A Neighbor Discovery message has still to pass its `validate`, which needs the IPv6 header.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Malformed`] for a wrong checksum and for Neighbor
    /// Discovery messages that break the rules of their format.
    pub fn parse(src: Ipv6Addr, dst: Ipv6Addr, bytes: &'a [u8]) -> Result<Self, ParseError> {
        let [kind, code, ..] = *array_at::<4>(Layer::Icmpv6, bytes, 0)?;
        if !verify_transport(src.into(), dst.into(), IpProtocol::ICMPV6, bytes) {
            return Err(ParseError::malformed(Layer::Icmpv6, 2, Malformed::Checksum));
        }
        match kind {
            NeighborSolicit::KIND => {
                return NeighborSolicit::parse(bytes).map(Self::NeighborSolicit);
            }
            NeighborAdvert::KIND => return NeighborAdvert::parse(bytes).map(Self::NeighborAdvert),
            _ if !is_known(kind, code) => {
                return Ok(Self::Other {
                    kind,
                    code,
                    rest: tail(bytes, 4),
                });
            }
            _ => {}
        }
        let word = *array_at::<4>(Layer::Icmpv6, bytes, 4)?;
        let number = u32::from_be_bytes(word);
        let [a, b, c, d] = word;
        let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let body = tail(bytes, HEADER_LEN);
        Ok(match kind {
            UNREACHABLE => Self::Unreachable { code, quoted: body },
            PACKET_TOO_BIG => Self::PacketTooBig {
                mtu: number,
                quoted: body,
            },
            TIME_EXCEEDED => Self::TimeExceeded { code, quoted: body },
            PARAMETER_PROBLEM => Self::ParameterProblem {
                code,
                pointer: number,
                quoted: body,
            },
            ECHO_REQUEST => Self::EchoRequest {
                id,
                seq,
                data: body,
            },
            _ => Self::EchoReply {
                id,
                seq,
                data: body,
            },
        })
    }

    /// Length on the wire, in bytes.
    pub const fn buffer_len(&self) -> usize {
        let (fixed, body): (usize, &[u8]) = match self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } => (HEADER_LEN, data),
            Self::Unreachable { quoted, .. }
            | Self::PacketTooBig { quoted, .. }
            | Self::TimeExceeded { quoted, .. }
            | Self::ParameterProblem { quoted, .. } => (HEADER_LEN, quoted),
            Self::NeighborSolicit(solicit) => return solicit.buffer_len(),
            Self::NeighborAdvert(advert) => return advert.buffer_len(),
            Self::Other { rest, .. } => (4, rest),
        };
        body.len().saturating_add(fixed)
    }

    /// Writes the message with its checksum, pseudo-header of `src` and `dst` included, and returns
    /// its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    pub fn emit(
        &self,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        buffer: &mut [u8],
    ) -> Result<usize, EmitError> {
        let len = self.buffer_len();
        let message = slice_mut(Layer::Icmpv6, buffer, len)?;
        self.emit_body(message)?;
        let checksum = transport_checksum(src.into(), dst.into(), IpProtocol::ICMPV6, message);
        if let Some(field) = message.get_mut(2..4) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        Ok(len)
    }

    /// Writes the message with a checksum field of 0.
    fn emit_body(&self, message: &mut [u8]) -> Result<(), EmitError> {
        let (kind, code, second_word, body) = match *self {
            Self::NeighborSolicit(solicit) => return solicit.emit(message),
            Self::NeighborAdvert(advert) => return advert.emit(message),
            Self::EchoRequest { id, seq, data } => (ECHO_REQUEST, 0, Some(join(id, seq)), data),
            Self::EchoReply { id, seq, data } => (ECHO_REPLY, 0, Some(join(id, seq)), data),
            Self::Unreachable { code, quoted } => (UNREACHABLE, code, Some([0; 4]), quoted),
            Self::PacketTooBig { mtu, quoted } => {
                (PACKET_TOO_BIG, 0, Some(mtu.to_be_bytes()), quoted)
            }
            Self::TimeExceeded { code, quoted } => (TIME_EXCEEDED, code, Some([0; 4]), quoted),
            Self::ParameterProblem {
                code,
                pointer,
                quoted,
            } => (PARAMETER_PROBLEM, code, Some(pointer.to_be_bytes()), quoted),
            Self::Other { kind, code, rest } => (kind, code, None, rest),
        };
        let mut writer = Writer::new(Layer::Icmpv6, message);
        writer.put(&[kind, code, 0, 0])?;
        if let Some(word) = second_word {
            writer.put(&word)?;
        }
        writer.put(body)
    }
}

const fn is_known(kind: u8, code: u8) -> bool {
    match kind {
        ECHO_REPLY | ECHO_REQUEST => code == 0,
        // RFC 4443 §3.2: the code of Packet Too Big is ignored.
        UNREACHABLE | PACKET_TOO_BIG | TIME_EXCEEDED | PARAMETER_PROBLEM => true,
        _ => false,
    }
}

const fn join(high: u16, low: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d]
}

const HEADER_LEN: usize = 8;
const UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
