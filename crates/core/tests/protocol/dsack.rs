//! Duplicate SACK (RFC 2883): every example of its section 4, and the sender's counters.

use crate::common::*;

/// A receiver that has everything below `end`, counted from 0 as in the RFC, and acknowledged it.
fn received_up_to(end: usize) -> Tester {
    let mut t = Tester::established(SACK);
    for _ in 0..end / 500 {
        t.peer(seg(ACK).len(500));
    }
    t.sent.clear();
    t
}

/// The peer sends the bytes `from..to`, the RFC's way of counting.
fn arrives(t: &mut Tester, from: i64, to: i64) {
    t.peer(seg(ACK).seq(from + 1).len((to - from) as usize));
}

/// The ACK that leaves, again counted as the RFC does.
#[track_caller]
fn acks(t: &mut Tester, ack: i64, blocks: &[(i64, i64)]) {
    let blocks: Vec<_> = blocks
        .iter()
        .map(|&(left, right)| (left + 1, right + 1))
        .collect();
    t.expect(seg(ACK).ack(ack + 1).sack(&blocks));
    t.silent();
}

#[test]
fn example_1_a_duplicate_segment() {
    let mut t = received_up_to(4_000);
    arrives(&mut t, 3_000, 3_500);
    acks(&mut t, 4_000, &[(3_000, 3_500)]);
    // Guideline 2: once.
    arrives(&mut t, 4_000, 4_500);
    acks(&mut t, 4_500, &[]);
}

#[test]
fn example_2_a_segment_out_of_order_and_a_duplicate() {
    let mut t = received_up_to(4_000);
    arrives(&mut t, 4_500, 5_000);
    acks(&mut t, 4_000, &[(4_500, 5_000)]);
    arrives(&mut t, 3_000, 3_500);
    acks(&mut t, 4_000, &[(3_000, 3_500), (4_500, 5_000)]);
}

#[test]
fn example_3_a_duplicate_of_a_segment_out_of_order() {
    let mut t = received_up_to(4_000);
    arrives(&mut t, 4_500, 5_000);
    acks(&mut t, 4_000, &[(4_500, 5_000)]);
    arrives(&mut t, 5_000, 5_500);
    acks(&mut t, 4_000, &[(4_500, 5_500)]);
    arrives(&mut t, 5_000, 5_500);
    acks(&mut t, 4_000, &[(5_000, 5_500), (4_500, 5_500)]);
}

#[test]
fn example_4_a_single_duplicate_subsegment() {
    let mut t = received_up_to(1_000);
    arrives(&mut t, 2_000, 2_500);
    acks(&mut t, 1_000, &[(2_000, 2_500)]);
    arrives(&mut t, 1_000, 1_500);
    acks(&mut t, 1_500, &[(2_000, 2_500)]);
    arrives(&mut t, 1_000, 2_000);
    acks(&mut t, 2_500, &[(1_000, 1_500)]);
}

#[test]
fn example_5_two_duplicate_subsegments_below_the_cumulative_acknowledgement() {
    let mut t = received_up_to(1_000);
    arrives(&mut t, 3_000, 3_500);
    acks(&mut t, 1_000, &[(3_000, 3_500)]);
    arrives(&mut t, 1_000, 1_500);
    acks(&mut t, 1_500, &[(3_000, 3_500)]);
    arrives(&mut t, 2_000, 2_500);
    acks(&mut t, 1_500, &[(2_000, 2_500), (3_000, 3_500)]);
    arrives(&mut t, 1_000, 2_500);
    acks(&mut t, 2_500, &[(1_000, 1_500), (3_000, 3_500)]);
}

#[test]
fn example_6_two_duplicate_subsegments_above_the_cumulative_acknowledgement() {
    let mut t = received_up_to(1_000);
    arrives(&mut t, 3_500, 4_000);
    acks(&mut t, 1_000, &[(3_500, 4_000)]);
    arrives(&mut t, 1_500, 2_000);
    acks(&mut t, 1_000, &[(1_500, 2_000), (3_500, 4_000)]);
    arrives(&mut t, 2_500, 3_000);
    acks(
        &mut t,
        1_000,
        &[(2_500, 3_000), (1_500, 2_000), (3_500, 4_000)],
    );
    arrives(&mut t, 1_500, 3_000);
    acks(
        &mut t,
        1_000,
        &[(1_500, 2_000), (1_500, 3_000), (3_500, 4_000)],
    );
}

#[test]
fn a_segment_that_fills_a_gap_and_repeats_what_is_behind_it_says_so() {
    let mut t = received_up_to(1_000);
    arrives(&mut t, 1_500, 2_000);
    t.sent.clear();
    arrives(&mut t, 1_000, 2_500);
    acks(&mut t, 2_500, &[(1_500, 2_000)]);
}

#[test]
fn three_blocks_fit_beside_timestamps_the_duplicate_among_them() {
    let mut t = Tester::established(FULL);
    for start in [1_001, 2_001, 3_001, 4_001] {
        t.peer(seg(ACK).seq(start).len(500));
    }
    t.sent.clear();
    t.peer(seg(ACK).seq(2_001).len(500));
    let sack = [(2_001, 2_501), (2_001, 2_501), (4_001, 4_501)];
    t.expect(seg(ACK).ack(1).sack(&sack));
}

#[test]
fn a_peer_without_sack_is_told_nothing() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).len(500));
    t.sent.clear();
    t.peer(seg(ACK).seq(1).len(500));
    t.expect(seg(ACK).ack(501).sack(&[]));
}

#[test]
fn the_report_goes_with_data_too_and_makes_room_for_itself() {
    let mut t = received_up_to(500);
    t.inject(seg(ACK).seq(1).len(500));
    t.write(3_000);
    t.expect(seg(ACK).seq(1).ack(501).len(1_460 - 12).sack(&[(1, 501)]));
    t.expect(seg(ACK).seq(1_449).len(1_460).sack(&[]));
}

#[test]
fn a_duplicate_that_reaches_back_before_the_connection_is_cut() {
    let mut t = received_up_to(500);
    t.peer(seg(ACK).seq(-200).len(500));
    t.expect(seg(ACK).ack(501).sack(&[(1, 300)]));
}

#[test]
fn reports_of_the_peer_are_counted_and_change_nothing_else() {
    let mut t = Tester::established(SACK);
    t.write(14_600);
    t.sent.clear();
    // Below SEG.ACK, and inside a larger block above it.
    t.peer(seg(ACK).ack(1_461).sack(&[(1, 1_461)]));
    t.peer(seg(ACK).ack(1_461).sack(&[(5_841, 7_301), (4_381, 7_301)]));
    let info = t.conn().info();
    assert_eq!((info.duplicates_reported, info.in_recovery), (2, false));
    assert_eq!(info.in_flight, 14_600 - 1_460 - 2_920);
    // An ordinary block is no DSACK, nor is an invalid one.
    t.peer(seg(ACK).ack(1_461).sack(&[(4_381, 7_301)]));
    t.peer(seg(ACK).ack(1_461).sack(&[(1_461, 1_461)]));
    assert_eq!(t.conn().info().duplicates_reported, 2);
}
