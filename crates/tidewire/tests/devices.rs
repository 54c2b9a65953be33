//! Recording and impairing a link.

mod common;

use std::time::{Duration, Instant};

use common::{connected, pair_with};
use tidewire::{Impairment, State, TcpConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_both_runtimes!(
    delay_lengthens_the_round_trip,
    a_capture_holds_both_directions,
    a_trace_shows_the_handshake,
    a_link_that_loses_everything_times_out,
);

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
