//! SYN cookies (RFC 4987 §3.6): handshakes without a half-open record.
//!
//! They are in use when there is no room for more half-open records.
//!
//! The peer returns the contents of the record. The sequence number of the SYN-ACK encodes the MSS
//! and whether timestamps are in use, beside a keyed hash that proves its origin. The low bits of
//! its timestamp encode the other options; without timestamps the connection has neither window
//! scaling nor SACK.
//!
//! DEVIATION(RFC 9293 §3.4.1, MUST-8): the sequence number of a cookie does not follow the clock.
//!
//! DEVIATION(RFC 9293 §3.10.7.2): some segments get no reset while cookies are in use. Data of a
//! connection that began with a cookie and is gone looks like data after a lost third segment,
//! until its cookie is too old.

use tidewire_wire::{SeqNum, TcpOptions};

use super::negotiation::{DEFAULT_MSS, MIN_MSS};
use crate::time::{Duration, Instant};
use crate::types::{FourTuple, HashKey};

/// A cookie is valid in its own period and in the next one.
const PERIOD: Duration = Duration::from_secs(64);
/// The MSS values that a cookie can encode; the peer's is rounded down to one of them.
const MSS: [u16; 8] = [
    MIN_MSS as u16,
    DEFAULT_MSS as u16,
    1_220,
    1_360,
    1_400,
    1_440,
    1_460,
    8_940,
];
/// Low bits of a cookie: the index of the MSS, and this flag.
const HAS_TIMESTAMPS: u32 = 8;
const DATA_BITS: u32 = 4;
/// Above them, a hash of the SYN and the 4-tuple; in the top bits, a hash of the 4-tuple alone.
const PROOF_BITS: u32 = 14;

/// Low bits of a timestamp: the peer's window shift or `NO_SCALING`, and the SACK flag.
const NO_SCALING: u32 = 15;
const TAKES_SACK: u32 = 16;
const OPTION_BITS: u32 = 5;
const OPTION_MASK: u32 = (1 << OPTION_BITS) - 1;

/// Outcome of the check of an acknowledged sequence number.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Cookie {
    /// Not a cookie of this stack, or too old.
    Foreign,
    /// A cookie for this peer, but the segment is not the one that follows its SYN.
    OutOfOrder,
    /// A valid cookie: the segment completes the handshake.
    Good {
        /// The MSS that the cookie encodes.
        mss: u16,
        /// Whether timestamps were offered.
        timestamps: bool,
    },
}

/// Generator and verifier of cookies.
#[derive(Debug)]
pub(crate) struct SynCookies {
    key: HashKey,
    /// Time of the last cookie: without a recent one, a stray segment costs no hash.
    made_at: Option<Instant>,
}

impl SynCookies {
    pub(crate) fn new(key: HashKey) -> Self {
        Self { key, made_at: None }
    }

    /// The cookie for a SYN with this sequence number and these options: the sequence number of the
    /// SYN-ACK.
    pub(crate) fn make(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        irs: SeqNum,
        peer: &TcpOptions,
    ) -> SeqNum {
        self.made_at = Some(now);
        let mss = peer.mss.map_or(DEFAULT_MSS, u32::from);
        let index = MSS
            .iter()
            .rposition(|&known| u32::from(known) <= mss)
            .unwrap_or(0) as u32;
        let with = u32::from(peer.timestamps.is_some()) * HAS_TIMESTAMPS;
        self.cookie(period(now), tuple, irs, index | with)
    }

    /// Checks the sequence number that a segment acknowledges; `irs` is that of the peer's SYN.
    pub(crate) fn check(
        &self,
        now: Instant,
        tuple: &FourTuple,
        irs: SeqNum,
        iss: SeqNum,
    ) -> Cookie {
        let lately = |at: Instant| now.duration_since(at) <= PERIOD.saturating_mul(2);
        if !self.made_at.is_some_and(lately) {
            return Cookie::Foreign;
        }
        let data = iss.raw() & ((1 << DATA_BITS) - 1);
        let current = period(now);
        let expected =
            [current, current.wrapping_sub(1)].map(|period| self.cookie(period, tuple, irs, data));
        let peer = |cookie: SeqNum| cookie.raw() >> (PROOF_BITS + DATA_BITS);
        let mss = MSS.get((data & !HAS_TIMESTAMPS) as usize).copied();
        match mss {
            Some(mss) if expected.contains(&iss) => Cookie::Good {
                mss,
                timestamps: data & HAS_TIMESTAMPS != 0,
            },
            _ if expected.iter().any(|&cookie| peer(cookie) == peer(iss)) => Cookie::OutOfOrder,
            _ => Cookie::Foreign,
        }
    }

