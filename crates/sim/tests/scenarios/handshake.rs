//! Connection setup: handshake, losses, refusals, simultaneous open, full backlog.

use super::pair::{DELAY, Pair, address, check, host};
use tidewire_core::{
    ConnError, ConnectOptions, Duration, Instant, ListenOptions, ReadError, State,
};
use tidewire_sim::{LinkConfig, Peer, Plan, Server, World};
use tidewire_wire::TcpFlags;

/// RFC 9293 §3.5, figure 6, behind one ARP exchange.
#[test]
fn three_segments_open_a_connection() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    let sent = pair.sent();
    let flags: Vec<_> = sent
        .iter()
        .map(|sent| sent.header.flags.to_string())
        .collect();
    assert_eq!(flags, ["S", "S.", "."]);
    let round_trips: Vec<_> = sent
        .iter()
        .map(|sent| sent.at.as_nanos() / DELAY.as_nanos())
        .collect();
    assert_eq!(round_trips, [2, 3, 4]);
    assert_eq!(sent[1].header.ack, sent[0].header.seq.add(1));
    assert_eq!(sent[2].header.ack, sent[1].header.seq.add(1));
    assert_eq!(
        (sent[0].options.mss, sent[1].options.mss),
        (Some(1_460), Some(1_460))
    );
    for (host, id) in [(pair.a, client), (pair.b, server)] {
        let info = pair.info(host, id);
        assert_eq!(
            (info.state, info.snd_mss, info.sack, info.timestamps),
            (State::Established, 1_448, true, true)
        );
        assert!(
            info.srtt
                .is_some_and(|srtt| srtt == DELAY.saturating_mul(2)),
            "{info:?}"
        );
    }
}

/// RFC 6298 §2.1 and §5.5: 1 s, then twice as long each time; six retransmissions, then the attempt
/// has failed.
#[test]
fn a_lost_syn_is_sent_again_after_1_3_7_15_31_63_seconds() {
    let mut pair = Pair::new();
    pair.lose(|sent| sent.has(TcpFlags::SYN));
    let client = pair.connect(80);
    pair.run_ms(200_000);
    let first = pair.sent()[0].at;
    let after: Vec<_> = pair
        .sent()
        .iter()
        .map(|sent| sent.at.duration_since(first).as_millis() / 1_000)
        .collect();
    assert_eq!(after, [0, 1, 3, 7, 15, 31, 63]);
    let result = check(pair.world.on(pair.a, |stack, _| {
        stack.conn(client).and_then(|conn| conn.connect_result())
    }));
    assert_eq!(result, Some(Err(ConnError::TimedOut)));
    assert_eq!(
        pair.read(pair.a, client, 1),
        Err(ReadError::Failed(ConnError::TimedOut))
    );
}

#[test]
fn a_lost_syn_ack_is_sent_again() {
    let mut pair = Pair::new();
    let mut lost = 0;
    pair.lose(move |sent| {
        let lose = sent.has(TcpFlags::SYN | TcpFlags::ACK) && lost < 2;
        lost += usize::from(lose);
        lose
    });
    let listener = pair.listen(80, ListenOptions::default());
    let client = pair.connect(80);
    pair.run_ms(10_000);
    assert_eq!(pair.state(pair.a, client), State::Established);
    assert!(pair.accept(listener).is_some());
}

/// The third segment is lost: the client's data completes the handshake.
#[test]
fn data_makes_up_for_a_lost_ack() {
    let mut pair = Pair::new();
    let mut acks = 0;
    let a = pair.a;
    pair.lose(move |sent| {
        acks += usize::from(sent.from == a && !sent.has(TcpFlags::SYN));
        acks == 1
    });
    let listener = pair.listen(80, ListenOptions::default());
    let client = pair.connect(80);
    pair.run_ms(60);
    assert_eq!(pair.write(pair.a, client, 10), 10);
    pair.run_ms(100);
    let server = pair.accept(listener).expect("established by data");
    assert_eq!(pair.read(pair.b, server, 100), Ok(10));
}

/// RFC 9293 §3.10.7.1: a reset answers a SYN to a port without a listener.
#[test]
fn a_port_without_listener_refuses() {
    let mut pair = Pair::new();
    let client = pair.connect(81);
    pair.run_ms(100);
    let result = check(pair.world.on(pair.a, |stack, _| {
        stack.conn(client).and_then(|conn| conn.connect_result())
    }));
    assert_eq!(result, Some(Err(ConnError::Refused)));
    let flags: Vec<_> = pair
        .sent()
        .iter()
        .map(|sent| sent.header.flags.to_string())
        .collect();
    assert_eq!(flags, ["S", "R."]);
}

