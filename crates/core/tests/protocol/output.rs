//! Segment sizes: the MSS (RFC 9293 §3.7.1), Nagle (§3.7.4), PSH (§3.9.1.2).

use crate::common::*;

/// Lengths of the segments of a write of `len` bytes.
fn pieces(offer: Offer, mtu: u32, len: usize) -> Vec<usize> {
    let mut t = Tester::established_with(offer, |config| config.link.ip_mtu = mtu);
    t.conn().set_nodelay(tidewire_core::Instant::ZERO, true);
    t.write(len);
    t.drain().into_iter().map(|(_, len)| len).collect()
}

#[test]
fn segments_follow_the_peers_mss_and_the_link() {
    // RFC 9293: MUST-14.
    let with = |mss| Offer { mss, ..PLAIN };
    for (offer, mtu, wanted) in [
        (with(Some(1_460)), 1_500, 1_460),
        (with(Some(1_000)), 1_500, 1_000),
        (with(Some(9_000)), 1_500, 1_460),
        (with(Some(1_460)), 1_400, 1_360),
        // MUST-15: 536 where the SYN does not say.
        (with(None), 1_500, 536),
        (with(None), 500, 460),
        // RFC 9293 §3.7.1 (MUST-16): options come off the payload.
        (TIMESTAMPS, 1_500, 1_448),
        (FULL, 1_400, 1_348),
        (Offer { mss: None, ..FULL }, 1_500, 524),
    ] {
        let wanted_pieces = [wanted, wanted, 7];
        assert_eq!(
            pieces(offer, mtu, 2 * wanted + 7),
            wanted_pieces,
            "{offer:?} {mtu}"
        );
    }
}

#[test]
fn the_offered_mss_is_the_links_and_not_less_options() {
    // RFC 9293: MUST-67, SHLD-6.
    for (mtu, mss) in [(1_500, 1_460), (1_400, 1_360), (576, 536), (9_000, 8_960)] {
        let mut t = Tester::connecting(|config| config.link.ip_mtu = mtu);
        t.expect(seg(SYN).mss(mss));
        let mut t = Tester::listening(16, |config| config.link.ip_mtu = mtu);
        t.syn(FULL);
        t.expect(seg(SYN_ACK).mss(mss));
    }
}

#[test]
fn sack_blocks_come_off_the_payload_too() {
    let mut t = Tester::established(FULL);
    t.peer(seg(ACK).seq(1_001).len(10));
    t.sent.clear();
    t.write(5_000);
    let sent = t.expect(seg(ACK).seq(1).sack(&[(1_001, 1_011)]));
    assert_eq!(sent.payload.len(), 1_460 - 12 - 12);
}

#[test]
fn a_link_that_shrinks_cuts_smaller_segments_and_a_link_that_grows_back_the_negotiated_ones() {
    let mut t = Tester::established(PLAIN);
    let mut link = t.stack.link();
    t.write(2_920);
    assert_eq!(t.drain(), [(1, 1_460), (1_461, 1_460)]);
    link.ip_mtu = 1_000;
    let now = t.now;
    t.stack.set_link(now, link).unwrap();
    t.write(960);
    assert!(t.drain().iter().all(|&(_, len)| len <= 960));
    t.peer(seg(ACK).ack(3_881));
    link.ip_mtu = 1_500;
    t.stack.set_link(now, link).unwrap();
    t.write(1_460);
    assert_eq!(t.drain(), [(3_881, 1_460)]);
}

#[test]
fn a_link_that_grows_keeps_the_negotiated_mss() {
    let mut t = Tester::established(PLAIN);
    let mut link = t.stack.link();
    link.ip_mtu = 9_000;
    let now = t.now;
    t.stack.set_link(now, link).unwrap();
    t.write(3_000);
    assert_eq!(t.drain()[0], (1, 1_460));
}

