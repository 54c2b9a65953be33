//! SYN cookies (RFC 4987 §3.6): handshakes while the half-open table is full.

use tidewire_core::{DropReason, StackConfig, State};

use crate::common::*;

/// A listener whose half-open table another peer has filled.
fn flooded(backlog: usize, adjust: impl FnOnce(&mut StackConfig)) -> Tester {
    let mut t = Tester::listening(backlog, |config| {
        config.max_half_open = 1;
        adjust(config);
    });
    t.flow = flow(9_999, PORT);
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    // It does not answer.
    t.advance(secs(1));
    t.sent.clear();
    t.flow = flow(1_001, PORT);
    t
}

#[test]
fn a_syn_without_room_is_answered_and_not_remembered() {
    let mut t = flooded(16, |_| {});
    t.syn(FULL);
    let sent = t.expect(seg(SYN_ACK).seq(0).ack(1).mss(1460).sack_permitted(true));
    assert!(sent.options.window_scale.is_some() && sent.options.timestamps.is_some());
    assert_eq!(
        (t.counts(), t.stack.stats().syn_cookies_sent),
        ((0, 1, 0), 1)
    );
    // There is no record, and so no retransmission.
    let stays = t.flow;
    t.advance(secs(200));
    assert!(t.sent.iter().all(|sent| sent.header.dst_port != stays.port));
}

#[test]
fn the_third_segment_brings_back_what_was_negotiated() {
    for scale in [None, Some(0), Some(7), Some(14)] {
        for sack in [false, true] {
            let mut t = flooded(16, |_| {});
            let offer = Offer {
                wscale: scale,
                sack,
                ..FULL
            };
            t.advance(ms(1_234));
            t.sent.clear();
            t.handshake(offer);
            let info = t.conn().info();
            assert_eq!((info.state, info.sack), (State::Established, sack));
            assert_eq!(info.snd_wscale, scale);
            assert!(info.timestamps);
            assert_eq!(info.advertised_mss, 1_460);
            t.write(100);
            t.expect(seg(ACK).seq(1).len(100));
            t.peer(seg(ACK).len(10));
            assert_eq!(t.read(100), Ok(10));
            assert_eq!(t.stack.stats().syn_cookies_accepted, 1);
        }
    }
}

#[test]
fn without_timestamps_only_the_mss_is_kept() {
    let mut t = flooded(16, |_| {});
    let offer = Offer {
        mss: Some(1_400),
        timestamps: false,
        ..FULL
    };
    t.syn(offer);
    let sent = t.expect(seg(SYN_ACK).sack_permitted(false));
    assert_eq!(sent.options.window_scale, None, "it could not be kept");
    t.peer(seg(ACK));
    t.accept();
    let info = t.conn().info();
    assert_eq!(
        (info.snd_wscale, info.sack, info.snd_mss),
        (None, false, 1_400)
    );
    t.write(3_000);
    t.expect(seg(ACK).len(1_400));
}

#[test]
fn data_may_come_with_the_third_segment() {
    let mut t = flooded(16, |_| {});
    t.syn(FULL);
    t.peer(seg(ACK).seq(1).ack(1).len(500));
    t.accept();
    assert_eq!(t.read(1_000), Ok(500));
}

#[test]
fn no_round_trip_is_measured_by_a_syn_ack_whose_time_nobody_knows() {
    let mut t = flooded(16, |_| {});
    t.syn(PLAIN);
    t.advance(ms(700));
    t.sent.clear();
    t.peer(seg(ACK));
    t.accept();
    assert_eq!(t.conn().info().srtt, None);
}

#[test]
fn what_was_made_up_is_reset() {
    let mut t = flooded(16, |_| {});
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    for (seq, ack) in [(1, 1 << 18), (1, 1 << 30), (0, 1 << 20)] {
        t.peer(seg(ACK).seq(seq).ack(ack));
        t.expect(seg(RST).seq(ack));
    }
    t.flow.port += 1;
    t.peer(seg(ACK).seq(1).ack(1));
    t.expect(seg(RST).seq(1));
    assert_eq!(t.counts(), (0, 1, 0));
}

#[test]
fn a_third_segment_may_be_lost_with_the_data_behind_it() {
    let mut t = flooded(16, |_| {});
    t.syn(FULL);
    t.expect(seg(SYN_ACK));
    // The first 1,000 bytes are lost, too: the peer must get no reset, and sends them again.
    t.peer(seg(ACK).seq(1_001).ack(1).len(500));
    t.silent();
    assert_eq!(
        (t.counts(), t.dropped(DropReason::OutOfWindow)),
        ((0, 1, 0), 1)
    );
    t.peer(seg(ACK).seq(1).ack(1).len(1_000));
    t.accept();
    assert_eq!(t.read(2_000), Ok(1_000));
}

#[test]
fn a_syn_that_came_twice_is_answered_twice_and_either_answer_will_do() {
    // The first found no room, its copy did.
    let mut t = flooded(16, |config| config.tcp.syn_retries = 1);
    t.syn(FULL);
    let cookie = t.expect(seg(SYN_ACK)).header.seq;
    t.advance(secs(2));
    t.syn(FULL);
    let remembered = t.expect(seg(SYN_ACK)).header.seq;
    assert!(cookie != remembered && t.counts() == (0, 1, 0));
    t.flow.stack_isn = cookie;
    t.peer(seg(ACK).seq(1).ack(1).len(10));
    t.accept();
    assert_eq!((t.read(100), t.counts()), (Ok(10), (1, 0, 0)));
}