    fn cookie(&self, period: u64, tuple: &FourTuple, irs: SeqNum, data: u32) -> SeqNum {
        let peer = self.key.hash(&(tuple, period)) as u32;
        let syn = self.key.hash(&(tuple, irs.raw(), period, data)) as u32;
        let syn = syn & ((1 << PROOF_BITS) - 1);
        SeqNum::new((peer << (PROOF_BITS + DATA_BITS)) | (syn << DATA_BITS) | data)
    }
}

fn period(now: Instant) -> u64 {
    now.as_nanos() / PERIOD.as_nanos()
}

/// The largest timestamp up to `value` that encodes the options of the peer's SYN.
pub(crate) fn encode_options(value: u32, peer: &TcpOptions) -> u32 {
    let shift = peer
        .window_scale
        .map_or(NO_SCALING, |shift| u32::from(shift.min(14)));
    let sack = if peer.sack_permitted { TAKES_SACK } else { 0 };
    let options = shift | sack;
    let encoded = (value & !OPTION_MASK) | options;
    if options > value & OPTION_MASK {
        encoded.wrapping_sub(1 << OPTION_BITS)
    } else {
        encoded
    }
}

/// The window shift and whether SACK is permitted, from an echoed timestamp.
pub(crate) fn decode_options(echo: u32) -> (Option<u8>, bool) {
    let shift = echo & NO_SCALING;
    let shift = (shift != NO_SCALING).then_some(shift as u8);
    (shift, echo & TAKES_SACK != 0)
}

#[cfg(test)]
mod tests {
    use super::{Cookie, SynCookies, decode_options, encode_options};
    use crate::time::{Duration, Instant};
    use crate::types::{FourTuple, HashKey, Secret};
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
        SynCookies::new(HashKey::derive(&Secret::new([secret; 16]), 5))
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
                let good = Cookie::Good {
                    mss: kept,
                    timestamps,
                };
                assert_eq!(back, good);
            }
        }
    }

    #[test]
    fn what_is_not_a_cookie_of_ours_is_refused() {
        let now = Instant::ZERO + Duration::from_secs(1_000);
        let mut ours = cookies(1);
        let iss = ours.make(now, &tuple(1), IRS, &options(1_460, true));
        let check = |port, irs, iss| ours.check(now, &tuple(port), irs, iss);
        assert_eq!(check(2, IRS, iss), Cookie::Foreign);
        assert_eq!(check(1, IRS.add(1), iss), Cookie::OutOfOrder);
        assert_eq!(check(1, IRS, iss.add(1)), Cookie::OutOfOrder);
        assert_eq!(check(1, IRS, iss.add(1 << 31)), Cookie::Foreign);
        let mut theirs = cookies(2);
        let foreign = theirs.make(now, &tuple(1), IRS, &options(1_460, true));
        assert_eq!(check(1, IRS, foreign), Cookie::Foreign);
        // A stack that has made no cookie accepts none.
        let first = cookies(1).check(now, &tuple(1), IRS, iss);
        assert_eq!(first, Cookie::Foreign);
    }

    #[test]
    fn a_cookie_is_good_for_a_minute_and_not_for_three() {
        let mut cookies = cookies(1);
        for start in 1_000_u64..1_130 {
            let at = |secs| Instant::ZERO + Duration::from_secs(start + secs);
            let iss = cookies.make(at(0), &tuple(1), IRS, &options(1_460, true));
            let back = cookies.check(at(60), &tuple(1), IRS, iss);
            assert!(matches!(back, Cookie::Good { .. }));
            cookies.make(at(180), &tuple(9), IRS, &options(1_460, true));
            let late = cookies.check(at(180), &tuple(1), IRS, iss);
            assert_eq!(late, Cookie::Foreign);
        }
    }

    #[test]
    fn an_encoded_timestamp_is_never_ahead_and_says_what_the_syn_offered() {
        for value in (0..200).chain(u32::MAX - 200..=u32::MAX) {
            for shift in [None, Some(0), Some(7), Some(14)] {
                for sack in [false, true] {
                    let peer = TcpOptions {
                        window_scale: shift,
                        sack_permitted: sack,
                        ..TcpOptions::default()
                    };
                    let stamp = encode_options(value, &peer);
                    assert!(value.wrapping_sub(stamp) < 32);
                    assert_eq!(decode_options(stamp), (shift, sack));
                }
            }
        }
    }
}
