//! First checks of RFC 9293 §3.10.7.4: sequence numbers, resets, SYNs and ACKs, with the challenge
//! ACKs of RFC 5961.

use tidewire_core::{BufferSize, ConnError, DropReason, ReadError, State};

use crate::common::*;

const WINDOW: i64 = 4_000;

/// Established with a receive window of [`WINDOW`] bytes and 10 bytes of the stack's
/// unacknowledged.
fn with_small_window() -> Tester {
    let mut t = Tester::established_with(PLAIN, |config| {
        config.tcp.recv_buffer = BufferSize::Fixed(WINDOW as usize);
    });
    t.write(10);
    t.expect(seg(ACK).seq(1).ack(1).len(10).win(WINDOW as u16));
    t
}

#[test]
fn acceptable_with_an_open_window() {
    // (sequence number, length, acceptable): table 6, third and fourth row. In addition, an ACK at
    // the right edge is accepted: SND.NXT of a peer that filled the window. 100 bytes have arrived
    // already.
    let (next, edge) = (101, 1 + WINDOW);
    for (seq, len, acceptable) in [
        (next, 0, true),
        (next + 1, 0, true),
        (edge - 1, 0, true),
        (next - 1, 0, false),
        (edge, 0, true),
        (edge + 1, 0, false),
        (edge + 100_000, 0, false),
        (-100_000, 0, false),
        (next, 1, true),
        (edge - 1, 1, true),
        (next - 5, 6, true),
        (edge - 1, 50, true),
        (next - 9, 5_000, true),
        (next - 1, 1, false),
        (next - 10, 10, false),
        (edge, 1, false),
    ] {
        let mut t = with_small_window();
        t.peer(seg(ACK).len(100).ack(1));
        t.expect(seg(ACK).ack(next).win(WINDOW as u16 - 100));
        t.peer(seg(ACK).seq(seq).len(len).ack(11));
        let acked = t.conn().info().bytes_acked;
        assert_eq!(acked, if acceptable { 10 } else { 0 }, "{seq} {len}");
        if !acceptable {
            t.expect(seg(ACK).seq(11).len(0).ack(next).win(WINDOW as u16 - 100));
            t.silent();
        }
    }
}

#[test]
fn acceptable_with_a_closed_window() {
    // Table 6, first and second row. In addition, ACKs at RCV.NXT are accepted with text that is
    // not, and so are ACKs one octet further: SND.NXT of a peer that probed the window.
    let next = 1 + WINDOW;
    for (seq, len, acked) in [
        (next, 0, true),
        (next + 1, 0, true),
        (next + 2, 0, false),
        (next - 1, 0, false),
    ] {
        let mut t = with_small_window();
        t.peer(seg(ACK).len(WINDOW as usize).ack(1));
        t.expect(seg(ACK).ack(next).win(0));
        t.peer(seg(ACK).seq(seq).len(len).ack(11));
        let bytes = t.conn().info().bytes_acked;
        assert_eq!(bytes, if acked { 10 } else { 0 }, "{seq}");
        if !acked {
            t.expect(seg(ACK).seq(11).ack(next).win(0));
        }
        t.silent();
    }
    let mut t = with_small_window();
    t.peer(seg(ACK).len(WINDOW as usize).ack(1));
    t.expect(seg(ACK).ack(next).win(0));
    t.peer(seg(ACK).seq(next).len(1).ack(11));
    t.expect(seg(ACK).ack(next).win(0));
    assert_eq!(
        t.read(10_000),
        Ok(WINDOW as usize),
        "the probe is not taken"
    );
}

#[test]
fn rst_at_the_next_sequence_number_resets() {
    for state in SYNCHRONIZED {
        let mut t = Tester::in_state(state, PLAIN);
        t.peer(seg(RST));
        t.silent();
        assert_eq!(t.state(), State::Closed, "from {state}");
        t.peer(seg(ACK));
        t.expect(seg(RST));
    }
}

#[test]
fn rst_tells_reader_and_writer() {
    // RFC 9293: MUST-12.
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).len(5));
    t.sent.clear();
    t.peer(seg(RST));
    // Earlier data can still be read; the reset is never reported as an end of stream.
    assert_eq!(t.read(100), Ok(5));
    let reset = Err(ReadError::Failed(ConnError::Reset));
    assert_eq!((t.read(100), t.read(100)), (reset, reset));
    assert_eq!(t.stack.stats().resets_in, 1);
}

