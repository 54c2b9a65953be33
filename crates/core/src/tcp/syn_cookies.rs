//! SYN cookies (RFC 4987 3.6): handshakes that cost no memory, for when there is no room to remember more of them.
//!
//! What a half-open record would hold travels with the peer instead. The MSS, and whether there are timestamps, are in
//! the sequence number of the SYN-ACK, beside a keyed hash that proves that it is ours. The other options are in the low
//! bits of its timestamp; without timestamps a connection that began so has neither window scaling nor SACK.
//!
//! DEVIATION(RFC 9293 3.4.1, MUST-8): such a sequence number does not follow the clock.

use tidewire_wire::{SeqNum, TcpOptions};

use crate::stack::{FourTuple, HashKey};
use crate::time::{Duration, Instant};

/// A cookie is good for this one and the next.
const PERIOD: Duration = Duration::from_secs(64);
/// The MSS that a cookie can stand for; of a peer's the next smaller is used.
const MSS: [u16; 8] = [88, 536, 1_220, 1_360, 1_400, 1_440, 1_460, 8_940];
/// Low bits of a cookie: the index of the MSS, and this.
const HAS_TIMESTAMPS: u32 = 8;
const DATA_BITS: u32 = 4;

/// Low bits of a timestamp: the peer's window shift, or this, and whether it takes SACK.
const NO_SCALING: u32 = 15;
const TAKES_SACK: u32 = 16;
const MARK_BITS: u32 = 5;
const MARK: u32 = (1 << MARK_BITS) - 1;

/// Makes cookies, and knows its own.
#[derive(Debug)]
pub(crate) struct SynCookies {
    key: HashKey,
    /// When one was made last: without any, no stray segment costs a hash.
    made_at: Option<Instant>,
}

impl SynCookies {
    pub(crate) fn new(key: HashKey) -> Self {
        Self { key, made_at: None }
    }

    /// The sequence number of a SYN-ACK that answers a SYN with this sequence number and these options.
    pub(crate) fn make(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        irs: SeqNum,
        peer: &TcpOptions,
    ) -> SeqNum {
        self.made_at = Some(now);
        let mss = peer.mss.unwrap_or(536);
        let index = MSS.iter().rposition(|&known| known <= mss).unwrap_or(0) as u32;
        let with = u32::from(peer.timestamps.is_some()) * HAS_TIMESTAMPS;
        self.cookie(period(now), tuple, irs, index | with)
    }

    /// The MSS that a cookie stands for, and whether timestamps were offered; `None` where it is not ours, or too old.
    pub(crate) fn check(
        &self,
        now: Instant,
        tuple: &FourTuple,
        irs: SeqNum,
        iss: SeqNum,
    ) -> Option<(u16, bool)> {
        let age = now.duration_since(self.made_at?);
        if age > PERIOD.saturating_mul(2) {
            return None;
        }
        let data = iss.raw() & ((1 << DATA_BITS) - 1);
        let current = period(now);
        let is_ours = [current, current.wrapping_sub(1)]
            .into_iter()
            .any(|period| self.cookie(period, tuple, irs, data) == iss);
        let mss = MSS.get((data & !HAS_TIMESTAMPS) as usize).copied()?;
        is_ours.then_some((mss, data & HAS_TIMESTAMPS != 0))
    }

    fn cookie(&self, period: u64, tuple: &FourTuple, irs: SeqNum, data: u32) -> SeqNum {
        let proof = self.key.hash(&(tuple, irs.raw(), period, data)) as u32;
        SeqNum::new((proof << DATA_BITS) | data)
    }
}

fn period(now: Instant) -> u64 {
    now.as_nanos() / PERIOD.as_nanos().max(1)
}

/// The largest timestamp up to `value` that says what the peer's SYN offered.
pub(crate) fn mark(value: u32, peer: &TcpOptions) -> u32 {
    let shift = peer
        .window_scale
        .map_or(NO_SCALING, |shift| u32::from(shift.min(14)));
    let sack = if peer.sack_permitted { TAKES_SACK } else { 0 };
    let mark = shift | sack;
    let marked = (value & !MARK) | mark;
    if mark > value & MARK {
        marked.wrapping_sub(1 << MARK_BITS)
    } else {
        marked
    }
}

