//! Data transfer: windows, loss, timers, sequence wrap-around, offloads.

use super::pair::{DELAY, Pair, address, check};
use tidewire_core::{BufferSize, Duration, Instant, ReadError, Stack};
use tidewire_sim::{HostConfig, LinkConfig, Peer, Plan, Server};

/// RFC 6928: ten segments before the first ACK.
#[test]
fn the_first_flight_is_ten_segments() {
    let mut pair = Pair::new();
    let (client, _) = pair.established();
    assert!(pair.write(pair.a, client, 500_000) > 100_000);
    let flight = pair.data_from(pair.a);
    assert_eq!(flight.len(), 10);
    assert!(
        flight.iter().all(|sent| sent.payload_len == 1_448),
        "{flight:?}"
    );
}

/// RFC 5681 §3.1: in slow start, every acknowledged segment permits two new ones.
#[test]
fn slow_start_doubles_every_round_trip() {
    let mut pair = Pair::with_tcp(|tcp| tcp.send_buffer = BufferSize::Fixed(1 << 20));
    let (client, server) = pair.established();
    let start = pair.world.now();
    pair.write(pair.a, client, 1_000_000);
    for _ in 0..200 {
        pair.run_ms(1);
        while pair.read(pair.b, server, 65_536).is_ok_and(|len| len > 0) {}
    }
    let in_trip = |trip: u64| {
        let of = |at: Instant| at.duration_since(start).as_nanos() / (2 * DELAY.as_nanos());
        pair.data_from(pair.a)
            .iter()
            .filter(|sent| of(sent.at) == trip)
            .count()
    };
    assert_eq!([0, 1, 2, 3].map(in_trip), [10, 20, 40, 80]);
    assert_eq!(pair.info(pair.a, client).bytes_retransmitted, 0);
}

/// RFC 6675, RFC 5681 §3.2: one segment of a flight is lost; it is repaired within about a round
/// trip, without RTO.
#[test]
fn a_single_loss_is_repaired_without_timeout() {
    for sack in [true, false] {
        let mut pair = Pair::with_tcp(|tcp| tcp.sack = sack);
        let (client, server) = pair.established();
        let (a, mut count) = (pair.a, 0);
        pair.lose(move |sent| {
            count += usize::from(sent.from == a && sent.payload_len > 0);
            sent.from == a && sent.payload_len > 0 && count == 3
        });
        pair.write(pair.a, client, 100_000);
        let mut read = 0;
        for _ in 0..200 {
            pair.run_ms(1);
            while let Ok(len) = pair.read(pair.b, server, 65_536) {
                read += len;
            }
        }
        let info = pair.info(pair.a, client);
        assert_eq!(
            (read, info.timeouts, info.recoveries),
            (100_000, 0, 1),
            "SACK {sack}: {info:?}"
        );
        assert_eq!(info.bytes_retransmitted, 1_448, "SACK {sack}");
    }
}

/// RFC 6298 §5.5: the timeout doubles as long as nothing comes back.
#[test]
fn retransmissions_back_off() {
    let mut pair = Pair::new();
    let (client, _) = pair.established();
    pair.clear_log();
    pair.lose(|_| true);
    pair.write(pair.a, client, 100);
    pair.run_ms(60_000);
    let times: Vec<_> = pair.data_from(pair.a).iter().map(|sent| sent.at).collect();
    let waits: Vec<_> = times
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).as_millis())
        .collect();
    let info = pair.info(pair.a, client);
    assert!(info.timeouts >= 6, "{waits:?}");
    // A tail loss probe may come before the first timeout (RFC 8985 §7).
    let backed_off = &waits[waits.len() - info.timeouts as usize + 1..];
    for wait in backed_off.windows(2) {
        assert!(wait[1].abs_diff(2 * wait[0]) <= 2, "{waits:?}");
    }
    assert!(waits[0] + waits[1] >= 200, "{waits:?}");
}

