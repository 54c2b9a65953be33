//! Loss recovery: fast retransmit with and without SACK (RFC 5681, 6582, 6675), timeouts, and
//! invalid SACK blocks.

use crate::common::*;

const MSS: i64 = 1_460;

/// Ten whole segments in flight, nothing else queued.
fn ten_in_flight(offer: Offer) -> Tester {
    let mut t = Tester::established(offer);
    t.write(10 * MSS as usize);
    assert_eq!(t.drain().len(), 10);
    t
}

/// Sequence number of the `n`th segment.
fn at(n: i64) -> i64 {
    1 + n * MSS
}

#[test]
fn the_third_duplicate_ack_sends_the_first_segment_again() {
    let mut t = ten_in_flight(PLAIN);
    t.peer(seg(ACK).ack(1));
    t.peer(seg(ACK).ack(1));
    t.silent();
    t.peer(seg(ACK).ack(1));
    t.expect(seg(ACK).seq(1).len(1_460));
    t.silent();
    let info = t.conn().info();
    assert!(info.in_recovery);
    assert_eq!((info.ssthresh, info.recoveries), (5 * 1_460, 1));
    // More of them do not send it once more.
    for _ in 0..6 {
        t.peer(seg(ACK).ack(1));
    }
    t.silent();
    t.peer(seg(ACK).ack(at(10)));
    let info = t.conn().info();
    assert_eq!((info.in_recovery, info.cwnd), (false, 5 * 1_460));
}

#[test]
fn what_is_no_duplicate_ack_does_not_count() {
    // RFC 5681 §2: data, another window, nothing outstanding, or an older ACK.
    let mut t = ten_in_flight(PLAIN);
    for n in 0..5 {
        t.peer(seg(ACK).ack(1).len(10));
        t.peer(seg(ACK).ack(1).win(60_000 - n));
    }
    assert!(
        t.drain().iter().all(|&(_, len)| len == 0),
        "nothing was sent again"
    );
    t.peer(seg(ACK).ack(at(10)));
    for _ in 0..5 {
        t.peer(seg(ACK).ack(at(10)));
    }
    assert_eq!(t.conn().info().recoveries, 0);
    t.advance(secs(10));
    assert!(t.drain().iter().all(|&(_, len)| len == 0));
}

#[test]
fn limited_transmit_sends_a_new_segment_for_each_of_the_first_two() {
    // RFC 3042.
    let mut t = Tester::established(PLAIN);
    t.write(20 * MSS as usize);
    assert_eq!(t.drain().len(), 10);
    t.peer(seg(ACK).ack(1));
    t.expect(seg(ACK).seq(at(10)).len(1_460));
    t.peer(seg(ACK).ack(1));
    t.expect(seg(ACK).seq(at(11)).len(1_460));
    t.silent();
    assert_eq!(t.conn().info().cwnd, 14_600, "the window itself stays");
    t.peer(seg(ACK).ack(1));
    t.expect(seg(ACK).seq(1));
}

#[test]
fn limited_transmit_does_not_count_in_the_threshold() {
    // RFC 5681 §3.2 step 2: data sent in limited transmit MUST NOT be included in FlightSize.
    let mut t = Tester::established(PLAIN);
    t.write(20 * MSS as usize);
    t.drain();
    for _ in 0..3 {
        t.peer(seg(ACK).ack(1));
    }
    assert_eq!(t.conn().info().ssthresh, 5 * 1_460);
}

#[test]
fn a_partial_ack_sends_the_next_hole_at_once() {
    // RFC 6582 §3.2 step 3.
    let mut t = ten_in_flight(PLAIN);
    for _ in 0..3 {
        t.peer(seg(ACK).ack(1));
    }
    t.expect(seg(ACK).seq(1));
    t.peer(seg(ACK).ack(at(4)));
    t.expect(seg(ACK).seq(at(4)).len(1_460));
    t.silent();
    assert!(t.conn().info().in_recovery);
    t.peer(seg(ACK).ack(at(7)));
    t.expect(seg(ACK).seq(at(7)).len(1_460));
    t.peer(seg(ACK).ack(at(10)));
    let info = t.conn().info();
    assert_eq!((info.in_recovery, info.recoveries), (false, 1));
}