#[test]
fn rst_inside_the_window_is_challenged() {
    for state in SYNCHRONIZED {
        let mut t = Tester::in_state(state, PLAIN);
        let (next, expects) = (t.flow.next, t.flow.expects);
        t.peer(seg(RST).seq(next + 1));
        t.expect(seg(ACK).seq(expects).ack(next).len(0));
        t.silent();
        assert_eq!(t.state(), state);
    }
}

#[test]
fn rst_outside_the_window_is_silent() {
    for state in SYNCHRONIZED {
        let mut t = Tester::in_state(state, PLAIN);
        let next = t.flow.next;
        for seq in [next - 1, next + 65_536, next - 1_000_000] {
            t.peer(seg(RST).seq(seq));
            t.peer(seg(RST_ACK).seq(seq));
        }
        t.silent();
        assert_eq!(t.state(), state);
    }
}

#[test]
fn rst_at_the_next_sequence_number_counts_at_a_closed_window() {
    // RFC 9293: MUST-66.
    let mut t = with_small_window();
    t.peer(seg(ACK).len(WINDOW as usize));
    t.peer(seg(RST));
    assert_eq!(t.state(), State::Closed);
}

#[test]
fn syn_is_challenged_whatever_its_sequence_number() {
    for state in SYNCHRONIZED {
        for offset in [0, 1, 1_000, -1, -1_000_000, 1_000_000] {
            for flags in [SYN, SYN_ACK] {
                let mut t = Tester::in_state(state, PLAIN);
                let (next, expects) = (t.flow.next, t.flow.expects);
                t.peer(seg(flags).seq(next + offset).len(3));
                t.expect(seg(ACK).seq(expects).ack(next).len(0));
                t.silent();
                assert_eq!(t.state(), state);
            }
        }
    }
}

#[test]
fn challenges_are_limited_per_connection() {
    let mut t = Tester::established(PLAIN);
    for _ in 0..50 {
        t.peer(seg(RST).seq(5));
        t.peer(seg(SYN).seq(5));
        t.peer(seg(ACK).seq(1).ack(1_000));
    }
    t.expect(seg(ACK).seq(1).ack(1));
    t.silent();
    assert_eq!(t.dropped(DropReason::Challenged), 100);

    // Each connection has a limit of its own (CVE-2016-5696).
    let first = t.flow;
    t.flow = flow(1_002, PORT);
    t.handshake(PLAIN);
    t.peer(seg(RST).seq(5));
    t.expect(seg(ACK).seq(1).ack(1));

    t.flow = first;
    t.advance(ms(500));
    t.peer(seg(RST).seq(5));
    t.expect(seg(ACK).seq(1).ack(1));
}

#[test]
fn ack_of_something_never_sent_is_answered_and_dropped() {
    for state in SYNCHRONIZED {
        let mut t = Tester::in_state(state, PLAIN);
        let (next, expects) = (t.flow.next, t.flow.expects);
        t.peer(seg(ACK).ack(expects + 1).len(10));
        t.expect(seg(ACK).seq(expects).ack(next));
        t.silent();
        assert_eq!((t.state(), t.dropped(DropReason::BadAck)), (state, 1));
    }
}

#[test]
fn ack_far_in_the_past_is_challenged_and_its_data_dropped() {
    // RFC 9293: MAY-12.
    // RFC 5961 §5.2: SND.UNA - MAX.SND.WND <= SEG.ACK.
    let mut t = Tester::listening(16, |_| {});
    t.flow.window = 1_000;
    t.handshake(PLAIN);
    for _ in 0..5 {
        t.write(1_000);
        t.peer(seg(ACK));
    }
    t.sent.clear();
    t.peer(seg(ACK).ack(5_001 - 1_000).len(10));
    assert_eq!(t.read(100), Ok(10), "an old ACK does no harm");
    t.sent.clear();
    t.peer(seg(ACK).ack(5_000 - 1_000).len(10));
    t.expect(seg(ACK).seq(5_001).ack(11));
    assert_eq!(t.read(100), Err(ReadError::Blocked));
}

