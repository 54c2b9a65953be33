//! The user timeout (RFC 9293 §3.8.3, MUST-21; RFC 5482; Linux: TCP_USER_TIMEOUT).

use tidewire_core::{ConnError, Duration, KeepAlive, State};

use crate::common::*;

fn with_timeout(timeout: Duration) -> Tester {
    let mut t = Tester::established(PLAIN);
    let now = t.now;
    t.conn().set_user_timeout(now, Some(timeout));
    t
}

fn timed_out(t: &mut Tester) -> bool {
    t.state() == State::Closed && t.conn().take_error() == Some(ConnError::TimedOut)
}

#[test]
fn unacknowledged_data_ends_the_connection_exactly_then() {
    for timeout in [secs(10), secs(3_600)] {
        let mut t = with_timeout(timeout);
        t.advance(secs(100));
        t.write(100);
        t.advance(timeout - Duration::from_nanos(1));
        assert_eq!(t.state(), State::Established);
        t.sent.clear();
        t.advance(Duration::from_nanos(1));
        t.expect(seg(RST_ACK).seq(101));
        assert!(timed_out(&mut t));
    }
}

#[test]
fn it_runs_while_the_link_is_down() {
    // Also with other timers armed.
    let mut t = with_timeout(secs(10));
    let now = t.now;
    let keep_alive = Some(KeepAlive::default());
    t.conn().set_keepalive(now, keep_alive);
    let mut link = t.stack.link();
    link.up = false;
    t.stack.set_link(now, link).unwrap();
    t.write(100);
    t.advance(secs(10));
    assert!(timed_out(&mut t));
}

#[test]
fn without_end_it_outlasts_every_number_of_retransmissions() {
    let mut t = with_timeout(Duration::MAX);
    t.write(100);
    t.advance(secs(86_400));
    assert_eq!(t.state(), State::Established);
    t.sent.clear();
    t.peer(seg(ACK));
    assert_eq!(t.conn().info().send_queue, 0);
}

#[test]
fn progress_starts_it_anew() {
    let mut t = with_timeout(secs(10));
    for sent in 1..=10 {
        t.write(100);
        t.advance(secs(6));
        t.peer(seg(ACK).ack(1 + sent * 100));
        t.advance(secs(6));
    }
    assert_eq!(t.state(), State::Established);
}

#[test]
fn it_may_be_set_while_data_is_outstanding() {
    let mut t = Tester::established(PLAIN);
    t.write(100);
    t.advance(secs(30));
    let now = t.now;
    t.conn().set_user_timeout(now, Some(secs(31)));
    t.advance(ms(999));
    assert_eq!(t.state(), State::Established);
    t.advance(ms(1));
    assert!(timed_out(&mut t));
}

#[test]
fn a_closed_window_is_not_waited_for_any_longer_even_if_the_peer_answers() {
    let mut t = with_timeout(secs(10));
    t.peer(seg(ACK).win(0));
    t.flow.window = 0;
    t.advance(secs(100));
    t.write(100);
    let start = t.now;
    while t.state() == State::Established {
        assert!(t.wait_sent(secs(20)).is_some());
        t.sent.clear();
        t.peer(seg(ACK).ack(1));
    }
    assert_eq!(t.now.duration_since(start), secs(10));
    assert!(timed_out(&mut t));
}

#[test]
fn without_it_a_closed_window_is_waited_for_as_long_as_the_peer_answers() {
    // MUST-37: a day.
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).win(0));
    t.flow.window = 0;
    t.write(100);
    let start = t.now;
    while t.now.duration_since(start) < secs(86_400) {
        assert!(t.wait_sent(secs(130)).is_some());
        t.sent.clear();
        t.peer(seg(ACK).ack(1));
    }
    assert_eq!(t.state(), State::Established);
    t.flow.window = 1_000;
    t.peer(seg(ACK).ack(1));
    t.expect(seg(ACK).seq(1).len(100));
}

#[test]
fn it_shortens_an_attempt_to_connect() {
    let mut t = Tester::connecting(|config| config.tcp.user_timeout = Some(secs(5)));
    t.advance(secs(5));
    assert_eq!(t.drain().len(), 3, "at 0, 1 and 3 s");
    assert!(timed_out(&mut t));
}

/// Hours of unanswered probes: more than a counter of one byte holds.
#[test]
fn a_closed_window_is_probed_for_as_long_as_hours() {
    let mut t = Tester::listening(16, |config| {
        config.tcp.user_timeout = Some(secs(10 * 3_600));
    });
    t.flow.window = 0;
    t.handshake(PLAIN);
    t.write(10);
    t.advance(secs(10 * 3_600 - 1));
    assert_eq!(t.state(), State::Established);
    t.advance(secs(2));
    assert_eq!(t.conn().take_error(), Some(ConnError::TimedOut));
}
