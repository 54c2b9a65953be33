//! ICMP for IPv4 (RFC 792), with the next-hop MTU of RFC 1191.
//!
//! Redirect, timestamp and router messages are handed out unparsed ([`Icmpv4Message::Other`]); the
//! extension structure of RFC 4884 stays part of the quoted bytes.

use crate::bytes::{Writer, array_at, slice_mut, tail};
use crate::checksum::Checksum;
use crate::error::{EmitError, Layer, Malformed, ParseError};

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
        let [kind, code, ..] = *array_at::<4>(Layer::Icmpv4, bytes, 0)?;
        let mut sum = Checksum::new();
        sum.add_bytes(bytes);
        if sum.finish() != 0 {
            return Err(ParseError::malformed(Layer::Icmpv4, 2, Malformed::Checksum));
        }
        if !is_known(kind, code) {
            return Ok(Self::Other {
                kind,
                code,
                rest: tail(bytes, 4),
            });
        }
        let [a, b, c, d] = *array_at(Layer::Icmpv4, bytes, 4)?;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let body = tail(bytes, HEADER_LEN);
        Ok(match kind {
            ECHO_REPLY => Self::EchoReply {
                id: high,
                seq: low,
                data: body,
            },
            ECHO_REQUEST => Self::EchoRequest {
                id: high,
                seq: low,
                data: body,
            },
            UNREACHABLE => Self::Unreachable {
                code,
                next_hop_mtu: low,
                quoted: body,
            },
            TIME_EXCEEDED => Self::TimeExceeded { code, quoted: body },
            _ => Self::ParameterProblem {
                code,
                pointer: a,
                quoted: body,
            },
        })
    }

    /// Length on the wire, in bytes.
    pub const fn buffer_len(&self) -> usize {
        let (fixed, body) = match self {
            Self::EchoRequest { data, .. } | Self::EchoReply { data, .. } => (HEADER_LEN, *data),
            Self::Unreachable { quoted, .. }
            | Self::TimeExceeded { quoted, .. }
            | Self::ParameterProblem { quoted, .. } => (HEADER_LEN, *quoted),
            Self::Other { rest, .. } => (4, *rest),
        };
        body.len().saturating_add(fixed)
    }

    /// Writes the message with its checksum and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let len = self.buffer_len();
        let message = slice_mut(Layer::Icmpv4, buffer, len)?;
        let (kind, code, second_word, body) = match *self {
            Self::EchoRequest { id, seq, data } => (ECHO_REQUEST, 0, Some(join(id, seq)), data),
            Self::EchoReply { id, seq, data } => (ECHO_REPLY, 0, Some(join(id, seq)), data),
            Self::Unreachable {
                code,
                next_hop_mtu,
                quoted,
            } => (UNREACHABLE, code, Some(join(0, next_hop_mtu)), quoted),
            Self::TimeExceeded { code, quoted } => (TIME_EXCEEDED, code, Some([0; 4]), quoted),
            Self::ParameterProblem {
                code,
                pointer,
                quoted,
            } => (PARAMETER_PROBLEM, code, Some([pointer, 0, 0, 0]), quoted),
            Self::Other { kind, code, rest } => (kind, code, None, rest),
        };
        let mut writer = Writer::new(Layer::Icmpv4, message);
        writer.put(&[kind, code, 0, 0])?;
        if let Some(word) = second_word {
            writer.put(&word)?;
        }
        writer.put(body)?;
        let mut sum = Checksum::new();
        sum.add_bytes(message);
        if let Some(field) = message.get_mut(2..4) {
            field.copy_from_slice(&sum.finish().to_be_bytes());
        }
        Ok(len)
    }
}

const fn is_known(kind: u8, code: u8) -> bool {
    match kind {
        ECHO_REPLY | ECHO_REQUEST => code == 0,
        UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM => true,
        _ => false,
    }
}

const fn join(high: u16, low: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d]
}

const HEADER_LEN: usize = 8;
const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
