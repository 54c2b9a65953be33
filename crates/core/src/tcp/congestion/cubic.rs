//! CUBIC (RFC 9438): window growth as a cubic function of the time since the last loss.
//!
//! The growth depends little on the round trip, and is at least as fast as Reno's. All arithmetic
//! is in integers (times in milliseconds, windows in bytes, C = 0.4 and beta = 0.7 as fractions),
//! so that a run gives the same bytes on every machine. HyStart++ (RFC 9406) is not implemented.

use alloc::boxed::Box;

use super::window::Window;
use super::{AckSample, CongestionControl, CongestionEvent};
use crate::time::{Duration, Instant};

/// The CUBIC controller.
#[derive(Clone, Debug)]
pub struct Cubic {
    window: Window,
    /// W_max: the window at the last loss, lowered by fast convergence.
    w_max: u64,
    /// cwnd_prior: the window before the last reduction.
    cwnd_prior: u64,
    /// Boxed, because most connections never have one.
    epoch: Option<Box<Epoch>>,
    last_ack: Instant,
    /// Growth of the window that is not yet a whole segment, in bytes.
    credit: u64,
}

/// A period of congestion avoidance (RFC 9438 §4.2).
#[derive(Copy, Clone, Debug)]
struct Epoch {
    /// t = 0; moved forward by the times when the application did not fill the window.
    start: Instant,
    /// K in milliseconds: the time at which the curve is back at W_max.
    k_ms: u64,
    /// W_max, or cwnd where that is larger already.
    origin: u64,
    /// W_est: the window that Reno would have.
    w_est: u64,
    /// Bytes acknowledged that have not yet earned a segment of `w_est`.
    w_est_acked: u64,
}

impl Cubic {
    pub(super) const NAME: &'static str = "cubic";

    /// A controller at the initial window for this MSS in bytes.
    #[must_use]
    pub fn new(mss: u32) -> Self {
        Self {
            window: Window::new(mss),
            w_max: 0,
            cwnd_prior: 0,
            epoch: None,
            last_ack: Instant::ZERO,
            credit: 0,
        }
    }

    /// 0.7 of the flight, at least two segments (RFC 9438 §4.6), with fast convergence (§4.7).
    fn reduce(&mut self, flight_size: u64) {
        let lowered = self.window.cwnd < self.w_max;
        // (1 + beta) / 2 of the window, if it did not reach the last W_max: room for new flows.
        self.w_max = if lowered {
            self.window.cwnd * 17 / 20
        } else {
            self.window.cwnd
        };
        self.cwnd_prior = self.window.cwnd;
        self.window.lower_threshold(flight_size * 7 / 10);
        self.epoch = None;
        self.credit = 0;
    }

    fn start_epoch(&self, now: Instant) -> Epoch {
        let below = self.w_max.saturating_sub(self.window.cwnd);
        // RFC 9438 figure 2: K = cbrt((W_max - cwnd_epoch) / C), windows in segments, K in seconds.
        let k_cubed = u128::from(below) * 10_000_000_000 / (4 * u128::from(self.window.mss));
        Epoch {
            start: now,
            k_ms: cube_root(k_cubed),
            origin: self.w_max.max(self.window.cwnd),
            w_est: self.window.cwnd,
            w_est_acked: 0,
        }
    }

    /// W_cubic(t) = C (t - K)^3 + W_max (RFC 9438 figure 1), in bytes.
    fn w_cubic(&self, epoch: &Epoch, t_ms: u64) -> u64 {
        let (ahead, distance) = if t_ms >= epoch.k_ms {
            (true, t_ms - epoch.k_ms)
        } else {
            (false, epoch.k_ms - t_ms)
        };
        let distance = u128::from(distance.min(1 << 32));
        let offset = distance.pow(3) * 4 * u128::from(self.window.mss) / 10_000_000_000;
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        if ahead {
            epoch.origin.saturating_add(offset)
        } else {
            epoch.origin.saturating_sub(offset)
        }
    }

