//! Neighbor Discovery (RFC 4861): Neighbor Solicitation and Advertisement, and their options.
//!
//! Router discovery and redirects are not parsed.

use core::net::Ipv6Addr;

use crate::bytes::{Writer, array_at, slice_at, tail};
use crate::error::{EmitError, Layer, Malformed, ParseError};
use crate::ethernet::MacAddr;

/// The solicited-node multicast address of `address` (RFC 4291 §2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let o = address.octets();
    Ipv6Addr::from_octets([
        0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, o[13], o[14], o[15],
    ])
}

/// A Neighbor Solicitation (RFC 4861 §4.3).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct NeighborSolicit {
    /// The address that is asked for; never multicast.
    pub target: Ipv6Addr,
    /// The source link-layer address option; absent where the source is unspecified.
    pub source_mac: Option<MacAddr>,
}

impl NeighborSolicit {
    /// The ICMPv6 type.
    pub const KIND: u8 = 135;

    /// The message that `bytes` are, from the ICMPv6 type to their end; the checksum is not looked
    /// at. Options of other kinds are skipped.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Malformed`] for a code that is not 0, a multicast
    /// target or an option of wrong length (RFC 4861 §7.1.1).
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let (_, target) = parse_fixed(bytes)?;
        let mut source_mac = None;
        for option in options_of(bytes) {
            if let NdpOption::SourceLinkAddress(mac) = option? {
                source_mac = source_mac.or(Some(mac));
            }
        }
        Ok(Self { target, source_mac })
    }

    /// The rules of RFC 4861 §7.1.1 that need the IPv6 header.
    ///
    /// # Errors
    /// [`ParseError::Malformed`] for a hop limit that is not 255, and for a message from the
    /// unspecified address that carries an option or is not sent to a solicited-node address.
    pub fn validate(&self, src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8) -> Result<(), ParseError> {
        check_hop_limit(hop_limit)?;
        let probe = src.is_unspecified();
        if probe && (self.source_mac.is_some() || dst != solicited_node(self.target)) {
            return Err(ParseError::malformed(Layer::Ndp, 0, Malformed::Addressing));
        }
        Ok(())
    }

    /// Length on the wire, in bytes.
    pub const fn buffer_len(&self) -> usize {
        message_len(self.source_mac)
    }

    /// Writes the message with a checksum field of 0.
    pub(crate) fn emit(&self, message: &mut [u8]) -> Result<(), EmitError> {
        emit_message(
            message,
            Self::KIND,
            0,
            self.target,
            (SOURCE_LINK_ADDRESS, self.source_mac),
        )
    }
}

/// A Neighbor Advertisement (RFC 4861 §4.4).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct NeighborAdvert {
    /// The sender is a router.
    pub router: bool,
    /// An answer to a solicitation.
    pub solicited: bool,
    /// Replaces what is cached.
    pub override_cache: bool,
    /// The address that is told about; never multicast.
    pub target: Ipv6Addr,
    /// The target link-layer address option.
    pub target_mac: Option<MacAddr>,
}

impl NeighborAdvert {
    /// The ICMPv6 type.
    pub const KIND: u8 = 136;

    /// The message that `bytes` are, from the ICMPv6 type to their end; the checksum is not looked
    /// at. Options of other kinds are skipped.
    ///
    /// # Errors
    /// [`ParseError::Truncated`]; [`ParseError::Malformed`] for a code that is not 0, a multicast
    /// target or an option of wrong length (RFC 4861 §7.1.2).
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let (flags, target) = parse_fixed(bytes)?;
        let mut target_mac = None;
        for option in options_of(bytes) {
            if let NdpOption::TargetLinkAddress(mac) = option? {
                target_mac = target_mac.or(Some(mac));
            }
        }
        Ok(Self {
            router: flags & ROUTER != 0,
            solicited: flags & SOLICITED != 0,
            override_cache: flags & OVERRIDE != 0,
            target,
            target_mac,
        })
    }

    /// The rules of RFC 4861 §7.1.2 that need the IPv6 header.
    ///
    /// # Errors
    /// [`ParseError::Malformed`] for a hop limit that is not 255, and for an answer to a
    /// solicitation that is sent to a multicast address.
    pub fn validate(&self, dst: Ipv6Addr, hop_limit: u8) -> Result<(), ParseError> {
        check_hop_limit(hop_limit)?;
        if self.solicited && dst.is_multicast() {
            return Err(ParseError::malformed(Layer::Ndp, 0, Malformed::Addressing));
        }
        Ok(())
    }

    /// Length on the wire, in bytes.
    pub const fn buffer_len(&self) -> usize {
        message_len(self.target_mac)
    }

    /// Writes the message with a checksum field of 0.
    pub(crate) fn emit(&self, message: &mut [u8]) -> Result<(), EmitError> {
        let mut flags = 0;
        for (set, bit) in [
            (self.router, ROUTER),
            (self.solicited, SOLICITED),
            (self.override_cache, OVERRIDE),
        ] {
            if set {
                flags |= bit;
            }
        }
        emit_message(
            message,
            Self::KIND,
            flags,
            self.target,
            (TARGET_LINK_ADDRESS, self.target_mac),
        )
    }
}

