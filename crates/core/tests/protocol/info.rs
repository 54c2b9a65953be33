//! `TcpInfo` (RFC 9293 §3.10.6, STATUS).

use tidewire_core::{SendLimit, State, TcpInfo};

use crate::common::*;

fn info(t: &mut Tester) -> TcpInfo {
    t.conn().info()
}

#[test]
fn a_fresh_connection_shows_what_the_handshake_agreed_on() {
    let mut t = Tester::with_rtt(FULL);
    let info = info(&mut t);
    assert_eq!((info.state, info.srtt), (State::Established, Some(ms(100))));
    assert_eq!(
        (info.snd_mss, info.advertised_mss, info.path_mtu),
        (1_448, 1_460, 1_500)
    );
    assert_eq!((info.timestamps, info.sack), (true, true));
    assert_eq!((info.bytes_delivered, info.delivery_rate), (0, 0));
    assert_eq!(
        (info.since_data_sent, info.since_data_received),
        (None, None)
    );
    assert_eq!(
        (info.busy, info.limited_by),
        (ms(0), SendLimit::Application)
    );
}

#[test]
fn times_since_the_last_segments() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(10);
    t.advance(ms(10));
    t.peer(seg(ACK).len(5));
    t.advance(ms(20));
    t.peer(seg(ACK));
    t.advance(ms(30));
    // The stack's time is that of the last call.
    t.stack.handle_timeout(t.now);
    let info = info(&mut t);
    assert_eq!(
        (
            info.since_data_sent,
            info.since_data_received,
            info.since_heard
        ),
        (Some(ms(60)), Some(ms(50)), ms(30))
    );
}

#[test]
fn segments_and_bytes_are_counted_both_ways() {
    let mut t = Tester::established(PLAIN);
    t.flow.window = 2_000;
    t.peer(seg(ACK).len(700));
    t.peer(seg(ACK).len(300));
    let acks = t.drain().len() as u64;
    let before = info(&mut t);
    // The SYN, the ACK that completed the handshake, and these two; the SYN-ACK and the ACKs.
    assert_eq!((before.segs_in, before.segs_out), (4, 1 + acks));
    assert_eq!((before.bytes_received, before.recv_queue), (1_000, 1_000));
    assert_eq!(before.rcv_mss, 700, "the largest that came");
    t.write(5_000);
    let after = info(&mut t);
    assert_eq!(
        (after.bytes_sent, after.unacked, after.unsent),
        (1_460, 1_460, 3_540)
    );
    assert_eq!(after.send_queue, 5_000);
    assert_eq!((after.segs_out, after.bytes_acked), (2 + acks, 0));
    assert_eq!(after.snd_wnd, 2_000);
}

#[test]
fn what_is_outstanding_is_told_apart() {
    let mut t = Tester::with_rtt(SACK);
    t.write(14_600);
    t.sent.clear();
    // The first is lost, and the sixth; the first is sent again.
    t.peer(seg(ACK).ack(1).sack(&[(1_461, 7_301)]));
    assert_eq!(t.drain().first(), Some(&(1, 1_460)));
    let first = info(&mut t);
    assert_eq!((first.unacked, first.sacked), (14_600, 5_840));
    assert_eq!((first.lost, first.retransmitted), (0, 1_460));
    assert_eq!(first.in_flight, 14_600 - 5_840);
    assert!(first.in_recovery);
    assert_eq!(
        (first.segs_retransmitted, first.bytes_retransmitted),
        (1, 1_460)
    );
    assert_eq!((first.bytes_delivered, first.recoveries), (5_840, 1));
    t.peer(seg(ACK).ack(14_601));
    let then = info(&mut t);
    assert_eq!(
        (then.unacked, then.retransmitted, then.bytes_delivered),
        (0, 0, 14_600)
    );
}

#[test]
fn timeouts_in_a_row_are_counted_until_an_answer() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(10);
    t.advance(secs(2));
    let silent = info(&mut t);
    assert_eq!((silent.retries, silent.timeouts), (2, 2));
    t.peer(seg(ACK));
    let answered = info(&mut t);
    assert_eq!((answered.retries, answered.timeouts), (0, 2));
}

#[test]
fn reordering_is_seen_and_loss_is_not_taken_for_it() {
    let mut t = Tester::with_rtt(SACK);
    t.write(14_600);
    t.peer(seg(ACK).ack(1).sack(&[(1_461, 2_921)]));
    assert_eq!(info(&mut t).reordered, 0);
    // The first arrives late, never sent again.
    t.peer(seg(ACK).ack(2_921));
    assert_eq!(info(&mut t).reordered, 1);
    // Another is lost, and acknowledged after it was sent again.
    t.peer(seg(ACK).ack(2_921).sack(&[(4_381, 10_221)]));
    t.peer(seg(ACK).ack(14_601));
    assert_eq!(info(&mut t).reordered, 1);
}

#[test]
fn duplicates_are_counted() {
    let mut t = Tester::with_rtt(PLAIN);
    t.peer(seg(ACK).len(100));
    t.peer(seg(ACK).seq(1).len(100));
    assert_eq!(info(&mut t).duplicates_received, 1);
}

#[test]
fn the_delivery_rate_is_what_got_through_in_a_round_trip() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(14_600);
    t.advance(ms(100));
    t.peer(seg(ACK));
    // 14,600 bytes in 100 ms.
    assert_eq!(info(&mut t).delivery_rate, 146_000);
    // A pause is not part of it.
    t.advance(secs(10));
    t.write(1_000);
    t.advance(ms(100));
    t.peer(seg(ACK));
    assert_eq!(info(&mut t).delivery_rate, 10_000);
}

#[test]
fn what_limits_the_sender_is_told_and_for_how_long() {
    let mut t = Tester::with_rtt(PLAIN);
    t.write(200_000);
    assert_eq!(info(&mut t).limited_by, SendLimit::Congestion);
    t.advance(ms(100));
    // The window closes over what was sent.
    t.peer(seg(ACK).win(0));
    assert_eq!(info(&mut t).limited_by, SendLimit::ReceiveWindow);
    t.advance(ms(50));
    t.peer(seg(ACK).win(65_535));
    let now = info(&mut t);
    assert_eq!(
        (now.congestion_limited, now.receive_window_limited),
        (ms(100), ms(50))
    );
    assert_eq!(now.busy, ms(150));
    while info(&mut t).send_queue > 0 {
        t.peer(seg(ACK).win(65_535));
    }
    t.advance(secs(5));
    let idle = info(&mut t);
    assert_eq!(
        (idle.busy, idle.limited_by),
        (ms(150), SendLimit::Application)
    );
}

#[test]
fn unanswered_keep_alive_probes_are_counted() {
    let mut t = Tester::established(PLAIN);
    let now = t.now;
    t.conn()
        .set_keepalive(now, Some(tidewire_core::KeepAlive::default()));
    t.advance(secs(7_200 + 75 * 2));
    assert_eq!(info(&mut t).keep_alive_probes, 3);
    t.peer(seg(ACK));
    assert_eq!(info(&mut t).keep_alive_probes, 0);
}