#[test]
fn a_third_segment_that_comes_minutes_later_is_reset() {
    let mut t = flooded(16, |_| {});
    t.syn(PLAIN);
    t.advance(secs(129));
    t.sent.clear();
    t.peer(seg(ACK).seq(1).ack(1));
    t.expect(seg(RST).seq(1));
}

#[test]
fn a_third_segment_without_the_timestamp_that_was_agreed_on_is_dropped() {
    let mut t = flooded(16, |_| {});
    t.syn(FULL);
    t.expect(seg(SYN_ACK));
    t.flow.timestamps = false;
    t.peer(seg(ACK).seq(1).ack(1));
    t.silent();
    assert_eq!(t.dropped(DropReason::MissingTimestamp), 1);
}

#[test]
fn nobody_is_promised_a_place_while_the_accept_queue_is_full() {
    let mut t = Tester::listening(1, |_| {});
    t.syn(PLAIN);
    t.peer(seg(ACK));
    t.sent.clear();
    t.flow = flow(1_002, PORT);
    t.syn(PLAIN);
    t.silent();
    assert_eq!(
        (t.counts(), t.dropped(DropReason::BacklogFull)),
        ((1, 0, 0), 1)
    );
}

#[test]
fn who_comes_too_early_comes_again_where_others_answer() {
    let mut t = Tester::listening(1, |_| {});
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    t.flow = flow(1_002, PORT);
    t.syn(PLAIN);
    t.silent();
    let dropped = t.dropped(DropReason::BacklogFull);
    assert_eq!((dropped, t.stack.stats().syn_cookies_sent), (1, 0));
}

#[test]
fn peers_that_wait_for_a_slow_application_are_no_flood() {
    // Four have completed the handshake, and there is room in the queue for one of them at a time.
    let mut t = Tester::listening(4, |_| {});
    let flows = [1_001, 1_002, 1_003, 1_004, 1_005, 1_006, 1_007].map(|port| flow(port, PORT));
    let mut begun = Vec::new();
    for flow in flows {
        t.flow = flow;
        t.syn(PLAIN);
        if t.sent.pop_front().is_some() {
            begun.push(t.flow);
        }
    }
    assert_eq!(begun.len(), 4);
    t.flow = begun[0];
    t.peer(seg(ACK));
    t.flow = flows[4];
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    begun.push(t.flow);
    for flow in &begun[1..4] {
        t.flow = *flow;
        t.peer(seg(ACK));
    }
    t.flow = begun[4];
    t.peer(seg(ACK));
    assert_eq!(
        (t.counts(), t.dropped(DropReason::BacklogFull)),
        ((4, 1, 0), 4)
    );
    t.advance(secs(1));
    t.accept();
    t.sent.clear();
    // The waiting handshake has its third segment: a new SYN gets a half-open record as usual.
    t.flow = flows[5];
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    assert_eq!(
        (t.counts(), t.stack.stats().syn_cookies_sent),
        ((4, 2, 0), 0)
    );
}

#[test]
fn who_completes_a_handshake_when_the_accept_queue_has_filled_gets_another_chance() {
    // The peer is in ESTABLISHED and may wait for our data, so the SYN-ACK is sent again.
    let mut t = Tester::listening(1, |_| {});
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    t.expect_after(secs(1), seg(SYN_ACK));
    let first = t.flow;
    t.flow = flow(1_002, PORT);
    t.syn(PLAIN);
    t.expect(seg(SYN_ACK));
    let second = t.flow;
    assert_eq!(
        (t.counts(), t.stack.stats().syn_cookies_sent),
        ((0, 1, 0), 1)
    );
    t.flow = first;
    t.peer(seg(ACK));
    t.flow = second;
    t.peer(seg(ACK));
    t.silent();
    assert_eq!(
        (t.counts(), t.dropped(DropReason::BacklogFull)),
        ((1, 1, 0), 1)
    );
    t.accept();
    t.expect_after(secs(1), seg(SYN_ACK).seq(0).ack(1));
    t.peer(seg(ACK).seq(1).ack(1));
    t.accept();
    t.write(5);
    t.expect(seg(ACK).seq(1).len(5));
}

#[test]
fn a_flood_costs_no_memory_and_shuts_nobody_out() {
    let mut t = Tester::listening(64, |config| config.max_half_open = 64);
    for port in 0..64 {
        t.flow = flow(10_000 + port, PORT);
        t.syn(FULL);
    }
    t.advance(secs(1));
    t.sent.clear();
    let before = t.stack.memory_used();
    for n in 0..20_000_u32 {
        t.flow = flow(1_024 + (n % 60_000) as u16, PORT);
        t.flow.isn = t.flow.isn.add(n);
        t.syn(FULL);
        t.sent.clear();
        t.events();
    }
    assert_eq!((t.counts(), t.stack.memory_used()), ((0, 64, 0), before));
    for port in 0..50 {
        t.flow = flow(1_000 + port, PORT);
        t.handshake(FULL);
        assert_eq!(t.state(), State::Established);
        t.sent.clear();
    }
}

#[test]
fn without_cookies_a_syn_without_room_is_dropped() {
    let mut t = flooded(16, |config| config.syn_cookies = false);
    t.syn(PLAIN);
    t.silent();
    assert_eq!(t.dropped(DropReason::BacklogFull), 1);
}