/// An option of a Neighbor Discovery message (RFC 4861 §4.6).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum NdpOption<'a> {
    /// The link-layer address of the sender (type 1).
    SourceLinkAddress(MacAddr),
    /// The link-layer address of the target (type 2).
    TargetLinkAddress(MacAddr),
    /// Any other type; to be skipped.
    Unknown {
        /// Type.
        kind: u8,
        /// What follows type and length.
        data: &'a [u8],
    },
}

/// The options in a run of bytes. Ends after the first error.
#[derive(Clone, Debug)]
pub struct NdpOptionIter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> NdpOptionIter<'a> {
    /// The options that `bytes` are, to their end. Offsets in errors count from their start.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn parse_next(&mut self) -> Result<NdpOption<'a>, ParseError> {
        let at = self.at;
        let malformed = ParseError::malformed(Layer::Ndp, at, Malformed::OptionLength);
        let [kind, units] = *array_at(Layer::Ndp, self.bytes, at)?;
        // RFC 4861 §4.6: a length of 0 discards the packet. It would also never advance.
        if units == 0 {
            return Err(malformed);
        }
        let len = usize::from(units).saturating_mul(8);
        let option = slice_at(Layer::Ndp, self.bytes, at, len)?;
        self.at = at.saturating_add(len);
        let data = tail(option, 2);
        if kind != SOURCE_LINK_ADDRESS && kind != TARGET_LINK_ADDRESS {
            return Ok(NdpOption::Unknown { kind, data });
        }
        let mac = MacAddr(<[u8; 6]>::try_from(data).map_err(|_| malformed)?);
        Ok(match kind {
            SOURCE_LINK_ADDRESS => NdpOption::SourceLinkAddress(mac),
            _ => NdpOption::TargetLinkAddress(mac),
        })
    }
}

impl<'a> Iterator for NdpOptionIter<'a> {
    type Item = Result<NdpOption<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let option = self.parse_next();
        if option.is_err() {
            self.at = self.bytes.len();
        }
        Some(option)
    }
}

impl core::iter::FusedIterator for NdpOptionIter<'_> {}

/// Flags and target, checked.
fn parse_fixed(bytes: &[u8]) -> Result<(u8, Ipv6Addr), ParseError> {
    let m: &[u8; FIXED_LEN] = array_at(Layer::Ndp, bytes, 0)?;
    if m[1] != 0 {
        return Err(ParseError::malformed(Layer::Ndp, 1, Malformed::Code));
    }
    let mut target = [0; 16];
    target.copy_from_slice(&m[8..]);
    let target = Ipv6Addr::from_octets(target);
    if target.is_multicast() {
        return Err(ParseError::malformed(
            Layer::Ndp,
            8,
            Malformed::TargetAddress,
        ));
    }
    Ok((m[4], target))
}

fn options_of(bytes: &[u8]) -> NdpOptionIter<'_> {
    // The iterator stands on the whole message, so that offsets in errors count from its start.
    NdpOptionIter {
        bytes,
        at: FIXED_LEN,
    }
}

fn check_hop_limit(hop_limit: u8) -> Result<(), ParseError> {
    // RFC 4861 §7.1: a message that a router has forwarded is not from this link.
    if hop_limit != 255 {
        return Err(ParseError::malformed(Layer::Ndp, 0, Malformed::HopLimit));
    }
    Ok(())
}

const fn message_len(mac: Option<MacAddr>) -> usize {
    if mac.is_some() {
        FIXED_LEN + LINK_ADDRESS_LEN
    } else {
        FIXED_LEN
    }
}

fn emit_message(
    message: &mut [u8],
    kind: u8,
    flags: u8,
    target: Ipv6Addr,
    (option, mac): (u8, Option<MacAddr>),
) -> Result<(), EmitError> {
    let mut writer = Writer::new(Layer::Ndp, message);
    writer.put(&[kind, 0, 0, 0, flags, 0, 0, 0])?;
    writer.put(&target.octets())?;
    if let Some(mac) = mac {
        writer.put(&[option, 1])?;
        writer.put(&mac.0)?;
    }
    Ok(())
}

const FIXED_LEN: usize = 24;
const LINK_ADDRESS_LEN: usize = 8;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
