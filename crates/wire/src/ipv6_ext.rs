//! IPv6 extension headers (RFC 8200 §4): the walk along their chain to the upper protocol.
//!
//! Hop-by-Hop Options, Destination Options, Routing and Fragment headers are known; every other
//! next-header value (AH and ESP included) ends the walk as the upper protocol.

use crate::bytes::{array_at, slice_at};
use crate::error::{Layer, Malformed, ParseError};
use crate::ipv4::IpProtocol;

/// Extension headers accepted in one packet (RFC 8504 §5.3 lets a host limit them).
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Bytes of extension headers accepted in one packet.
pub const MAX_EXTENSION_BYTES: usize = 256;

/// A Fragment header (RFC 8200 §4.5).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct FragmentHeader {
    /// Where the fragment stands in the fragmentable part, in bytes; a multiple of 8.
    pub offset: u16,
    /// A fragment that is not the last.
    pub more: bool,
    /// Identification of the datagram.
    pub id: u32,
    /// The first header of the fragmentable part.
    pub next_header: IpProtocol,
    /// Where the fragment's data start, in bytes from the start of the walked bytes.
    pub data_offset: usize,
}

impl FragmentHeader {
    /// Whether the packet is whole in spite of the header (RFC 6946 §2).
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Where the chain of extension headers ends.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct ExtensionWalk {
    /// The upper protocol. In a fragment that is not the first, what the Fragment header names.
    pub protocol: IpProtocol,
    /// Where the upper header starts, in bytes from the start of the walked bytes.
    pub offset: usize,
    /// The Fragment header, where there is one.
    pub fragment: Option<FragmentHeader>,
}

/// Walks the extension headers in `bytes`, which start behind the IPv6 header and end with the
/// packet; `first` is that header's next-header field.
///
/// The walk stops behind a Fragment header whose offset is not 0: what follows is not a header.
///
/// # Errors
/// [`ParseError::Truncated`] where a header is cut, in a first fragment too (RFC 7112 §5);
/// [`ParseError::Malformed`] beyond [`MAX_EXTENSION_HEADERS`] or [`MAX_EXTENSION_BYTES`], for
/// Hop-by-Hop Options that are not first, a Routing header of type 0 or with segments left, a
/// second Fragment header, and options that must not be skipped.
pub fn walk_extensions(first: IpProtocol, bytes: &[u8]) -> Result<ExtensionWalk, ParseError> {
    let mut walk = ExtensionWalk {
        protocol: first,
        offset: 0,
        fragment: None,
    };
    let mut headers = 0_usize;
    while is_extension(walk.protocol) {
        let at = walk.offset;
        let [next, len, ..] = *array_at::<8>(Layer::Ipv6, bytes, at)?;
        let len = match walk.protocol {
            IpProtocol::FRAGMENT => 8,
            _ => usize::from(len).saturating_mul(8).saturating_add(8),
        };
        headers = headers.saturating_add(1);
        let end = at.saturating_add(len);
        if headers > MAX_EXTENSION_HEADERS || end > MAX_EXTENSION_BYTES {
            return malformed(at, Malformed::ExtensionLimit);
        }
        let header = slice_at(Layer::Ipv6, bytes, at, len)?;
        check_header(walk, header)?;
        if walk.protocol == IpProtocol::FRAGMENT {
            let fragment = parse_fragment(header, at)?;
            walk.fragment = Some(fragment);
            if fragment.offset != 0 {
                return Ok(ExtensionWalk {
                    protocol: IpProtocol(next),
                    offset: end,
                    ..walk
                });
            }
        }
        walk = ExtensionWalk {
            protocol: IpProtocol(next),
            offset: end,
            ..walk
        };
    }
    Ok(walk)
}

const fn is_extension(protocol: IpProtocol) -> bool {
    matches!(
        protocol,
        IpProtocol::HOP_BY_HOP
            | IpProtocol::ROUTING
            | IpProtocol::FRAGMENT
            | IpProtocol::DEST_OPTIONS
    )
}

/// The rules of the header at `walk.offset`, whose bytes are `header`.
fn check_header(walk: ExtensionWalk, header: &[u8]) -> Result<(), ParseError> {
    let at = walk.offset;
    match walk.protocol {
        // RFC 8200 §4.1: only right behind the IPv6 header.
        IpProtocol::HOP_BY_HOP if at != 0 => malformed(at, Malformed::HopByHopPosition),
        IpProtocol::HOP_BY_HOP | IpProtocol::DEST_OPTIONS => check_options(header, at),
        IpProtocol::ROUTING => {
            let [_, _, kind, segments_left] = *array_at::<4>(Layer::Ipv6, header, 0)?;
            match (kind, segments_left) {
                // RFC 5095 §3.
                (0, _) => malformed(at.saturating_add(2), Malformed::RoutingType0),
                (_, 0) => Ok(()),
                // RFC 8200 §4.4: an unrecognised type is skipped only where no segment is left.
                _ => malformed(at.saturating_add(3), Malformed::SegmentsLeft),
            }
        }
        _ if walk.fragment.is_some() => malformed(at, Malformed::DuplicateFragment),
        _ => Ok(()),
    }
}

/// The options of a Hop-by-Hop or Destination Options header (RFC 8200 §4.2).
fn check_options(header: &[u8], base: usize) -> Result<(), ParseError> {
    let mut at = 2_usize;
    while let Some(&kind) = header.get(at) {
        if kind == PAD1 {
            at = at.saturating_add(1);
            continue;
        }
        let position = base.saturating_add(at);
        let Some(&len) = header.get(at.saturating_add(1)) else {
            return malformed(position, Malformed::OptionLength);
        };
        let end = at.saturating_add(2).saturating_add(usize::from(len));
        if end > header.len() {
            return malformed(position, Malformed::OptionLength);
        }
        match kind {
            JUMBO_PAYLOAD if len == 4 => {}
            JUMBO_PAYLOAD => return malformed(position, Malformed::OptionLength),
            // The two high bits say what to do with an option that is not known.
            _ if kind & ACTION_MASK == 0 => {}
            _ => return malformed(position, Malformed::UnrecognizedOption),
        }
        at = end;
    }
    Ok(())
}

fn parse_fragment(header: &[u8], at: usize) -> Result<FragmentHeader, ParseError> {
    let h: &[u8; 8] = array_at(Layer::Ipv6, header, 0)?;
    let offset_and_flags = u16::from_be_bytes([h[2], h[3]]);
    Ok(FragmentHeader {
        offset: offset_and_flags & !7,
        more: offset_and_flags & 1 != 0,
        id: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        next_header: IpProtocol(h[0]),
        data_offset: at.saturating_add(8),
    })
}

fn malformed<T>(offset: usize, what: Malformed) -> Result<T, ParseError> {
    Err(ParseError::malformed(Layer::Ipv6, offset, what))
}

const PAD1: u8 = 0;
/// RFC 2675 §2: carried by super-frames of more than 65,535 bytes.
const JUMBO_PAYLOAD: u8 = 0xc2;
const ACTION_MASK: u8 = 0xc0;