/// RFC 9293 §3.8.6.1: the window was closed, the update that opens it is lost, a probe finds it
/// open.
#[test]
fn a_probe_finds_a_window_that_has_opened() {
    let mut pair = Pair::with_tcp(|tcp| tcp.recv_buffer = BufferSize::Fixed(8_192));
    let (client, server) = pair.established();
    assert_eq!(pair.write(pair.a, client, 30_000), 30_000);
    pair.run_ms(2_000);
    assert_eq!(pair.info(pair.a, client).snd_wnd, 0);
    let probes = pair
        .data_from(pair.a)
        .iter()
        .filter(|sent| sent.payload_len == 1)
        .count();
    let mut lose_update = true;
    let b = pair.b;
    pair.lose(move |sent| std::mem::take(&mut lose_update) && sent.from == b);
    let mut read = pair.read(pair.b, server, 65_536).expect("a full buffer");
    assert!(
        (8_000..=8_193).contains(&read),
        "{read} bytes in a buffer of 8192 after {probes} probes"
    );
    for _ in 0..2_000 {
        pair.run_ms(10);
        while let Ok(len) = pair.read(pair.b, server, 65_536) {
            read += len;
        }
    }
    assert_eq!(read, 30_000);
}

/// Zero-window probes keep the connection for as long as the peer answers them (RFC 9293 §3.8.6.1,
/// MUST-37).
#[test]
fn a_window_closed_for_an_hour_ends_nothing() {
    let mut pair = Pair::with_tcp(|tcp| tcp.recv_buffer = BufferSize::Fixed(4_096));
    let (client, server) = pair.established();
    pair.write(pair.a, client, 10_000);
    pair.run_ms(3_600_000);
    let mut read = 0;
    for _ in 0..2_000 {
        while let Ok(len) = pair.read(pair.b, server, 65_536) {
            read += len;
        }
        pair.run_ms(100);
    }
    assert_eq!(read, 10_000);
}

/// Rounding a window up to its scale with every single byte must not keep it open for ever: the
/// buffer bounds what is held ([`Law::MemoryBounded`](tidewire_sim::Law::MemoryBounded)).
#[test]
fn single_bytes_fill_a_scaled_window_to_its_end() {
    let mut pair = Pair::with_tcp(|tcp| {
        tcp.recv_buffer = BufferSize::Fixed(70_000);
        tcp.nodelay = true;
    });
    let (client, server) = pair.established();
    for _ in 0..40 {
        for _ in 0..2_000 {
            let call = |stack: &mut Stack, now| stack.conn(client).expect("open").write(now, &[0]);
            check(pair.world.on(pair.a, call)).expect("the buffer has room");
        }
        pair.run_ms(1_000);
    }
    let info = pair.info(pair.b, server);
    assert!((68_000..=70_000).contains(&info.recv_queue), "{info:?}");
}

/// RFC 9293 §3.4: everything goes on when sequence numbers pass 2^32.
#[test]
fn sequence_numbers_wrap() {
    const BYTES: u32 = 2 << 20;
    let wrapping = (0_u32..100_000).find_map(|number| {
        let mut secret = [0; 16];
        secret[..4].copy_from_slice(&number.to_le_bytes());
        let mut pair = Pair::with(1, |host| host.secret = Some(secret));
        check(
            pair.world
                .add_app(pair.b, Server::new(address(2, 80), 1, |_| Plan::bulk(0))),
        );
        check(pair.world.add_app(
            pair.a,
            Peer::connecting(address(2, 80), Plan::bulk(BYTES.into())),
        ));
        pair.run_ms(25);
        let iss = pair.sent().first().expect("a SYN").header.seq.raw();
        (iss > u32::MAX - BYTES).then_some((pair, iss))
    });
    let (mut pair, iss) = wrapping.expect("one secret in 2048 will do");
    assert!(check(
        pair.world
            .run_until_done(Instant::ZERO + Duration::from_secs(60))
    ));
    assert_eq!(pair.world.incomplete_streams(), [""; 0]);
    let last = pair
        .data_from(pair.a)
        .last()
        .expect("data")
        .header
        .seq
        .raw();
    assert!(last < iss, "{last} after {iss}");
}

