//! Link model: delay, rate, queue, loss, reordering, duplication, corruption, MTU.

use bytes::Bytes;
use tidewire_core::{Duration, Instant};

use crate::rng::Rng;

/// One direction of a link. Chances are in parts per million per frame.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Propagation delay.
    pub delay: Duration,
    /// Most additional delay, drawn evenly per frame; it does not reorder.
    pub jitter: Duration,
    /// Bytes per second that the sending interface serialises; `None` is unlimited.
    pub rate: Option<u64>,
    /// Bytes that may wait for serialisation; a frame that does not fit is dropped (tail drop).
    pub queue: usize,
    /// Chance of losing a frame, each on its own.
    pub loss_ppm: u32,
    /// Loss in bursts, besides.
    pub burst: Option<BurstLoss>,
    /// Chance of a frame being overtaken: it arrives up to `reorder_delay` later than it would.
    pub reorder_ppm: u32,
    /// Most additional delay of a frame that is overtaken.
    pub reorder_delay: Duration,
    /// Chance of a frame arriving twice.
    pub duplicate_ppm: u32,
    /// Chance of one byte of an IP packet being changed. Frames of other protocols have nothing but
    /// Ethernet's own checksum, which no interface lets pass wrong, and stay as they are.
    pub corrupt_ppm: u32,
    /// Largest IP packet; a larger one is lost.
    pub mtu: u32,
    /// Path MTU: the largest IP packet that a router behind the sending interface passes on. It
    /// answers a larger one by an ICMP error, which the link may lose or delay as any frame.
    pub path_mtu: Option<u32>,
    /// Whether the interfaces have a carrier; without it they are told so, and frames are lost.
    pub up: bool,
}

impl LinkConfig {
    /// A link that only delays.
    #[must_use]
    pub const fn with_delay(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            rate: None,
            queue: 1 << 20,
            loss_ppm: 0,
            burst: None,
            reorder_ppm: 0,
            reorder_delay: Duration::ZERO,
            duplicate_ppm: 0,
            corrupt_ppm: 0,
            mtu: 1_500,
            path_mtu: None,
            up: true,
        }
    }

    /// The same link without faults: delay, rate, queue and MTUs stay.
    #[must_use]
    pub fn without_faults(&self) -> Self {
        Self {
            rate: self.rate,
            queue: self.queue,
            mtu: self.mtu,
            path_mtu: self.path_mtu,
            ..Self::with_delay(self.delay)
        }
    }
}

/// A two-state loss process (Gilbert and Elliott): good frames pass, in the bad state frames are
/// lost by chance.
#[derive(Copy, Clone, Debug)]
pub struct BurstLoss {
    /// Chance of the good state ending before a frame.
    pub enter_ppm: u32,
    /// Chance of the bad state ending before a frame.
    pub leave_ppm: u32,
    /// Chance of losing a frame in the bad state.
    pub loss_ppm: u32,
}

/// What a direction of a link did so far, in frames.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkStats {
    /// Handed in.
    pub offered: u64,
    /// Lost by chance, for their size, without carrier, or by an intercept.
    pub lost: u64,
    /// Dropped because the queue was full.
    pub overflowed: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Delayed behind others.
    pub reordered: u64,
    /// Delivered with a changed byte.
    pub corrupted: u64,
}

/// A frame on its way.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) frame: Bytes,
    /// Whether a byte was changed on the way: no law may learn from it.
    pub(crate) corrupted: bool,
}

/// The state of one direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) config: LinkConfig,
    pub(crate) stats: LinkStats,
    rng: Rng,
    /// When the interface has serialised everything handed in.
    busy_until: Instant,
    last_arrival: Instant,
    in_burst: bool,
}

impl Pipe {
    pub(crate) fn new(config: LinkConfig, rng: Rng) -> Self {
        let (busy_until, last_arrival) = (Instant::ZERO, Instant::ZERO);
        Self {
            config,
            stats: LinkStats::default(),
            rng,
            busy_until,
            last_arrival,
            in_burst: false,
        }
    }

