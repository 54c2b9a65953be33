//! SYN-RECEIVED after a passive open (RFC 9293 §3.10.7.4).

use tidewire_core::{DropReason, State};

use crate::common::*;

fn syn_received(offer: Offer) -> Tester {
    let mut t = Tester::listening(16, |_| {});
    t.syn(offer);
    t.expect(seg(SYN_ACK).seq(0).ack(1));
    assert_eq!(t.counts(), (0, 1, 0));
    t
}

#[test]
fn syn_received_ack_establishes() {
    let mut t = syn_received(PLAIN);
    t.peer(seg(ACK).seq(1).ack(1));
    t.silent();
    t.accept();
    assert_eq!((t.state(), t.counts()), (State::Established, (1, 0, 0)));
}

#[test]
fn syn_received_ack_with_data_and_fin_is_processed_whole() {
    let mut t = syn_received(FULL);
    t.peer(seg(FIN_ACK).seq(1).ack(1).len(20));
    t.expect(seg(ACK).seq(1).ack(22));
    t.accept();
    assert_eq!(t.state(), State::CloseWait);
    assert_eq!((t.read(100), t.read(100)), (Ok(20), Ok(0)));
}

#[test]
fn syn_received_ack_of_something_else_is_reset() {
    for ack in [0, 2, -1] {
        let mut t = syn_received(PLAIN);
        t.peer(seg(ACK).seq(1).ack(ack));
        t.expect(seg(RST).seq(ack));
        assert_eq!(t.counts(), (0, 1, 0), "the handshake goes on");
        t.peer(seg(ACK).seq(1).ack(1));
        t.accept();
    }
}

#[test]
fn syn_received_syn_again_is_answered_again() {
    let mut t = syn_received(FULL);
    t.advance(ms(300));
    t.syn(FULL);
    t.expect(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    assert_eq!(t.counts(), (0, 1, 0));
}

#[test]
fn syn_received_syn_again_uses_up_no_retransmission() {
    // R2 counts retransmissions of the timer, not those that the peer's SYNs caused.
    let mut t = syn_received(PLAIN);
    for _ in 0..20 {
        t.syn(PLAIN);
        t.expect(seg(SYN_ACK));
    }
    t.expect_after(secs(1), seg(SYN_ACK).seq(0));
}

#[test]
fn syn_received_rst_in_order_forgets_the_handshake() {
    let mut t = syn_received(PLAIN);
    t.peer(seg(RST).seq(1));
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn syn_received_rst_inside_the_window_is_challenged() {
    // RFC 9293 §3.10.7.4, second check; RFC 5961 §3.2.
    let mut t = syn_received(PLAIN);
    t.peer(seg(RST).seq(2));
    assert_eq!(t.counts(), (0, 1, 0));
    t.expect(seg(ACK).seq(1).ack(1));
}

#[test]
fn syn_received_rst_outside_the_window_is_ignored() {
    let mut t = syn_received(PLAIN);
    for seq in [0, 1 + 65_535, -40_000] {
        t.peer(seg(RST).seq(seq));
        t.silent();
    }
    assert_eq!(t.counts(), (0, 1, 0));
}

#[test]
fn syn_received_unacceptable_sequence_is_acknowledged() {
    // RFC 9293 §3.10.7.4, first check: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, and the segment is
    // dropped.
    for seq in [1 + 65_535, -1_000] {
        let mut t = syn_received(PLAIN);
        t.peer(seg(ACK).seq(seq).ack(1).len(10));
        assert_eq!(t.counts(), (0, 1, 0));
        t.expect(seg(ACK).seq(1).ack(1));
    }
}

#[test]
fn syn_received_without_ack_is_dropped() {
    let mut t = syn_received(PLAIN);
    t.peer(seg(NONE).seq(1).len(10));
    t.peer(seg(FIN).seq(1));
    t.silent();
    assert_eq!(t.counts(), (0, 1, 0));
}

#[test]
fn syn_received_without_the_negotiated_timestamp_is_dropped_silently() {
    let mut t = syn_received(FULL);
    t.peer(seg(ACK).seq(1).ack(1).no_ts());
    t.silent();
    assert_eq!(t.counts(), (0, 1, 0));
    assert_eq!(t.dropped(DropReason::MissingTimestamp), 1);
    t.peer(seg(ACK).seq(1).ack(1));
    t.accept();
}

#[test]
fn syn_received_is_not_kept_by_a_peer_that_repeats_its_syn() {
    // RFC 4987 §2: a peer that repeats its SYN every second and never answers must not keep its
    // record for ever.
    let mut t = Tester::listening(16, |config| config.tcp.syn_retries = 3);
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    for _ in 0..22 {
        t.advance(ms(700));
        t.sent.clear();
        t.syn(PLAIN);
        t.expect(seg(SYN_ACK));
    }
    assert_eq!(t.stack.stats().failed_attempts, 1, "after 1 + 2 + 4 + 8 s");
}

#[test]
fn syn_received_repeats_the_syn_ack_after_1_2_4_seconds_and_forgets() {
    let mut t = Tester::listening(16, |config| config.tcp.syn_retries = 3);
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK).seq(0).ack(1));
    for wait in [1, 2, 4] {
        t.expect_after(secs(wait), seg(SYN_ACK).seq(0).ack(1));
    }
    t.advance(secs(8));
    t.silent();
    assert_eq!(
        (t.counts(), t.stack.stats().failed_attempts),
        ((0, 0, 0), 1)
    );
    assert_eq!(
        t.stack.poll_timeout().filter(|&at| at < t.now + secs(1)),
        None
    );
}

/// A simultaneous open whose peer never acknowledges our SYN, and goes on sending what has to be
/// answered: it ends when the SYN was sent often enough, as without such segments.
#[test]
fn a_peer_that_asks_for_the_syn_ack_again_does_not_keep_a_simultaneous_open() {
    let mut t = Tester::connecting(|_| {});
    t.expect(seg(SYN).seq(0));
    t.peer(seg(SYN).seq(0));
    t.expect(seg(SYN_ACK));
    for _ in 0..300 {
        t.advance(ms(900));
        t.sent.clear();
        if t.state() == State::Closed {
            return;
        }
        t.peer(seg(ACK).seq(1 << 24).len(10).ack(0));
        t.flow.next = 1;
    }
    panic!("it goes on at {:?}", t.now);
}