#[test]
fn duplicates_after_a_recovery_do_not_start_another_for_its_data() {
    // RFC 6582 §3.2 step 1.
    let mut t = ten_in_flight(PLAIN);
    assert!(t.wait_sent(secs(1)).is_some());
    t.expect(seg(ACK).seq(1));
    for _ in 0..10 {
        t.peer(seg(ACK).ack(1));
    }
    let info = t.conn().info();
    assert_eq!((info.recoveries, info.ssthresh), (0, 5 * 1_460));
}

#[test]
fn sack_of_three_segments_sends_the_hole_again() {
    let mut t = ten_in_flight(SACK);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(2))]));
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(3))]));
    t.silent();
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(4))]));
    t.expect(seg(ACK).seq(1).len(1_460));
    t.silent();
    assert_eq!(t.conn().info().ssthresh, 5 * 1_460);
}

#[test]
fn sack_sends_the_holes_again_and_nothing_else() {
    let mut t = ten_in_flight(SACK);
    let blocks = [(at(9), at(10)), (at(5), at(8)), (at(1), at(4))];
    t.peer(seg(ACK).ack(1).sack(&blocks));
    let mut again = t.drain();
    // The hole right below the newest segment is not lost yet: one segment above it is not enough.
    t.peer(seg(ACK).ack(at(4)).sack(&blocks[..2]));
    again.extend(t.drain());
    assert_eq!(again, [(1, 1_460), (at(4), 1_460)]);
    t.peer(seg(ACK).ack(at(8)).sack(&blocks[..1]));
    t.silent();
}

#[test]
fn sack_duplicates_with_data_count_as_well() {
    let mut t = ten_in_flight(SACK);
    for n in 2..=4 {
        t.peer(seg(ACK).ack(1).sack(&[(at(1), at(n))]).len(10));
    }
    let again: Vec<_> = t.drain().into_iter().filter(|&(_, len)| len > 0).collect();
    assert_eq!(again, [(1, 1_460)]);
}

#[test]
fn sack_garbage_is_ignored() {
    // RFC 2018 §4: left of SND.UNA, right of SND.NXT, empty, inside out.
    let mut t = ten_in_flight(SACK);
    for blocks in [
        [(-5_000, -100), (at(10), at(20))],
        [(at(4), at(2)), (at(3), at(3))],
        [(1, at(4)), (at(9), at(10) + 1)],
        [(i64::from(i32::MAX), i64::from(i32::MIN)), (0, 1)],
    ] {
        t.peer(seg(ACK).ack(1).sack(&blocks));
    }
    t.silent();
    let info = t.conn().info();
    assert_eq!((info.in_flight, info.recoveries), (14_600, 0));
}

#[test]
fn sack_alone_frees_nothing() {
    // RFC 2018 §8: a receiver may take back what it selectively acknowledged.
    let mut t = ten_in_flight(SACK);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(10))]));
    t.expect(seg(ACK).seq(1));
    t.peer(seg(ACK).ack(at(1)));
    assert!(t.wait_sent(secs(2)).is_some());
    t.expect(seg(ACK).seq(at(1)).len(1_460));
    while t.conn().info().bytes_acked < 14_600 {
        t.sent.clear();
        let acked = t.conn().info().bytes_acked as i64 + 1;
        t.peer(seg(ACK).ack(acked + MSS));
    }
}

#[test]
fn a_timeout_starts_over_from_one_segment() {
    // RFC 5681 §3.1: ssthresh = FlightSize / 2, cwnd = 1 segment, and slow start from there.
    let mut t = ten_in_flight(PLAIN);
    assert!(t.wait_sent(secs(1)).is_some());
    t.expect(seg(ACK).seq(1).len(1_460));
    t.silent();
    let info = t.conn().info();
    assert_eq!((info.ssthresh, info.cwnd), (5 * 1_460, 1_460));
    t.peer(seg(ACK).ack(at(1)));
    assert_eq!(t.drain(), [(at(1), 1_460), (at(2), 1_460)]);
    t.peer(seg(ACK).ack(at(2)));
    assert_eq!(t.drain(), [(at(3), 1_460), (at(4), 1_460)]);
    // The rest arrived the first time.
    t.peer(seg(ACK).ack(at(10)));
    t.silent();
    assert!(!t.conn().info().in_recovery);
}

