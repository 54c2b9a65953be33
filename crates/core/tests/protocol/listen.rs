//! LISTEN (RFC 9293 §3.10.7.2), the backlog and the accept queue.

use tidewire_core::{DropReason, State};

use crate::common::*;

#[test]
fn listen_rst_is_ignored() {
    for flags in [RST, RST_ACK, RST | SYN] {
        let mut t = Tester::listening(16, |_| {});
        t.peer(seg(flags).seq(0).ack(0));
        t.silent();
        assert_eq!(t.counts(), (0, 0, 0));
    }
}

#[test]
fn listen_ack_is_reset() {
    for flags in [ACK, SYN_ACK, FIN_ACK] {
        let mut t = Tester::listening(16, |_| {});
        t.peer(seg(flags).seq(3).ack(700));
        t.expect(seg(RST).seq(700));
        assert_eq!(t.counts(), (0, 0, 0));
    }
}

#[test]
fn listen_without_syn_and_ack_is_dropped() {
    for flags in [NONE, FIN, PSH, FIN | PSH | URG, SYN | FIN] {
        let mut t = Tester::listening(16, |_| {});
        t.peer(seg(flags).seq(0).len(4));
        t.silent();
        assert_eq!(
            (t.counts(), t.dropped(DropReason::BadFlags)),
            ((0, 0, 0), 1)
        );
    }
}

#[test]
fn listen_syn_is_answered_with_the_options_that_it_offered() {
    let flag = [false, true];
    for (sack, timestamps) in flag.into_iter().flat_map(|a| flag.map(|b| (a, b))) {
        for wscale in [None, Some(0), Some(9)] {
            let offer = Offer {
                mss: Some(1400),
                wscale,
                sack,
                timestamps,
            };
            let mut t = Tester::listening(16, |_| {});
            let clock = t.peer_clock();
            t.syn(offer);
            let sent = t.expect(seg(SYN_ACK).seq(0).ack(1).mss(1460).sack_permitted(sack));
            assert_eq!(sent.options.window_scale.is_some(), wscale.is_some());
            let echo = sent.options.timestamps.map(|ts| ts.echo);
            assert_eq!(echo, timestamps.then_some(clock), "RFC 7323 §4.3");
            assert_eq!(
                sent.header.window,
                u16::MAX,
                "the window of a SYN is not scaled"
            );
        }
    }
}

#[test]
fn listen_syn_of_a_peer_without_extensions_makes_none() {
    let mut t = Tester::established(PLAIN);
    let info = t.conn().info();
    assert!(!info.sack && !info.timestamps);
    assert_eq!((info.snd_wscale, info.rcv_wscale), (None, None));
    assert_eq!(info.snd_wnd, 65_535);
}

#[test]
fn listen_syn_with_data_acknowledges_the_syn_alone() {
    // RFC 9293 §3.10.7.2: the data is kept or left unacknowledged; it is never delivered before the
    // handshake is complete.
    let mut t = Tester::listening(16, |_| {});
    t.peer(seg(SYN).seq(0).len(100).mss(1460));
    let sent = t.expect(seg(SYN_ACK).seq(0));
    let acked = t.rel_ack(&sent);
    assert!(acked == 1 || acked == 101);
    assert!(t.stack.accept(t.listener.unwrap()).is_none());
    t.peer(seg(ACK).seq(1).ack(1).len(100));
    t.accept();
    assert_eq!(t.read(1000), Ok(100));
}

#[test]
fn listen_backlog_full_drops_the_syn() {
    let mut t = Tester::listening(2, |config| config.syn_cookies = false);
    for port in [1001, 1002] {
        t.flow = flow(port, PORT);
        t.syn(PLAIN);
        t.expect(seg(SYN_ACK));
    }
    t.flow = flow(1003, PORT);
    t.syn(PLAIN);
    t.silent();
    assert_eq!(
        (t.counts().1, t.dropped(DropReason::BacklogFull)),
        (2, 1),
        "the third finds no room"
    );
}

#[test]
fn listen_half_open_limit_of_the_stack_drops_the_syn() {
    let mut t = Tester::listening(16, |config| {
        config.max_half_open = 1;
        config.syn_cookies = false;
    });
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    t.flow = flow(1002, PORT);
    t.syn(PLAIN);
    t.silent();
    assert_eq!(t.counts().1, 1);
}

#[test]
fn listen_accept_queue_full_ignores_the_final_ack_until_there_is_room() {
    let mut t = Tester::listening(2, |_| {});
    let flows = [1001, 1002, 1003].map(|port| flow(port, PORT));
    // The first completes; then two are half open at once, and one of them fills the queue.
    t.flow = flows[0];
    t.syn(PLAIN);
    t.peer(seg(ACK));
    t.flow = flows[1];
    t.syn(PLAIN);
    let second = t.flow;
    t.flow = flows[2];
    t.syn(PLAIN);
    let third = t.flow;
    t.flow = second;
    t.peer(seg(ACK));
    t.sent.clear();
    t.flow = third;
    t.peer(seg(ACK));
    t.silent();
    assert_eq!(
        (t.counts(), t.dropped(DropReason::BacklogFull)),
        ((2, 1, 0), 1)
    );

    // The peer is in ESTABLISHED; its data does not complete the handshake either.
    t.peer(seg(ACK).len(10));
    t.silent();
    t.accept();
    t.accept();
    t.expect_after(secs(1), seg(SYN_ACK).seq(0).ack(1));
    t.peer(seg(ACK).seq(1).ack(1).len(10));
    t.accept();
    assert_eq!(
        (t.read(100), t.state(), t.counts()),
        (Ok(10), State::Established, (3, 0, 0))
    );
}

#[test]
fn listen_closed_resets_what_nobody_accepted_and_answers_no_more() {
    let mut t = Tester::listening(16, |_| {});
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    t.peer(seg(ACK));
    let now = t.now;
    t.stack.close_listener(now, t.listener.unwrap());
    t.pump();
    t.expect(seg(RST_ACK).seq(1).ack(1));
    assert_eq!(t.counts(), (0, 0, 0));
    t.flow = flow(1002, PORT);
    t.syn(PLAIN);
    t.expect(seg(RST_ACK).ack(1));
}
