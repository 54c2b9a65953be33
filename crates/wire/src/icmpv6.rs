//! ICMP for IPv6 (RFC 4443), with the two messages of address resolution (RFC 4861).

use core::net::Ipv6Addr;

use crate::bytes::slice_mut;
use crate::checksum::{transport_checksum, verify_transport};
use crate::error::{EmitError, Layer, ParseError};
use crate::icmp::{self, IcmpParts, Word};
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
        let (kind, code) = icmp::kind_and_code(Layer::Icmpv6, bytes)?;
        if !verify_transport(src.into(), dst.into(), IpProtocol::ICMPV6, bytes) {
            return Err(icmp::wrong_checksum(Layer::Icmpv6));
        }
        match kind {
            NeighborSolicit::KIND => {
                return NeighborSolicit::parse(bytes).map(Self::NeighborSolicit);
            }
            NeighborAdvert::KIND => return NeighborAdvert::parse(bytes).map(Self::NeighborAdvert),
            _ if !is_known(kind, code) => {
                let rest = icmp::rest(bytes);
                return Ok(Self::Other { kind, code, rest });
            }
            _ => {}
        }
        let (word, data) = icmp::word_and_data(Layer::Icmpv6, bytes)?;
        let (id, seq) = word.halves();
        Ok(match kind {
            UNREACHABLE => Self::Unreachable { code, quoted: data },
            PACKET_TOO_BIG => Self::PacketTooBig {
                mtu: word.number(),
                quoted: data,
            },
            TIME_EXCEEDED => Self::TimeExceeded { code, quoted: data },
            PARAMETER_PROBLEM => Self::ParameterProblem {
                code,
                pointer: word.number(),
                quoted: data,
            },
            ECHO_REQUEST => Self::EchoRequest { id, seq, data },
            _ => Self::EchoReply { id, seq, data },
        })
    }

    /// Length on the wire, in bytes.
    pub const fn buffer_len(&self) -> usize {
        match self.format() {
            Format::Common(parts) => parts.buffer_len(),
            Format::NeighborSolicit(solicit) => solicit.buffer_len(),
            Format::NeighborAdvert(advert) => advert.buffer_len(),
        }
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
        match self.format() {
            Format::Common(parts) => parts.emit(Layer::Icmpv6, message)?,
            Format::NeighborSolicit(solicit) => solicit.emit(message)?,
            Format::NeighborAdvert(advert) => advert.emit(message)?,
        }
        let checksum = transport_checksum(src.into(), dst.into(), IpProtocol::ICMPV6, message);
        icmp::set_checksum(message, checksum);
        Ok(len)
    }

    const fn format(&self) -> Format<'a> {
        Format::Common(match *self {
            Self::NeighborSolicit(solicit) => return Format::NeighborSolicit(solicit),
            Self::NeighborAdvert(advert) => return Format::NeighborAdvert(advert),
            Self::EchoRequest { id, seq, data } => {
                IcmpParts::new(ECHO_REQUEST, 0, Word::from_halves(id, seq), data)
            }
            Self::EchoReply { id, seq, data } => {
                IcmpParts::new(ECHO_REPLY, 0, Word::from_halves(id, seq), data)
            }
            Self::Unreachable { code, quoted } => {
                IcmpParts::new(UNREACHABLE, code, Word::UNUSED, quoted)
            }
            Self::PacketTooBig { mtu, quoted } => {
                IcmpParts::new(PACKET_TOO_BIG, 0, Word::from_number(mtu), quoted)
            }
            Self::TimeExceeded { code, quoted } => {
                IcmpParts::new(TIME_EXCEEDED, code, Word::UNUSED, quoted)
            }
            Self::ParameterProblem {
                code,
                pointer,
                quoted,
            } => IcmpParts::new(PARAMETER_PROBLEM, code, Word::from_number(pointer), quoted),
            Self::Other { kind, code, rest } => IcmpParts {
                kind,
                code,
                word: None,
                data: rest,
            },
        })
    }
}

/// The format of a message: the layout of all ICMP, or one of Neighbor Discovery.
enum Format<'a> {
    Common(IcmpParts<'a>),
    NeighborSolicit(NeighborSolicit),
    NeighborAdvert(NeighborAdvert),
}

const fn is_known(kind: u8, code: u8) -> bool {
    match kind {
        ECHO_REPLY | ECHO_REQUEST => code == 0,
        // RFC 4443 §3.2: the code of Packet Too Big is ignored.
        UNREACHABLE | PACKET_TOO_BIG | TIME_EXCEEDED | PARAMETER_PROBLEM => true,
        _ => false,
    }
}

const UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
