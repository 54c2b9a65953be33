//! Ephemeral ports (RFC 6056, algorithm 3): an offset that depends on the destination and a secret, and a counter.

use core::net::IpAddr;
use core::ops::RangeInclusive;

use super::flow::HashKey;

/// The allocator.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    range: RangeInclusive<u16>,
    key: HashKey,
    counter: u32,
}

impl Ports {
    pub(super) fn new(range: RangeInclusive<u16>, key: HashKey) -> Self {
        Self {
            range,
            key,
            counter: 0,
        }
    }

    /// A port that `is_free`, or `None` when no port of the range is. Each is tried once.
    pub(super) fn choose(
        &mut self,
        towards: (IpAddr, IpAddr, u16),
        is_free: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let first = u32::from(*self.range.start());
        let count = u32::from(*self.range.end()) - first + 1;
        let offset = self.key.hash(&towards) as u32;
        for step in 0..count {
            let index = offset.wrapping_add(self.counter).wrapping_add(step) % count;
            let Ok(port) = u16::try_from(first + index) else {
                continue;
            };
            if is_free(port) {
                self.counter = self.counter.wrapping_add(step + 1);
                return Some(port);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{HashKey, Ports};
    use alloc::collections::BTreeSet;
    use core::net::{IpAddr, Ipv4Addr};

    #[test]
    fn every_port_is_given_once_and_then_none() {
        let mut ports = Ports::new(1000..=1099, HashKey::derive([3; 16], 3));
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut taken = BTreeSet::new();
        while let Some(port) = ports.choose((ip, ip, 80), |port| !taken.contains(&port)) {
            assert!(taken.insert(port));
        }
        assert_eq!(
            taken.into_iter().collect::<alloc::vec::Vec<_>>(),
            (1000..1100).collect::<alloc::vec::Vec<_>>()
        );
    }
}
