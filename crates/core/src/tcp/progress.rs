//! Sender statistics for [`TcpInfo`](super::TcpInfo): time by limiting factor, delivery rate.

use super::info::SendLimit;
use crate::time::{Duration, Instant};

/// Time in which the sender was busy, by what limited it (`busy`, `rwnd_limited` and the like in
/// `ss -ti`).
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct LimitClock {
    since: Instant,
    /// The present limit; `None` while there is nothing to send and nothing to be acknowledged.
    now: Option<SendLimit>,
    totals: LimitTotals,
}

/// Totals.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct LimitTotals {
    pub(crate) busy: Duration,
    pub(crate) receive_window: Duration,
    pub(crate) congestion: Duration,
}

impl LimitClock {
    /// From `now` on `limit` limits the sender.
    pub(crate) fn set(&mut self, now: Instant, limit: Option<SendLimit>) {
        if self.now != limit {
            self.totals = self.totals(now);
            (self.since, self.now) = (now, limit);
        }
    }

    /// The totals up to `now`.
    pub(crate) fn totals(&self, now: Instant) -> LimitTotals {
        let elapsed = now.duration_since(self.since);
        let mut totals = self.totals;
        let Some(limit) = self.now else {
            return totals;
        };
        totals.busy = totals.busy + elapsed;
        match limit {
            SendLimit::ReceiveWindow => totals.receive_window = totals.receive_window + elapsed,
            SendLimit::Congestion => totals.congestion = totals.congestion + elapsed,
            _ => {}
        }
        totals
    }
}

/// Delivery rate: the bytes acknowledged in about one round trip, divided by the time that took.
///
/// Simpler than draft-cheng-iccrg-delivery-rate-estimation, which takes a sample for each segment:
/// here one for each round trip. An idle sender starts a new sample, so that idle time does not
/// count.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct DeliveryRate {
    /// Bytes acknowledged, cumulatively or selectively, each once.
    pub(crate) delivered: u64,
    /// The last sample, in bytes per second.
    pub(crate) rate: u64,
    round_start: Instant,
    round_delivered: u64,
}

impl DeliveryRate {
    /// Data is sent while nothing is in flight.
    pub(crate) fn on_start(&mut self, now: Instant) {
        self.round_start = now;
        self.round_delivered = self.delivered;
    }

    /// `bytes` were acknowledged; a round trip takes `srtt`.
    pub(crate) fn on_delivered(&mut self, now: Instant, bytes: u64, srtt: Option<Duration>) {
        self.delivered += bytes;
        let elapsed = now.duration_since(self.round_start);
        let round = srtt.unwrap_or(Duration::ZERO).max(Duration::from_nanos(1));
        if elapsed < round {
            return;
        }
        let bytes = u128::from(self.delivered - self.round_delivered);
        let rate = bytes * 1_000_000_000 / u128::from(elapsed.as_nanos());
        self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.on_start(now);
    }
}

#[cfg(test)]
mod tests {
    use super::{DeliveryRate, LimitClock, SendLimit};
    use crate::time::{Duration, Instant};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn time_counts_for_what_held_the_sender_back() {
        let mut clock = LimitClock::default();
        let at = |millis| Instant::ZERO + ms(millis);
        clock.set(at(100), Some(SendLimit::Congestion));
        clock.set(at(130), Some(SendLimit::ReceiveWindow));
        clock.set(at(150), Some(SendLimit::Application));
        clock.set(at(157), None);
        clock.set(at(1_000), Some(SendLimit::Congestion));
        let totals = clock.totals(at(1_001));
        assert_eq!(
            (totals.busy, totals.congestion, totals.receive_window),
            (ms(58), ms(31), ms(20))
        );
    }

    #[test]
    fn the_rate_is_that_of_the_last_round_trip() {
        let mut rate = DeliveryRate::default();
        let at = |millis| Instant::ZERO + ms(millis);
        rate.on_start(at(1_000));
        for n in 1..=10 {
            rate.on_delivered(at(1_000 + n), 1_000, Some(ms(10)));
        }
        assert_eq!((rate.delivered, rate.rate), (10_000, 1_000_000));
        // An idle second does not count.
        rate.on_start(at(2_000));
        rate.on_delivered(at(2_010), 20_000, Some(ms(10)));
        assert_eq!(rate.rate, 2_000_000);
    }
}
