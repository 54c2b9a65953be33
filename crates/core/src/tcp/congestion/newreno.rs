//! NewReno: slow start, congestion avoidance and multiplicative decrease of RFC 5681, with the byte counting of
//! RFC 3465 (L = 1 in effect per segment acknowledged).

use super::{
    AckSample, CongestionControl, CongestionEvent, initial_window, restart_window,
    window_for_new_mss,
};
use crate::time::Instant;

/// The standard controller of RFC 5681.
#[derive(Clone, Debug)]
pub struct NewReno {
    mss: u64,
    cwnd: u64,
    ssthresh: u64,
    /// Bytes acknowledged in congestion avoidance that have not yet earned a segment of window.
    acked: u64,
}

impl NewReno {
    /// A controller at the initial window for this MSS in bytes.
    #[must_use]
    pub fn new(mss: u32) -> Self {
        Self {
            mss: u64::from(mss.max(1)),
            cwnd: initial_window(mss),
            ssthresh: u64::MAX,
            acked: 0,
        }
    }

    /// RFC 5681 eq. 4: half the flight, at least two segments. FlightSize and not cwnd, which an idle application may
    /// have left far above what the path was proven to carry.
    fn halved(&self, flight_size: u64) -> u64 {
        (flight_size / 2).max(2 * self.mss)
    }
}

impl CongestionControl for NewReno {
    fn name(&self) -> &'static str {
        "newreno"
    }

    fn on_ack(&mut self, sample: &AckSample) {
        if sample.in_recovery || !sample.advanced || !sample.cwnd_limited {
            return;
        }
        let mut acked = sample.newly_acked;
        if self.cwnd < self.ssthresh {
            // RFC 5681 §3.1, eq. 2 by bytes: a super-frame's ACK covers many segments, so the limit of one segment per
            // ACK is taken per segment acknowledged; ACK division still gains nothing.
            let room = self.ssthresh - self.cwnd;
            let grow = acked.min(room);
            self.cwnd += grow;
            acked -= grow;
            if acked == 0 {
                return;
            }
        }
        // RFC 5681 §3.1, congestion avoidance: one segment for each window acknowledged.
        self.acked += acked;
        if self.acked >= self.cwnd {
            self.acked -= self.cwnd;
            self.cwnd += self.mss;
        }
    }

    fn on_congestion(&mut self, event: &CongestionEvent) {
        self.ssthresh = self.halved(event.flight_size);
        self.cwnd = self.ssthresh;
        self.acked = 0;
    }

    fn on_rto(&mut self, event: &CongestionEvent) {
        if !event.repeated {
            self.ssthresh = self.halved(event.flight_size);
        }
        self.cwnd = self.mss;
        self.acked = 0;
    }

    fn on_idle_restart(&mut self, _now: Instant) {
        self.cwnd = restart_window(self.cwnd, self.mss);
    }

    fn on_syn_loss(&mut self) {
        self.cwnd = self.mss;
    }

    fn set_mss(&mut self, mss: u32) {
        self.cwnd = window_for_new_mss(self.cwnd, self.ssthresh, self.mss, mss);
        self.mss = u64::from(mss.max(1));
    }

    fn cwnd(&self) -> u64 {
        self.cwnd
    }

    fn ssthresh(&self) -> u64 {
        self.ssthresh
    }
}