#[test]
fn a_repeated_timeout_does_not_lower_the_threshold_again() {
    let mut t = ten_in_flight(PLAIN);
    t.advance(secs(3));
    let info = t.conn().info();
    assert!(info.timeouts >= 3);
    assert_eq!((info.ssthresh, info.cwnd), (5 * 1_460, 1_460));
    assert!(
        t.drain().iter().all(|&sent| sent == (1, 1_460)),
        "the earliest segment alone"
    );
}

#[test]
fn a_timeout_does_not_repeat_what_was_selectively_acknowledged() {
    let mut t = ten_in_flight(SACK);
    t.peer(seg(ACK).ack(1).sack(&[(at(2), at(3))]));
    t.silent();
    assert!(t.wait_sent(secs(1)).is_some());
    t.expect(seg(ACK).seq(1));
    t.peer(seg(ACK).ack(at(1)).sack(&[(at(2), at(3))]));
    assert_eq!(t.drain(), [(at(1), 1_460), (at(3), 1_460)]);
}

#[test]
fn a_lost_retransmission_is_repaired_by_the_timer() {
    let mut t = ten_in_flight(SACK);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(10))]));
    t.expect(seg(ACK).seq(1));
    assert!(t.wait_sent(secs(1)).is_some());
    t.expect(seg(ACK).seq(1).len(1_460));
    t.peer(seg(ACK).ack(at(10)));
    assert_eq!(t.conn().info().bytes_acked, 14_600);
}

#[test]
fn what_was_sacked_and_thrown_away_before_a_closed_window_is_sent_again() {
    // RFC 2018 §8: the receiver had no memory, dropped what it had out of order, and closed the
    // window over it.
    for probed in [false, true] {
        let mut t = ten_in_flight(SACK);
        t.peer(seg(ACK).ack(1).sack(&[(at(1), at(10))]));
        t.expect(seg(ACK).seq(1));
        t.peer(seg(ACK).ack(at(1)).win(0));
        t.silent();
        if probed {
            assert!(
                t.wait_sent(secs(5)).is_some(),
                "the closed window is probed"
            );
            t.expect(seg(ACK).seq(at(1)));
            t.peer(seg(ACK).ack(at(1)).win(0));
            t.sent.clear();
        }
        t.peer(seg(ACK).ack(at(1)).win(65_535));
        for _ in 0..20 {
            t.advance(secs(1));
            let Some(end) = t.drain().iter().map(|&(seq, len)| seq + len as i64).max() else {
                continue;
            };
            t.peer(seg(ACK).ack(end));
        }
        assert_eq!(t.conn().info().bytes_acked, 14_600, "{probed}");
    }
}

#[test]
fn a_lost_tail_is_repaired_up_to_the_fin() {
    let mut t = Tester::established(SACK);
    t.write(100);
    t.shutdown_write();
    t.sent.clear();
    assert!(t.wait_sent(secs(1)).is_some());
    let sent = t.expect(seg(FIN_ACK).seq(1).len(100));
    assert_eq!(sent.payload.len(), 100);
    t.peer(seg(ACK).ack(102));
    t.advance(secs(10));
    t.silent();
}

#[test]
fn small_segments_that_were_lost_are_sent_again_together() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.nodelay = true);
    for _ in 0..5 {
        t.write(10);
    }
    assert_eq!(t.drain().len(), 5);
    t.peer(seg(ACK).ack(14));
    assert!(t.wait_sent(secs(1)).is_some());
    t.expect(seg(ACK).seq(14).len(37).push(true));
}

/// Small segments are few bytes, but each ACK that reports another one is a duplicate (RFC 6675 §5,
/// step 1).
#[test]
fn three_acks_with_news_of_small_segments_send_the_hole_again() {
    let mut t = Tester::established(SACK);
    let now = t.now;
    t.conn().set_nodelay(now, true);
    for _ in 0..10 {
        t.write(100);
    }
    assert_eq!(t.drain().len(), 10);
    t.peer(seg(ACK).ack(1).sack(&[(101, 201)]));
    t.peer(seg(ACK).ack(1).sack(&[(101, 301)]));
    t.silent();
    t.peer(seg(ACK).ack(1).sack(&[(101, 401)]));
    t.expect(seg(ACK).seq(1).len(100));
    t.silent();
    assert_eq!(t.conn().info().recoveries, 1);
}