#[test]
fn nagle_gathers_small_writes_while_one_is_unacknowledged() {
    // RFC 9293: MUST-60, SHLD-7, MAY-16.
    let mut t = Tester::established(PLAIN);
    t.write(10);
    t.expect(seg(ACK).seq(1).len(10).push(true));
    t.write(10);
    t.write(10);
    t.silent();
    t.peer(seg(ACK).ack(11));
    t.expect(seg(ACK).seq(11).len(20).push(true));
}

#[test]
fn nagle_lets_whole_segments_go() {
    // RFC 9293: SHLD-28.
    let mut t = Tester::established(PLAIN);
    t.write(10);
    t.sent.clear();
    t.write(1_459);
    t.silent();
    t.write(1);
    t.expect(seg(ACK).seq(11).len(1_460));
}

#[test]
fn nagle_does_not_hold_the_end_of_a_longer_write() {
    // The last part of a write does not wait for its first part, as on Linux.
    let mut t = Tester::established(PLAIN);
    t.write(1_470);
    assert_eq!(t.drain(), [(1, 1_460), (1_461, 10)]);
}

#[test]
fn nagle_lets_go_what_the_fin_follows() {
    let mut t = Tester::established(PLAIN);
    t.write(10);
    t.write(10);
    t.sent.clear();
    t.shutdown_write();
    t.expect(seg(FIN_ACK).seq(11).len(10));
}

#[test]
fn nodelay_sends_every_write_at_once() {
    // RFC 9293: MUST-17.
    for config_says in [true, false] {
        let mut t = Tester::established_with(PLAIN, |config| config.tcp.nodelay = config_says);
        if !config_says {
            let now = t.now;
            t.conn().set_nodelay(now, true);
        }
        for n in 0..5 {
            t.write(10);
            t.expect(seg(ACK).seq(1 + n * 10).len(10).push(true));
        }
    }
}

#[test]
fn turning_nagle_off_sends_what_it_held() {
    let mut t = Tester::established(PLAIN);
    t.write(10);
    t.write(10);
    t.sent.clear();
    let now = t.now;
    t.conn().set_nodelay(now, true);
    t.pump();
    t.expect(seg(ACK).seq(11).len(10));
}

#[test]
fn the_last_segment_of_what_is_queued_is_pushed() {
    // RFC 9293: MUST-61, SHLD-27.
    let mut t = Tester::established(PLAIN);
    t.write(4_000);
    t.expect(seg(ACK).len(1_460).push(false));
    t.expect(seg(ACK).len(1_460).push(false));
    t.expect(seg(ACK).len(1_080).push(true));
}

#[test]
fn nothing_leaves_while_the_link_is_down() {
    let mut t = Tester::established(PLAIN);
    let mut link = t.stack.link();
    link.up = false;
    let now = t.now;
    t.stack.set_link(now, link).unwrap();
    t.write(100);
    t.peer(seg(ACK).len(10));
    t.advance(secs(5));
    t.silent();
    link.up = true;
    let now = t.now;
    t.stack.set_link(now, link).unwrap();
    t.pump();
    t.expect(seg(ACK).seq(1).len(100).ack(11));
}

/// With much data in flight, a short frame waits for an ACK if ACKs come at once, and not if they
/// take 100 ms.
#[test]
fn the_end_of_a_long_write_does_not_wait_a_long_round_trip() {
    let mut t = Tester::with_rtt(FULL);
    // Slow start, until the window has room for all of it.
    t.flow.window = 8_000;
    for _ in 0..8 {
        t.write(100_000);
        t.drain();
        t.advance(ms(100));
        t.peer(seg(ACK));
        t.drain();
        while t.conn().info().send_queue > 0 {
            t.advance(ms(100));
            t.peer(seg(ACK));
            t.drain();
        }
    }
    assert!(t.conn().info().cwnd > 150_000, "{}", t.conn().info().cwnd);
    t.write(100_000);
    let left: usize = t.drain().iter().map(|&(_, len)| len).sum();
    assert_eq!(left, 100_000);
}
