//! Acknowledgement policy (RFC 9293 §3.8.6.3, RFC 5681 §4.2).

use tidewire_core::Duration;

use crate::common::*;

/// After the quick start, in which every segment is acknowledged at once.
fn steady() -> Tester {
    let mut t = Tester::established(PLAIN);
    t.end_quick_start(100);
    t.silent();
    t
}

#[test]
fn a_lone_segment_is_acknowledged_after_40_ms() {
    // RFC 9293: MUST-40, SHLD-18.
    let mut t = steady();
    t.peer(seg(ACK).len(1_460));
    t.expect_after(ms(40), seg(ACK).ack(1_601 + 1_460).len(0));
    t.advance(secs(10));
    t.silent();
}

#[test]
fn every_second_full_segment_is_acknowledged_at_once() {
    // RFC 9293: SHLD-19.
    let mut t = steady();
    for n in 1..=10 {
        t.peer(seg(ACK).len(1_460));
        if n % 2 == 0 {
            t.expect(seg(ACK).ack(1_601 + n * 1_460));
        }
        t.silent();
    }
}

#[test]
fn the_delay_counts_from_the_oldest_segment() {
    let mut t = steady();
    t.peer(seg(ACK).len(10));
    t.advance(ms(30));
    t.peer(seg(ACK).len(10));
    t.expect_after(ms(10), seg(ACK).ack(1_621));
}

#[test]
fn data_carries_the_ack() {
    let mut t = steady();
    t.peer(seg(ACK).len(100));
    t.write(10);
    t.expect(seg(ACK).seq(1).ack(1_701).len(10));
    t.advance(ms(100));
    t.silent();
}

#[test]
fn a_fin_is_acknowledged_at_once() {
    let mut t = steady();
    t.peer(seg(FIN_ACK).len(10));
    t.expect(seg(ACK).ack(1_612));
}

#[test]
fn the_delay_is_configured() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.delayed_ack = ms(200));
    t.end_quick_start(100);
    t.peer(seg(ACK).len(10));
    t.expect_after(ms(200), seg(ACK).ack(1_611));

    let mut t = Tester::established_with(PLAIN, |config| config.tcp.delayed_ack = Duration::ZERO);
    t.end_quick_start(100);
    t.peer(seg(ACK).len(10));
    t.advance(Duration::ZERO);
    t.expect(seg(ACK).ack(1_611));
}

#[test]
fn frames_of_one_batch_share_an_ack() {
    // RFC 9293: MUST-58, MUST-59.
    let mut t = steady();
    for _ in 0..10 {
        t.inject(seg(ACK).len(1_460));
    }
    t.pump();
    t.expect(seg(ACK).ack(1_601 + 14_600));
    t.silent();
}

#[test]
fn a_pure_ack_is_not_acknowledged() {
    let mut t = steady();
    t.write(10);
    t.sent.clear();
    t.peer(seg(ACK));
    t.advance(secs(1));
    t.silent();
}

#[test]
fn the_first_segments_are_acknowledged_at_once() {
    let mut t = Tester::established(PLAIN);
    for n in 1..=16 {
        t.peer(seg(ACK).len(100));
        t.expect(seg(ACK).ack(1 + n * 100));
    }
    t.peer(seg(ACK).len(100));
    t.silent();
}

#[test]
fn the_first_segments_after_a_pause_are_acknowledged_at_once_again() {
    let mut t = steady();
    let rto = t.conn().info().rto;
    t.advance(rto);
    t.peer(seg(ACK).len(100));
    t.expect_after(ms(40), seg(ACK));
    t.advance(rto + ms(1));
    for _ in 0..16 {
        t.peer(seg(ACK).len(100));
        t.expect(seg(ACK));
    }
    t.peer(seg(ACK).len(100));
    t.silent();
}

#[test]
fn an_application_that_answers_carries_the_acks_from_then_on() {
    // Requests and answers cost two segments each, not three.
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).len(100));
    t.expect(seg(ACK).ack(101).len(0));
    t.write(50);
    t.expect(seg(ACK).len(50));
    for n in 1..30 {
        t.advance(ms(150));
        t.peer(seg(ACK).len(100));
        t.silent();
        t.write(50);
        t.expect(seg(ACK).ack(101 + n * 100).len(50));
        t.silent();
    }
    // Without an answer the delay applies once; from then on the peer counts as a bulk sender.
    t.peer(seg(ACK).len(100));
    t.expect_after(ms(40), seg(ACK).len(0));
    t.peer(seg(ACK).len(100));
    t.expect(seg(ACK).len(0));
}
