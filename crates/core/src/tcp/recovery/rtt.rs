//! RTT estimation and retransmission timeout (RFC 6298; RFC 9293 §3.8.1, MUST-18).
//!
//! Includes Karn's rule.

use crate::tcp::config::TcpConfig;
use crate::time::Duration;

/// Clock granularity G of RFC 6298: timers are exact here, and samples are exact to a microsecond.
const GRANULARITY: Duration = Duration::from_micros(1);

/// SRTT, RTTVAR and RTO.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct RttEstimator {
    srtt: Option<Duration>,
    rttvar: Duration,
    min_rtt: Option<Duration>,
    /// Timeouts in a row without a new measurement (RFC 6298 §5.5): each doubles the RTO.
    backoff: u8,
    /// Number of timeouts of the SYN.
    syn_timeouts: u8,
    /// The SYN timed out: RFC 6298 §5.7 asks for an RTO of 3 s until the first sample of data.
    cautious: bool,
}

impl RttEstimator {
    /// A new sample (RFC 6298 §2.2 and §2.3). It also ends the back-off, as only a sample may
    /// (Karn).
    pub(crate) fn on_sample(&mut self, rtt: Duration) {
        self.backoff = 0;
        self.min_rtt = Some(self.min_rtt.map_or(rtt, |min| min.min(rtt)));
        match self.srtt {
            None => {
                self.srtt = Some(rtt);
                self.rttvar = rtt.div(2);
            }
            Some(srtt) => {
                // RTTVAR first, with the old SRTT.
                let deviation = if srtt > rtt { srtt - rtt } else { rtt - srtt };
                self.rttvar = (self.rttvar.saturating_mul(3) + deviation).div(4);
                self.srtt = Some((srtt.saturating_mul(7) + rtt).div(8));
            }
        }
    }

    /// The retransmission timer expired (RFC 6298 §5.5).
    pub(crate) fn on_timeout(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// The SYN timed out.
    pub(crate) fn on_syn_timeout(&mut self) {
        self.on_timeout();
        self.syn_timeouts = self.syn_timeouts.saturating_add(1);
    }

    /// The handshake is complete.
    pub(crate) fn on_established(&mut self) {
        self.backoff = 0;
        self.cautious = self.syn_timeouts > 0;
    }

    /// Number of timeouts of the SYN.
    pub(crate) fn syn_timeouts(&self) -> u8 {
        self.syn_timeouts
    }

    /// The timeout in force, back-off included.
    ///
    /// DEVIATION(RFC 6298 §2.4): the minimum applies to the variance term, as in Linux, and not to
    /// the sum. Otherwise a path of constant delay would have an RTO below the peer's delayed ACK.
    pub(crate) fn rto(&self, config: &TcpConfig) -> Duration {
        let base = match self.srtt {
            None if self.cautious => config.initial_rto.max(Duration::from_secs(3)),
            None => config.initial_rto,
            Some(srtt) => {
                srtt + self
                    .rttvar
                    .saturating_mul(4)
                    .max(GRANULARITY)
                    .max(config.min_rto)
            }
        };
        base.saturating_mul(1 << self.backoff.min(32))
            .min(config.max_rto)
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt
    }

    pub(crate) fn rttvar(&self) -> Duration {
        self.rttvar
    }

    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }
}

#[cfg(test)]
mod tests {
    use super::RttEstimator;
    use crate::tcp::config::TcpConfig;
    use crate::time::Duration;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn first_sample_then_smoothing() {
        let config = TcpConfig {
            min_rto: ms(1),
            ..TcpConfig::default()
        };
        let mut rtt = RttEstimator::default();
        assert_eq!(rtt.rto(&config), ms(1_000));
        rtt.on_sample(ms(100));
        assert_eq!(
            (rtt.srtt(), rtt.rttvar(), rtt.rto(&config)),
            (Some(ms(100)), ms(50), ms(300))
        );
        rtt.on_sample(ms(180));
        // RTTVAR = 3/4 * 50 + 1/4 * 80, SRTT = 7/8 * 100 + 1/8 * 180.
        assert_eq!(
            (rtt.srtt(), rtt.rttvar()),
            (Some(ms(110)), Duration::from_micros(57_500))
        );
        assert_eq!(rtt.min_rtt(), Some(ms(100)));
    }

    #[test]
    fn a_constant_path_keeps_the_floor_above_its_delay() {
        let config = TcpConfig::default();
        let mut rtt = RttEstimator::default();
        (0..100).for_each(|_| rtt.on_sample(ms(190)));
        assert_eq!(rtt.rto(&config), ms(390));
    }

    #[test]
    fn back_off_doubles_up_to_the_cap_and_a_sample_ends_it() {
        let config = TcpConfig::default();
        let mut rtt = RttEstimator::default();
        let seen: [u64; 9] = core::array::from_fn(|_| {
            let now = rtt.rto(&config).as_millis() / 1_000;
            rtt.on_timeout();
            now
        });
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        rtt.on_sample(ms(10));
        assert_eq!(rtt.rto(&config), ms(210));
    }

    #[test]
    fn a_lost_syn_leaves_three_seconds() {
        let mut rtt = RttEstimator::default();
        rtt.on_syn_timeout();
        rtt.on_established();
        assert_eq!(rtt.rto(&TcpConfig::default()), ms(3_000));
    }
}