#[test]
fn ack_of_before_the_connection_is_challenged() {
    // CVE-2023-52881: bytes that were never sent cannot be acknowledged, however large the window.
    for ack in [0, -1, -500] {
        let mut t = Tester::established(PLAIN);
        t.write(1_000);
        t.peer(seg(ACK));
        t.sent.clear();
        t.peer(seg(ACK).ack(ack).len(10));
        t.expect(seg(ACK).seq(1_001).ack(1));
        assert_eq!(t.read(100), Err(ReadError::Blocked), "{ack}");
    }
}

#[test]
fn segment_without_ack_is_dropped() {
    for state in SYNCHRONIZED {
        let mut t = Tester::in_state(state, PLAIN);
        t.peer(seg(NONE).len(10));
        t.peer(seg(PSH | URG).len(10));
        t.silent();
        assert_eq!((t.state(), t.dropped(DropReason::BadFlags)), (state, 2));
    }
}

#[test]
fn urgent_data_stays_in_the_stream() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK | URG | PSH).len(10));
    t.peer(seg(ACK).len(10));
    assert_eq!(t.read(100), Ok(20));
}

#[test]
fn a_keep_alive_probe_is_answered() {
    // RFC 9293 §3.8.4: SEQ = SND.NXT - 1, with or without one byte of garbage.
    for len in [0, 1] {
        let mut t = Tester::established(PLAIN);
        t.peer(seg(ACK).len(10));
        assert_eq!(t.read(100), Ok(10));
        t.sent.clear();
        t.peer(seg(ACK).seq(10).len(len).fill(0));
        t.expect(seg(ACK).seq(1).ack(11));
    }
}

#[test]
fn two_disagreeing_ends_do_not_answer_each_other_for_ever() {
    // RFC 5961 §5: every ACK that the stack sends comes back as one that it cannot accept.
    for state in SYNCHRONIZED.into_iter().chain([State::TimeWait]) {
        let mut t = Tester::in_state(state, PLAIN);
        let (seq, ack) = (t.flow.next + 1_000_000, t.flow.expects + 1_000_000);
        t.peer(seg(ACK).seq(seq).ack(ack));
        let mut answers = 0;
        while !t.sent.is_empty() && answers < 100 {
            t.sent.clear();
            answers += 1;
            t.peer(seg(ACK).seq(seq).ack(ack));
        }
        assert!(answers <= 2, "{state}: {answers} answers at once");
    }
}

#[test]
fn challenges_of_all_connections_together_are_limited_too() {
    let mut t = Tester::listening(64, |config| config.challenge_acks_per_second = 10);
    let flows: Vec<Flow> = (0..40)
        .map(|n| {
            t.flow = flow(1_000 + n, PORT);
            t.handshake(PLAIN);
            t.flow
        })
        .collect();
    let answers = |t: &mut Tester| {
        for flow in &flows {
            t.flow = *flow;
            t.peer(seg(RST).seq(5));
        }
        t.drain().len()
    };
    let first = answers(&mut t);
    assert!((5..=10).contains(&first), "{first}");
    assert_eq!(t.stack.stats().challenges_withheld, 40 - first as u64);
    t.advance(secs(1));
    assert!((5..=10).contains(&answers(&mut t)));
}

/// Keep-alive probes of many correct peers do not use up a common limit.
#[test]
fn keep_alive_probes_of_many_peers_are_all_answered() {
    let mut t = Tester::listening(64, |config| config.challenge_acks_per_second = 10);
    let flows: Vec<Flow> = (0..40)
        .map(|n| {
            t.flow = flow(1_000 + n, PORT);
            t.handshake(PLAIN);
            t.flow
        })
        .collect();
    for flow in &flows {
        t.flow = *flow;
        t.peer(seg(ACK).seq(0));
    }
    assert_eq!(t.drain().len(), flows.len());
}

/// RFC 5961 §7: text that reaches out of the window does not make a SYN or a reset an exception
/// from the limit of challenge ACKs.
#[test]
fn challenges_are_limited_for_segments_with_text_across_an_edge_too() {
    for flags in [SYN, SYN_ACK, RST_ACK] {
        let mut t = Tester::established(SACK);
        t.peer(seg(ACK).len(100));
        t.sent.clear();
        let next = t.flow.next;
        for _ in 0..20 {
            t.advance(ms(1));
            t.peer(seg(flags).seq(next - 5).len(10));
            t.flow.next = next;
        }
        assert!(t.drain().len() <= 1, "{flags:?}");
    }
}
