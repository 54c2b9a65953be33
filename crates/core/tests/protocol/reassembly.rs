//! Reassembly: data out of order inside the promised window (RFC 9293 §3.10.7.4, SHLD-31), limited
//! by memory and by nothing else.

use tidewire_core::{BufferSize, DropReason, ReadError};

use crate::common::*;

const MSS: i64 = 1_460;
/// More separate runs than a usual loss leaves.
const MANY: i64 = 300;

/// The sequence number of segment `n`.
fn at(n: i64) -> i64 {
    1 + n * MSS
}

/// A peer that knows of a window of `buffer` bytes and has sent segment 0.
fn with_window_of(buffer: usize) -> Tester {
    let offer = Offer {
        wscale: Some(7),
        mss: Some(MSS as u16),
        sack: true,
        timestamps: false,
    };
    let mut t = Tester::established_with(offer, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(buffer);
    });
    t.peer(seg(ACK).seq(at(0)).len(MSS as usize));
    assert_eq!(t.read(10_000), Ok(MSS as usize));
    t.sent.clear();
    t
}

/// [`with_window_of`] 4 MiB, with runs of one segment: segments 2, 4, 6, ...
fn with_many_gaps() -> Tester {
    let mut t = with_window_of(4 << 20);
    for n in 1..=MANY {
        t.peer(seg(ACK).seq(at(2 * n)).len(MSS as usize));
    }
    t.sent.clear();
    assert_eq!(out_of_order(&mut t), MANY * MSS);
    t
}

fn out_of_order(t: &mut Tester) -> i64 {
    t.conn().info().out_of_order as i64
}

fn read_all(t: &mut Tester) -> i64 {
    let mut total = 0;
    while let Ok(read) = t.read(1 << 20) {
        total += read as i64;
    }
    total
}

#[test]
fn a_receiver_with_many_gaps_keeps_what_lengthens_a_run() {
    let mut t = with_many_gaps();
    t.peer(seg(ACK).seq(at(2 * MANY + 1)).len(MSS as usize));
    assert_eq!(out_of_order(&mut t), (MANY + 1) * MSS);
    // RFC 2018 §4: at once, the newest run first.
    let run = |n| (at(2 * n), at(2 * n + 1));
    let newest = (at(2 * MANY), at(2 * MANY + 2));
    let blocks = [newest, run(MANY - 1), run(MANY - 2), run(MANY - 3)];
    t.expect(seg(ACK).ack(at(1)).sack(&blocks));
}

#[test]
fn a_receiver_with_many_gaps_keeps_what_joins_two_runs() {
    let mut t = with_many_gaps();
    t.peer(seg(ACK).seq(at(101)).len(MSS as usize));
    assert_eq!(out_of_order(&mut t), (MANY + 1) * MSS);
}

#[test]
fn a_receiver_with_many_gaps_keeps_what_overlaps_the_end_of_a_run() {
    let mut t = with_many_gaps();
    t.peer(seg(ACK).seq(at(101) - 100).len(300));
    assert_eq!(out_of_order(&mut t), MANY * MSS + 200);
    t.peer(seg(ACK).seq(at(200) - 50).len(100));
    assert_eq!(out_of_order(&mut t), MANY * MSS + 250);
}

#[test]
fn a_receiver_with_many_gaps_reads_the_stream_once_they_are_filled() {
    let mut t = with_many_gaps();
    for n in 0..MANY {
        t.peer(seg(ACK).seq(at(2 * n + 1)).len(MSS as usize));
        assert_eq!(out_of_order(&mut t), (MANY - n - 1) * MSS);
    }
    assert_eq!(read_all(&mut t), 2 * MANY * MSS);
    assert_eq!(t.dropped(DropReason::NoMemory), 0);
}

/// Every second piece of 100 bytes in a window of 4 MiB, the last first.
#[test]
fn ten_thousand_runs_are_kept_while_memory_allows() {
    const RUNS: i64 = 10_000;
    let mut t = with_window_of(4 << 20);
    for n in (0..RUNS).rev() {
        t.peer(seg(ACK).seq(at(1) + 200 * n + 100).len(100));
        t.sent.clear();
    }
    assert_eq!(out_of_order(&mut t), 100 * RUNS);
    for n in 0..RUNS {
        t.peer(seg(ACK).seq(at(1) + 200 * n).len(100));
        t.sent.clear();
    }
    assert_eq!(read_all(&mut t), 200 * RUNS);
    assert_eq!(t.dropped(DropReason::NoMemory), 0);
}

/// A peer that sends every second byte causes the highest overhead. Out-of-order data takes at most
/// twice the window in memory, in any pattern, and the stream continues.
#[test]
fn single_bytes_out_of_order_stay_within_the_memory_of_the_window() {
    const WINDOW: i64 = 64 << 10;
    /// A block that is kept for the next segment.
    const BLOCK: usize = 512;
    let mut t = with_window_of(WINDOW as usize);
    let before = t.stack.memory_used();
    for n in 1..WINDOW / 2 {
        t.peer(seg(ACK).seq(at(1) + 2 * n).len(1));
        t.sent.clear();
        let used = t.stack.memory_used() - before;
        assert!(used <= 2 * WINDOW as usize + BLOCK, "{used} bytes");
    }
    assert!(t.dropped(DropReason::NoMemory) > 0);
    let kept = out_of_order(&mut t);
    assert!(kept > 256, "{kept} runs");
    assert_eq!(t.read(1), Err(ReadError::Blocked));
    t.peer(seg(ACK).seq(at(1)).len(MSS as usize));
    t.peer(seg(ACK).seq(at(2)).len(MSS as usize));
    assert_eq!(read_all(&mut t), 2 * MSS);
}

/// What out-of-order data costs beside its bytes does not use up a small buffer.
#[test]
fn a_small_receive_buffer_keeps_what_comes_out_of_order() {
    for size in [400, 500, 2_000] {
        let mut t = Tester::established_with(SACK, |config| {
            config.tcp.recv_buffer = BufferSize::Fixed(size);
        });
        t.peer(seg(ACK).seq(51).len(size - 100));
        assert_eq!(t.conn().info().out_of_order, size - 100, "of {size}");
        assert_eq!(t.dropped(DropReason::NoMemory), 0);
    }
}
