//! Segment text: reassembly, and the ACKs and SACK blocks that it earns.

use tidewire_core::{BufferSize, ConnEvents, Event, ReadError, State};

use crate::common::*;

/// Reads without comparing to the test pattern.
fn read_raw(t: &mut Tester) -> Vec<u8> {
    let mut bytes = vec![0; 100_000];
    let now = t.now;
    let n = t.conn().read(now, &mut bytes).unwrap_or(0);
    bytes.truncate(n);
    bytes
}

#[test]
fn in_order_data_is_delivered_and_acknowledged() {
    let mut t = Tester::established(PLAIN);
    assert_eq!(t.read(10), Err(ReadError::Blocked));
    t.peer(seg(ACK | PSH).seq(1).len(100));
    t.expect(seg(ACK).seq(1).ack(101));
    let id = t.id.unwrap();
    assert_eq!(
        t.stack.poll_event(),
        Some(Event::Conn(id, ConnEvents::READABLE))
    );
    assert_eq!((t.read(60), t.read(60)), (Ok(60), Ok(40)));
}

#[test]
fn data_crosses_the_wrap_of_sequence_numbers() {
    let mut t = Tester::established(PLAIN);
    for _ in 0..20 {
        t.peer(seg(ACK).len(1_000));
        assert_eq!(t.read(2_000), Ok(1_000));
        t.sent.clear();
    }
    // Out of order across the wrap is tested with the ISN 5,001 below it.
    let mut t = Tester::established(SACK);
    t.peer(seg(ACK).seq(4_001).len(2_000));
    t.expect(seg(ACK).ack(1).sack(&[(4_001, 6_001)]));
    t.peer(seg(ACK).seq(1).len(4_000));
    t.expect(seg(ACK).ack(6_001).sack(&[]));
    assert_eq!(t.read(10_000), Ok(6_000));
}

#[test]
fn out_of_order_data_is_acknowledged_at_once_and_again_when_the_gap_is_filled() {
    // RFC 9293: SHLD-31.
    let mut t = Tester::established(PLAIN);
    t.end_quick_start(10);
    let base = 161;
    t.peer(seg(ACK).seq(base + 100).len(100));
    t.expect(seg(ACK).ack(base).sack(&[]));
    t.peer(seg(ACK).seq(base + 200).len(100));
    t.expect(seg(ACK).ack(base));
    assert_eq!(t.read(10), Err(ReadError::Blocked));
    t.peer(seg(ACK).seq(base).len(50));
    t.expect(seg(ACK).ack(base + 50));
    t.peer(seg(ACK).seq(base + 50).len(50));
    t.expect(seg(ACK).ack(base + 300));
    assert_eq!(t.read(1_000), Ok(300));
}

#[test]
fn every_segment_out_of_order_earns_its_own_duplicate_without_sack() {
    // RFC 9293: MAY-13. RFC 5681 §3.2: the sender counts duplicate ACKs, so each frame gets one,
    // also where the stack is polled once for several frames.
    let mut t = Tester::established(PLAIN);
    for n in 1..=3 {
        t.inject(seg(ACK).seq(1 + n * 100).len(100));
    }
    t.pump();
    for _ in 0..3 {
        t.expect(seg(ACK).seq(1).ack(1).len(0));
    }
    t.silent();
}

#[test]
fn sack_reports_the_newest_block_first() {
    // RFC 2018 §4: the first block is the one that triggered this ACK, then those reported most
    // recently.
    let mut t = Tester::established(SACK);
    let block = |n: i64| (n * 1_000 + 1, n * 1_000 + 101);
    let [a, b, c, d, e] = [1, 3, 5, 7, 9].map(block);
    for (new, wanted) in [
        (a, vec![a]),
        (b, vec![b, a]),
        (c, vec![c, b, a]),
        (d, vec![d, c, b, a]),
        (e, vec![e, d, c, b]),
    ] {
        t.peer(seg(ACK).seq(new.0).len(100));
        t.expect(seg(ACK).ack(1).sack(&wanted));
    }
    // An old block that grows comes first again.
    t.peer(seg(ACK).seq(b.1).len(100));
    t.expect(seg(ACK).ack(1).sack(&[(b.0, b.1 + 100), e, d, c]));
    // A segment that joins two makes one.
    t.peer(seg(ACK).seq(d.1).len(1_900));
    t.expect(seg(ACK).ack(1).sack(&[(d.0, e.1), (b.0, b.1 + 100), c, a]));
}

