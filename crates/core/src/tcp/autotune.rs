//! Buffer autotuning: the sizes of a connection's buffers, unless the application fixed them.
//!
//! Send buffer: twice the congestion window, as in Linux: one window in flight, one to follow it.
//! Receive buffer: twice the data that the application read in one round trip ("dynamic
//! right-sizing"). The sender can then double its rate each round trip, as slow start does, and the
//! window of a slow reader stays small. Sizes are upper bounds; memory is allocated when data
//! arrives.

use super::pressure::Pressure;
use crate::tcp::config::{BufferSize, TcpConfig};
use crate::tcp::tcb::Connection;
use crate::time::{Duration, Instant};

/// Initial size of a receive buffer: the largest window that needs no scaling, as in Linux.
const INITIAL_RECV: usize = 64 * 1024;
/// Smallest size of a send buffer: several super-frames while cwnd is still small, and a whole
/// request of an application that writes all of it before it reads the answer.
const MIN_SEND: usize = 1024 * 1024;
/// Round trip before the first measurement.
const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// Receive buffer size, and the measurements behind it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RecvTuning {
    /// Present size in bytes.
    size: u32,
    /// Start of the measurement period, bytes that the application read in it, and bytes read in
    /// one round trip of the period before.
    since: Instant,
    read: u32,
    before: u32,
    /// Round trip measured by the receiver, in microseconds: the smallest of the last period, and
    /// of this one so far. The smallest, because an idle peer echoes an old timestamp late.
    /// `u32::MAX` while unknown.
    rtt_us: u32,
    least_us: u32,
}

impl RecvTuning {
    pub(crate) fn new(config: &TcpConfig, now: Instant) -> Self {
        let size = match config.recv_buffer {
            BufferSize::Auto { max } => max.min(INITIAL_RECV),
            BufferSize::Fixed(size) => size,
        };
        Self {
            size: u32::try_from(size).unwrap_or(u32::MAX),
            since: now,
            read: 0,
            before: 0,
            rtt_us: u32::MAX,
            least_us: u32::MAX,
        }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Data echoed one of our timestamps after this time.
    pub(crate) fn on_rtt(&mut self, rtt: Duration) {
        let sample = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).max(1);
        self.least_us = self.least_us.min(sample);
    }

    /// The application read `bytes`. `srtt` is used where the peer sends no timestamps.
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
        // A late read covers more than one round trip.
        let read = u128::from(self.read) * u128::from(rtt.as_nanos())
            / u128::from(elapsed.as_nanos().max(1));
        let read = u32::try_from(read).unwrap_or(u32::MAX);
        let mut wanted = read
            .saturating_mul(2)
            .saturating_add(mss.saturating_mul(16));
        if read > self.before {
            // The rate grows: room for the same growth again.
            let growth =
                u64::from(wanted) * u64::from(read - self.before) / u64::from(self.before.max(1));
            let growth = u32::try_from(growth).unwrap_or(u32::MAX);
            wanted = wanted.saturating_add(growth.min(wanted));
        }
        self.size = self.size.max(wanted.min(max));
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
            BufferSize::Fixed(size) => self.under_pressure(size),
            BufferSize::Auto { max } => {
                let window = usize::try_from(self.congestion.cwnd()).unwrap_or(usize::MAX);
                self.under_pressure(window.saturating_mul(2).clamp(MIN_SEND.min(max), max))
            }
        }
    }

    /// A buffer size, reduced under memory pressure.
    fn under_pressure(&self, size: usize) -> usize {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.pressure.cap(size) as usize
    }

    /// Free bytes in the send buffer.
    pub(crate) fn send_room(&self) -> usize {
        self.send_capacity().saturating_sub(self.snd.buffer.len())
    }

    /// The application read `bytes`: the window may grow.
    pub(crate) fn tune_window(&mut self, now: Instant, bytes: usize) {
        if let BufferSize::Auto { max } = self.config.recv_buffer {
            let max = u32::try_from(max).unwrap_or(u32::MAX);
            if self.rcv.tuning.size < max && self.pressure == Pressure::None {
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
            assert!(tuning.size() >= flight, "{} < {flight}", tuning.size());
        }
        for _ in 0..10 {
            now += 20;
            tuning.on_read(ms(now), 100 << 20, None, MSS, MAX);
        }
        assert_eq!(tuning.size(), MAX);
    }

    #[test]
    fn a_peer_that_was_silent_for_long_does_not_lengthen_the_round_trip() {
        let mut tuning = tuning();
        tuning.on_read(ms(20), 100, None, MSS, MAX);
        // The peer sends again after a second, and from then on at full rate.
        tuning.on_rtt(Duration::from_millis(1_000));
        tuning.on_read(ms(1_020), 14_480, None, MSS, MAX);
        for n in 1..4 {
            tuning.on_rtt(Duration::from_millis(20));
            tuning.on_read(ms(1_020 + 20 * n), 30_000, None, MSS, MAX);
        }
        assert!(tuning.size() > 80_000, "{}", tuning.size());
    }

    #[test]
    fn a_slow_reader_s_window_stays_as_it_is() {
        let mut tuning = tuning();
        for second in 1..1_000 {
            tuning.on_read(ms(1_000 * second), 60_000, None, MSS, MAX);
        }
        assert_eq!(tuning.size() as usize, INITIAL_RECV);
    }
}
