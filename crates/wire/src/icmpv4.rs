//! ICMP for IPv4 (RFC 792), with the next-hop MTU of RFC 1191.
//!
//! Redirect, timestamp and router messages are handed out unparsed ([`Icmpv4Message::Other`]); the
//! extension structure of RFC 4884 stays part of the quoted bytes.

use crate::bytes::slice_mut;
use crate::checksum::Checksum;
use crate::error::{EmitError, Layer, ParseError};
use crate::icmp::{self, IcmpParts, Word};

/// An ICMPv4 message.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum Icmpv4Message<'a> {
    /// Asks for an echo (type 8, code 0).
    EchoRequest {
        /// Identifier of the asking process.
        id: u16,
        /// Sequence number within it.
        seq: u16,
        /// What comes back.
        data: &'a [u8],
    },
    /// An echo (type 0, code 0).
    EchoReply {
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        seq: u16,
        /// Data of the request.
        data: &'a [u8],
    },
    /// The destination cannot be reached (type 3).
    Unreachable {
        /// Why; see [`Self::CODE_PORT_UNREACHABLE`] and [`Self::CODE_FRAGMENTATION_NEEDED`].
        code: u8,
        /// For "fragmentation needed", the MTU of the next hop in bytes, or 0 from a router older
        /// than RFC 1191; else unused.
        next_hop_mtu: u16,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// Too many hops, or fragments missing too long (type 11).
    TimeExceeded {
        /// 0: time to live; 1: reassembly.
        code: u8,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// A header field was not understood (type 12).
    ParameterProblem {
        /// 0: `pointer` says where.
        code: u8,
        /// The byte that was not understood, from the start of the quoted packet.
        pointer: u8,
        /// The start of the packet that was dropped, from its IP header.
        quoted: &'a [u8],
    },
    /// Any other type, or an echo with a code.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// What follows the checksum.
        rest: &'a [u8],
    },
}

impl<'a> Icmpv4Message<'a> {
    /// Code of [`Self::Unreachable`]: no such protocol on the destination.
    pub const CODE_PROTOCOL_UNREACHABLE: u8 = 2;
    /// Code of [`Self::Unreachable`]: no such port on the destination.
    pub const CODE_PORT_UNREACHABLE: u8 = 3;
    /// Code of [`Self::Unreachable`]: larger than the next hop's MTU and not to be fragmented.
    pub const CODE_FRAGMENTATION_NEEDED: u8 = 4;

    /// The message that `bytes` are, to their end; the checksum is verified.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Malformed`] for a wrong checksum.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (kind, code) = icmp::kind_and_code(Layer::Icmpv4, bytes)?;
        if checksum(bytes) != 0 {
            return Err(icmp::wrong_checksum(Layer::Icmpv4));
        }
        if !is_known(kind, code) {
            let rest = icmp::rest(bytes);
            return Ok(Self::Other { kind, code, rest });
        }
        let (word, data) = icmp::word_and_data(Layer::Icmpv4, bytes)?;
        let (high, low) = word.halves();
        Ok(match kind {
            ECHO_REPLY => Self::EchoReply {
                id: high,
                seq: low,
                data,
            },
            ECHO_REQUEST => Self::EchoRequest {
                id: high,
                seq: low,
                data,
            },
            UNREACHABLE => Self::Unreachable {
                code,
                next_hop_mtu: low,
                quoted: data,
            },
            TIME_EXCEEDED => Self::TimeExceeded { code, quoted: data },
            _ => Self::ParameterProblem {
                code,
                pointer: word.first_byte(),
                quoted: data,
            },
        })
    }

    /// Length on the wire, in bytes.
    pub const fn buffer_len(&self) -> usize {
        self.parts().buffer_len()
    }

    /// Writes the message with its checksum and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let parts = self.parts();
        let len = parts.buffer_len();
        let message = slice_mut(Layer::Icmpv4, buffer, len)?;
        parts.emit(Layer::Icmpv4, message)?;
        let checksum = checksum(message);
        icmp::set_checksum(message, checksum);
        Ok(len)
    }

    const fn parts(&self) -> IcmpParts<'a> {
        match *self {
            Self::EchoRequest { id, seq, data } => {
                IcmpParts::new(ECHO_REQUEST, 0, Word::from_halves(id, seq), data)
            }
            Self::EchoReply { id, seq, data } => {
                IcmpParts::new(ECHO_REPLY, 0, Word::from_halves(id, seq), data)
            }
            Self::Unreachable {
                code,
                next_hop_mtu,
                quoted,
            } => IcmpParts::new(
                UNREACHABLE,
                code,
                Word::from_halves(0, next_hop_mtu),
                quoted,
            ),
            Self::TimeExceeded { code, quoted } => {
                IcmpParts::new(TIME_EXCEEDED, code, Word::UNUSED, quoted)
            }
            Self::ParameterProblem {
                code,
                pointer,
                quoted,
            } => IcmpParts::new(
                PARAMETER_PROBLEM,
                code,
                Word::from_first_byte(pointer),
                quoted,
            ),
            Self::Other { kind, code, rest } => IcmpParts {
                kind,
                code,
                word: None,
                data: rest,
            },
        }
    }
}

/// The checksum of `message`; 0 for one that carries the right one.
fn checksum(message: &[u8]) -> u16 {
    let mut sum = Checksum::new();
    sum.add_bytes(message);
    sum.finish()
}

const fn is_known(kind: u8, code: u8) -> bool {
    match kind {
        ECHO_REPLY | ECHO_REQUEST => code == 0,
        UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM => true,
        _ => false,
    }
}

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
