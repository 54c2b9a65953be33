//! Seeded random numbers, the same on every machine; the only source of randomness.

/// xoshiro256**, seeded through SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut at = seed;
        let state = [(); 4].map(|()| {
            at = at.wrapping_add(GOLDEN_GAMMA);
            mix(at)
        });
        Self { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of a multiplication is below 2^-32 for every range in use here.
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below((most - least).saturating_add(1))
    }

    /// A number from `least` to `most` whose magnitude is evenly spread: as many between 1 and 10
    /// as between 1,000 and 10,000.
    pub fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let bits = u64::from((most - least + 1).ilog2());
        let top = 1 << self.between(0, bits);
        (least + self.below(top * 2)).min(most)
    }

    /// True in `ppm` of a million cases.
    pub fn chance(&mut self, ppm: u32) -> bool {
        // No number is drawn where the answer is known: a link without faults stays cheap.
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// A generator of its own, whose numbers do not depend on how many are drawn here later.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next_u64())
    }
}

/// SplitMix64's increment.
pub(crate) const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: every bit of the result depends on every bit of `z`.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    /// The published test vector of SplitMix64 for seed 1234567, through the seeding.
    #[test]
    fn seeding_is_splitmix64() {
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!(Rng::new(1_234_567).state[..2], expected);
    }

    #[test]
    fn ranges_hold_their_ends() {
        let mut rng = Rng::new(1);
        let drawn: Vec<_> = (0..1_000).map(|_| rng.between(3, 6)).collect();
        assert_eq!(
            (drawn.iter().min(), drawn.iter().max()),
            (Some(&3), Some(&6))
        );
        let drawn: Vec<_> = (0..1_000).map(|_| rng.magnitude(1, 100)).collect();
        assert!(drawn.iter().all(|n| (1..=100).contains(n)));
        assert_eq!((0..1_000).filter(|_| rng.chance(0)).count(), 0);
        assert_eq!((0..1_000).filter(|_| rng.chance(1_000_000)).count(), 1_000);
    }
}
