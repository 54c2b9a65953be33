//! The retransmission timer: RFC 6298, and giving up (RFC 9293 §3.8.3).

use tidewire_core::{ConnError, ReadError, State};

use crate::common::*;

#[test]
fn the_handshake_measures_the_first_round_trip() {
    for offer in [PLAIN, FULL] {
        let mut t = Tester::with_rtt(offer);
        let info = t.conn().info();
        assert_eq!(
            (info.srtt, info.rttvar, info.rto),
            (Some(ms(100)), ms(50), ms(300))
        );
    }
}

#[test]
fn a_sample_smooths_as_rfc_6298_says() {
    // RFC 9293: MUST-18.
    let mut t = Tester::with_rtt(PLAIN);
    t.write(10);
    t.advance(ms(180));
    t.peer(seg(ACK));
    let info = t.conn().info();
    // RTTVAR = 3/4 * 50 + 1/4 * 80, SRTT = 7/8 * 100 + 1/8 * 180.
    let (srtt, rttvar) = (ms(110), tidewire_core::Duration::from_micros(57_500));
    assert_eq!(
        (info.srtt, info.rttvar, info.rto),
        (Some(srtt), rttvar, ms(340))
    );
}

#[test]
fn data_is_sent_again_after_the_rto_which_doubles() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(100);
    t.expect(seg(ACK).seq(1).len(100));
    for wait in [300, 600, 1_200, 2_400, 4_800] {
        t.expect_after(ms(wait), seg(ACK).seq(1).len(100).push(true));
    }
}

#[test]
fn the_rto_never_exceeds_its_bound() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(100);
    t.advance(secs(600));
    let before = t.sent.len();
    t.sent.clear();
    t.advance(secs(120));
    assert_eq!((before > 5, t.sent.len()), (true, 1), "120 s at most");
}

#[test]
fn giving_up_resets_and_reports_a_timeout() {
    // RFC 9293: MUST-20.
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.data_retries = 3);
    t.write(100);
    t.expect(seg(ACK).seq(1));
    for wait in [200, 400, 800] {
        t.expect_after(ms(wait), seg(ACK).seq(1).len(100));
    }
    assert_eq!(t.state(), State::Established);
    t.expect_after(ms(1_600), seg(RST_ACK).seq(101).ack(1));
    assert_eq!(t.state(), State::Closed);
    let timed_out = Err(ReadError::Failed(ConnError::TimedOut));
    assert_eq!(t.read(1), timed_out);
    assert_eq!(t.conn().take_error(), Some(ConnError::TimedOut));
}

#[test]
fn an_answer_in_between_starts_the_count_of_retries_anew() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.data_retries = 2);
    for _ in 0..5 {
        t.write(100);
        t.expect(seg(ACK).len(100));
        assert!(t.wait_sent(secs(10)).is_some());
        t.expect(seg(ACK).len(100));
        t.peer(seg(ACK));
    }
    assert_eq!(t.state(), State::Established);
}

#[test]
fn an_ack_of_new_data_restarts_the_timer() {
    // RFC 6298 §5.3.
    let mut t = Tester::with_rtt(PLAIN);
    t.write(2_920);
    t.sent.clear();
    t.advance(ms(250));
    t.peer(seg(ACK).ack(1_461));
    let rto = t.conn().info().rto;
    t.expect_after(rto, seg(ACK).seq(1_461));
}

#[test]
fn an_ack_of_everything_stops_the_timer() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(100);
    t.sent.clear();
    t.peer(seg(ACK));
    t.advance(secs(100));
    t.silent();
}

#[test]
fn the_ack_of_a_retransmission_measures_nothing_and_keeps_the_back_off() {
    // Karn's algorithm, RFC 6298 §3 and §5.7.
    let mut t = Tester::with_rtt(PLAIN);
    t.write(100);
    t.expect(seg(ACK));
    t.expect_after(ms(300), seg(ACK).seq(1));
    t.advance(ms(1));
    t.peer(seg(ACK));
    let info = t.conn().info();
    assert_eq!((info.srtt, info.rto), (Some(ms(100)), ms(600)));
    t.write(100);
    t.expect(seg(ACK).seq(101));
    t.advance(ms(100));
    t.peer(seg(ACK));
    assert!(
        t.conn().info().rto < ms(310),
        "a valid sample ends the back-off"
    );
}

#[test]
fn timestamps_measure_a_retransmission_too() {
    // RFC 7323 §4.1: the echo identifies the transmission.
    let mut t = Tester::with_rtt(TIMESTAMPS);
    t.write(100);
    t.expect(seg(ACK));
    t.expect_after(ms(300), seg(ACK).seq(1));
    t.advance(ms(100));
    t.peer(seg(ACK));
    let info = t.conn().info();
    assert_eq!((info.srtt, info.rto < ms(310)), (Some(ms(100)), true));
}

#[test]
fn a_syn_that_was_sent_again_leaves_three_seconds() {
    // RFC 6298 §5.7: without a sample, RTO is 3 s when data starts to flow.
    let mut t = Tester::connecting(|_| {});
    t.expect(seg(SYN));
    t.expect_after(secs(1), seg(SYN));
    t.peer(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    t.expect(seg(ACK));
    t.write(100);
    t.expect(seg(ACK).seq(1));
    t.expect_after(secs(3), seg(ACK).seq(1));
}

#[test]
fn a_retransmission_carries_the_current_ack() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(100);
    t.sent.clear();
    t.peer(seg(ACK).ack(1).len(50));
    t.sent.clear();
    assert!(t.wait_sent(secs(1)).is_some());
    t.expect(seg(ACK).seq(1).len(100).ack(51));
}

#[test]
fn what_was_written_meanwhile_rides_on_no_earlier_deadline() {
    // RFC 6298 §5: a segment is never sent again earlier than one RTO after it was sent.
    let mut t = Tester::with_rtt(PLAIN);
    t.conn().set_nodelay(tidewire_core::Instant::ZERO, true);
    t.write(100);
    t.advance(ms(200));
    t.write(100);
    t.drain();
    t.peer(seg(ACK).ack(101));
    let sent_at = t.now;
    assert!(t.wait_sent(secs(2)).is_some());
    let again = t.expect(seg(ACK).seq(101).len(100));
    assert!(again.at.duration_since(sent_at) >= ms(300));
}

#[test]
fn a_dead_path_is_tried_for_more_than_100_seconds_by_default() {
    // RFC 9293 §3.8.3, SHLD-11.
    let mut t = Tester::with_rtt(PLAIN);
    t.write(100);
    t.advance(secs(100));
    assert_eq!(t.state(), State::Established);
    t.advance(secs(3_600));
    assert_eq!(t.state(), State::Closed);
}