/// RFC 9293 §3.5, figure 7.
#[test]
fn both_ends_may_connect_at_once() {
    let mut pair = Pair::new();
    let ends = [
        (pair.a, address(1, 500), address(2, 600)),
        (pair.b, address(2, 600), address(1, 500)),
    ];
    for (host, local, remote) in ends {
        check(pair.world.add_app(
            host,
            Peer::connecting_from(local, remote, Plan::bulk(10_000)),
        ));
    }
    let done = check(
        pair.world
            .run_until_done(Instant::ZERO + Duration::from_secs(20)),
    );
    assert!(done, "{}", pair.world.tail().join("\n"));
    assert_eq!(pair.world.incomplete_streams(), [""; 0]);
    let first: Vec<_> = pair
        .sent()
        .iter()
        .take(4)
        .map(|sent| sent.header.flags.to_string())
        .collect();
    assert_eq!(first, ["S", "S", "S.", "S."]);
}

/// SYNs beyond a full backlog are dropped, not refused: their retransmissions find room once
/// connections were accepted.
#[test]
fn a_full_backlog_recovers() {
    let mut world = World::new(5);
    let [a, b] = [1, 2].map(|last| world.add_host(host(last)).expect("a legal configuration"));
    world.link(a, b, LinkConfig::with_delay(DELAY));
    let options = ListenOptions {
        backlog: 2,
        ..ListenOptions::default()
    };
    let listener =
        check(world.on(b, |stack, _| stack.listen(address(2, 80), options))).expect("free");
    let clients: Vec<_> = (0..6)
        .map(|_| {
            check(world.on(a, |stack, now| {
                stack.connect(now, address(2, 80), ConnectOptions::default())
            }))
        })
        .map(|client| client.expect("the way is open"))
        .collect();
    let mut accepted = 0;
    for second in 1..=30 {
        check(world.run_until(Instant::ZERO + Duration::from_secs(second)));
        while check(world.on(b, |stack, _| stack.accept(listener))).is_some() {
            accepted += 1;
        }
        assert!(
            second > 1 || accepted <= 3,
            "{accepted} connections in a backlog of 2"
        );
    }
    assert_eq!(accepted, 6);
    for client in clients {
        let result = check(world.on(a, |stack, _| {
            stack.conn(client).and_then(|conn| conn.connect_result())
        }));
        assert_eq!(result, Some(Ok(())));
    }
}

/// Many connections through one listener, from ports of the stack's choice.
#[test]
fn a_listener_serves_many() {
    let mut pair = Pair::new();
    check(pair.world.add_app(
        pair.b,
        Server::new(address(2, 80), 50, |_| Plan::bulk(3_000)),
    ));
    for _ in 0..50 {
        check(
            pair.world
                .add_app(pair.a, Peer::connecting(address(2, 80), Plan::bulk(2_000))),
        );
    }
    assert!(check(
        pair.world
            .run_until_done(Instant::ZERO + Duration::from_secs(20))
    ));
    assert_eq!(pair.world.incomplete_streams(), [""; 0]);
    assert_eq!(pair.world.bytes_read(), 50 * 5_000);
}

/// A simultaneous open survives the loss of any one of its segments, and of any two.
#[test]
fn connecting_at_once_survives_losses() {
    for (first, second) in (0..6).flat_map(|first| (first..6).map(move |second| (first, second))) {
        let mut pair = Pair::new();
        let mut seen = 0;
        pair.lose(move |_| {
            seen += 1;
            [first, second].contains(&(seen - 1))
        });
        let ends = [
            (pair.a, address(1, 500), address(2, 600)),
            (pair.b, address(2, 600), address(1, 500)),
        ];
        for (host, local, remote) in ends {
            let peer = Peer::connecting_from(local, remote, Plan::bulk(10_000));
            check(pair.world.add_app(host, peer));
        }
        let until = Instant::ZERO + Duration::from_secs(60);
        let done = check(pair.world.run_until_done(until));
        assert!(done, "{first} {second}: {}", pair.world.tail().join("\n"));
        assert_eq!(pair.world.incomplete_streams(), [""; 0]);
    }
}

/// The third segment is lost and the client has nothing to say: the SYN-ACK comes again, and its
/// ACK completes the handshake of a server that speaks first.
#[test]
fn a_lost_ack_does_not_keep_the_server_from_speaking_first() {
    let mut pair = Pair::new();
    let mut acks = 0;
    let a = pair.a;
    pair.lose(move |sent| {
        let is_ack = sent.from == a && !sent.has(TcpFlags::SYN);
        acks += usize::from(is_ack);
        is_ack && acks == 1
    });
    let listener = pair.listen(80, ListenOptions::default());
    let client = pair.connect(80);
    pair.run_ms(60);
    assert!(pair.accept(listener).is_none());
    pair.run_ms(2_000);
    let server = pair
        .accept(listener)
        .expect("established by the second ACK");
    assert_eq!(pair.write(pair.b, server, 10), 10);
    pair.run_ms(100);
    assert_eq!(pair.read(pair.a, client, 100), Ok(10));
}
