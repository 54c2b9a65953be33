//! Keep-alive (RFC 9293 §3.8.4).

use tidewire_core::{ConnError, Duration, KeepAlive, ReadError, State};

use crate::common::*;

const TEN: KeepAlive = KeepAlive {
    idle: Duration::from_secs(10),
    interval: Duration::from_secs(2),
    count: 3,
};

fn kept_alive(keepalive: KeepAlive) -> Tester {
    let mut t = Tester::established(PLAIN);
    let now = t.now;
    t.conn().set_keepalive(now, Some(keepalive));
    t
}

#[test]
fn an_idle_connection_sends_nothing_by_default() {
    // MUST-25: 30 days.
    let mut t = Tester::established(PLAIN);
    t.advance(secs(30 * 86_400));
    t.silent();
    assert_eq!(t.state(), State::Established);
}

#[test]
fn the_default_times_are_those_of_linux() {
    // MUST-28: at least two hours.
    let times = KeepAlive::default();
    assert_eq!(
        (times.idle, times.interval, times.count),
        (secs(7_200), secs(75), 9)
    );
}

#[test]
fn a_probe_has_no_data_and_the_sequence_number_before_the_next() {
    // RFC 9293: MAY-5.
    // SHLD-12, MUST-27.
    let mut t = kept_alive(TEN);
    t.expect_after(secs(10), seg(ACK).seq(0).ack(1).len(0));
    t.silent();
}

#[test]
fn an_answer_starts_the_idle_time_anew() {
    let mut t = kept_alive(TEN);
    for _ in 0..20 {
        t.expect_after(secs(10), seg(ACK).seq(0));
        t.peer(seg(ACK));
    }
    assert_eq!(t.state(), State::Established);
}

#[test]
fn whatever_arrives_postpones_the_probe() {
    // MUST-26.
    let mut t = kept_alive(TEN);
    t.advance(secs(6));
    t.peer(seg(ACK).len(10));
    t.expect(seg(ACK).seq(1).ack(11));
    t.expect_after(secs(10), seg(ACK).seq(0).ack(11));
}

#[test]
fn nothing_is_probed_while_data_is_outstanding() {
    // MUST-26: what is outstanding has a timer of its own.
    let mut t = kept_alive(KeepAlive { count: 1, ..TEN });
    t.write(100);
    t.expect(seg(ACK).seq(1).len(100));
    t.advance(secs(60));
    let sent = t.drain();
    assert!(sent.len() > 3 && sent.iter().all(|&(seq, len)| (seq, len) == (1, 100)));
    t.peer(seg(ACK));
    t.expect_after(secs(10), seg(ACK).seq(100).len(0));
}

#[test]
fn one_lost_answer_does_not_end_the_connection_but_all_of_them_do() {
    // MUST-29.
    let mut t = kept_alive(TEN);
    for wait in [10, 2, 2] {
        t.expect_after(secs(wait), seg(ACK).seq(0));
    }
    t.peer(seg(ACK));
    for wait in [10, 2, 2] {
        t.expect_after(secs(wait), seg(ACK).seq(0));
    }
    assert_eq!(t.state(), State::Established);
    t.expect_after(secs(2), seg(RST_ACK).seq(1).ack(1));
    let timed_out = Err(ReadError::Failed(ConnError::TimedOut));
    assert_eq!((t.state(), t.read(1)), (State::Closed, timed_out));
}

#[test]
fn keep_alive_is_a_matter_of_each_connection() {
    // MUST-24: of two connections only one asked for it; turning it off in the middle stops the
    // probes.
    let mut t = kept_alive(TEN);
    let probed = (t.flow, t.id);
    t.flow = flow(1_002, PORT);
    t.handshake(PLAIN);
    assert_eq!(t.conn().keepalive(), None);
    (t.flow, t.id) = probed;
    t.expect_after(secs(10), seg(ACK).seq(0));
    t.expect_after(secs(2), seg(ACK).seq(0));
    let now = t.now;
    t.conn().set_keepalive(now, None);
    t.advance(secs(100_000));
    t.silent();
    assert_eq!(t.state(), State::Established);
}

#[test]
fn connections_take_the_listeners_keep_alive() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.keepalive = Some(TEN));
    t.expect_after(secs(10), seg(ACK).seq(0));
}

#[test]
fn an_active_open_takes_the_stacks_keep_alive() {
    let mut t = Tester::connecting(|config| config.tcp.keepalive = Some(TEN));
    t.expect(seg(SYN));
    t.advance(ms(500));
    t.peer(seg(SYN_ACK).seq(0).ack(1));
    t.expect(seg(ACK));
    t.expect_after(secs(10), seg(ACK).seq(0));
}

#[test]
fn half_closed_connections_are_probed_too() {
    for (state, next) in [(State::FinWait2, 2), (State::CloseWait, 1)] {
        let mut t = Tester::in_state(state, PLAIN);
        let now = t.now;
        t.conn().set_keepalive(now, Some(TEN));
        t.expect_after(secs(10), seg(ACK).seq(next - 1).len(0));
        assert_eq!(t.state(), state);
    }
}

/// The timer fires, or is set, while the FIN is outstanding: the half-closed connection that
/// follows is probed too.
#[test]
fn an_outstanding_fin_does_not_end_keep_alive() {
    for set_before in [true, false] {
        let mut t = if set_before {
            kept_alive(TEN)
        } else {
            Tester::established(PLAIN)
        };
        t.shutdown_write();
        t.expect(seg(FIN_ACK).seq(1));
        if !set_before {
            let now = t.now;
            t.conn().set_keepalive(now, Some(TEN));
        }
        t.advance(secs(12));
        assert!(t.drain().iter().all(|&(seq, _)| seq == 1));
        assert_eq!(t.state(), State::FinWait1);
        t.peer(seg(ACK).ack(2));
        assert_eq!(t.state(), State::FinWait2);
        t.advance(secs(20));
        assert!(t.drain().contains(&(1, 0)), "probed");
        t.advance(secs(20));
        assert_eq!(t.conn().take_error(), Some(ConnError::TimedOut));
    }
}

#[test]
fn a_user_timeout_takes_the_place_of_the_count() {
    let mut t = kept_alive(TEN);
    let now = t.now;
    t.conn().set_user_timeout(now, Some(secs(21)));
    for wait in [10, 2, 2, 2, 2, 2] {
        t.expect_after(secs(wait), seg(ACK).seq(0));
    }
    t.expect_after(secs(1), seg(RST_ACK));
    assert_eq!(t.conn().take_error(), Some(ConnError::TimedOut));
}