    /// RFC 9438 §4.3: 3 (1 - beta) / (1 + beta) = 9/17 of Reno's slope, and all of it once W_max is
    /// reached.
    fn grow_reno_estimate(&self, epoch: &mut Epoch, acked: u64) {
        epoch.w_est_acked += if epoch.w_est < self.cwnd_prior {
            acked * 9 / 17
        } else {
            acked
        };
        let segments = epoch.w_est_acked / self.window.cwnd.max(1);
        epoch.w_est_acked -= segments * self.window.cwnd;
        epoch.w_est += segments * self.window.mss;
    }

    fn avoid_congestion(&mut self, sample: &AckSample, acked: u64) {
        let started = self.epoch.take();
        let mut epoch = started.unwrap_or_else(|| Box::new(self.start_epoch(sample.now)));
        self.grow_reno_estimate(&mut epoch, acked);
        let srtt = sample.srtt.unwrap_or(Duration::ZERO);
        let t = sample.now.duration_since(epoch.start);
        let reno = epoch.w_est;
        let (now, next) = (
            self.w_cubic(&epoch, t.as_millis()),
            self.w_cubic(&epoch, (t + srtt).as_millis()),
        );
        self.epoch = Some(epoch);
        if now < reno {
            self.window.cwnd = self.window.cwnd.max(reno);
            return;
        }
        // RFC 9438 §4.4 and §4.5: by (target - cwnd) / cwnd per segment acknowledged.
        let target = next.clamp(self.window.cwnd, self.window.cwnd + self.window.cwnd / 2);
        let growth = u128::from(target - self.window.cwnd) * u128::from(acked)
            / u128::from(self.window.cwnd.max(1));
        self.credit += u64::try_from(growth).unwrap_or(0);
        let whole = self.credit / self.window.mss * self.window.mss;
        self.credit -= whole;
        self.window.cwnd += whole;
    }
}

/// The largest integer whose cube is at most `n`, for what fits into 64 bits.
fn cube_root(n: u128) -> u64 {
    let mut root = 0_u128;
    for bit in (0..42).rev() {
        let next = root | 1 << bit;
        if next.pow(3) <= n {
            root = next;
        }
    }
    u64::try_from(root).unwrap_or(u64::MAX)
}

impl CongestionControl for Cubic {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn on_ack(&mut self, sample: &AckSample) {
        let since_last = sample.now.duration_since(self.last_ack);
        self.last_ack = sample.now;
        if sample.in_recovery || !sample.advanced {
            return;
        }
        if !sample.cwnd_limited {
            // Time in which the window was not used does not count (RFC 9438 §4.2).
            if let Some(epoch) = &mut self.epoch {
                epoch.start += since_last;
            }
            return;
        }
        let acked = self.window.slow_start(sample.newly_acked);
        if acked > 0 {
            self.avoid_congestion(sample, acked);
        }
    }

    fn on_congestion(&mut self, event: &CongestionEvent) {
        self.reduce(event.flight_size);
        self.window.fall_to_threshold();
    }

    fn on_rto(&mut self, event: &CongestionEvent) {
        if !event.repeated {
            self.reduce(event.flight_size);
        }
        // RFC 9438 §4.8: slow start to ssthresh, then a curve that starts at its own origin.
        self.w_max = 0;
        self.epoch = None;
        self.window.fall_to_loss_window();
    }

    fn on_idle_restart(&mut self, _now: Instant) {
        self.window.restart();
        self.epoch = None;
    }

    fn on_syn_loss(&mut self) {
        self.window.fall_to_loss_window();
    }

    fn set_mss(&mut self, mss: u32) {
        self.window.set_mss(mss);
    }

    fn cwnd(&self) -> u64 {
        self.window.cwnd
    }

    fn ssthresh(&self) -> u64 {
        self.window.ssthresh
    }
}

#[cfg(test)]
mod tests {
    use super::{Cubic, cube_root};
    use crate::tcp::congestion::{AckSample, CongestionControl, CongestionEvent};
    use crate::time::{Duration, Instant};

    const MSS: u64 = 1_000;
    const RTT: Duration = Duration::from_millis(100);

