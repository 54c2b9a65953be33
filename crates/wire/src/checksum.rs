//! The Internet checksum (RFC 1071), its pseudo-headers (RFC 9293 §3.1, RFC 8200 §8.1) and its
//! incremental update (RFC 1624).

use core::net::IpAddr;

use crate::ipv4::IpProtocol;

/// A running one's-complement sum over pieces of a message.
///
/// Pieces of odd length may be followed by more: the sum is that of the joined bytes.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Checksum {
    /// Always folded to 16 bits, so that no order of additions overflows.
    sum: u16,
    /// Whether the bytes so far are odd in number, and the next one is a low byte.
    odd: bool,
}

impl Checksum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// The sum of the pseudo-header of a message of `len` bytes, headers of the upper layer
    /// included. Both addresses are of one family.
    #[inline]
    #[must_use]
    pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: IpProtocol, len: u32) -> Self {
        let mut sum = Self::new();
        sum.add_address(src);
        sum.add_address(dst);
        // The layouts of IPv4 and IPv6 differ only by zeros and by the order of these two.
        sum.add_u32(len);
        sum.add_u16(u16::from(protocol.0));
        sum
    }

    /// Adds the bytes that follow.
    #[inline]
    pub fn add_bytes(&mut self, data: &[u8]) {
        let sum = sum(data);
        // RFC 1071 §2 (B): a sum over swapped bytes is the swapped sum.
        self.add_folded(if self.odd { sum.swap_bytes() } else { sum });
        self.odd ^= data.len() & 1 != 0;
    }

    /// Adds a 16-bit field that stands at an even offset.
    #[inline]
    pub fn add_u16(&mut self, field: u16) {
        self.add_folded(field);
    }

    /// Adds a 32-bit field that stands at an even offset.
    #[inline]
    pub fn add_u32(&mut self, field: u32) {
        self.add_folded(fold(field));
    }

    /// The folded sum, not complemented: what a device that completes the checksum expects in the
    /// checksum field.
    #[inline]
    pub const fn fold(self) -> u16 {
        self.sum
    }

    /// The checksum: the complement of the folded sum. Over a message that holds its own checksum,
    /// 0 where that is right.
    #[inline]
    pub const fn finish(self) -> u16 {
        !self.sum
    }

    #[inline]
    fn add_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.add_bytes(&v4.octets()),
            IpAddr::V6(v6) => self.add_bytes(&v6.octets()),
        }
    }

    #[inline]
    fn add_folded(&mut self, sum: u16) {
        let (sum, carry) = self.sum.overflowing_add(sum);
        // After a carry the sum is at most 0xfffe: this addition cannot overflow.
        self.sum = sum.wrapping_add(u16::from(carry));
    }
}

/// The checksum of `message`, whose own checksum field holds 0, behind the pseudo-header.
#[inline]
pub fn transport_checksum(src: IpAddr, dst: IpAddr, protocol: IpProtocol, message: &[u8]) -> u16 {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut sum = Checksum::pseudo_header(src, dst, protocol, len);
    sum.add_bytes(message);
    sum.finish()
}

/// Whether the checksum in `message` is right, pseudo-header included.
#[inline]
pub fn verify_transport(src: IpAddr, dst: IpAddr, protocol: IpProtocol, message: &[u8]) -> bool {
    transport_checksum(src, dst, protocol, message) == 0
}

/// Whether the checksum of a TCP segment is right (RFC 9293 §3.1, MUST-3).
#[inline]
pub fn verify_tcp(src: IpAddr, dst: IpAddr, segment: &[u8]) -> bool {
    verify_transport(src, dst, IpProtocol::TCP, segment)
}

/// The checksum of a message after one of its 16-bit fields has changed (RFC 1624 §3, equation 3).
#[inline]
pub fn update(old_checksum: u16, old_field: u16, new_field: u16) -> u16 {
    let mut sum = Checksum {
        sum: !old_checksum,
        odd: false,
    };
    sum.add_u16(!old_field);
    sum.add_u16(new_field);
    sum.finish()
}

/// As [`update`], for a 32-bit field.
#[inline]
pub fn update_u32(old_checksum: u16, old_field: u32, new_field: u32) -> u16 {
    let mut sum = Checksum {
        sum: !old_checksum,
        odd: false,
    };
    sum.add_u32(!old_field);
    sum.add_u32(new_field);
    sum.finish()
}

/// The folded one's-complement sum of big-endian words; an odd last byte is a high byte.
#[inline]
fn sum(data: &[u8]) -> u16 {
    let mut total = Checksum::new();
    for block in data.chunks(BLOCK) {
        total.add_folded(sum_block(block));
    }
    // RFC 1071 §2 (B): the sum in the machine's own byte order is the swapped sum.
    u16::from_be(total.sum)
}

/// The folded sum of at most [`BLOCK`] bytes, as words in the machine's own byte order.
///
/// Both halves of 32-bit words are summed at once: `both` wraps, but the sum of the upper halves
/// does not, and taking it away leaves the exact sum of the lower halves. The loop is a shift and
/// two additions for four bytes, and vectorises as it stands.
#[inline]
fn sum_block(block: &[u8]) -> u16 {
    let (words, rest) = block.as_chunks::<4>();
    let mut last = [0; 4];
    for (slot, byte) in last.iter_mut().zip(rest) {
        *slot = *byte;
    }
    let last = u32::from_ne_bytes(last);
    let (mut both, mut upper) = (last, last >> 16);
    for word in words {
        let word = u32::from_ne_bytes(*word);
        both = both.wrapping_add(word);
        upper = upper.wrapping_add(word >> 16);
    }
    let lower = both.wrapping_sub(upper << 16);
    let mut sum = Checksum {
        sum: fold(lower),
        odd: false,
    };
    sum.add_folded(fold(upper));
    sum.sum
}

/// The 16-bit one's-complement sum of the halves.
#[inline]
const fn fold(sum: u32) -> u16 {
    let [a, b, c, d] = sum.to_be_bytes();
    let (sum, carry) = u16::from_be_bytes([a, b]).overflowing_add(u16::from_be_bytes([c, d]));
    sum.wrapping_add(carry as u16)
}

/// Bytes summed before a fold: the halves of 16,384 words of at most 0xffff stay below 2^30.
const BLOCK: usize = 64 * 1024;
