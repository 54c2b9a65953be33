//! Path MTU cache: reports of routers by destination, bounded (RFC 1191, RFC 8201).
//!
//! Each change raises the version of the cache. A connection compares versions when it sends, and
//! looks its destination up where they differ, so that a report costs idle connections nothing.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use crate::time::{Duration, Instant};

/// Lifetime of a report (RFC 8201 §4: never less than 5 minutes, 10 recommended). After that the
/// MTU of the link is tried again.
const LIFETIME: Duration = Duration::from_secs(600);
/// Destinations remembered; past it the oldest report is forgotten.
const CAPACITY: usize = 1024;
/// Least path MTU over IPv4: fixed headers, 40 bytes of options, and the least MSS that this TCP
/// uses. (RFC 1191 §3 has 68, where a segment would carry next to nothing.)
const MIN_IPV4: u32 = 128;
/// Least path MTU over IPv6 (RFC 8201 §4: never less than the minimum link MTU).
const MIN_IPV6: u32 = 1280;
/// Likely MTUs, for routers that do not say theirs (RFC 1191 §7).
const PLATEAUS: [u32; 10] = [
    65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296,
];

/// The largest packet that reaches a destination, as last reported.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct PathMtu {
    pub(crate) mtu: u32,
    /// End of the validity of the report.
    pub(crate) until: Instant,
}

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct PathMtuCache {
    entries: BTreeMap<IpAddr, PathMtu>,
    /// The same by age.
    by_age: BTreeSet<(Instant, IpAddr)>,
    version: u32,
}

impl PathMtuCache {
    /// Counts the changes.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The link's own MTU changed, which bounds every path.
    pub(crate) fn on_link_mtu(&mut self) {
        self.version = self.version.wrapping_add(1);
    }

    /// The report about `destination`, while it is valid.
    pub(crate) fn get(&self, now: Instant, destination: IpAddr) -> Option<PathMtu> {
        let path = self.entries.get(&destination)?;
        (path.until > now).then_some(*path)
    }

    /// A router says that a packet of `len` bytes to `destination` was larger than `mtu`, the next
    /// hop's, where 0 means that it does not know. `link_mtu` is what we know where nothing was
    /// reported. Says whether that lowered the path MTU; larger ones, and impossible ones, change
    /// nothing (RFC 8201 §4).
    pub(crate) fn report(
        &mut self,
        now: Instant,
        destination: IpAddr,
        (mtu, len): (u32, u32),
        link_mtu: u32,
    ) -> bool {
        let reported = match mtu {
            0 => plateau_below(len),
            mtu => mtu,
        };
        let floor = if destination.is_ipv4() {
            MIN_IPV4
        } else {
            MIN_IPV6
        };
        let current = self.get(now, destination).map_or(link_mtu, |path| path.mtu);
        // A packet that fits does not cause such a report.
        let plausible = reported < len;
        let mtu = reported.max(floor);
        if !plausible || mtu >= current {
            return false;
        }
        self.forget(destination);
        if self.entries.len() >= CAPACITY
            && let Some(&(_, oldest)) = self.by_age.first()
        {
            self.forget(oldest);
        }
        let until = now + LIFETIME;
        self.entries.insert(destination, PathMtu { mtu, until });
        self.by_age.insert((until, destination));
        self.version = self.version.wrapping_add(1);
        true
    }

    fn forget(&mut self, destination: IpAddr) {
        if let Some(path) = self.entries.remove(&destination) {
            self.by_age.remove(&(path.until, destination));
        }
    }
}

/// The next smaller likely MTU than the packet that was too large (RFC 1191 §5).
fn plateau_below(len: u32) -> u32 {
    let mut plateaus = PLATEAUS.into_iter();
    plateaus.find(|&mtu| mtu < len).unwrap_or(68)
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, PathMtuCache};
    use crate::time::{Duration, Instant};
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    fn after(reports: &[(u32, u32)], to: IpAddr) -> Option<u32> {
        let mut cache = PathMtuCache::default();
        for &report in reports {
            cache.report(Instant::ZERO, to, report, 1500);
        }
        cache.get(Instant::ZERO, to).map(|path| path.mtu)
    }

    #[test]
    fn only_smaller_mtus_count_and_not_below_the_floor() {
        assert_eq!(after(&[(1400, 1500)], V4), Some(1400));
        assert_eq!(after(&[(1400, 1500), (1450, 1500)], V4), Some(1400));
        assert_eq!(after(&[(1600, 1700)], V4), None);
        assert_eq!(
            after(&[(1400, 1300)], V4),
            None,
            "the packet would have fit"
        );
        assert_eq!(after(&[(20, 1500)], V4), Some(128));
        assert_eq!(after(&[(1000, 1500)], V6), Some(1280));
        assert_eq!(after(&[(0, 1500)], V6), Some(1492));
    }

    #[test]
    fn a_router_that_does_not_say_is_believed_one_plateau_at_a_time() {
        assert_eq!(after(&[(0, 1500)], V4), Some(1492));
        assert_eq!(after(&[(0, 1500), (0, 1492)], V4), Some(1006));
        assert_eq!(after(&[(0, 1006)], V4), Some(508));
        assert_eq!(after(&[(0, 300)], V4), Some(296));
        assert_eq!(after(&[(0, 200)], V4), Some(128));
    }

    #[test]
    fn a_report_is_believed_for_ten_minutes() {
        let mut cache = PathMtuCache::default();
        assert!(cache.report(Instant::ZERO, V4, (1400, 1500), 1500));
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        assert!(cache.get(at(599), V4).is_some());
        assert_eq!(cache.get(at(600), V4), None);
        assert!(cache.report(at(601), V4, (1450, 1500), 1500));
        assert_eq!(cache.version(), 2);
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_the_oldest() {
        let mut cache = PathMtuCache::default();
        let host = |n: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n));
        let at = |n: u32| Instant::ZERO + Duration::from_millis(u64::from(n));
        for n in 0..5_000 {
            cache.report(at(n), host(n), (1400, 1500), 1500);
            cache.report(at(n), host(0), (1400 - n.min(1000), 1500), 1500);
        }
        assert!(cache.entries.len() <= CAPACITY && cache.by_age.len() == cache.entries.len());
        assert!(cache.get(at(5_000), host(4_999)).is_some());
        assert!(cache.get(at(5_000), host(1)).is_none());
    }
}
