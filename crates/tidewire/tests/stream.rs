//! What a stream does, between two stacks joined by memory.

mod common;

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::pin::pin;

use bytes::Bytes;
use common::{connect_to, connected, is_pending, listen, pair, pair_with, pattern, pattern_bytes};
use tidewire::State;
use tidewire::net::TcpStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

on_both_runtimes!(
    echoes,
    carries_16_mib_each_way_at_once,
    carries_16_mib_without_offload,
    carries_data_over_a_lossy_link,
    half_closes_server_first,
    half_closes_client_first,
    closes_at_the_same_time,
    a_refused_connection,
    a_reset_is_never_an_end_of_file,
    unread_data_on_drop_resets,
    abort_resets,
    dropping_a_stream_delivers_what_was_written,
    dropping_connect_gives_the_attempt_up,
    splits,
    splits_owned_and_reunites,
    a_dropped_owned_write_half_shuts_down,
    a_burst_of_small_writes_leaves_in_large_frames,
    a_held_write_leaves_while_the_task_waits_for_something_else,
    writes_vectored,
    reads_vectored,
    peeks,
    reads_and_writes_bytes_without_copying,
    a_chunk_that_was_given_up_is_not_lost,
    options_are_kept,
    info_speaks_of_the_connection,
);

async fn echoes() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    assert_eq!(accepted.peer_addr().unwrap(), stream.local_addr().unwrap());
    assert_eq!(accepted.local_addr().unwrap(), stream.peer_addr().unwrap());
    for round in 0..100_u8 {
        stream.write_all(&[round; 10]).await.unwrap();
        let mut there = [0; 10];
        accepted.read_exact(&mut there).await.unwrap();
        accepted.write_all(&there).await.unwrap();
        let mut back = [0; 10];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, [round; 10]);
    }
}

async fn send_pattern(stream: &mut (impl AsyncWrite + Unpin), total: u64) {
    let mut sent = 0;
    while sent < total {
        let len = (total - sent).min(100_000);
        stream
            .write_all(&pattern_bytes(sent, len as usize))
            .await
            .unwrap();
        sent += len;
    }
    stream.shutdown().await.unwrap();
}

async fn check_pattern(stream: &mut (impl AsyncRead + Unpin), total: u64) {
    let mut buf = vec![0; 70_000];
    let mut received = 0;
    loop {
        let n = stream.read(&mut buf).await.unwrap();
        if n == 0 {
            break;
        }
        let wrong = buf[..n]
            .iter()
            .zip(received..)
            .position(|(&byte, at)| byte != pattern(at));
        assert_eq!(wrong, None, "after {received} bytes");
        received += n as u64;
    }
    assert_eq!(received, total);
}

async fn exchange(accepted: TcpStream, stream: TcpStream, total: u64) {
    let (mut from_client, mut to_client) = accepted.into_split();
    let (mut from_server, mut to_server) = stream.into_split();
    let tasks = [
        tokio::spawn(async move { send_pattern(&mut to_client, total).await }),
        tokio::spawn(async move { send_pattern(&mut to_server, total).await }),
        tokio::spawn(async move { check_pattern(&mut from_client, total).await }),
        tokio::spawn(async move { check_pattern(&mut from_server, total).await }),
    ];
    for task in tasks {
        task.await.unwrap();
    }
}

async fn carries_16_mib_each_way_at_once() {
    let (server, client) = pair().await;
    let (accepted, stream) = connected(&server, &client).await;
    exchange(accepted, stream, 16 << 20).await;
}

async fn carries_16_mib_without_offload() {
    let (server, client) = pair_with(|b| b.offload(false), |b| b.offload(false)).await;
    let (accepted, stream) = connected(&server, &client).await;
    exchange(accepted, stream, 16 << 20).await;
}

async fn carries_data_over_a_lossy_link() {
    let (server, client) = pair_with(|b| b.offload(false), |b| b.offload(false).loss(0.01)).await;
    let (accepted, stream) = connected(&server, &client).await;
    exchange(accepted, stream, 1 << 20).await;
    assert!(client.link_stats().impaired > 0);
}

async fn half_close(first: TcpStream, second: TcpStream) {
    let (mut first, mut second) = (first, second);
    first.write_all(b"request").await.unwrap();
    first.shutdown().await.unwrap();
    let mut request = Vec::new();
    second.read_to_end(&mut request).await.unwrap();
    assert_eq!(request, b"request");
    assert_eq!(
        first.write(b"more").await.unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );

    let reply = pattern_bytes(0, 300_000);
    let ((), received) = tokio::join!(
        async {
            second.write_all(&reply).await.unwrap();
            second.shutdown().await.unwrap();
        },
        async {
            let mut received = Vec::new();
            first.read_to_end(&mut received).await.unwrap();
            received
        }
    );
    assert!(received == reply, "{} bytes", received.len());
    assert_eq!(
        first.read(&mut [0]).await.unwrap(),
        0,
        "the end stays the end"
    );
}

