//! The stack's interface to its driver: events, deadlines, ids, the trace.

use tidewire_core::{ConnEvents, Direction, Event, Instant, State};

use crate::common::*;

#[test]
fn events_of_a_connection_are_gathered_into_one() {
    let mut t = Tester::established(PLAIN);
    let id = t.id.unwrap();
    for _ in 0..10 {
        t.peer(seg(ACK).len(100));
    }
    t.peer(seg(FIN_ACK));
    assert_eq!(t.events(), [Event::Conn(id, ConnEvents::READABLE)]);
    t.peer(seg(RST));
    let events = t.events();
    assert!(
        matches!(events[..], [Event::Conn(who, what)] if who == id
            && what.contains(ConnEvents::READABLE | ConnEvents::WRITABLE | ConnEvents::CLOSED)),
        "{events:?}"
    );
}

#[test]
fn events_of_a_listener_are_gathered_into_one() {
    let mut t = Tester::listening(16, |_| {});
    for port in 1_001..1_004 {
        t.flow = flow(port, PORT);
        t.syn(PLAIN);
        t.peer(seg(ACK));
    }
    let listener = t.listener.unwrap();
    let acceptable = t
        .events()
        .into_iter()
        .filter(|&event| event == Event::Acceptable(listener))
        .count();
    assert_eq!(acceptable, 1);
    assert!(t.stack.is_acceptable(listener));
    for _ in 0..3 {
        t.accept();
    }
    assert!(!t.stack.is_acceptable(listener) && t.stack.accept(listener).is_none());
}

#[test]
fn the_end_of_a_connection_is_told() {
    for (state, last) in [
        (State::LastAck, seg(ACK)),
        (State::Closing, seg(ACK)),
        (State::FinWait2, seg(FIN_ACK)),
    ] {
        let mut t = Tester::in_state(state, PLAIN);
        t.peer(last);
        let events = t.events();
        assert!(
            matches!(events[..], [Event::Conn(_, what)] if what.contains(ConnEvents::CLOSED)),
            "{state}: {events:?}"
        );
    }
}

#[test]
fn an_orphan_has_no_events() {
    let mut t = Tester::established(PLAIN);
    t.close();
    t.peer(seg(FIN_ACK));
    assert_eq!(t.events(), []);
}

#[test]
fn a_stale_id_finds_nothing_even_where_its_slot_is_taken() {
    let mut t = Tester::established(PLAIN);
    let old = t.id.unwrap();
    t.abort();
    assert!(t.stack.conn(old).is_none());
    t.flow = flow(1_002, PORT);
    t.sent.clear();
    t.handshake(PLAIN);
    let new = t.id.unwrap();
    assert_eq!(new.index(), old.index(), "the slot is used again");
    assert!(new != old && t.stack.conn(old).is_none() && t.stack.conn(new).is_some());

    let listener = t.listener.unwrap();
    let now = t.now;
    t.stack.close_listener(now, listener);
    t.stack.close_listener(now, listener);
    assert!(t.stack.accept(listener).is_none() && t.stack.listener_addr(listener).is_none());
}

#[test]
fn an_idle_stack_has_no_deadline() {
    let t = Tester::listening(16, |_| {});
    assert_eq!(t.stack.poll_timeout(), None);
    let mut t = Tester::established(PLAIN);
    t.advance(secs(100));
    assert_eq!(t.stack.poll_timeout(), None, "an idle connection has none");
}

#[test]
fn a_spurious_timeout_does_nothing() {
    for state in SYNCHRONIZED.into_iter().chain([State::TimeWait]) {
        let mut t = Tester::in_state(state, FULL);
        if state == State::Established {
            t.write(10_000);
            t.sent.clear();
        }
        let deadline = t.stack.poll_timeout();
        for _ in 0..10 {
            t.stack.handle_timeout(t.now);
            t.pump();
        }
        let early = deadline.map_or(t.now, |at| Instant::from_nanos(at.as_nanos() - 1));
        t.now = t.now.max(early);
        t.stack.handle_timeout(t.now);
        t.pump();
        t.silent();
        assert_eq!((t.state(), t.stack.poll_timeout()), (state, deadline));
        assert_eq!(t.events(), []);
    }
}