/// A loss beyond the recovery point is another window's, and lowers the window once more
/// (RFC 5681 §4.3).
#[test]
fn losses_in_two_successive_windows_lower_the_window_twice() {
    let mut t = ten_in_flight(SACK);
    t.write(20 * MSS as usize);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(5))]));
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(10))]));
    // The first segment of the new data is lost.
    let sent_to = t.drain().iter().map(|&(seq, len)| seq + len as i64).max();
    assert!(sent_to >= Some(at(14)), "{sent_to:?}");
    assert_eq!(t.conn().info().ssthresh, 5 * 1_460);
    t.peer(seg(ACK).ack(1).sack(&[(at(11), at(14)), (at(1), at(10))]));
    t.peer(seg(ACK).ack(at(10)).sack(&[(at(11), at(14))]));
    let info = t.conn().info();
    assert_eq!((info.recoveries, info.in_recovery), (2, true));
    assert!(info.ssthresh < 5 * 1_460, "{}", info.ssthresh);
    assert!(info.ssthresh >= 2 * 1_460);
    assert!(t.drain().contains(&(at(10), 1_460)));
}

/// FlightSize is counted from what is in flight at this loss, not at one that is over.
#[test]
fn an_old_sign_of_loss_does_not_make_the_next_flight_small() {
    let mut t = ten_in_flight(SACK);
    t.write(60 * MSS as usize);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(5))]));
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(10))]));
    t.peer(seg(ACK).ack(1).sack(&[(at(11), at(12)), (at(1), at(10))]));
    // The recovery ends while something beyond it is selectively acknowledged.
    t.peer(seg(ACK).ack(at(10)).sack(&[(at(11), at(12))]));
    assert!(!t.conn().info().in_recovery);
    let sent_to = t.drain().iter().map(|&(seq, len)| seq + len as i64).max();
    let flight = sent_to.unwrap() - at(10);
    t.peer(seg(ACK).ack(at(10)).sack(&[(at(11), at(15))]));
    let ssthresh = t.conn().info().ssthresh as i64;
    assert!(
        ssthresh > 2 * MSS && ssthresh <= flight / 2,
        "{ssthresh} of {flight}"
    );
}

/// One segment is lost repeatedly while new segments are sent and arrive: these are no window to
/// halve.
#[test]
fn a_timeout_in_recovery_does_not_raise_the_threshold() {
    let mut t = ten_in_flight(SACK);
    t.write(200 * MSS as usize);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(5))]));
    assert!(t.conn().info().in_recovery);
    for n in 6..40 {
        t.advance(ms(1));
        t.peer(seg(ACK).ack(1).sack(&[(at(1), at(n))]));
    }
    let before = t.conn().info();
    assert!(t.flow.expects > at(40), "new data went on leaving");
    while t.conn().info().timeouts == before.timeouts {
        t.advance(ms(10));
    }
    let after = t.conn().info();
    assert!(
        after.ssthresh <= before.ssthresh,
        "{} {}",
        after.ssthresh,
        before.ssthresh
    );
}

/// Progress after a timeout makes the next one a new loss (RFC 5681 §3.1).
#[test]
fn a_timeout_after_progress_lowers_the_threshold_again() {
    let mut t = ten_in_flight(SACK);
    t.write(200 * MSS as usize);
    t.advance(ms(300));
    assert_eq!(t.conn().info().ssthresh, 5 * 1_460);
    t.drain();
    // Slow start up to four segments, all of which are lost again.
    t.peer(seg(ACK).ack(at(1)));
    t.peer(seg(ACK).ack(at(3)));
    let timeouts = t.conn().info().timeouts;
    while t.conn().info().timeouts == timeouts {
        t.advance(ms(100));
    }
    assert!(
        t.conn().info().ssthresh < 5 * 1_460,
        "{}",
        t.conn().info().ssthresh
    );
}
