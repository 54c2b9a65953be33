//! The congestion window: RFC 6928, RFC 5681, RFC 7661.

use tidewire_core::{
    AckSample, Algorithm, CongestionControl, CongestionEvent, Duration, SendLimit,
};

use crate::common::*;

const MSS: u64 = 1_460;

fn cwnd(t: &mut Tester) -> u64 {
    t.conn().info().cwnd
}

/// Acknowledges everything in flight, one segment at a time, as after a round trip.
fn acknowledge_each(t: &mut Tester) {
    let flight = t.drain();
    t.advance(ms(100));
    for (seq, len) in flight {
        t.peer(seg(ACK).ack(seq + len as i64));
    }
}

#[test]
fn the_initial_window_is_ten_segments() {
    // RFC 6928: min(10 * MSS, max(2 * MSS, 14,600)).
    for (mss, segments) in [(1_460, 10), (1_400, 10), (536, 10), (200, 10)] {
        let offer = Offer {
            mss: Some(mss),
            ..PLAIN
        };
        let mut t = Tester::established(offer);
        t.write(60_000);
        assert_eq!(t.drain().len(), segments, "MSS {mss}");
    }
    let mut t = Tester::established(FULL);
    t.write(60_000);
    assert_eq!(
        t.drain(),
        (0..10).map(|n| (1 + n * 1_448, 1_448)).collect::<Vec<_>>()
    );
}

#[test]
fn the_initial_window_of_large_segments_is_14600_bytes() {
    let offer = Offer {
        mss: Some(8_960),
        ..PLAIN
    };
    // The last segment is cut by the window: 14,600 is not a whole number of these.
    let mut t = Tester::established_with(offer, |config| config.link.ip_mtu = 2_040);
    t.write(60_000);
    let bytes: usize = t.drain().iter().map(|(_, len)| len).sum();
    assert_eq!(bytes, 7 * 2_000);
    // Two segments are always allowed.
    let mut t = Tester::established_with(offer, |config| config.link.ip_mtu = 9_000);
    t.write(60_000);
    assert_eq!(t.drain().len(), 2);
}

#[test]
fn the_ack_of_the_syn_does_not_grow_the_window() {
    let mut t = Tester::connected(PLAIN);
    assert_eq!(cwnd(&mut t), 10 * MSS);
}

#[test]
fn slow_start_doubles_the_window_every_round_trip() {
    // RFC 9293: MUST-19.
    let mut t = Tester::established(PLAIN);
    t.flow.window = u16::MAX;
    t.write(500_000);
    assert_eq!(t.sent.len(), 10);
    acknowledge_each(&mut t);
    assert_eq!((cwnd(&mut t), t.sent.len()), (20 * MSS, 20));
    acknowledge_each(&mut t);
    assert_eq!((cwnd(&mut t), t.sent.len()), (40 * MSS, 40));
}

#[test]
fn acks_of_parts_of_a_segment_grow_the_window_by_no_more_than_the_segment() {
    // RFC 5681 §3.1: many ACKs of a part of a segment each (ACK division) grow the window no
    // faster.
    let mut t = Tester::established(PLAIN);
    t.write(500_000);
    t.drain();
    for n in 1..=146 {
        t.peer(seg(ACK).ack(1 + n * 10));
    }
    assert!(cwnd(&mut t) <= 11 * MSS, "{}", cwnd(&mut t));
}

#[test]
fn acks_of_nothing_new_do_not_grow_the_window() {
    let mut t = Tester::established(PLAIN);
    t.write(500_000);
    t.drain();
    t.peer(seg(ACK).ack(1_461));
    let grown = cwnd(&mut t);
    for n in 0..50 {
        t.peer(seg(ACK).ack(1_461).win(60_000 + n));
        t.peer(seg(ACK).ack(1));
    }
    assert_eq!(cwnd(&mut t), grown);
}

#[test]
fn congestion_avoidance_adds_one_segment_a_round_trip() {
    let mut t = Tester::established(PLAIN);
    t.write(900_000);
    // A loss ends slow start at five segments.
    t.drain();
    for _ in 0..3 {
        t.peer(seg(ACK).ack(1));
    }
    let end = t.flow.expects;
    t.drain();
    t.peer(seg(ACK).ack(end));
    let start = cwnd(&mut t);
    assert!(!t.conn().info().in_recovery);
    for round in 1..=6 {
        acknowledge_each(&mut t);
        let now = cwnd(&mut t);
        assert!(
            now <= start + round * MSS && now + MSS >= start + round * MSS,
            "round {round}: from {start} to {now}"
        );
    }
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut t = Tester::established(PLAIN);
    for _ in 0..200 {
        t.write(1_460);
        acknowledge_each(&mut t);
    }
    assert!(cwnd(&mut t) <= 20 * MSS, "{}", cwnd(&mut t));
}

