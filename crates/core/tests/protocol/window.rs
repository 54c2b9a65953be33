//! Windows both ways: SND.WND (RFC 9293 §3.10.7.4), probes (§3.8.6.1), silly windows (§3.8.6.2).

use proptest::prelude::*;
use tidewire_core::{BufferSize, ConnError, ConnEvents, Event, ReadError, State, WriteError};

use crate::common::*;

/// Established with a peer that offers `window` bytes.
fn offered(window: u16) -> Tester {
    let mut t = Tester::listening(16, |_| {});
    t.flow.window = window;
    t.handshake(PLAIN);
    t
}

fn snd_wnd(t: &mut Tester) -> u32 {
    t.conn().info().snd_wnd
}

/// The peer acknowledges everything at once; returns the number of bytes.
fn everything_acknowledged(t: &mut Tester, window: u16) -> u64 {
    for _ in 0..20 {
        t.peer(seg(ACK).win(window));
        t.sent.clear();
    }
    t.conn().info().bytes_acked
}

#[test]
fn window_update_with_the_same_sequence_and_ack_is_taken() {
    // SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK.
    let mut t = offered(5_000);
    t.peer(seg(ACK).win(9_000));
    assert_eq!(snd_wnd(&mut t), 9_000);
    t.peer(seg(ACK).win(2_000));
    assert_eq!(
        snd_wnd(&mut t),
        2_000,
        "a window may shrink (SHLD-14, MUST-34)"
    );
}

#[test]
fn window_of_an_older_sequence_number_is_not_taken() {
    let mut t = offered(5_000);
    t.peer(seg(ACK).seq(101).len(100).win(8_000));
    t.peer(seg(ACK).seq(1).len(100).win(2_000));
    assert_eq!(snd_wnd(&mut t), 8_000);
    t.peer(seg(ACK).seq(201).win(3_000));
    assert_eq!(snd_wnd(&mut t), 3_000);
}

#[test]
fn window_of_an_older_ack_is_not_taken() {
    let mut t = offered(5_000);
    t.write(100);
    t.peer(seg(ACK).ack(101).win(3_000));
    t.peer(seg(ACK).ack(51).win(9_000));
    assert_eq!(snd_wnd(&mut t), 3_000);
}

#[test]
fn window_of_an_ack_of_something_never_sent_is_not_taken() {
    let mut t = offered(5_000);
    t.peer(seg(ACK).ack(2).win(9_000));
    assert_eq!(snd_wnd(&mut t), 5_000);
}

#[test]
fn nothing_goes_beyond_the_window() {
    let mut t = offered(5_000);
    t.write(20_000);
    let mut edge = 5_001;
    while t.conn().info().bytes_acked < 20_000 {
        for (seq, len) in t.drain() {
            assert!(seq + len as i64 <= edge, "{seq} {len} at {edge}");
        }
        t.peer(seg(ACK).win(5_000));
        edge = t.flow.expects.max(edge) + 5_000;
    }
}

#[test]
fn closed_window_is_probed_after_one_rto_then_ever_less_often_for_ever() {
    // RFC 9293: MUST-36, SHLD-29, SHLD-30.
    let mut t = offered(0);
    t.write(5_000);
    t.silent();
    let cwnd = t.conn().info().cwnd;
    let mut wait = 200;
    for n in 0..40 {
        t.expect_after(ms(wait), seg(ACK).seq(1).len(1));
        t.peer(seg(ACK).ack(1).win(0));
        t.silent();
        wait = (wait * 2).min(120_000);
        assert_eq!(t.state(), State::Established, "probe {n}");
    }
    assert_eq!(t.conn().info().cwnd, cwnd, "neither grown nor cut");
    // The window opens.
    t.peer(seg(ACK).ack(1).win(10_000));
    assert_eq!(t.drain().first().map(|&(seq, _)| seq), Some(1));
    assert_eq!(everything_acknowledged(&mut t, 10_000), 5_000);
}

