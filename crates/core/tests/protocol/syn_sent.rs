//! SYN-SENT (RFC 9293 §3.10.7.3), and the retransmission of the SYN.

use std::net::{Ipv4Addr, SocketAddr};

use tidewire_core::{
    BufferSize, ConnError, ConnEvents, ConnectError, ConnectOptions, DropReason, Event, IpCidr,
    State,
};

use crate::common::*;

fn syn_sent() -> Tester {
    let mut t = Tester::connecting(|_| {});
    t.expect(seg(SYN).seq(0));
    t
}

fn result(t: &mut Tester) -> Option<Result<(), ConnError>> {
    t.conn().connect_result()
}

#[test]
fn syn_offers_every_extension() {
    // RFC 9293: SHLD-5, MAY-3.
    let mut t = Tester::connecting(|_| {});
    let sent = t.expect(
        seg(SYN)
            .mss(1460)
            .wscale(7)
            .sack_permitted(true)
            .win(65_535),
    );
    let ts = sent.options.timestamps.expect("timestamps are offered");
    assert_eq!((ts.echo, sent.header.ack.raw()), (0, 0));
}

#[test]
fn syn_offers_what_is_configured() {
    let mut t = Tester::connecting(|config| {
        config.tcp.sack = false;
        config.tcp.timestamps = false;
        config.tcp.window_scaling = false;
        config.tcp.recv_buffer = BufferSize::Fixed(3_000);
    });
    let sent = t.expect(seg(SYN).mss(1460).sack_permitted(false).no_ts().win(3_000));
    assert_eq!(sent.options.window_scale, None);
}

#[test]
fn syn_sent_syn_ack_establishes() {
    let mut t = syn_sent();
    assert_eq!(result(&mut t), None);
    t.flow.timestamps = true;
    t.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), FULL));
    let clock = t.peer_clock();
    let sent = t.expect(seg(ACK).seq(1).ack(1).len(0));
    assert_eq!(sent.options.timestamps.map(|ts| ts.echo), Some(clock));
    assert_eq!(
        (t.state(), result(&mut t)),
        (State::Established, Some(Ok(())))
    );
    let Some(Event::Conn(_, events)) = t.stack.poll_event() else {
        panic!("an event tells");
    };
    assert!(events.contains(ConnEvents::CONNECTED | ConnEvents::WRITABLE));
    t.advance(secs(5));
    t.silent();
}

#[test]
fn syn_sent_ack_of_something_else_is_reset_at_it() {
    for (flags, ack) in [(ACK, 0), (ACK, 2), (ACK, -1), (SYN_ACK, 0), (SYN_ACK, 2)] {
        let mut t = syn_sent();
        t.peer(seg(flags).seq(0).ack(ack));
        t.expect(seg(RST).seq(ack));
        t.silent();
        assert_eq!(t.state(), State::SynSent, "{flags} {ack}");
    }
}

#[test]
fn syn_sent_rst_with_ack_of_something_else_is_ignored() {
    let mut t = syn_sent();
    for ack in [0, 2, -1] {
        t.peer(seg(RST_ACK).seq(0).ack(ack));
        t.silent();
    }
    assert_eq!(t.state(), State::SynSent);
}

#[test]
fn syn_sent_rst_without_ack_is_ignored() {
    let mut t = syn_sent();
    t.peer(seg(RST).seq(0));
    t.peer(seg(RST | SYN).seq(0));
    t.silent();
    assert_eq!(t.state(), State::SynSent);
}

#[test]
fn syn_sent_rst_with_ack_of_the_syn_is_refused() {
    let mut t = syn_sent();
    t.peer(seg(RST_ACK).seq(0).ack(1));
    t.silent();
    assert_eq!(t.state(), State::Closed);
    assert_eq!(result(&mut t), Some(Err(ConnError::Refused)));
    assert_eq!(t.conn().take_error(), Some(ConnError::Refused));
    assert_eq!(t.conn().take_error(), None, "said once");
    t.advance(secs(300));
    t.silent();
    t.close();
    assert_eq!(t.counts(), (0, 0, 0));
}

#[test]
fn syn_sent_refused_counts_as_a_failed_attempt() {
    let mut t = syn_sent();
    t.peer(seg(RST_ACK).seq(0).ack(1));
    assert_eq!(t.stack.stats().failed_attempts, 1);
}

#[test]
fn syn_sent_without_syn_and_rst_is_dropped() {
    for flags in [NONE, FIN, PSH, ACK, FIN_ACK] {
        let mut t = syn_sent();
        t.peer(seg(flags).seq(0).ack(1).len(5));
        t.silent();
        assert_eq!(
            (t.state(), t.dropped(DropReason::BadFlags)),
            (State::SynSent, 1),
            "{flags}"
        );
    }
}