    /// Takes a frame and says when it arrives: not at all, once or twice.
    pub(crate) fn carry(&mut self, now: Instant, frame: Bytes) -> [Option<Arrival>; 2] {
        self.stats.offered += 1;
        let too_long = frame.len() > ETHERNET_HEADER + self.config.mtu as usize;
        if !self.config.up || too_long {
            self.stats.lost += 1;
            return [None, None];
        }
        let Some(sent) = self.serialise(now, frame.len()) else {
            self.stats.overflowed += 1;
            return [None, None];
        };
        if self.is_lost() {
            self.stats.lost += 1;
            return [None, None];
        }
        let (frame, corrupted) = self.corrupt(frame);
        let first = self.arrival(sent, frame.clone(), corrupted);
        let second = self.rng.chance(self.config.duplicate_ppm).then(|| {
            self.stats.duplicated += 1;
            self.arrival(sent, frame, corrupted)
        });
        [Some(first), second]
    }

    pub(crate) fn lose(&mut self) {
        self.stats.offered += 1;
        self.stats.lost += 1;
    }

    /// When the last byte has left, or `None` where the queue is full.
    fn serialise(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = self.config.rate.map(|rate| u128::from(rate.max(1))) else {
            return Some(now);
        };
        let backlog = u128::from(self.busy_until.duration_since(now).as_nanos()) * rate / NANOS;
        if backlog > 0 && backlog + len as u128 > self.config.queue as u128 {
            return None;
        }
        let takes = Duration::from_nanos((len as u128 * NANOS / rate) as u64);
        self.busy_until = self.busy_until.max(now) + takes;
        Some(self.busy_until)
    }

    fn is_lost(&mut self) -> bool {
        let mut lost = self.rng.chance(self.config.loss_ppm);
        if let Some(burst) = self.config.burst {
            let ppm = if self.in_burst {
                burst.leave_ppm
            } else {
                burst.enter_ppm
            };
            self.in_burst ^= self.rng.chance(ppm);
            lost |= self.in_burst && self.rng.chance(burst.loss_ppm);
        }
        lost
    }

    /// Changes one byte. One only, because every checksum on the way detects that for certain.
    fn corrupt(&mut self, frame: Bytes) -> (Bytes, bool) {
        let is_ip = matches!(frame.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
        if !is_ip || frame.len() <= ETHERNET_HEADER || !self.rng.chance(self.config.corrupt_ppm) {
            return (frame, false);
        }
        self.stats.corrupted += 1;
        let mut bytes = frame.to_vec();
        let at = ETHERNET_HEADER + self.rng.below((bytes.len() - ETHERNET_HEADER) as u64) as usize;
        bytes[at] ^= self.rng.between(1, 255) as u8;
        (bytes.into(), !is_unprotected(&frame, at))
    }

    fn arrival(&mut self, sent: Instant, frame: Bytes, corrupted: bool) -> Arrival {
        let jitter = self.rng.below(self.config.jitter.as_nanos());
        let mut at =
            (sent + self.config.delay + Duration::from_nanos(jitter)).max(self.last_arrival);
        if self.rng.chance(self.config.reorder_ppm) {
            self.stats.reordered += 1;
            at += Duration::from_nanos(self.rng.below(self.config.reorder_delay.as_nanos()));
        } else {
            self.last_arrival = at;
        }
        Arrival {
            at,
            frame,
            corrupted,
        }
    }
}

/// Whether no checksum covers the byte: traffic class, flow label and hop limit of IPv6
/// (RFC 8200 §8.1). A segment is as good without them.
fn is_unprotected(frame: &[u8], at: usize) -> bool {
    const FIRST_WORD: std::ops::Range<usize> = ETHERNET_HEADER..ETHERNET_HEADER + 4;
    const HOP_LIMIT: usize = ETHERNET_HEADER + 7;
    frame.get(12) == Some(&0x86) && (FIRST_WORD.contains(&at) || at == HOP_LIMIT)
}

const ETHERNET_HEADER: usize = 14;
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tidewire_core::{Duration, Instant};

    use super::{BurstLoss, LinkConfig, Pipe};
    use crate::rng::Rng;

    fn ip_frame(len: usize) -> Bytes {
        let mut frame = vec![0; len];
        frame[12] = 8;
        frame.into()
    }