    /// One round trip: the whole window is acknowledged, segment by segment.
    fn round(cubic: &mut Cubic, now: &mut Instant) {
        let segments = (cubic.cwnd() / MSS).max(1);
        for _ in 0..segments {
            *now += RTT.div(segments);
            let in_flight = cubic.cwnd();
            cubic.on_ack(&AckSample {
                now: *now,
                newly_acked: MSS,
                advanced: true,
                prior_in_flight: in_flight,
                in_flight,
                rtt: Some(RTT),
                srtt: Some(RTT),
                min_rtt: Some(RTT),
                cwnd_limited: true,
                in_recovery: false,
            });
        }
    }

    fn after_loss_at(window: u64) -> Cubic {
        let mut cubic = Cubic::new(MSS as u32);
        cubic.window.cwnd = window * MSS;
        cubic.on_congestion(&CongestionEvent {
            now: Instant::ZERO,
            flight_size: window * MSS,
            repeated: false,
        });
        cubic
    }

    #[test]
    fn cube_roots_are_exact() {
        for n in [0_u64, 1, 2, 9, 1_000, 123_456] {
            let cube = u128::from(n).pow(3);
            assert_eq!(cube_root(cube), n);
            assert_eq!(cube_root(cube + 1), n.max(1), "{n}");
        }
    }

    #[test]
    fn a_loss_leaves_seven_tenths() {
        let cubic = after_loss_at(1_000);
        assert_eq!((cubic.cwnd(), cubic.ssthresh()), (700 * MSS, 700 * MSS));
    }

    /// The window is back at W_max after K = cbrt(0.3 W / 0.4) seconds: 9.1 s for 1,000 segments,
    /// 19.6 s for 10,000.
    #[test]
    fn the_curve_returns_to_the_old_window_after_k() {
        for (window, k_ms) in [(1_000, 9_086), (10_000, 19_574)] {
            let mut cubic = after_loss_at(window);
            let mut now = Instant::ZERO;
            while now.as_nanos() / 1_000_000 < k_ms - 500 {
                round(&mut cubic, &mut now);
            }
            assert!(cubic.cwnd() < window * MSS, "{} at {now}", cubic.cwnd());
            for _ in 0..8 {
                round(&mut cubic, &mut now);
            }
            let deviation = (cubic.cwnd() / MSS).abs_diff(window);
            assert!(
                deviation <= window / 100,
                "{window}: {} at {now}",
                cubic.cwnd() / MSS
            );
        }
    }

    #[test]
    fn a_small_window_grows_as_reno_does() {
        let mut cubic = after_loss_at(10);
        let mut now = Instant::ZERO;
        let before = cubic.cwnd();
        for _ in 0..20 {
            round(&mut cubic, &mut now);
        }
        let grown = (cubic.cwnd() - before) / MSS;
        // 0.53 segments a round up to W_max, one a round from there.
        assert!((12..=20).contains(&grown), "{grown}");
    }

    #[test]
    fn an_idle_minute_does_not_make_the_window_jump() {
        let mut cubic = after_loss_at(1_000);
        let mut now = Instant::ZERO;
        round(&mut cubic, &mut now);
        let before = cubic.cwnd();
        now += Duration::from_secs(60);
        cubic.on_ack(&AckSample {
            now,
            newly_acked: MSS,
            advanced: true,
            prior_in_flight: MSS,
            in_flight: 0,
            rtt: Some(RTT),
            srtt: Some(RTT),
            min_rtt: Some(RTT),
            cwnd_limited: false,
            in_recovery: false,
        });
        round(&mut cubic, &mut now);
        assert!(
            cubic.cwnd() < before + 60 * MSS,
            "{} after {before}",
            cubic.cwnd()
        );
    }

    #[test]
    fn windows_of_a_gigabyte_do_not_overflow() {
        let mut cubic = after_loss_at(1 << 20);
        cubic.on_rto(&CongestionEvent {
            now: Instant::ZERO,
            flight_size: 1 << 30,
            repeated: false,
        });
        assert_eq!(cubic.cwnd(), MSS);
        let epoch = cubic.start_epoch(Instant::ZERO);
        assert!(cubic.w_cubic(&epoch, u64::MAX) > 0);
    }
}
