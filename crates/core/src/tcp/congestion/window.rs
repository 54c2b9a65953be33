//! Congestion window: MSS, cwnd and ssthresh, as NewReno and CUBIC share them.

/// The initial window of RFC 6928 §2: ten segments, at most 14,600 bytes unless two segments are
/// more.
#[must_use]
pub fn initial_window(mss: u32) -> u64 {
    let mss = u64::from(mss);
    (10 * mss).min((2 * mss).max(14_600))
}

/// The state variables of RFC 5681 §2 that every window-based controller has. All in bytes.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// SMSS, at least 1.
    pub(super) mss: u64,
    pub(super) cwnd: u64,
    /// `u64::MAX` where there is none yet.
    pub(super) ssthresh: u64,
}

impl Window {
    /// The initial window, without a threshold.
    pub(super) fn new(mss: u32) -> Self {
        Self {
            mss: u64::from(mss.max(1)),
            cwnd: initial_window(mss),
            ssthresh: u64::MAX,
        }
    }

    /// Slow start by bytes: `acked` bytes widen the window up to the threshold. Returns the bytes
    /// left for congestion avoidance.
    ///
    /// RFC 5681 §3.1, eq. 2: the ACK of a super-frame covers many segments, so the limit of one
    /// segment per ACK is taken per segment acknowledged; ACK division still gains nothing.
    pub(super) fn slow_start(&mut self, acked: u64) -> u64 {
        let grow = acked.min(self.ssthresh.saturating_sub(self.cwnd));
        self.cwnd += grow;
        acked - grow
    }

    /// RFC 5681 eq. 4: lowers the threshold to a share of FlightSize, at least two segments. Not to
    /// a share of cwnd, which may be far above the proven capacity of the path after the
    /// application was idle.
    pub(super) fn lower_threshold(&mut self, share_of_flight: u64) {
        self.ssthresh = share_of_flight.max(2 * self.mss);
    }

    /// The window of fast recovery (RFC 5681 §3.2).
    pub(super) fn fall_to_threshold(&mut self) {
        self.cwnd = self.ssthresh;
    }

    /// The loss window, one segment: after a timeout (RFC 5681 §3.1), and after more than one
    /// repeated SYN (RFC 6928 §2).
    pub(super) fn fall_to_loss_window(&mut self) {
        self.cwnd = self.mss;
    }

    /// RFC 5681 §4.1: the restart window after idling, min(IW, cwnd).
    pub(super) fn restart(&mut self) {
        self.cwnd = self.cwnd.min(self.initial());
    }

    /// Changes the MSS: the window keeps its bytes (RFC 4821 §7), but an unused initial window
    /// keeps its segments.
    pub(super) fn set_mss(&mut self, mss: u32) {
        if self.ssthresh == u64::MAX && self.cwnd == self.initial() {
            self.cwnd = initial_window(mss);
        }
        self.mss = u64::from(mss.max(1));
    }

    fn initial(&self) -> u64 {
        initial_window(u32::try_from(self.mss).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{Window, initial_window};

    #[test]
    fn slow_start_ends_at_the_threshold() {
        let mut window = Window::new(1_000);
        assert_eq!(window.slow_start(4_000), 0);
        assert_eq!(window.cwnd, 14_000);
        window.lower_threshold(16_000);
        assert_eq!(window.slow_start(3_000), 1_000);
        assert_eq!(window.cwnd, 16_000);
        window.lower_threshold(500);
        assert_eq!(window.ssthresh, 2_000);
        assert_eq!(window.slow_start(3_000), 3_000);
        assert_eq!(window.cwnd, 16_000, "above the threshold");
    }

    #[test]
    fn another_mss_changes_an_untouched_window_only() {
        let mut window = Window::new(536);
        window.set_mss(1_460);
        assert_eq!(window.cwnd, 14_600);
        window.slow_start(1_460);
        window.set_mss(1_000);
        assert_eq!((window.mss, window.cwnd), (1_000, 16_060));
    }

    #[test]
    fn a_restart_never_widens_the_window() {
        let mut window = Window::new(1_000);
        window.slow_start(90_000);
        window.restart();
        assert_eq!(window.cwnd, initial_window(1_000));
        window.fall_to_loss_window();
        window.restart();
        assert_eq!(window.cwnd, 1_000);
    }
}