/// The probe lies beyond the peer's window. The peer would drop a segment at SND.NXT, with its ACK,
/// window or RST.
#[test]
fn acks_and_resets_do_not_lie_beyond_a_window_that_was_probed() {
    for taken in [false, true] {
        let mut t = offered(0);
        t.write(5_000);
        t.expect_after(ms(200), seg(ACK).seq(1).len(1));
        t.peer(seg(ACK).ack(1).win(0));
        t.peer(seg(ACK).seq(1).len(100).ack(1).win(0));
        t.peer(seg(ACK).seq(101).len(2_000).ack(1).win(0));
        t.expect(seg(ACK).seq(1).ack(101).len(0));
        t.expect(seg(ACK).seq(1).ack(2_101).len(0));
        if taken {
            t.peer(seg(ACK).ack(2).win(0));
        }
        t.abort();
        t.expect(seg(RST | ACK).seq(if taken { 2 } else { 1 }));
    }
}

/// The same after the peer shrank its window.
#[test]
fn acks_do_not_lie_beyond_a_window_that_shrank() {
    let mut t = offered(5_000);
    t.write(5_000);
    assert_eq!(t.drain().last(), Some(&(4_381, 620)));
    t.peer(seg(ACK).ack(1_461).win(500));
    t.sent.clear();
    t.peer(seg(FIN_ACK).ack(1_461).win(500));
    t.expect(seg(ACK).seq(1_961).ack(2).len(0));
}

#[test]
fn a_probe_that_is_taken_goes_on_with_the_next_byte() {
    let mut t = offered(0);
    t.write(100);
    t.expect_after(ms(200), seg(ACK).seq(1).len(1));
    t.peer(seg(ACK).ack(2).win(0));
    assert!(t.wait_sent(secs(2)).is_some());
    t.expect(seg(ACK).seq(2).len(1));
    t.peer(seg(ACK).ack(2).win(500));
    assert_eq!(t.drain().first().map(|&(seq, _)| seq), Some(2));
    assert_eq!(everything_acknowledged(&mut t, 500), 100);
}

#[test]
fn a_window_that_closed_over_a_full_flight_is_probed_and_reopens() {
    // RFC 9293: MUST-35.
    let mut t = offered(4_380);
    t.write(10_000);
    t.sent.clear();
    t.peer(seg(ACK).ack(4_381).win(0));
    t.silent();
    assert!(t.wait_sent(secs(2)).is_some());
    t.expect(seg(ACK).seq(4_381).len(1));
    t.peer(seg(ACK).ack(4_381).win(4_380));
    let sent = t.drain();
    assert_eq!(sent.first().map(|&(seq, _)| seq), Some(4_381));
    assert!(sent.iter().map(|(_, len)| len).sum::<usize>() > 2 * 1_460);
    assert_eq!(everything_acknowledged(&mut t, 4_380), 10_000);
}

#[test]
fn probes_that_nobody_answers_end_the_connection() {
    let mut t = Tester::listening(16, |config| config.tcp.data_retries = 4);
    t.flow.window = 0;
    t.handshake(PLAIN);
    t.write(100);
    t.advance(secs(60));
    let reset = t.sent.pop_back().expect("the peer is told");
    assert!(reset.header.flags.contains(RST));
    assert_eq!(t.drain().len(), 4, "as many probes as retries");
    assert_eq!(t.state(), State::Closed);
    assert_eq!(t.conn().take_error(), Some(ConnError::TimedOut));
}

#[test]
fn a_fin_behind_a_closed_window_is_probed_with_too() {
    let mut t = offered(0);
    t.shutdown_write();
    t.silent();
    assert!(t.wait_sent(secs(2)).is_some());
    t.expect(seg(FIN_ACK).seq(1).len(0));
    t.peer(seg(ACK).ack(2).win(0));
    assert_eq!(t.state(), State::FinWait2);
}

#[test]
fn a_window_that_shrinks_over_data_in_flight_loses_none_of_it() {
    // RFC 9293: MAY-7.
    // SHLD-15, SHLD-16, SHLD-17.
    let mut t = offered(5_840);
    t.write(8_000);
    assert_eq!(t.drain().len(), 4);
    t.peer(seg(ACK).ack(1).win(1_460));
    t.silent();
    assert!(t.wait_sent(secs(2)).is_some());
    t.expect(seg(ACK).seq(1).len(1_460));
    let mut acked = 1;
    while acked < 8_001 {
        acked += 1_460.min(8_001 - acked);
        t.peer(seg(ACK).ack(acked).win(1_460));
        t.wait_sent(secs(5));
        t.sent.clear();
    }
    assert_eq!(t.conn().info().bytes_acked, 8_000);
}