#[test]
fn sack_has_three_blocks_beside_timestamps() {
    let mut t = Tester::established(FULL);
    for n in [1, 3, 5, 7] {
        t.peer(seg(ACK).seq(n * 1_000 + 1).len(100));
    }
    let last = t.sent.pop_back().unwrap();
    t.sent.clear();
    assert_eq!(last.options.sack.len(), 3);
    assert!(last.options.timestamps.is_some());
}

#[test]
fn sack_ends_with_the_gap() {
    let mut t = Tester::established(SACK);
    t.peer(seg(ACK).seq(101).len(100));
    t.peer(seg(ACK).seq(301).len(100));
    t.sent.clear();
    t.peer(seg(ACK).seq(1).len(100));
    t.expect(seg(ACK).ack(201).sack(&[(301, 401)]));
    t.peer(seg(ACK).seq(201).len(100));
    t.expect(seg(ACK).ack(401).sack(&[]));
}

#[test]
fn of_an_overlap_the_first_received_wins() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).seq(11).len(10).fill(b'A'));
    t.peer(seg(ACK).seq(6).len(20).fill(b'B'));
    t.peer(seg(ACK).seq(1).len(30).fill(b'C'));
    let wanted = [&b"CCCCC"[..], b"BBBBB", b"AAAAAAAAAA", b"BBBBB", b"CCCCC"].concat();
    assert_eq!(read_raw(&mut t), wanted);
    // Data that the application has read cannot change either.
    t.peer(seg(ACK).seq(21).len(20).fill(b'D'));
    assert_eq!(read_raw(&mut t), b"DDDDDDDDDD");
}

#[test]
fn a_duplicate_is_acknowledged_at_once() {
    let mut t = Tester::established(PLAIN);
    t.end_quick_start(100);
    for _ in 0..3 {
        t.peer(seg(ACK).seq(1_501).len(100));
        t.expect(seg(ACK).ack(1_601));
    }
    assert_eq!(t.read(1_000), Err(ReadError::Blocked));
}

#[test]
fn data_beyond_the_window_is_cut() {
    let mut t = Tester::established_with(SACK, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(1_000);
    });
    t.peer(seg(ACK).seq(901).len(500));
    t.expect(seg(ACK).ack(1).sack(&[(901, 1_001)]).win(1_000));
    t.peer(seg(ACK).seq(1).len(900));
    t.expect(seg(ACK).ack(1_001).win(0));
    assert_eq!(t.read(5_000), Ok(1_000));
}

#[test]
fn data_larger_than_the_window_is_taken_up_to_it() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(1_000);
    });
    t.peer(seg(ACK).seq(1).len(1_400));
    t.expect(seg(ACK).ack(1_001).win(0));
    t.peer(seg(ACK).seq(1_001).len(400));
    t.expect(seg(ACK).ack(1_001).win(0));
    assert_eq!(t.read(5_000), Ok(1_000));
}

#[test]
fn many_tiny_islands_are_bounded_and_the_stream_survives() {
    // One byte in two, then the whole: memory is bounded, and nothing that was acknowledged is
    // lost.
    let mut t = Tester::established(SACK);
    for n in 0..5_000 {
        t.peer(seg(ACK).seq(2 + 2 * n).len(1));
    }
    assert!(
        t.conn().info().out_of_order < 5_000,
        "refused at some point"
    );
    t.sent.clear();
    for n in 0..10 {
        t.peer(seg(ACK).seq(1 + 1_000 * n).len(1_000));
    }
    let last = t.sent.pop_back().unwrap();
    assert_eq!((t.rel_ack(&last), last.options.sack.len()), (10_001, 0));
    assert_eq!(t.read(20_000), Ok(10_000));
}

#[test]
fn one_ack_at_most_answers_a_segment() {
    // RFC 5681 §4.2: a receiver answers no segment with more than one ACK.
    let mut t = Tester::established(FULL);
    let order = [0, 2, 1, 5, 3, 3, 4, 9, 8, 7, 6, 6, 10];
    for n in order {
        t.peer(seg(ACK).seq(1 + n * 700).len(700));
        assert!(t.sent.len() <= 1, "segment {n}");
        t.sent.clear();
    }
    assert_eq!(t.read(100_000), Ok(11 * 700));
}

/// Data after the peer's FIN must not keep the FIN from being processed.
#[test]
fn text_beyond_a_fin_is_not_part_of_the_stream() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(FIN | ACK).seq(101).len(50));
    t.peer(seg(ACK).seq(151).len(100));
    t.peer(seg(ACK).seq(1).len(400));
    assert_eq!(t.state(), State::CloseWait);
    assert_eq!(t.conn().info().recv_queue, 150);
}
