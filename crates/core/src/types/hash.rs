//! Secret of a stack, and the keyed hashes derived from it.

use core::hash::{Hash, Hasher};

use siphasher::sip::{SipHasher13, SipHasher24};

/// 128 random bits, from which all that peers must not guess is derived: initial sequence numbers,
/// ports, hash keys.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A secret of these bytes. They come from the operating system's random source, or from a
    /// simulation's seed.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A keyed hash (SipHash). Each purpose derives a key of its own, so that one key reveals nothing
/// about another.
#[derive(Clone)]
pub(crate) struct HashKey(u64, u64);

impl HashKey {
    /// Derives the key of one `purpose` from the stack's secret.
    pub(crate) fn derive(secret: &Secret, purpose: u8) -> Self {
        let half = |domain: u8| {
            let mut hasher = SipHasher24::new_with_key(&secret.0);
            hasher.write(&[purpose, domain]);
            hasher.finish()
        };
        Self(half(0), half(1))
    }

    pub(crate) fn hash(&self, value: &impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        value.hash(&mut hasher);
        hasher.finish()
    }
}

impl core::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HashKey(..)")
    }
}