#[test]
fn sender_waits_out_a_silly_window_until_the_override_timer() {
    // RFC 9293: MUST-38.
    // RFC 9293 §3.8.6.2.1: 0.1 to 1.0 seconds.
    let mut t = offered(10_000);
    t.write(10_000);
    t.peer(seg(ACK).win(100));
    t.sent.clear();
    t.write(5_000);
    t.silent();
    t.advance(ms(99));
    t.silent();
    t.advance(ms(901));
    t.expect(seg(ACK).seq(10_001).len(100));
}

#[test]
fn sender_uses_half_of_the_largest_window_at_once() {
    let mut t = offered(1_000);
    t.write(1_000);
    t.peer(seg(ACK).win(500));
    t.sent.clear();
    t.write(5_000);
    t.expect(seg(ACK).seq(1_001).len(500));
}

#[test]
fn receiver_opens_a_closed_window_by_a_whole_segment() {
    // RFC 9293: MUST-39, MAY-8.
    // RFC 9293 §3.8.6.2.2: min(half of the buffer, one segment).
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(14_600);
    });
    for _ in 0..10 {
        t.peer(seg(ACK).len(1_460));
    }
    let last = t.sent.pop_back().unwrap();
    assert_eq!((t.rel_ack(&last), last.header.window), (14_601, 0));
    t.sent.clear();
    for _ in 0..1_459 {
        assert_eq!(t.read(1), Ok(1));
        t.silent();
    }
    assert_eq!(t.read(1), Ok(1));
    t.expect(seg(ACK).ack(14_601).win(1_460));
}

#[test]
fn receiver_with_a_tiny_buffer_opens_by_half_of_it() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(600);
    });
    t.peer(seg(ACK).len(600));
    t.expect(seg(ACK).ack(601).win(0));
    assert_eq!(t.read(299), Ok(299));
    t.silent();
    assert_eq!(t.read(1), Ok(1));
    t.expect(seg(ACK).ack(601).win(300));
}

#[test]
fn a_read_that_opens_much_tells_the_peer_unasked() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(60_000);
    });
    for _ in 0..40 {
        t.peer(seg(ACK).len(1_400));
    }
    t.advance(ms(50));
    t.sent.clear();
    assert_eq!(t.read(56_000), Ok(56_000));
    t.expect(seg(ACK).ack(56_001).win(60_000));
}

#[test]
fn write_blocks_at_the_send_buffer_and_is_told_when_there_is_room() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.send_buffer = BufferSize::Fixed(4_000);
    });
    t.write(4_000);
    let now = t.now;
    assert_eq!(t.conn().write(now, &[0]), Err(WriteError::Blocked));
    assert!(!t.conn().is_writable());
    assert_eq!(t.events(), []);
    t.peer(seg(ACK).ack(2_921));
    let id = t.id.unwrap();
    assert_eq!(t.events(), [Event::Conn(id, ConnEvents::WRITABLE)]);
    assert!(t.conn().is_writable());
}

