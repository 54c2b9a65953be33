//! NewReno: slow start, congestion avoidance and multiplicative decrease (RFC 5681).
//!
//! Bytes are counted as in RFC 3465, with L = 1 for each segment acknowledged.

use super::window::Window;
use super::{AckSample, CongestionControl, CongestionEvent};
use crate::time::Instant;

/// The standard controller of RFC 5681.
#[derive(Clone, Debug)]
pub struct NewReno {
    window: Window,
    /// Bytes acknowledged in congestion avoidance that have not yet earned a segment of window.
    acked: u64,
}

impl NewReno {
    pub(super) const NAME: &'static str = "newreno";

    /// A controller at the initial window for this MSS in bytes.
    #[must_use]
    pub fn new(mss: u32) -> Self {
        Self {
            window: Window::new(mss),
            acked: 0,
        }
    }

    /// RFC 5681 §3.1, congestion avoidance: one segment for each window acknowledged.
    fn avoid_congestion(&mut self, acked: u64) {
        self.acked += acked;
        if self.acked >= self.window.cwnd {
            self.acked -= self.window.cwnd;
            self.window.cwnd += self.window.mss;
        }
    }
}

impl CongestionControl for NewReno {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn on_ack(&mut self, sample: &AckSample) {
        if sample.in_recovery || !sample.advanced || !sample.cwnd_limited {
            return;
        }
        let acked = self.window.slow_start(sample.newly_acked);
        if acked > 0 {
            self.avoid_congestion(acked);
        }
    }

    fn on_congestion(&mut self, event: &CongestionEvent) {
        self.window.lower_threshold(event.flight_size / 2);
        self.window.fall_to_threshold();
        self.acked = 0;
    }

    fn on_rto(&mut self, event: &CongestionEvent) {
        if !event.repeated {
            self.window.lower_threshold(event.flight_size / 2);
        }
        self.window.fall_to_loss_window();
        self.acked = 0;
    }

    fn on_idle_restart(&mut self, _now: Instant) {
        self.window.restart();
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