/// Super-frames are an optimisation: the same bytes arrive, and nothing but legal segments is ever
/// on the wire.
#[test]
fn offloads_change_no_byte() {
    let run = |change: fn(&mut HostConfig)| {
        let mut pair = Pair::with(9, change);
        let config = LinkConfig {
            loss_ppm: 5_000,
            rate: Some(10_000_000),
            ..LinkConfig::with_delay(DELAY)
        };
        pair.world.configure_at(Instant::ZERO, pair.link, config);
        check(pair.world.add_app(
            pair.b,
            Server::new(address(2, 80), 1, |_| Plan::bulk(700_000)),
        ));
        check(pair.world.add_app(
            pair.a,
            Peer::connecting(address(2, 80), Plan::bulk(900_000)),
        ));
        assert!(check(
            pair.world
                .run_until_done(Instant::ZERO + Duration::from_secs(100))
        ));
        assert_eq!(pair.world.incomplete_streams(), [""; 0]);
        let frames = check(pair.world.on(pair.a, |stack, _| stack.stats().frames_out));
        (pair.world.bytes_read(), frames)
    };
    let (plain, plain_frames) = run(|_| ());
    let (offloaded, offloaded_frames) = run(|host| *host = host.clone().with_offload());
    assert_eq!((plain, offloaded), (1_600_000, 1_600_000));
    assert!(
        offloaded_frames < plain_frames,
        "{offloaded_frames} frames instead of {plain_frames}"
    );
}

/// Nagle's algorithm (RFC 9293 §3.7.4): with data in flight a small segment waits, unless it is
/// turned off.
#[test]
fn small_writes_are_gathered_while_data_is_in_flight() {
    for nodelay in [false, true] {
        let mut pair = Pair::with_tcp(|tcp| tcp.nodelay = nodelay);
        let (client, server) = pair.established();
        for _ in 0..5 {
            pair.write(pair.a, client, 10);
        }
        assert_eq!(pair.data_from(pair.a).len(), if nodelay { 5 } else { 1 });
        pair.run_ms(300);
        assert_eq!(pair.read(pair.b, server, 100), Ok(50));
        assert_eq!(pair.data_from(pair.a).len(), if nodelay { 5 } else { 2 });
    }
}

/// RFC 9293 §3.8.6.3: a lone segment is acknowledged after the delay, the second full one at once.
#[test]
fn acks_are_delayed_but_every_second_segment_is_acknowledged() {
    let mut pair = Pair::new();
    let (client, _) = pair.established();
    // At the start a receiver may acknowledge everything at once, to let the sender's window grow.
    for _ in 0..30 {
        pair.write(pair.a, client, 1_448);
        pair.run_ms(100);
    }
    let b = pair.b;
    let mut acks_after = |len| {
        pair.clear_log();
        let start = pair.world.now();
        pair.write(pair.a, client, len);
        // Less than an RTO: after a longer pause the start is repeated.
        pair.run_ms(150);
        let acks = pair.sent().into_iter().filter(|sent| sent.from == b);
        acks.map(|sent| sent.at.duration_since(start).as_millis())
            .collect::<Vec<_>>()
    };
    assert_eq!(acks_after(100), [50]);
    assert_eq!(acks_after(2 * 1_448), [10]);
    assert_eq!(acks_after(3 * 1_448), [10, 50]);
}

#[test]
fn nothing_to_read_is_blocked_not_the_end() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    assert_eq!(pair.read(pair.a, client, 10), Err(ReadError::Blocked));
    assert_eq!(pair.read(pair.b, server, 10), Err(ReadError::Blocked));
}
