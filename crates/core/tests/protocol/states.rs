//! State table: the answer and the next state for every suspicious segment in every state
//! (RFC 9293 §3.10.7 in its order of checks, RFC 5961, RFC 1337).

use tidewire_core::State;

use crate::common::*;

/// What arrives.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Arrives {
    RstExact,
    RstInWindow,
    RstOutside,
    SynInWindow,
    SynOutside,
    AckOld,
    AckFuture,
    NoFlags,
}

const ALL: [Arrives; 8] = [
    Arrives::RstExact,
    Arrives::RstInWindow,
    Arrives::RstOutside,
    Arrives::SynInWindow,
    Arrives::SynOutside,
    Arrives::AckOld,
    Arrives::AckFuture,
    Arrives::NoFlags,
];

/// How it is answered.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Answer {
    Silence,
    Ack,
    Reset,
    SynAck,
}

/// What must happen; `true`: the connection ends.
fn wanted(state: State, arrives: Arrives) -> (Answer, bool) {
    use Answer as W;
    use Arrives as A;
    match (state, arrives) {
        // RFC 9293 §3.10.7.1: no connection. A reset is never answered, everything else is.
        (State::Closed, A::RstExact | A::RstInWindow | A::RstOutside) => (W::Silence, true),
        (State::Closed, _) => (W::Reset, true),
        // §3.10.7.2.
        (State::Listen, A::SynInWindow | A::SynOutside) => (W::SynAck, false),
        (State::Listen, A::AckOld | A::AckFuture) => (W::Reset, false),
        (State::Listen, _) => (W::Silence, false),
        // RFC 9293 §3.10.7.3: no sequence number is known yet. A SYN leads to a simultaneous open.
        (State::SynSent, A::SynInWindow | A::SynOutside) => (W::SynAck, false),
        (State::SynSent, A::AckOld | A::AckFuture) => (W::Reset, false),
        (State::SynSent, _) => (W::Silence, false),
        // RFC 1337, RFC 6191.
        (State::TimeWait, A::SynInWindow) => (W::SynAck, true),
        (State::TimeWait, A::SynOutside) => (W::Ack, false),
        (State::TimeWait, _) => (W::Silence, false),
        // RFC 9293 §3.10.7.4: first the sequence number, then RST, SYN, ACK.
        (_, A::RstExact) => (W::Silence, true),
        (_, A::RstInWindow) => (W::Ack, false),
        (_, A::RstOutside) => (W::Silence, false),
        (_, A::SynInWindow | A::SynOutside) => (W::Ack, false),
        (State::SynReceived, A::AckOld | A::AckFuture) => (W::Reset, false),
        (_, A::AckOld | A::AckFuture) => (W::Ack, false),
        (_, A::NoFlags) => (W::Silence, false),
    }
}

fn in_state(state: State) -> Tester {
    match state {
        State::Closed => Tester::new(),
        State::Listen => Tester::listening(16, |_| {}),
        State::SynSent => {
            let mut t = Tester::connecting(|_| {});
            t.expect(seg(SYN));
            t
        }
        State::SynReceived => {
            let mut t = Tester::listening(16, |_| {});
            t.syn(PLAIN);
            t.expect(seg(SYN_ACK));
            t
        }
        _ => Tester::in_state(state, PLAIN),
    }
}

/// Whether the connection or record is gone.
fn is_over(t: &mut Tester, state: State) -> bool {
    match state {
        State::Closed => true,
        State::Listen => t.stack.listener_addr(t.listener.unwrap()).is_none(),
        State::SynReceived => t.counts().1 == 0,
        State::TimeWait => t.counts().2 == 0,
        _ => t.state() == State::Closed,
    }
}

fn segment(t: &Tester, arrives: Arrives) -> Segment {
    let next = t.flow.next;
    match arrives {
        Arrives::RstExact => seg(RST).seq(next),
        Arrives::RstInWindow => seg(RST).seq(next + 5),
        Arrives::RstOutside => seg(RST).seq(next + 1_000_000),
        Arrives::SynInWindow => seg(SYN).seq(next + 5),
        Arrives::SynOutside => seg(SYN).seq(next - 100_000),
        Arrives::AckOld => seg(ACK).ack(t.flow.expects - 1_000_000),
        Arrives::AckFuture => seg(ACK).ack(t.flow.expects + 5),
        Arrives::NoFlags => seg(NONE),
    }
}

#[test]
fn every_state_answers_every_suspicious_segment_as_the_standards_say() {
    for state in State::ALL {
        for arrives in ALL {
            let mut t = in_state(state);
            let segment = segment(&t, arrives);
            t.peer(segment);
            let flags = t.sent.pop_front().map(|sent| sent.header.flags);
            let answer = match flags {
                None => Answer::Silence,
                Some(flags) if flags.contains(RST) => Answer::Reset,
                Some(flags) if flags.contains(SYN_ACK) => Answer::SynAck,
                Some(_) => Answer::Ack,
            };
            t.silent();
            let over = is_over(&mut t, state);
            assert_eq!(
                (answer, over),
                wanted(state, arrives),
                "{arrives:?} in {state}"
            );
        }
    }
}

#[test]
fn a_reset_may_carry_data_which_is_not_delivered() {
    // RFC 9293 §3.5.3, SHLD-2.
    for len in [1, 1_000] {
        let mut t = Tester::established(PLAIN);
        t.peer(seg(RST).len(len));
        t.silent();
        assert_eq!(t.state(), State::Closed);
        assert_eq!(t.conn().info().bytes_received, 0);
    }
}
