//! Closing: FINs (RFC 9293 §3.10.7.4, eighth check), CLOSE and ABORT (§3.10.4, §3.10.5).

use tidewire_core::{BufferSize, ConnError, ReadError, ShutdownError, State, WriteError};

use crate::common::*;

#[test]
fn fin_moves_every_state_as_figure_5_says() {
    // (state before, ACK of the peer's FIN segment, state after)
    for (before, ack, after) in [
        (State::Established, 1, State::CloseWait),
        (State::FinWait1, 1, State::Closing),
        (State::FinWait1, 2, State::TimeWait),
        (State::FinWait2, 2, State::TimeWait),
    ] {
        let mut t = Tester::in_state(before, PLAIN);
        t.peer(seg(FIN_ACK).seq(1).ack(ack));
        t.expect(seg(ACK).ack(2));
        t.silent();
        assert_eq!(t.state(), after, "from {before}");
    }
}

#[test]
fn ack_of_our_fin_moves_every_state_as_figure_5_says() {
    for (before, after) in [
        (State::FinWait1, State::FinWait2),
        (State::Closing, State::TimeWait),
        (State::LastAck, State::Closed),
    ] {
        let mut t = Tester::in_state(before, PLAIN);
        t.peer(seg(ACK));
        t.silent();
        assert_eq!(t.state(), after, "from {before}");
    }
}

#[test]
fn fin_again_changes_nothing_and_is_acknowledged() {
    for state in [State::CloseWait, State::Closing, State::LastAck] {
        let mut t = Tester::in_state(state, PLAIN);
        t.peer(seg(FIN_ACK).seq(1).ack(1));
        t.expect(seg(ACK).ack(2));
        assert_eq!(t.state(), state);
    }
}

#[test]
fn fin_out_of_order_does_not_move_the_state() {
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        let mut t = Tester::in_state(state, PLAIN);
        t.peer(seg(FIN_ACK).seq(101).len(50));
        t.expect(seg(ACK).ack(1));
        let waiting = if state == State::FinWait1 {
            State::FinWait2
        } else {
            state
        };
        assert_eq!(t.state(), waiting, "its ACK counts, its FIN not yet");
        t.peer(seg(ACK).seq(1).len(100));
        t.expect(seg(ACK).ack(152));
        let after = if state == State::Established {
            State::CloseWait
        } else {
            State::TimeWait
        };
        assert_eq!(t.state(), after);
        assert_eq!((t.read(1_000), t.read(10)), (Ok(150), Ok(0)));
    }
}

#[test]
fn a_bare_fin_out_of_order_waits_for_the_data() {
    let mut t = Tester::established(SACK);
    t.peer(seg(FIN_ACK).seq(101));
    t.expect(seg(ACK).ack(1));
    t.peer(seg(ACK).seq(1).len(100));
    t.expect(seg(ACK).ack(102));
    assert_eq!(t.state(), State::CloseWait);
}

#[test]
fn fin_with_data_ends_the_stream_after_it() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(FIN_ACK | PSH).seq(1).len(30));
    t.expect(seg(ACK).ack(32));
    assert_eq!(
        (t.state(), t.conn().is_readable()),
        (State::CloseWait, true)
    );
    assert_eq!(
        (t.read(100), t.read(100), t.read(100)),
        (Ok(30), Ok(0), Ok(0))
    );
}

#[test]
fn fin_right_behind_a_full_window_is_taken_or_comes_again() {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(1_000);
    });
    t.peer(seg(FIN_ACK).seq(1).len(1_000));
    let sent = t.expect(seg(ACK));
    if t.rel_ack(&sent) == 1_001 {
        assert_eq!(t.read(2_000), Ok(1_000));
        t.sent.clear();
        t.peer(seg(FIN_ACK).seq(1_001));
        t.expect(seg(ACK).ack(1_002));
    } else {
        assert_eq!((t.rel_ack(&sent), t.read(2_000)), (1_002, Ok(1_000)));
    }
    assert_eq!((t.state(), t.read(1)), (State::CloseWait, Ok(0)));
}

#[test]
fn data_after_the_fin_is_not_delivered() {
    let mut t = Tester::in_state(State::CloseWait, PLAIN);
    t.peer(seg(ACK).seq(2).len(10));
    assert_eq!(t.read(100), Ok(0));
    assert_eq!(t.state(), State::CloseWait);
}