/// The window shift and whether SACK is taken, from a timestamp that came back.
pub(crate) fn marked(echo: u32) -> (Option<u8>, bool) {
    let shift = echo & NO_SCALING;
    let shift = (shift != NO_SCALING).then_some(shift as u8);
    (shift, echo & TAKES_SACK != 0)
}

#[cfg(test)]
mod tests {
    use super::{SynCookies, mark, marked};
    use crate::stack::{FourTuple, HashKey};
    use crate::time::{Duration, Instant};
    use core::net::{IpAddr, Ipv4Addr};
    use tidewire_wire::{SeqNum, TcpOptions, TcpTimestamps};

    const IRS: SeqNum = SeqNum::new(77);

    fn tuple(port: u16) -> FourTuple {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        FourTuple {
            local: ip,
            remote: ip,
            local_port: 80,
            remote_port: port,
        }
    }

    fn options(mss: u16, timestamps: bool) -> TcpOptions {
        TcpOptions {
            mss: Some(mss),
            timestamps: timestamps.then_some(TcpTimestamps { value: 1, echo: 0 }),
            ..TcpOptions::default()
        }
    }

    fn cookies(secret: u8) -> SynCookies {
        SynCookies::new(HashKey::derive([secret; 16], 5))
    }

    #[test]
    fn a_cookie_brings_back_what_it_was_made_from() {
        let mut cookies = cookies(1);
        let now = Instant::ZERO + Duration::from_secs(1_000);
        for (mss, kept) in [
            (1_460, 1_460),
            (1_459, 1_440),
            (9_000, 8_940),
            (536, 536),
            (100, 88),
            (1, 88),
        ] {
            for timestamps in [false, true] {
                let iss = cookies.make(now, &tuple(1), IRS, &options(mss, timestamps));
                let back = cookies.check(now, &tuple(1), IRS, iss);
                assert_eq!(back, Some((kept, timestamps)));
            }
        }
    }

    #[test]
    fn what_is_not_a_cookie_of_ours_is_refused() {
        let now = Instant::ZERO + Duration::from_secs(1_000);
        let mut ours = cookies(1);
        let iss = ours.make(now, &tuple(1), IRS, &options(1_460, true));
        assert_eq!(ours.check(now, &tuple(2), IRS, iss), None);
        assert_eq!(ours.check(now, &tuple(1), IRS.add(1), iss), None);
        assert_eq!(ours.check(now, &tuple(1), IRS, iss.add(1)), None);
        let mut theirs = cookies(2);
        let foreign = theirs.make(now, &tuple(1), IRS, &options(1_460, true));
        assert_eq!(ours.check(now, &tuple(1), IRS, foreign), None);
        // None is believed by a stack that has made none.
        assert_eq!(cookies(1).check(now, &tuple(1), IRS, iss), None);
    }

    #[test]
    fn a_cookie_is_good_for_a_minute_and_not_for_three() {
        let mut cookies = cookies(1);
        for start in 1_000_u64..1_130 {
            let at = |secs| Instant::ZERO + Duration::from_secs(start + secs);
            let iss = cookies.make(at(0), &tuple(1), IRS, &options(1_460, true));
            assert!(cookies.check(at(60), &tuple(1), IRS, iss).is_some());
            cookies.make(at(180), &tuple(9), IRS, &options(1_460, true));
            assert_eq!(cookies.check(at(180), &tuple(1), IRS, iss), None);
        }
    }

    #[test]
    fn a_marked_timestamp_is_never_ahead_and_says_what_the_syn_offered() {
        for value in (0..200).chain(u32::MAX - 200..=u32::MAX) {
            for shift in [None, Some(0), Some(7), Some(14)] {
                for sack in [false, true] {
                    let peer = TcpOptions {
                        window_scale: shift,
                        sack_permitted: sack,
                        ..TcpOptions::default()
                    };
                    let stamp = mark(value, &peer);
                    assert!(value.wrapping_sub(stamp) < 32);
                    assert_eq!(marked(stamp), (shift, sack));
                }
            }
        }
    }
}
