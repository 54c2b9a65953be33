//! Initial sequence number selection (RFC 6528), and timestamp offsets (RFC 7323 §7.1).

use tidewire_wire::SeqNum;

use crate::time::Instant;
use crate::types::{FourTuple, HashKey};

/// Generator of values that an attacker off the path cannot guess: F is SipHash with a key of 128
/// random bits (MUST-9).
#[derive(Debug)]
pub(crate) struct IssGenerator {
    iss: HashKey,
    timestamps: HashKey,
}

impl IssGenerator {
    pub(crate) fn new(iss: HashKey, timestamps: HashKey) -> Self {
        Self { iss, timestamps }
    }

    /// ISN = M + F(4-tuple, secret), where M is a clock of 4 us (RFC 6528 §3; RFC 9293 §3.4.1,
    /// MUST-8 and SHLD-1).
    pub(crate) fn iss(&self, tuple: &FourTuple, now: Instant) -> SeqNum {
        let clock = (now.as_nanos() / 4_000) as u32;
        SeqNum::new(clock.wrapping_add(self.iss.hash(tuple) as u32))
    }

    /// Timestamp offset, one for each pair of hosts, so that a later connection between them never
    /// has older timestamps (RFC 6191).
    pub(crate) fn timestamp_offset(&self, tuple: &FourTuple) -> u32 {
        self.timestamps.hash(&(tuple.local, tuple.remote)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::IssGenerator;
    use crate::time::{Duration, Instant};
    use crate::types::{FourTuple, HashKey, Secret};
    use core::net::{IpAddr, Ipv4Addr};

    fn generator(secret: u8) -> IssGenerator {
        IssGenerator::new(
            HashKey::derive(&Secret::new([secret; 16]), 1),
            HashKey::derive(&Secret::new([secret; 16]), 2),
        )
    }

    fn tuple(port: u16) -> FourTuple {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        FourTuple {
            local: ip,
            remote: ip,
            local_port: 80,
            remote_port: port,
        }
    }

    #[test]
    fn the_same_tuple_counts_up_every_four_microseconds() {
        let g = generator(1);
        let first = g.iss(&tuple(1), Instant::ZERO);
        let later = g.iss(&tuple(1), Instant::ZERO + Duration::from_millis(1));
        assert_eq!(later.distance(first), 250);
    }

    #[test]
    fn other_tuples_and_other_secrets_start_elsewhere() {
        let mut seen: alloc::vec::Vec<u32> = (0..1_000)
            .map(|p| generator(1).iss(&tuple(p), Instant::ZERO).raw())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 990);
        // Every bit is set about half of the time.
        for bit in 0..32 {
            let ones = seen.iter().filter(|iss| *iss >> bit & 1 == 1).count();
            assert!((400..600).contains(&ones), "bit {bit}: {ones}");
        }
        assert_ne!(
            generator(1).iss(&tuple(1), Instant::ZERO),
            generator(2).iss(&tuple(1), Instant::ZERO)
        );
    }
}