#[test]
fn half_closed_by_us_data_still_comes() {
    let mut t = Tester::in_state(State::FinWait2, PLAIN);
    t.peer(seg(ACK).seq(1).len(500));
    t.expect(seg(ACK).seq(2).ack(501));
    assert_eq!(t.read(1_000), Ok(500));
    let now = t.now;
    assert_eq!(t.conn().write(now, b"x"), Err(WriteError::Closed));
    assert_eq!(t.conn().shutdown_write(now), Ok(()), "again does nothing");
    t.advance(secs(3_600));
    assert_eq!(t.state(), State::FinWait2, "somebody holds it: no timeout");
}

#[test]
fn half_closed_by_the_peer_data_still_goes() {
    let mut t = Tester::in_state(State::CloseWait, PLAIN);
    t.write(500);
    t.expect(seg(ACK).seq(1).len(500).ack(2));
    t.peer(seg(ACK));
    t.shutdown_write();
    t.expect(seg(FIN_ACK).seq(501));
    t.peer(seg(ACK).ack(502));
    assert_eq!((t.state(), t.read(10)), (State::Closed, Ok(0)));
    assert_eq!(t.conn().take_error(), None);
    t.close();
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn fin_follows_everything_that_was_written() {
    let mut t = Tester::established(PLAIN);
    t.write(20_000);
    t.close();
    let mut end = 0;
    while t.state() != State::FinWait2 {
        while let Some(sent) = t.sent.pop_front() {
            end = t.rel_seq(&sent) + sent.payload.len() as i64;
            if sent.header.flags.contains(FIN) {
                assert_eq!(end, 20_001);
            }
        }
        t.peer(seg(ACK));
    }
    assert_eq!(end, 20_001);
    t.peer(seg(FIN_ACK));
    t.expect(seg(ACK).seq(20_002).ack(2));
}

#[test]
fn simultaneous_close_is_figure_13() {
    let mut t = Tester::established(FULL);
    t.close();
    t.expect(seg(FIN_ACK).seq(1).ack(1));
    t.peer(seg(FIN_ACK).seq(1).ack(1));
    t.expect(seg(ACK).seq(2).ack(2));
    t.peer(seg(ACK).seq(2).ack(2));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn our_fin_is_sent_again_until_it_is_acknowledged() {
    let mut t = Tester::established(PLAIN);
    t.close();
    t.expect(seg(FIN_ACK).seq(1).ack(1));
    for wait in [200, 400, 800] {
        t.expect_after(ms(wait), seg(FIN_ACK).seq(1).ack(1).len(0));
    }
    t.peer(seg(FIN_ACK).ack(2));
    t.expect(seg(ACK).seq(2).ack(2));
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn a_closed_connection_that_nobody_answers_goes_away() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.data_retries = 3);
    t.close();
    t.advance(secs(60));
    assert_eq!(t.counts(), (0, 0, 0));
    let last = t.sent.pop_back().unwrap();
    assert!(last.header.flags.contains(RST), "the peer is told");
}

#[test]
fn data_after_close_is_reset() {
    // RFC 2525 §2.17: the data cannot be delivered.
    for acked in [1, 2] {
        let mut t = Tester::established(PLAIN);
        t.close();
        t.expect(seg(FIN_ACK).seq(1));
        t.peer(seg(ACK).seq(1).ack(acked).len(10));
        t.expect(seg(RST).seq(acked));
        t.silent();
        assert_eq!(t.counts(), (0, 0, 0));
    }
}

#[test]
fn close_with_unread_data_resets() {
    // RFC 9293: SHLD-3, MAY-1.
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).len(10));
    t.sent.clear();
    t.close();
    t.expect(seg(RST_ACK).seq(1).ack(11));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn close_with_everything_read_does_not_reset() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(FIN_ACK).len(10));
    t.sent.clear();
    assert_eq!(t.read(100), Ok(10));
    t.close();
    t.expect(seg(FIN_ACK).seq(1).ack(12));
    t.peer(seg(ACK));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn linger_zero_resets() {
    let mut t = Tester::established(PLAIN);
    t.write(10);
    t.sent.clear();
    t.conn().set_linger(Some(ms(0)));
    t.close();
    t.expect(seg(RST_ACK).seq(11).ack(1));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn linger_resets_when_its_time_is_over() {
    let mut t = Tester::established(PLAIN);
    t.write(10);
    t.sent.clear();
    t.conn().set_linger(Some(ms(100)));
    t.close();
    t.expect(seg(FIN_ACK).seq(11));
    t.advance(ms(99));
    t.silent();
    t.advance(ms(1));
    t.expect(seg(RST_ACK).seq(12).ack(1));
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn abort_resets_in_every_state_but_the_last() {
    for state in SYNCHRONIZED {
        let mut t = Tester::in_state(state, PLAIN);
        let (seq, ack) = (t.flow.expects, t.flow.next);
        t.abort();
        t.expect(seg(RST_ACK).seq(seq).ack(ack));
        t.silent();
        assert_eq!(t.counts(), (0, 0, 0), "{state}");
    }
    let mut t = Tester::in_state(State::TimeWait, PLAIN);
    t.abort();
    t.silent();
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn an_orphan_waits_in_fin_wait_2_for_so_long_only() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.fin_wait_2 = secs(5));
    t.close();
    t.expect(seg(FIN_ACK));
    t.advance(ms(100));
    t.peer(seg(ACK).ack(2));
    t.advance(ms(4_999));
    assert_eq!(t.counts(), (1, 0, 0));
    t.advance(ms(1));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
    t.peer(seg(FIN_ACK).seq(1).ack(2));
    t.expect(seg(RST).seq(2));
}

#[test]
fn closing_a_half_closed_connection_starts_the_wait_in_fin_wait_2() {
    let mut t = Tester::in_state(State::FinWait2, PLAIN);
    t.close();
    t.advance(secs(59));
    assert_eq!(t.counts(), (1, 0, 0));
    t.advance(secs(1));
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn reset_while_closing_ends_quietly() {
    for state in [
        State::FinWait1,
        State::FinWait2,
        State::Closing,
        State::LastAck,
    ] {
        let mut t = Tester::in_state(state, PLAIN);
        t.close();
        t.peer(seg(RST));
        t.silent();
        assert_eq!(t.counts(), (0, 0, 0));
    }
}

#[test]
fn shutdown_before_the_handshake_is_over_is_refused() {
    let mut t = Tester::connecting(|_| {});
    let now = t.now;
    assert_eq!(
        t.conn().shutdown_write(now),
        Err(ShutdownError::NotConnected)
    );
    assert_eq!(t.conn().write(now, b"x"), Err(WriteError::Blocked));
}

#[test]
fn after_a_reset_writes_fail_once_and_then_the_pipe_is_broken() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(RST));
    let now = t.now;
    let mut conn = t.conn();
    assert_eq!(
        conn.write(now, b"x"),
        Err(WriteError::Failed(ConnError::Reset))
    );
    assert_eq!(conn.write(now, b"x"), Err(WriteError::Closed));
    let reset = Err(ReadError::Failed(ConnError::Reset));
    assert_eq!(conn.read(now, &mut [0]), reset);
    assert_eq!(conn.shutdown_write(now), Err(ShutdownError::NotConnected));
}

#[test]
fn a_stream_that_was_complete_stays_so_after_a_reset() {
    let mut t = Tester::in_state(State::CloseWait, PLAIN);
    t.peer(seg(RST));
    assert_eq!(t.read(10), Ok(0));
}

#[test]
fn orphans_past_the_limit_are_reset_and_counted() {
    let mut t = Tester::listening(16, |config| config.max_orphans = 2);
    for n in 0..3 {
        t.flow = flow(1_000 + n, PORT);
        t.handshake(PLAIN);
        t.close();
        if n < 2 {
            t.expect(seg(FIN_ACK).seq(1).ack(1));
        } else {
            t.expect(seg(RST_ACK).seq(1).ack(1));
        }
    }
    assert_eq!(t.stack.closing_connections(), 2);
    assert_eq!(t.stack.stats().orphans_reset, 1);
    // They stay unanswered; once they time out, there is room again.
    t.advance(secs(2_000));
    t.sent.clear();
    assert_eq!(t.stack.closing_connections(), 0);
    t.flow = flow(1_009, PORT);
    t.handshake(PLAIN);
    t.close();
    t.expect(seg(FIN_ACK));
}