#[test]
fn syn_sent_fin_on_the_syn_ack_does_not_close() {
    // RFC 9293 §3.10.7.3: the FIN is not processed in SYN-SENT.
    let mut t = syn_sent();
    t.peer(seg(SYN_ACK | FIN).seq(0).ack(1));
    t.expect(seg(ACK).seq(1).ack(1));
    assert_eq!(t.state(), State::Established);
    t.peer(seg(FIN_ACK).seq(1).ack(1));
    t.expect(seg(ACK).ack(2));
    assert_eq!(t.state(), State::CloseWait);
}

#[test]
fn syn_sent_data_on_the_syn_ack_is_not_lost() {
    let mut t = syn_sent();
    t.peer(seg(SYN_ACK).seq(0).ack(1).len(50).mss(1460));
    let sent = t.expect(seg(ACK).seq(1));
    if t.rel_ack(&sent) == 1 {
        t.peer(seg(ACK).seq(1).ack(1).len(50));
    }
    assert_eq!(t.read(100), Ok(50));
}

#[test]
fn syn_sent_simultaneous_open_is_figure_7() {
    // RFC 9293: MUST-10.
    let mut t = syn_sent();
    t.peer(offer_as(seg(SYN).seq(0), PLAIN));
    t.expect(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    assert_eq!(t.state(), State::SynReceived);
    // The peer is in SYN-RECEIVED too, and sends nothing but its own SYN again, with the ACK.
    t.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), PLAIN));
    assert_eq!(t.state(), State::Established, "line 6 of the figure");
    assert_eq!(result(&mut t), Some(Ok(())));
    t.sent.clear();
    t.peer(seg(ACK).seq(1).ack(1).len(10));
    assert_eq!(t.read(100), Ok(10));
    t.expect(seg(ACK).seq(1).ack(11));
}

#[test]
fn syn_sent_simultaneous_open_ends_with_a_pure_ack_too() {
    let mut t = syn_sent();
    t.peer(offer_as(seg(SYN).seq(0), PLAIN));
    t.expect(seg(SYN_ACK).seq(0).ack(1));
    t.peer(seg(ACK).seq(1).ack(1));
    t.silent();
    assert_eq!(t.state(), State::Established);
}

#[test]
fn syn_sent_simultaneous_open_is_refused_by_a_reset() {
    // RFC 9293: MUST-11.
    let mut t = syn_sent();
    t.peer(offer_as(seg(SYN).seq(0), PLAIN));
    t.expect(seg(SYN_ACK));
    t.peer(seg(RST).seq(1));
    assert_eq!(result(&mut t), Some(Err(ConnError::Refused)));
}

#[test]
fn syn_sent_repeats_the_syn_after_1_2_4_seconds_and_gives_up() {
    // RFC 9293: MUST-22.
    let mut t = Tester::connecting(|_| {});
    let first = t.expect(seg(SYN).seq(0));
    for wait in [1, 2, 4, 8, 16, 32] {
        let again = t.expect_after(secs(wait), seg(SYN).seq(0));
        assert_eq!(again.options.mss, first.options.mss);
    }
    assert_eq!(result(&mut t), None);
    t.advance(secs(64));
    t.silent();
    assert_eq!(result(&mut t), Some(Err(ConnError::TimedOut)));
    assert_eq!(t.stack.stats().failed_attempts, 1);
    // A late SYN-ACK finds no connection.
    t.peer(seg(SYN_ACK).seq(0).ack(1));
    t.expect(seg(RST).seq(1));
}

#[test]
fn syn_sent_retries_are_configured() {
    let mut t = Tester::connecting(|config| config.tcp.syn_retries = 1);
    t.expect(seg(SYN));
    t.expect_after(secs(1), seg(SYN));
    t.advance(secs(2));
    assert_eq!(result(&mut t), Some(Err(ConnError::TimedOut)));
}

#[test]
fn syn_sent_close_says_nothing() {
    // RFC 9293 §3.10.4 and §3.10.5: the TCB is deleted.
    for abort in [false, true] {
        let mut t = syn_sent();
        if abort {
            t.abort();
        } else {
            t.close();
        }
        t.silent();
        assert_eq!(t.counts(), (0, 0, 0));
    }
}

#[test]
fn the_window_of_a_syn_ack_is_not_scaled_and_shifts_end_at_14() {
    let mut t = syn_sent();
    t.peer(seg(SYN_ACK).seq(0).ack(1).win(1_000).wscale(20).mss(1460));
    let info = t.conn().info();
    assert_eq!((info.snd_wnd, info.snd_wscale), (1_000, Some(14)));
    t.sent.clear();
    t.peer(seg(ACK).win(2));
    assert_eq!(t.conn().info().snd_wnd, 2 << 14);
}

