//! Sequence-number arithmetic modulo 2^32 (RFC 9293 §3.4).
//!
//! There is no `PartialOrd`: an order of sequence numbers holds only between two that are less
//! than 2^31 apart, so it is asked for by name and never picked up by `sort` or `BTreeMap`. Of two
//! that are exactly 2^31 apart each is before the other; no window of TCP spans that far.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A TCP sequence number; all operations wrap.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct SeqNum(u32);

impl SeqNum {
    /// The sequence number with this value.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The value as it stands in the header.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The number `n` after this one.
    pub const fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// The number `n` before this one.
    pub const fn sub(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n))
    }

    /// `self - from` as a signed distance: negative where `self` is before `from`.
    pub const fn distance(self, from: Self) -> i32 {
        self.0.wrapping_sub(from.0).cast_signed()
    }

    /// Whether this number is before `other`.
    pub const fn lt(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// Whether this number is `other` or before it.
    pub const fn le(self, other: Self) -> bool {
        self.distance(other) <= 0
    }

    /// Whether this number is after `other`.
    pub const fn gt(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// Whether this number is `other` or after it.
    pub const fn ge(self, other: Self) -> bool {
        self.distance(other) >= 0
    }

    /// The later of the two.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.lt(other) { other } else { self }
    }

    /// The earlier of the two.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if other.lt(self) { other } else { self }
    }

    /// Whether `start <= self < start + len`; never in an empty window.
    pub const fn in_window(self, start: Self, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, n: u32) -> Self {
        Self::add(self, n)
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, n: u32) {
        *self = Self::add(*self, n);
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, n: u32) -> Self {
        Self::sub(self, n)
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
