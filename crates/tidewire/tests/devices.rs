//! Recording and impairing a link.

mod common;

use std::time::{Duration, Instant};

use common::{connected, pair_with};
use tidewire::{Impairment, MemoryLink, RxMeta, Stack, State, TcpConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_both_runtimes!(
    delay_lengthens_the_round_trip,
    a_capture_holds_both_directions,
    a_trace_shows_the_handshake,
    a_link_that_loses_everything_times_out,
    an_end_of_a_link_is_played_by_hand,
);

/// A ping (RFC 792) from a host that is this test.
async fn an_end_of_a_link_is_played_by_hand() {
    let (left, mut right) = MemoryLink::pair();
    let builder = Stack::in_memory(left).address("10.0.0.1/24");
    let stack = builder.mac("02:00:00:00:00:01").start().await.unwrap();
    let (mac, own) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]);
    let ping = [
        &mac[..],
        &own,
        &[0x08, 0x00],
        // IPv4 with 8 bytes of ICMP, from 10.0.0.9 to 10.0.0.1.
        &[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0x66, 0xd8],
        &[10, 0, 0, 9, 10, 0, 0, 1],
        &[8, 0, 0xf7, 0xff, 0, 0, 0, 0],
    ];
    right.send(ping.concat(), RxMeta::default()).unwrap();
    // The stack has announced itself, and asks who 10.0.0.9 is before it answers.
    loop {
        let (frame, _) = right.recv().await;
        let is_request = frame[12..14] == [0x08, 0x06] && frame[38..42] == [10, 0, 0, 9];
        if is_request {
            break;
        }
    }
    let who = [
        &mac[..],
        &own,
        &[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2],
        &own,
        &[10, 0, 0, 9],
        &mac,
        &[10, 0, 0, 1],
    ];
    right.send(who.concat(), RxMeta::default()).unwrap();
    let (echo, meta) = right.recv().await;
    assert_eq!(echo[23..24], [1]);
    assert_eq!(echo[34], 0, "an echo reply");
    assert_eq!(meta, RxMeta::default());
    assert!(right.try_recv().is_none());
    drop(stack);
    right.send(ping.concat(), RxMeta::default()).unwrap();
}

async fn delay_lengthens_the_round_trip() {
    let delay = Duration::from_millis(15);
    let (server, client) = pair_with(|b| b, |b| b.delay(delay)).await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    let start = Instant::now();
    for _ in 0..3 {
        stream.write_all(b"x").await.unwrap();
        accepted.read_exact(&mut [0]).await.unwrap();
        accepted.write_all(b"y").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    }
    assert!(start.elapsed() >= 3 * 2 * delay, "{:?}", start.elapsed());
    let min_rtt: Duration = stream.info().min_rtt.unwrap().into();
    assert!(min_rtt >= 2 * delay, "{min_rtt:?}");
}

async fn a_capture_holds_both_directions() {
    let name = format!("tidewire-test-{:?}.pcapng", std::thread::current().id());
    let path = std::env::temp_dir().join(format!("{}-{name}", std::process::id()));
    let (server, client) = pair_with(|b| b, |b| b.pcap(&path)).await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    stream.write_all(b"what the client says").await.unwrap();
    accepted.read_exact(&mut [0; 20]).await.unwrap();
    accepted.write_all(b"what the server says").await.unwrap();
    stream.read_exact(&mut [0; 20]).await.unwrap();
    client.shutdown(Duration::ZERO).await.unwrap_err();
    let capture = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(capture[..4], 0x0a0d_0d0a_u32.to_ne_bytes());
    for text in [&b"what the client says"[..], b"what the server says"] {
        let found = capture
            .windows(text.len())
            .filter(|window| *window == text)
            .count();
        assert_eq!(found, 1);
    }
    drop(server);
}

async fn a_trace_shows_the_handshake() {
    let (server, client) = pair_with(|b| b, |b| b.trace(100)).await;
    let (_accepted, _stream) = connected(&server, &client).await;
    let trace = client.take_trace();
    let states: Vec<_> = trace
        .iter()
        .map(|entry| (entry.before, entry.after))
        .collect();
    assert!(
        states.contains(&(State::SynSent, State::Established)),
        "{states:?}"
    );
    assert!(trace.iter().is_sorted_by_key(|entry| entry.at));
    assert!(client.take_trace().is_empty() && server.take_trace().is_empty());
}

async fn a_link_that_loses_everything_times_out() {
    let impatient = TcpConfig {
        syn_retries: 1,
        initial_rto: tidewire::time::Duration::from_millis(200),
        ..TcpConfig::default()
    };
    let lost = Impairment {
        transmit_loss: 1.0,
        ..Impairment::default()
    };
    let (_server, client) = pair_with(|b| b, |b| b.tcp(impatient).impair(lost)).await;
    let error = client.connect((common::SERVER, 80)).await.unwrap_err();
    // Without an ARP reply the host is unreachable, as it is for the kernel.
    let code = error.raw_os_error().unwrap();
    assert!(
        [libc::EHOSTUNREACH, libc::ETIMEDOUT].contains(&code),
        "{error}"
    );
    assert!(client.link_stats().impaired > 0);
}