#[test]
fn window_scale_of_one_side_alone_is_off() {
    let mut t = Tester::connecting(|config| config.tcp.window_scaling = false);
    t.peer(seg(SYN_ACK).seq(0).ack(1).win(1_000).wscale(7).mss(1460));
    let info = t.conn().info();
    assert_eq!((info.snd_wscale, info.rcv_wscale), (None, None));
    t.peer(seg(ACK).win(2_000));
    assert_eq!(t.conn().info().snd_wnd, 2_000);
}

#[test]
fn initial_sequence_numbers_follow_rfc_6528() {
    // RFC 9293: MUST-8, MUST-9, SHLD-1.
    // ISN = M + F(4-tuple, secret), where M ticks every 4 us.
    let isn = |port: u16, millis: u64| {
        let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_000);
        t.flow = flow(port, 50_000);
        t.advance(ms(millis));
        t.connect();
        t.expect(seg(SYN)).header.seq
    };
    assert_eq!(isn(80, 3).distance(isn(80, 0)), 750);
    assert_eq!(isn(80, 1_000).distance(isn(80, 0)), 250_000);
    // Other tuples start elsewhere: ten of them are not within a megabyte of each other.
    let mut others: Vec<u32> = (80..90).map(|port| isn(port, 0).raw() >> 20).collect();
    others.sort_unstable();
    others.dedup();
    assert!(others.len() >= 9, "{others:?}");
}

#[test]
fn sequence_numbers_of_the_stack_wrap() {
    // The ISN follows a clock of 4 us: wait until it stands right below the wrap.
    let isn_now = |t: &mut Tester| {
        t.connect();
        let isn = t.expect(seg(SYN)).header.seq;
        t.abort();
        isn
    };
    let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_000);
    let ticks = (u32::MAX - 9_000).wrapping_sub(isn_now(&mut t).raw());
    t.advance(tidewire_core::Duration::from_micros(u64::from(ticks) * 4));
    t.connect();
    assert_eq!(t.expect(seg(SYN)).header.seq.raw(), u32::MAX - 9_000);
    t.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), SACK));
    t.expect(seg(ACK));
    t.write(30_000);
    assert_eq!(t.drain().len(), 10);
    // All segments arrive except the fifth, which begins before the wrap; then the rest.
    let hole = 1 + 4 * 1_460;
    let right = t.flow.expects;
    let block = (hole + 1_460, right);
    t.peer(seg(ACK).ack(hole).sack(&[block]));
    assert!(t.drain().contains(&(hole, 1_460)), "it is sent again");
    while t.conn().info().bytes_acked < 30_000 {
        t.peer(seg(ACK));
        t.sent.clear();
    }
    assert_eq!(t.conn().info().timeouts, 0);
}

#[test]
fn a_tuple_in_use_is_refused_and_free_again_after_time_wait() {
    let mut t = Tester::new();
    let remote = SocketAddr::new(PEER_IP.into(), t.flow.port);
    let options = ConnectOptions {
        local: Some(SocketAddr::new(STACK_IP.into(), 50_000)),
        tcp: None,
    };
    let now = t.now;
    t.id = Some(t.stack.connect(now, remote, options.clone()).unwrap());
    t.pump();
    t.expect(seg(SYN));
    t.peer(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    t.close();
    let in_use = Err(ConnectError::AddrInUse);
    assert_eq!(t.stack.connect(now, remote, options.clone()), in_use);
    t.peer(seg(FIN_ACK).ack(2));
    assert_eq!(t.counts(), (0, 0, 1));
    assert_eq!(t.stack.connect(now, remote, options.clone()), in_use);
    t.advance(secs(60));
    let now = t.now;
    assert!(t.stack.connect(now, remote, options).is_ok());
}

#[test]
fn an_active_open_names_its_own_address_and_keeps_to_it() {
    // RFC 9293: MUST-44. RFC 9293 §3.9.1.1, MUST-43 to MUST-45: the one asked for, else the one on
    // the destination's link.
    let second = Ipv4Addr::new(10, 9, 0, 1);
    let mut t = Tester::with(|config| {
        config.addresses.push(IpCidr::new(second.into(), 24));
    });
    let to = SocketAddr::new(PEER_IP.into(), 80);
    for (asked, used) in [(None, STACK_IP), (Some(second), second)] {
        let options = ConnectOptions {
            local: asked.map(|ip| SocketAddr::new(ip.into(), 0)),
            tcp: None,
        };
        let id = t.stack.connect(t.now, to, options).unwrap();
        let local = t.stack.conn(id).unwrap().local_addr();
        assert_eq!(local.ip(), std::net::IpAddr::from(used));
    }
    let foreign = ConnectOptions {
        local: Some(SocketAddr::new(PEER_IP.into(), 0)),
        tcp: None,
    };
    let refused = t.stack.connect(t.now, to, foreign);
    assert_eq!(refused, Err(ConnectError::AddrNotAvailable));
}