#[test]
fn an_idle_connection_starts_again_with_the_initial_window() {
    // RFC 5681 §4.1.
    let mut t = Tester::established(PLAIN);
    t.write(14_600);
    acknowledge_each(&mut t);
    for _ in 0..3 {
        t.write(58_400);
        while !t.sent.is_empty() {
            acknowledge_each(&mut t);
        }
    }
    assert!(cwnd(&mut t) >= 40 * MSS, "it was larger before");
    t.advance(secs(10));
    t.write(60_000);
    let burst: usize = t.drain().iter().map(|(_, len)| len).sum();
    assert!(burst as u64 <= 10 * MSS, "{burst}");
}

#[test]
fn the_flight_never_exceeds_the_window_by_more_than_limited_transmit() {
    // Law `FlightWithinCwnd`, under duplicate ACKs, SACKs, partial ACKs and timeouts.
    for offer in [PLAIN, SACK, FULL] {
        let mut t = Tester::established(offer);
        t.write(900_000);
        let mut seed = 1_u64;
        for _ in 0..3_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let info = t.conn().info();
            let acked = info.bytes_acked as i64 + 1;
            let flight = t.flow.expects - acked;
            let jump = (seed >> 33) as i64 % flight.max(1);
            let before = t.flow.expects;
            match seed >> 61 {
                0..=2 => t.peer(seg(ACK).ack(acked)),
                3..=4 => t.peer(seg(ACK).ack(acked + jump)),
                5..=6 if offer.sack => {
                    let left = acked + jump;
                    let block = (left, (left + 1_460).min(t.flow.expects));
                    t.peer(seg(ACK).ack(acked).sack(&[block]));
                }
                _ => t.advance(ms(60)),
            }
            let sent_new = t.drain().iter().any(|&(seq, len)| len > 0 && seq >= before);
            let info = t.conn().info();
            let most = info.cwnd.max(u64::from(info.snd_mss)) + 2 * MSS;
            assert!(!sent_new || info.in_flight <= most, "{info:?}");
        }
    }
}

/// A controller of the application's own: its window never changes.
#[derive(Debug)]
struct Fixed(u64);

impl CongestionControl for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }
    fn on_ack(&mut self, _: &AckSample) {}
    fn on_congestion(&mut self, _: &CongestionEvent) {}
    fn on_rto(&mut self, _: &CongestionEvent) {}
    fn set_mss(&mut self, _: u32) {}
    fn cwnd(&self) -> u64 {
        self.0
    }
    fn ssthresh(&self) -> u64 {
        self.0
    }
}

#[test]
fn a_controller_of_ones_own_decides_what_is_in_flight() {
    // RFC 9293 §3.8.2, MAY-18: as the default of new connections, and for one that is open.
    let fixed = Algorithm::Custom(|mss| Box::new(Fixed(3 * u64::from(mss))));
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.congestion = fixed);
    let mut other = Tester::established(PLAIN);
    other.conn().set_congestion(fixed);
    other.write(14_600);
    assert_eq!(other.drain().len(), 3);
    t.write(60_000);
    assert_eq!(t.conn().info().congestion, "fixed");
    for _ in 0..5 {
        let in_flight = t.conn().info().in_flight;
        assert_eq!(in_flight, 3 * MSS);
        acknowledge_each(&mut t);
    }
}

#[test]
fn each_of_the_controllers_of_the_stack_is_chosen_by_name() {
    for (algorithm, name) in [(Algorithm::Cubic, "cubic"), (Algorithm::NewReno, "newreno")] {
        let mut t = Tester::established_with(PLAIN, |config| config.tcp.congestion = algorithm);
        assert_eq!(t.conn().info().congestion, name);
    }
}

#[test]
fn each_built_in_controller_is_found_by_the_name_it_says() {
    for &algorithm in Algorithm::BUILT_IN {
        let mut t = Tester::established_with(PLAIN, |config| config.tcp.congestion = algorithm);
        let said = t.conn().info().congestion;
        assert_eq!(algorithm.name(), Some(said));
        let found = Algorithm::from_name(said).and_then(Algorithm::name);
        assert_eq!(found, Some(said));
    }
    assert!(Algorithm::from_name("").is_none());
}

/// A window that never fills, and a segment each millisecond, or as the rate says.
#[derive(Debug)]
struct Paced(Option<u64>);

