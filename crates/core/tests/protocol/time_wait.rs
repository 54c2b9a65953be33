//! TIME-WAIT: RFC 9293 §3.6.1 and §3.10.7.4, RFC 1337, RFC 6191.

use tidewire_core::{DropReason, ListenOptions, State, TcpConfig};

use crate::common::*;

fn time_wait(offer: Offer) -> Tester {
    let mut t = Tester::in_state(State::TimeWait, offer);
    t.close();
    t.silent();
    assert_eq!(t.counts(), (0, 0, 1));
    t
}

#[test]
fn time_wait_lasts_two_msl() {
    // RFC 9293: MUST-13.
    let mut t = time_wait(PLAIN);
    t.advance(ms(59_999));
    assert_eq!(t.counts(), (0, 0, 1));
    t.advance(ms(1));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
    t.peer(seg(ACK));
    t.expect(seg(RST).seq(2));
}

#[test]
fn time_wait_ends_on_time_for_a_handle_that_is_still_held() {
    let mut t = Tester::in_state(State::TimeWait, PLAIN);
    t.advance(secs(60));
    assert_eq!((t.state(), t.counts()), (State::Closed, (1, 0, 0)));
    t.close();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn time_wait_rst_is_ignored() {
    // RFC 1337 §3: a reset must not end it early.
    let mut t = time_wait(PLAIN);
    for seq in [1, 2, 3, 1_000] {
        t.peer(seg(RST).seq(seq));
        t.peer(seg(RST_ACK).seq(seq));
    }
    t.silent();
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn time_wait_fin_again_is_acknowledged_and_restarts_two_msl() {
    let mut t = time_wait(PLAIN);
    t.advance(secs(30));
    t.peer(seg(FIN_ACK).seq(1).ack(2));
    t.expect(seg(ACK).seq(2).ack(2));
    t.advance(ms(59_999));
    assert_eq!(t.counts(), (0, 0, 1));
    t.advance(ms(1));
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn time_wait_fin_of_something_else_does_not_restart_two_msl() {
    // First check: not acceptable, so acknowledged and dropped. Otherwise a blind attacker could
    // keep the record for ever.
    let mut t = time_wait(PLAIN);
    t.advance(secs(30));
    t.peer(seg(FIN_ACK).seq(1_000_000).ack(2));
    t.expect(seg(ACK).seq(2).ack(2));
    t.advance(secs(30));
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn time_wait_fin_again_with_timestamps_echoes() {
    let mut t = time_wait(FULL);
    t.advance(secs(1));
    t.peer(seg(FIN_ACK).seq(1).ack(2));
    let sent = t.expect(seg(ACK).seq(2).ack(2));
    assert!(sent.options.timestamps.is_some(), "RFC 7323 §3.2");
}

#[test]
fn time_wait_old_data_is_acknowledged_and_pure_acks_are_not() {
    let mut t = time_wait(PLAIN);
    t.peer(seg(ACK).seq(2).ack(2));
    t.silent();
    t.peer(seg(ACK).seq(2).len(5));
    t.expect(seg(ACK).seq(2).ack(2));
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn time_wait_restart_keeps_the_time_of_the_connections_own_configuration() {
    let mut t = Tester::with(|_| {});
    let tcp = TcpConfig {
        time_wait: secs(2),
        ..TcpConfig::default()
    };
    let addr = std::net::SocketAddr::new(STACK_IP.into(), PORT);
    let options = ListenOptions {
        backlog: 4,
        tcp: Some(tcp),
        ..ListenOptions::default()
    };
    t.listener = Some(t.stack.listen(addr, options).unwrap());
    t.handshake(PLAIN);
    t.close();
    t.peer(seg(FIN_ACK).ack(2));
    t.advance(secs(1));
    t.peer(seg(FIN_ACK).seq(1).ack(2));
    t.advance(secs(2));
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn time_wait_records_of_different_length_expire_each_on_its_own_time() {
    let mut t = time_wait(PLAIN);
    let tcp = TcpConfig {
        time_wait: secs(1),
        ..TcpConfig::default()
    };
    let addr = std::net::SocketAddr::new(STACK_IP.into(), 81);
    let options = ListenOptions {
        backlog: 4,
        tcp: Some(tcp),
        ..ListenOptions::default()
    };
    t.listener = Some(t.stack.listen(addr, options).unwrap());
    t.flow = flow(40_001, 81);
    t.handshake(PLAIN);
    t.close();
    t.peer(seg(FIN_ACK).ack(2));
    assert_eq!(t.counts(), (0, 0, 2));
    t.advance(secs(1));
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn time_wait_records_are_bounded() {
    let mut t = Tester::listening(16, |config| config.max_time_wait = 2);
    for port in 1_001..1_005 {
        t.flow = flow(port, PORT);
        t.handshake(PLAIN);
        t.close();
        t.peer(seg(FIN_ACK).ack(2));
        t.sent.clear();
    }
    assert_eq!(t.counts(), (0, 0, 2));
    t.advance(secs(60));
    assert_eq!(t.counts(), (0, 0, 0));
}

/// The peer's SYN for a new incarnation: whether it was accepted.
fn reopens(offer: Offer, syn: impl FnOnce(u32) -> Segment) -> bool {
    let mut t = time_wait(offer);
    t.advance(ms(500));
    let recent = PEER_CLOCK.wrapping_add(1_000);
    t.flow.timestamps = false;
    let old_isn = t.flow.stack_isn;
    let before = t.flow.expects;
    t.peer(syn(recent).mss(1460));
    let sent = t.sent.pop_front().expect("either way it is answered");
    let flags = sent.header.flags;
    if flags == SYN_ACK {
        assert!(
            sent.header.seq.gt(old_isn.add(before as u32 - 1)),
            "the new ISN is beyond everything sent before"
        );
        assert_eq!(t.counts(), (0, 1, 0));
    } else {
        assert_eq!(
            (flags, sent.header.seq, t.counts()),
            (ACK, old_isn.add(2), (0, 0, 1))
        );
    }
    flags == SYN_ACK
}

#[test]
fn time_wait_reopens_as_rfc_6191_says() {
    // RFC 9293: SHLD-4, MAY-2.
    let later = 1_000_000;
    let old = -1_000_000;
    // Both incarnations with timestamps: the clock decides, at a tie the sequence number.
    assert!(reopens(FULL, |recent| seg(SYN).seq(old).ts(recent + 1, 0)));
    assert!(reopens(FULL, |recent| seg(SYN).seq(later).ts(recent, 0)));
    assert!(!reopens(FULL, |recent| seg(SYN).seq(old).ts(recent, 0)));
    assert!(!reopens(FULL, |recent| seg(SYN)
        .seq(later)
        .ts(recent - 1, 0)));
    // The new one without: the sequence number decides.
    assert!(reopens(FULL, |_| seg(SYN).seq(later)));
    assert!(!reopens(FULL, |_| seg(SYN).seq(old)));
    // The old one without: a new one with timestamps is always later.
    assert!(reopens(PLAIN, |_| seg(SYN).seq(old).ts(5, 0)));
    assert!(reopens(PLAIN, |_| seg(SYN).seq(later)));
    assert!(!reopens(PLAIN, |_| seg(SYN).seq(old)));
}

#[test]
fn time_wait_syn_without_a_listener_does_not_reopen() {
    let mut t = time_wait(PLAIN);
    let now = t.now;
    t.stack.close_listener(now, t.listener.unwrap());
    t.peer(seg(SYN).seq(1_000_000).mss(1460));
    assert_eq!(t.counts(), (0, 0, 1));
}

#[test]
fn time_wait_outlives_a_syn_that_finds_no_room() {
    // RFC 9293 §3.6.1: the record goes when another connection takes its place, and no sooner.
    let mut t = Tester::listening(1, |_| {});
    t.handshake(PLAIN);
    t.close();
    t.peer(seg(FIN_ACK).ack(2));
    t.sent.clear();
    let first = t.flow;
    t.flow = flow(1_002, PORT);
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    t.flow = first;
    t.peer(seg(SYN).seq(1_000_000).mss(1460));
    t.silent();
    let dropped = t.dropped(DropReason::BacklogFull);
    assert_eq!((t.counts(), dropped), ((0, 1, 1), 1));
    t.peer(seg(FIN_ACK).seq(1).ack(2));
    t.expect(seg(ACK).seq(2).ack(2));
}

#[test]
fn time_wait_reopened_connection_works() {
    let mut t = time_wait(FULL);
    t.flow.isn = t.flow.isn.add(1_000_000);
    t.flow.next = 0;
    t.flow.expects = 0;
    t.advance(ms(10));
    t.handshake(FULL);
    t.write(100);
    t.expect(seg(ACK).seq(1).len(100));
}