async fn half_closes_server_first() {
    let (server, client) = pair().await;
    let (accepted, stream) = connected(&server, &client).await;
    half_close(accepted, stream).await;
}

async fn half_closes_client_first() {
    let (server, client) = pair().await;
    let (accepted, stream) = connected(&server, &client).await;
    half_close(stream, accepted).await;
}

async fn closes_at_the_same_time() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    let (a, b) = tokio::join!(accepted.shutdown(), stream.shutdown());
    a.unwrap();
    b.unwrap();
    assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

async fn a_refused_connection() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = client.connect(addr).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.raw_os_error()),
        (ErrorKind::ConnectionRefused, Some(libc::ECONNREFUSED))
    );
}

async fn a_reset_is_never_an_end_of_file() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    accepted.write_all(b"last words").await.unwrap();
    stream.readable().await.unwrap();
    accepted.set_zero_linger().unwrap();
    drop(accepted);
    while stream.state() != State::Closed {
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    for _ in 0..2 {
        let error = stream.read_to_end(&mut all).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.raw_os_error()),
            (ErrorKind::ConnectionReset, Some(libc::ECONNRESET))
        );
    }
}

async fn unread_data_on_drop_resets() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    stream.write_all(b"never read").await.unwrap();
    accepted.readable().await.unwrap();
    drop(accepted);
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

async fn abort_resets() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    accepted.abort();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(
        stream.peer_addr().unwrap_err().kind(),
        ErrorKind::NotConnected
    );
}

async fn dropping_a_stream_delivers_what_was_written() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    let data = pattern_bytes(0, 200_000);
    stream.write_all(&data).await.unwrap();
    drop(stream);
    let (mut accepted, mut received) = (accepted, Vec::new());
    accepted.read_to_end(&mut received).await.unwrap();
    assert!(received == data, "{} bytes", received.len());
}

async fn dropping_connect_gives_the_attempt_up() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    {
        // Polled once: the SYN has left.
        let mut attempt = pin!(client.connect(listener.local_addr().unwrap()));
        assert!(is_pending(attempt.as_mut()));
    }
    let (accepted, stream) = connect_to(&listener, &client).await;
    assert_eq!(accepted.peer_addr().unwrap(), stream.local_addr().unwrap());
    let mut next = pin!(listener.accept());
    assert!(
        is_pending(next.as_mut()),
        "the attempt given up left nothing to accept"
    );
}

async fn splits() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    let (mut reader, mut writer) = stream.split();
    let (mut echo_reader, mut echo_writer) = accepted.split();
    let echo = async {
        tokio::io::copy(&mut echo_reader, &mut echo_writer)
            .await
            .unwrap();
        echo_writer.shutdown().await.unwrap();
    };
    tokio::join!(
        echo,
        send_pattern(&mut writer, 1 << 20),
        check_pattern(&mut reader, 1 << 20)
    );
    assert!(writer.is_write_vectored());
}

async fn splits_owned_and_reunites() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let (mut accepted, stream) = connect_to(&listener, &client).await;
    let (_other_accepted, other) = connect_to(&listener, &client).await;
    let (reader, writer) = stream.into_split();
    let (other_reader, other_writer) = other.into_split();

    let mismatch = reader.reunite(other_writer).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "the halves are not of the same stream"
    );
    let (reader, other_writer) = (mismatch.0, mismatch.1);
    other_writer.reunite(other_reader).unwrap();

    let mut stream = reader.reunite(writer).unwrap();
    stream.write_all(b"whole").await.unwrap();
    let mut word = [0; 5];
    accepted.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"whole");
}

async fn a_dropped_owned_write_half_shuts_down() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let (mut accepted, stream) = connect_to(&listener, &client).await;
    let (_reader, writer) = stream.into_split();
    drop(writer);
    assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);

    let (accepted, stream) = connect_to(&listener, &client).await;
    let (reader, writer) = stream.into_split();
    writer.forget();
    assert_eq!(
        accepted.try_read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(reader);
    accepted.readable().await.unwrap();
    assert_eq!(accepted.try_read(&mut [0]).unwrap(), 0);
}

async fn a_burst_of_small_writes_leaves_in_large_frames() {
    let (server, client) = pair().await;
    let (mut accepted, stream) = connected(&server, &client).await;
    stream.set_nodelay(true).unwrap();
    let before = client.stats().frames_out;
    for round in 0..200_u64 {
        let piece = pattern_bytes(round * 1024, 1024);
        assert_eq!(stream.try_write(&piece).unwrap(), piece.len());
    }
    let frames = client.stats().frames_out - before;
    drop(stream);
    check_pattern(&mut accepted, 200 * 1024).await;
    assert!(frames < 100, "{frames} frames for 200 writes");
}