impl CongestionControl for Paced {
    fn name(&self) -> &'static str {
        "paced"
    }
    fn on_ack(&mut self, _: &AckSample) {}
    fn on_congestion(&mut self, _: &CongestionEvent) {}
    fn on_rto(&mut self, _: &CongestionEvent) {}
    fn set_mss(&mut self, _: u32) {}
    fn cwnd(&self) -> u64 {
        u64::MAX
    }
    fn ssthresh(&self) -> u64 {
        u64::MAX
    }
    fn pacing_rate(&self) -> Option<u64> {
        self.0
    }
    fn send_quantum(&self) -> u32 {
        MSS as u32
    }
}

/// Lets time pass without handling timers before its end.
fn late(t: &mut Tester, by: Duration) {
    t.now += by;
    t.stack.handle_timeout(t.now);
    t.pump();
}

#[test]
fn a_controllers_pace_is_kept() {
    let mut t = Tester::established(PLAIN);
    t.flow.window = u16::MAX;
    t.peer(seg(ACK).ack(1));
    t.conn()
        .set_congestion(Algorithm::Custom(|_| Box::new(Paced(Some(1_000 * MSS)))));
    t.advance(ms(10));
    t.write(40 * MSS as usize);
    // The initial two milliseconds' worth, and the segment that is due.
    assert_eq!(t.drain().len(), 3);
    let info = t.conn().info();
    assert_eq!(info.limited_by, SendLimit::Pacing);
    assert_eq!(info.pacing_rate, Some(1_000 * MSS));
    for _ in 0..20 {
        t.advance(ms(1));
        assert_eq!(t.drain().len(), 1);
    }
    // A timer late by one millisecond does not lower the rate.
    late(&mut t, ms(2));
    assert_eq!(t.drain().len(), 2);
    // A very late timer causes no burst.
    late(&mut t, ms(10));
    assert_eq!(t.drain().len(), 3);
    t.advance(ms(12));
    assert_eq!(t.drain().len(), 12);
    assert_eq!(t.conn().info().limited_by, SendLimit::Application);
}

#[test]
fn a_lost_segment_keeps_the_pace_too() {
    let mut t = Tester::established(PLAIN);
    t.conn()
        .set_congestion(Algorithm::Custom(|_| Box::new(Paced(Some(1_000 * MSS)))));
    t.advance(ms(10));
    t.write(20 * MSS as usize);
    t.advance(ms(17));
    assert_eq!(t.drain().len(), 20);
    // All of it is lost, and sent again by the timer.
    t.wait_sent(secs(3)).unwrap();
    assert_eq!(t.drain().len(), 3);
    t.advance(ms(5));
    assert_eq!(t.drain().len(), 5);
}

#[test]
fn a_pace_of_nothing_is_none() {
    let mut t = Tester::established(PLAIN);
    t.conn()
        .set_congestion(Algorithm::Custom(|_| Box::new(Paced(Some(0)))));
    t.write(20 * MSS as usize);
    assert_eq!(t.drain().len(), 20);
    assert_eq!(t.conn().info().pacing_rate, None);
}

/// The first signs of loss leave the window as it is (RFC 5681 §3.2, step 1; RFC 3042).
#[test]
fn acks_that_only_report_what_is_out_of_order_do_not_grow_the_window() {
    let mut t = Tester::established(SACK);
    t.write(30 * 1_460);
    let before = cwnd(&mut t);
    t.drain();
    t.peer(seg(ACK).ack(1).sack(&[(1_461, 2_921)]));
    t.peer(seg(ACK).ack(1).sack(&[(1_461, 4_381)]));
    assert_eq!(cwnd(&mut t), before);
    assert_eq!(t.drain().len(), 2, "one for each that arrived");
}

/// RFC 5681 §3.1 and RFC 6928 §2, as Linux has it: a path on which two SYNs were lost gets one
/// segment to begin with.
#[test]
fn a_handshake_that_lost_two_syns_begins_with_one_segment() {
    for (wait, segments) in [(0, 10), (1_000, 10), (3_000, 1)] {
        let mut t = Tester::connecting(|_| {});
        t.advance(ms(wait));
        t.sent.clear();
        t.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), PLAIN));
        assert_eq!(cwnd(&mut t), segments * 1_460, "SYN-ACK after {wait} ms");

        let mut t = Tester::listening(16, |_| {});
        t.syn(PLAIN);
        t.advance(ms(wait));
        t.sent.clear();
        t.peer(seg(ACK));
        t.accept();
        assert_eq!(cwnd(&mut t), segments * 1_460, "ACK after {wait} ms");
    }
}