    #[test]
    fn a_rate_serialises_and_a_queue_overflows() {
        let config = LinkConfig {
            rate: Some(1_000_000),
            queue: 2_500,
            ..LinkConfig::with_delay(Duration::from_millis(10))
        };
        let mut pipe = Pipe::new(config, Rng::new(1));
        let at: Vec<_> = (0..4)
            .map(|_| {
                pipe.carry(Instant::ZERO, ip_frame(1_000))[0]
                    .as_ref()
                    .map(|arrival| arrival.at.as_nanos())
            })
            .collect();
        assert_eq!(at, [Some(11_000_000), Some(12_000_000), None, None]);
        assert_eq!(pipe.stats.overflowed, 2);
        let later = pipe.carry(Instant::from_nanos(2_000_000), ip_frame(1_000));
        assert_eq!(
            later[0].as_ref().map(|arrival| arrival.at.as_nanos()),
            Some(13_000_000)
        );
    }

    #[test]
    fn chances_are_kept_and_the_order_stays_without_reordering() {
        let config = LinkConfig {
            loss_ppm: 100_000,
            duplicate_ppm: 50_000,
            corrupt_ppm: 20_000,
            jitter: Duration::from_millis(5),
            ..LinkConfig::with_delay(Duration::from_millis(1))
        };
        let mut pipe = Pipe::new(config, Rng::new(7));
        let mut last = Instant::ZERO;
        for _ in 0..10_000 {
            for arrival in pipe
                .carry(Instant::ZERO, ip_frame(100))
                .into_iter()
                .flatten()
            {
                assert!(arrival.at >= last);
                last = arrival.at;
            }
        }
        assert!((900..1_100).contains(&pipe.stats.lost), "{:?}", pipe.stats);
        assert!(
            (380..520).contains(&pipe.stats.duplicated),
            "{:?}",
            pipe.stats
        );
        assert!(
            (130..230).contains(&pipe.stats.corrupted),
            "{:?}",
            pipe.stats
        );
    }

    /// 1 % of the time bad, in runs of ten frames on average: far more runs of losses than chance
    /// would give.
    #[test]
    fn bursts_come_in_runs() {
        let burst = Some(BurstLoss {
            enter_ppm: 1_000,
            leave_ppm: 100_000,
            loss_ppm: 1_000_000,
        });
        let config = LinkConfig {
            burst,
            ..LinkConfig::with_delay(Duration::ZERO)
        };
        let mut pipe = Pipe::new(config, Rng::new(3));
        let lost: Vec<_> = (0..100_000)
            .map(|_| pipe.carry(Instant::ZERO, ip_frame(60))[0].is_none())
            .collect();
        let total = lost.iter().filter(|&&lost| lost).count();
        let runs = lost.windows(2).filter(|pair| pair[0] && !pair[1]).count();
        assert!((500..1_500).contains(&total), "{total} lost");
        assert!(
            (7..14).contains(&(total / runs)),
            "{total} lost in {runs} runs"
        );
    }

    #[test]
    fn one_byte_is_changed_behind_the_ethernet_header() {
        let config = LinkConfig {
            corrupt_ppm: 1_000_000,
            ..LinkConfig::with_delay(Duration::ZERO)
        };
        let mut pipe = Pipe::new(config, Rng::new(3));
        for _ in 0..100 {
            let frame = ip_frame(60);
            let [Some(arrival), None] = pipe.carry(Instant::ZERO, frame.clone()) else {
                panic!("lost")
            };
            let changed: Vec<_> = (0..60)
                .filter(|&at| frame[at] != arrival.frame[at])
                .collect();
            assert!(
                arrival.corrupted && changed.len() == 1 && changed[0] >= 14,
                "{changed:?}"
            );
        }
        let mut arp = vec![0; 60];
        arp[12..14].copy_from_slice(&[8, 6]);
        assert!(
            pipe.carry(Instant::ZERO, arp.into())[0]
                .as_ref()
                .is_some_and(|arrival| !arrival.corrupted)
        );
    }

    #[test]
    fn what_is_too_long_or_without_carrier_is_lost() {
        let config = LinkConfig {
            mtu: 1_000,
            ..LinkConfig::with_delay(Duration::ZERO)
        };
        let mut pipe = Pipe::new(config, Rng::new(3));
        assert!(pipe.carry(Instant::ZERO, ip_frame(1_014))[0].is_some());
        assert!(pipe.carry(Instant::ZERO, ip_frame(1_015))[0].is_none());
        pipe.config.up = false;
        assert!(pipe.carry(Instant::ZERO, ip_frame(60))[0].is_none());
    }
}