async fn a_held_write_leaves_while_the_task_waits_for_something_else() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    stream.set_nodelay(true).unwrap();
    for round in 0..100_u8 {
        let echo = tokio::spawn(async move {
            let mut both = [0; 2];
            accepted.read_exact(&mut both).await.unwrap();
            (accepted, both)
        });
        stream.write_all(&[round]).await.unwrap();
        stream.write_all(&[!round]).await.unwrap();
        // From here on nobody touches the writing end.
        let both;
        (accepted, both) = echo.await.unwrap();
        assert_eq!(both, [round, !round]);
    }
}

async fn writes_vectored() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    assert!(stream.is_write_vectored());
    let n = stream
        .write_vectored(&[
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ])
        .await
        .unwrap();
    assert_eq!(n, 7);
    let n = stream
        .try_write_vectored(&[IoSlice::new(b" three")])
        .unwrap();
    assert_eq!(n, 6);
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "one two three");
}

async fn reads_vectored() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    stream.write_all(b"onetwothree").await.unwrap();
    accepted.readable().await.unwrap();
    let (mut a, mut b, mut c) = ([0; 3], [0; 3], [0; 100]);
    let mut bufs = [
        IoSliceMut::new(&mut a),
        IoSliceMut::new(&mut b),
        IoSliceMut::new(&mut c),
    ];
    assert_eq!(accepted.try_read_vectored(&mut bufs).unwrap(), 11);
    assert_eq!((&a, &b, &c[..5]), (b"one", b"two", &b"three"[..]));

    stream.write_all(b"four").await.unwrap();
    accepted.readable().await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(accepted.try_read_buf(&mut rest).unwrap(), 4);
    assert_eq!(rest, b"four");
}

async fn peeks() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    let mut seen = [0; 8];
    let (n, ()) = tokio::join!(async { accepted.peek(&mut seen).await.unwrap() }, async {
        stream.write_all(b"peek").await.unwrap();
    });
    assert_eq!(&seen[..n], b"peek");
    assert_eq!(accepted.peek(&mut seen[..2]).await.unwrap(), 2);
    let mut read = [0; 4];
    accepted.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"peek");
    drop(stream);
    assert_eq!(accepted.peek(&mut seen).await.unwrap(), 0);
}

async fn reads_and_writes_bytes_without_copying() {
    let (server, client) = pair().await;
    let (accepted, stream) = connected(&server, &client).await;
    let data = Bytes::from(pattern_bytes(0, 3 << 20));
    let expected = data.clone();
    let send = tokio::spawn(async move {
        stream.write_bytes(data).await.unwrap();
        stream.write_bytes(Bytes::new()).await.unwrap();
    });
    let mut received = Vec::new();
    loop {
        let chunk = accepted.read_chunk().await.unwrap();
        if chunk.is_empty() {
            break;
        }
        received.extend_from_slice(&chunk);
    }
    send.await.unwrap();
    assert!(received == expected, "{} bytes", received.len());
}

async fn a_chunk_that_was_given_up_is_not_lost() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    let mut lost = Box::pin(accepted.read_chunk());
    assert!(is_pending(lost.as_mut()));
    stream.write_all(b"chunk").await.unwrap();
    // The data is there, and who waited for it is woken, but never asks again.
    accepted.readable().await.unwrap();
    drop(lost);
    assert_eq!(accepted.read_chunk().await.unwrap(), "chunk");
}

async fn options_are_kept() {
    let (server, client) = pair().await;
    let (_accepted, stream) = connected(&server, &client).await;
    assert!(!stream.nodelay().unwrap(), "Nagle is on, as in the kernel");
    stream.set_nodelay(true).unwrap();
    assert!(stream.nodelay().unwrap());
    assert_eq!(stream.linger().unwrap(), None);
    let linger = Some(std::time::Duration::from_secs(5));
    stream.set_linger(linger).unwrap();
    assert_eq!(stream.linger().unwrap(), linger);
    assert!(stream.take_error().unwrap().is_none());
}

async fn info_speaks_of_the_connection() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    assert_eq!(stream.state(), State::Established);
    stream.write_all(b"12345").await.unwrap();
    accepted.read_exact(&mut [0; 5]).await.unwrap();
    let info = accepted.info();
    assert_eq!((info.bytes_received, info.state), (5, State::Established));
    assert_ne!(format!("{stream:?}"), format!("{accepted:?}"));
    stream.shutdown().await.unwrap();
    assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(accepted.state(), State::CloseWait);
}
