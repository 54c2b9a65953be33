//! How large the buffers of a connection are, where the application leaves that open.
//!
//! Sending, twice the congestion window: one to be acknowledged, one to follow it (as Linux). Receiving, twice what the
//! application read in one round trip ("dynamic right-sizing"): the sender may then double its rate each round trip, as
//! slow start does, and a slow reader's window stays small. Both only ever promise; memory is taken when data comes.

use super::pressure::Pressure;
use crate::tcp::config::{BufferSize, TcpConfig};
use crate::tcp::tcb::Connection;
use crate::time::{Duration, Instant};

/// A receive buffer's first size: the largest window that needs no scaling, as in Linux.
const INITIAL_RECV: usize = 64 * 1024;
/// The least size of a send buffer: enough for several super-frames before the window has opened, and for a program that
/// writes its whole request before it reads any of the answer.
const LEAST_SEND: usize = 1024 * 1024;
/// Until a round trip is known.
const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// The receive buffer's size, and what it follows.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RecvTuning {
    /// Bytes that may be held for the application, in force.
    limit: u32,
    /// Bytes that the application read since then, and those it read in the round trip before.
    since: Instant,
    read: u32,
    before: u32,
    /// The round trip as the receiver sees it, in microseconds: the least one of the period before, and of this one so
    /// far. The least, because a peer that had nothing to send brings a timestamp back late. `u32::MAX` while unknown.
    rtt_us: u32,
    least_us: u32,
}

impl RecvTuning {
    pub(crate) fn new(config: &TcpConfig, now: Instant) -> Self {
        let limit = match config.recv_buffer {
            BufferSize::Auto { max } => max.min(INITIAL_RECV),
            BufferSize::Fixed(size) => size,
        };
        Self {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            since: now,
            read: 0,
            before: 0,
            rtt_us: u32::MAX,
            least_us: u32::MAX,
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// The peer's data brought one of our timestamps back after this time.
    pub(crate) fn on_rtt(&mut self, rtt: Duration) {
        let sample = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).max(1);
        self.least_us = self.least_us.min(sample);
    }

    /// The application read `bytes`. `srtt` stands in where the peer sends no timestamps.
    fn on_read(&mut self, now: Instant, bytes: usize, srtt: Option<Duration>, mss: u32, max: u32) {
        self.read = self
            .read
            .saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        let rtt = match self.rtt_us.min(self.least_us) {
            u32::MAX => srtt.unwrap_or(DEFAULT_RTT),
            known => Duration::from_micros(known.into()),
        };
        let elapsed = now.duration_since(self.since);
        if elapsed < rtt {
            return;
        }
        // Where the application came late it read more than one round trip's worth.
        let read = u128::from(self.read) * u128::from(rtt.as_nanos())
            / u128::from(elapsed.as_nanos().max(1));
        let read = u32::try_from(read).unwrap_or(u32::MAX);
        let mut wanted = read
            .saturating_mul(2)
            .saturating_add(mss.saturating_mul(16));
        if read > self.before {
            // It grows: leave room for it to grow as much again.
            let growth =
                u64::from(wanted) * u64::from(read - self.before) / u64::from(self.before.max(1));
            let growth = u32::try_from(growth).unwrap_or(u32::MAX);
            wanted = wanted.saturating_add(growth.min(wanted));
        }
        self.limit = self.limit.max(wanted.min(max));
        if self.least_us != u32::MAX {
            self.rtt_us = core::mem::replace(&mut self.least_us, u32::MAX);
        }
        self.since = now;
        self.read = 0;
        self.before = read;
    }
}

impl Connection {
    /// Bytes that may be queued for sending.
    pub(crate) fn send_capacity(&self) -> usize {
        match self.config.send_buffer {
            BufferSize::Fixed(size) => self.press(size),
            BufferSize::Auto { max } => {
                let window = usize::try_from(self.congestion.cwnd()).unwrap_or(usize::MAX);
                self.press(window.saturating_mul(2).clamp(LEAST_SEND.min(max), max))
            }
        }
    }

    /// A buffer's size under the pressure in force.
    fn press(&self, size: usize) -> usize {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.pressure.limit(size) as usize
    }

    /// Bytes that may be written now.
    pub(crate) fn send_room(&self) -> usize {
        self.send_capacity().saturating_sub(self.snd.buffer.len())
    }

    /// The application read `bytes`: the window may grow.
    pub(crate) fn tune_window(&mut self, now: Instant, bytes: usize) {
        if let BufferSize::Auto { max } = self.config.recv_buffer {
            let max = u32::try_from(max).unwrap_or(u32::MAX);
            if self.rcv.tuning.limit < max && self.pressure == Pressure::None {
                let (srtt, mss) = (self.rtt.srtt(), self.rcv.mss_seen);
                self.rcv.tuning.on_read(now, bytes, srtt, mss, max);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INITIAL_RECV, RecvTuning};
    use crate::tcp::config::TcpConfig;
    use crate::time::{Duration, Instant};

    const MSS: u32 = 1_448;
    const MAX: u32 = 4 << 20;

    fn ms(n: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(n)
    }

    fn tuning() -> RecvTuning {
        let mut tuning = RecvTuning::new(&TcpConfig::default(), ms(0));
        tuning.on_rtt(Duration::from_millis(20));
        tuning
    }

    #[test]
    fn the_window_is_never_what_limits_slow_start() {
        let mut tuning = tuning();
        let (mut flight, mut now) = (14_480_u32, 0);
        while flight < 1 << 20 {
            now += 20;
            tuning.on_read(ms(now), flight as usize, None, MSS, MAX);
            flight *= 2;
            assert!(tuning.limit() >= flight, "{} < {flight}", tuning.limit());
        }
        for _ in 0..10 {
            now += 20;
            tuning.on_read(ms(now), 100 << 20, None, MSS, MAX);
        }
        assert_eq!(tuning.limit(), MAX);
    }

    #[test]
    fn a_peer_that_was_silent_for_long_does_not_lengthen_the_round_trip() {
        let mut tuning = tuning();
        tuning.on_read(ms(20), 100, None, MSS, MAX);
        // It sends again after a second, and from then on as fast as it may.
        tuning.on_rtt(Duration::from_millis(1_000));
        tuning.on_read(ms(1_020), 14_480, None, MSS, MAX);
        for n in 1..4 {
            tuning.on_rtt(Duration::from_millis(20));
            tuning.on_read(ms(1_020 + 20 * n), 30_000, None, MSS, MAX);
        }
        assert!(tuning.limit() > 80_000, "{}", tuning.limit());
    }

    #[test]
    fn a_slow_reader_s_window_stays_as_it_is() {
        let mut tuning = tuning();
        for second in 1..1_000 {
            tuning.on_read(ms(1_000 * second), 60_000, None, MSS, MAX);
        }
        assert_eq!(tuning.limit() as usize, INITIAL_RECV);
    }
}