/// As Linux has it: a socket whose write side is shut down is writable, and writing fails.
#[test]
fn a_shutdown_makes_a_full_connection_writable() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.send_buffer = BufferSize::Fixed(4_000);
    });
    t.write(4_000);
    t.events();
    t.shutdown_write();
    let id = t.id.unwrap();
    assert_eq!(t.events(), [Event::Conn(id, ConnEvents::WRITABLE)]);
    assert!(t.conn().is_writable());
    let now = t.now;
    assert_eq!(t.conn().write(now, &[0]), Err(WriteError::Closed));
    t.peer(seg(ACK).ack(2_921));
    assert_eq!(t.events(), [], "said once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// For any order of reads the right edge of the window never moves left, and text inside the
    /// window is accepted.
    #[test]
    fn the_right_edge_never_moves_left(
        scaled in any::<bool>(),
        buffer in 500_usize..200_000,
        steps in prop::collection::vec((any::<bool>(), 1_usize..9_000), 1..80),
    ) {
        let offer = if scaled { FULL } else { PLAIN };
        let mut t = Tester::established_with(offer, |config| config.tcp.recv_buffer = BufferSize::Fixed(buffer));
        let shift = t.conn().info().rcv_wscale.unwrap_or(0);
        let mut edge = 1 + buffer.min(65_535) as i64;
        let mut unread = 0;
        for (reads, size) in steps {
            if reads {
                match t.read(size) {
                    Ok(n) => unread -= n,
                    Err(error) => prop_assert_eq!((error, unread), (ReadError::Blocked, 0)),
                }
            } else {
                let next = t.flow.next;
                let fits = size.min((edge - next) as usize).min(1_448);
                t.peer(seg(ACK).seq(next).len(fits));
                unread += fits;
                t.advance(ms(50));
            }
            while let Some(sent) = t.sent.pop_front() {
                let right = t.rel_ack(&sent) + (i64::from(sent.header.window) << shift);
                // Rounding to the window's scale aside (RFC 7323 §2.4).
                prop_assert!(right + (1 << shift) > edge, "from {edge} to {right}");
                prop_assert!(right - t.rel_ack(&sent) <= buffer as i64, "more than there is room for");
                edge = edge.max(right);
            }
        }
        prop_assert_eq!(t.conn().info().recv_queue, unread);
    }
}

/// A buffer filled to its last byte counts as full: `WRITABLE` follows.
#[test]
fn a_write_that_fills_the_buffer_is_followed_by_an_event() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.send_buffer = BufferSize::Fixed(4_000);
    });
    t.write(4_000);
    t.events();
    t.peer(seg(ACK).ack(2_921));
    let id = t.id.unwrap();
    assert_eq!(t.events(), [Event::Conn(id, ConnEvents::WRITABLE)]);
}

/// A connection without an application ends in spite of a closed window.
#[test]
fn an_orphan_before_a_closed_window_is_given_up() {
    let mut t = offered(0);
    t.write(5_000);
    t.close();
    for _ in 0..40 {
        if t.counts().0 == 0 {
            return;
        }
        t.advance(secs(10));
        t.peer(seg(ACK).ack(1).win(0));
    }
    panic!("it is still there after 400 s of probes");
}

#[test]
fn windows_are_unsigned_and_fill_32_bits() {
    // RFC 9293 §3.1, MUST-1, REC-1; RFC 7323 §2.3.
    for (shift, field) in [(0, 40_000), (0, u16::MAX), (7, 0x8000), (14, u16::MAX)] {
        let mut t = Tester::listening(16, |_| {});
        t.syn(Offer {
            wscale: Some(shift),
            ..PLAIN
        });
        t.expect(seg(SYN_ACK));
        t.peer(seg(ACK).win(field));
        t.accept();
        assert_eq!(snd_wnd(&mut t), u32::from(field) << shift);
    }
}

/// A late copy of the ACK that closed the window does not apply to data sent since it opened again.
#[test]
fn a_repeated_closed_window_does_not_send_everything_again() {
    let mut t = offered(5_000);
    t.write(60_000);
    let closed = seg(ACK).ack(4_381).win(0);
    t.sent.clear();
    t.peer(closed.clone());
    t.peer(seg(ACK).ack(4_381).win(60_000));
    let flight: usize = t.drain().iter().map(|&(_, len)| len).sum();
    assert!(flight >= 5 * 1_460);
    t.peer(closed);
    t.peer(seg(ACK).ack(4_381).win(60_000));
    assert!(
        t.drain()
            .iter()
            .all(|&(seq, _)| seq > 4_381 + flight as i64 - 1)
    );
    assert_eq!(t.conn().info().segs_retransmitted, 0);
}

/// A queued FIN does not hold back the data before it (RFC 9293 §3.8.6.2.1, rule 2).
#[test]
fn data_that_fills_a_small_window_does_not_wait_because_of_its_fin() {
    let mut t = offered(60_000);
    t.peer(seg(ACK).win(0));
    t.write(500);
    t.shutdown_write();
    t.silent();
    t.peer(seg(ACK).win(500));
    t.expect(seg(ACK).seq(1).len(500));
}