#[test]
fn whatever_waits_for_the_peer_has_a_deadline() {
    // Law `EveryWaitEnds`: without a deadline the connection would wait for a lost segment for
    // ever.
    let mut unsent = Tester::listening(16, |_| {});
    unsent.flow.window = 0;
    unsent.handshake(PLAIN);
    unsent.write(10);
    let mut in_flight = Tester::established(PLAIN);
    in_flight.write(10);
    let mut held = Tester::established(PLAIN);
    held.write(10);
    held.write(10);
    let last_ack = Tester::in_state(State::LastAck, PLAIN);
    let mut half_open = Tester::listening(16, |_| {});
    half_open.syn(PLAIN);
    let connecting = Tester::connecting(|_| {});
    let mut resolving = Tester::new();
    resolving.neighbors.clear();
    resolving.flow.ip = std::net::Ipv4Addr::new(10, 0, 0, 9);
    resolving.connect();
    for t in [
        unsent, in_flight, held, last_ack, half_open, connecting, resolving,
    ] {
        assert!(t.stack.poll_timeout().is_some_and(|at| at > t.now));
    }
}

#[test]
fn time_that_goes_backwards_is_as_if_it_stood_still() {
    let mut t = Tester::established(FULL);
    t.advance(secs(100));
    let late = t.now;
    t.stack.handle_timeout(late);
    t.now = Instant::ZERO;
    t.peer(seg(ACK).len(10).ts(t.peer_clock().wrapping_add(200_000), 0));
    let sent = t.expect(seg(ACK).ack(11));
    t.now = late;
    t.write(10);
    let later = t.expect(seg(ACK).len(10));
    let (a, b) = (sent.options.timestamps, later.options.timestamps);
    assert_eq!(a.unwrap().value, b.unwrap().value);
}

#[test]
fn the_trace_keeps_the_newest_and_counts_the_rest() {
    let mut t = Tester::established(PLAIN);
    assert!(t.stack.poll_trace().is_none(), "it is off at first");
    t.stack.set_trace(4);
    for _ in 0..5 {
        t.peer(seg(ACK).len(10));
    }
    assert_eq!(t.stack.trace_dropped(), 6, "five in and five out");
    let entries: Vec<_> = std::iter::from_fn(|| t.stack.poll_trace()).collect();
    let directions: Vec<_> = entries.iter().map(|entry| entry.direction).collect();
    let (i, o) = (Direction::In, Direction::Out);
    assert_eq!(directions, [i, o, i, o]);
    assert_eq!((entries[0].payload_len, entries[1].payload_len), (10, 0));
    assert!(entries.iter().all(|entry| entry.conn == t.id));
    t.stack.set_trace(0);
    t.peer(seg(ACK).len(10));
    assert!(t.stack.poll_trace().is_none());
}

#[test]
fn the_trace_shows_the_states_of_a_handshake() {
    let mut t = Tester::listening(16, |_| {});
    t.stack.set_trace(100);
    t.syn(PLAIN);
    t.peer(seg(ACK));
    let steps: Vec<_> = std::iter::from_fn(|| t.stack.poll_trace())
        .map(|entry| (entry.direction, entry.header.flags, entry.after))
        .collect();
    assert_eq!(
        steps,
        [
            (Direction::In, SYN, State::SynReceived),
            (Direction::Out, SYN_ACK, State::SynReceived),
            (Direction::In, ACK, State::Established),
        ]
    );
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    // Law of determinism.
    let run = || {
        let mut t = Tester::connected(FULL);
        t.write(30_000);
        t.peer(seg(ACK).ack(1).sack(&[(1_449, 5_793)]).len(500));
        t.advance(secs(3));
        t.shutdown_write();
        t.advance(secs(1));
        let sent: Vec<Sent> = t.sent.drain(..).collect();
        sent.iter()
            .map(|sent| (sent.at, sent.header, sent.options, sent.payload.clone()))
            .collect::<Vec<_>>()
    };
    assert!(run() == run());
}

#[test]
fn counters_count() {
    let mut t = Tester::established(PLAIN);
    let before = t.stack.stats().clone();
    t.peer(seg(ACK).len(100));
    t.write(10);
    let after = t.stack.stats();
    assert_eq!(after.segments_in - before.segments_in, 1);
    assert_eq!(after.segments_out - before.segments_out, 2);
    assert_eq!(after.bytes_in - before.bytes_in, 14 + 20 + 20 + 100);
    assert_eq!(after.bytes_out - before.bytes_out, 54 + 64);
    assert_eq!((after.passive_opens, after.active_opens), (1, 0));
    t.advance(secs(1));
    assert!(t.stack.stats().retransmitted > 0);
}
