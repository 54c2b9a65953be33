//! How stacks end: by shutdown, with their last handle, with their runtime.

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{connect_to, connected, listen, pair, pair_with};
use tidewire::{MemoryLink, Stack, StackError, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

on_both_runtimes!(
    shutdown_delivers_and_then_everything_fails,
    shutdown_resets_what_does_not_end_in_time,
    shutdown_resets_every_connection,
    shutdown_resets_what_is_closed_in_the_background,
    a_shutdown_that_is_given_up_leaves_no_waker,
    shutdown_of_an_idle_stack_is_immediate,
    the_last_handle_finishes_in_the_background,
    a_scope_does_not_leak,
    shutdown_ends_a_wait_to_accept_at_once,
    settings_are_checked,
);

async fn shutdown_delivers_and_then_everything_fails() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let (mut accepted, mut stream) = connect_to(&listener, &client).await;
    let data = common::pattern_bytes(0, 300_000);
    let expected = data.clone();
    let reader = tokio::spawn(async move {
        let mut received = Vec::new();
        accepted.read_to_end(&mut received).await.unwrap();
        received
    });
    stream.write_all(&data).await.unwrap();
    client.shutdown(Duration::from_secs(30)).await.unwrap();
    assert!(reader.await.unwrap() == expected);

    assert!(!client.is_running() && server.is_running());
    let text = "the tidewire stack was shut down";
    assert_eq!(stream.read(&mut [0]).await.unwrap_err().to_string(), text);
    assert_eq!(stream.write(b"x").await.unwrap_err().to_string(), text);
    let again = client.connect(listener.local_addr().unwrap()).await;
    assert_eq!(again.unwrap_err().to_string(), text);
    client.shutdown(Duration::ZERO).await.unwrap();
}

async fn shutdown_resets_what_does_not_end_in_time() {
    let (server, client) = pair().await;
    let (mut accepted, stream) = connected(&server, &client).await;
    let listener = client.bind("10.0.0.2:80").await.unwrap();
    let waiting = tokio::spawn(async move { listener.accept().await.map(|_| ()) });
    tokio::task::yield_now().await;
    let error = client
        .shutdown(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(waiting.await.unwrap().is_err(), "accept ends, too");
    // First the FIN of the orderly end, then the reset.
    let error = accepted.read_to_end(&mut Vec::new()).await;
    assert!(error.is_ok() || error.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    while accepted.state() != State::Closed {
        tokio::task::yield_now().await;
    }
    assert_eq!(stream.state(), State::Closed);
}

/// More than the core or the device hold at a time.
async fn shutdown_resets_every_connection() {
    const CONNECTIONS: usize = 700;
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let mut ends = Vec::new();
    for _ in 0..CONNECTIONS {
        ends.push(connect_to(&listener, &client).await);
    }
    assert_eq!(client.stats().resets_out, 0);
    let error = client.shutdown(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // Acknowledgements that crossed a reset are answered by another one.
    assert!(client.stats().resets_out >= CONNECTIONS as u64);
    for (mut accepted, _) in ends {
        let _ = accepted.read_to_end(&mut Vec::new()).await;
        while accepted.state() != State::Closed {
            tokio::task::yield_now().await;
        }
    }
}

/// A dropped stream whose peer does not read has no handle any more, and yet its peer has to learn.
async fn shutdown_resets_what_is_closed_in_the_background() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    let chunk = vec![7; 1 << 20];
    let fill = async { while stream.write_all(&chunk).await.is_ok() {} };
    let filled = tokio::time::timeout(Duration::from_millis(200), fill).await;
    assert!(filled.is_err(), "the writer waits for the reader");
    drop(stream);
    let error = client.shutdown(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let error = accepted.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

async fn a_shutdown_that_is_given_up_leaves_no_waker() {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (server, client) = pair().await;
    let (_accepted, mut stream) = connected(&server, &client).await;
    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    let mut shutdown = Box::pin(client.shutdown(Duration::from_secs(60)));
    let poll = shutdown.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    drop((shutdown, waker));
    assert_eq!(Arc::strong_count(&task), 1);
    assert!(client.is_running());
    // The FIN had left by then, and the other direction still works.
    drop(_accepted);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

async fn shutdown_of_an_idle_stack_is_immediate() {
    let (server, client) = pair().await;
    server.shutdown(Duration::ZERO).await.unwrap();
    client.shutdown(Duration::ZERO).await.unwrap();
    assert!(!server.is_running());
}

async fn the_last_handle_finishes_in_the_background() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    drop(client);
    stream
        .write_all(b"the stack lives as long as its streams")
        .await
        .unwrap();
    drop(stream);
    let (mut accepted, mut text) = (accepted, String::new());
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "the stack lives as long as its streams");
}

async fn a_scope_does_not_leak() {
    let (server, client) = pair().await;
    let name = |stack: &Stack| stack.addresses()[0];
    assert!(matches!(Stack::current(), Err(StackError::NoStack)));
    server
        .scope(async {
            assert_eq!(name(&Stack::current().unwrap()), name(&server));
            let inner = client
                .scope(async { name(&Stack::current().unwrap()) })
                .await;
            assert_eq!(inner, name(&client));
            assert_eq!(name(&Stack::current().unwrap()), name(&server));
        })
        .await;
    assert!(Stack::current().is_err());
}

async fn settings_are_checked() {
    let start = |address: &'static str| {
        let (link, _) = MemoryLink::pair();
        Stack::in_memory(link).address(address).start()
    };
    assert!(matches!(
        start("10.0.0.1").await,
        Err(StackError::BadAddress(_))
    ));
    assert!(matches!(
        start("127.0.0.1/8").await,
        Err(StackError::Config(_))
    ));
    let (server, _client) = pair_with(|b| b.mac("02:00:00:00:00:09"), |b| b).await;
    assert_eq!(server.mac().to_string(), "02:00:00:00:00:09");
    assert_eq!(server.interface(), "memory");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// The stacks' runtime goes away while tasks of another one wait on their sockets.
#[test]
fn waiting_operations_fail_when_the_runtime_is_dropped() {
    let stacks = runtime();
    let (server, client) = stacks.block_on(pair());
    let (mut accepted, stream) = stacks.block_on(connected(&server, &client));
    let listener = stacks.block_on(listen(&server));
    let (ending, peer) = stacks.block_on(pair());
    let open = stacks.block_on(connected(&ending, &peer));
    let unanswered = std::net::SocketAddr::new("10.0.0.99".parse().unwrap(), 80);

    let tasks = runtime();
    let waiting = [
        tasks.spawn(async move { accepted.read(&mut [0]).await.map(|_| ()) }),
        tasks.spawn(async move {
            // The end of the connection is something to read.
            stream.readable().await?;
            stream.try_read(&mut [0]).map(|_| ())
        }),
        tasks.spawn(async move { listener.accept().await.map(|_| ()) }),
        tasks.spawn(async move { client.connect(unanswered).await.map(|_| ()) }),
        tasks.spawn(async move { ending.shutdown(Duration::from_secs(60)).await }),
    ];
    tasks.block_on(async {
        tokio::task::yield_now().await;
        tokio::task::spawn_blocking(move || drop(stacks))
            .await
            .unwrap();
        for (n, task) in waiting.into_iter().enumerate() {
            let ended = tokio::time::timeout(Duration::from_secs(20), task).await;
            let result = ended.unwrap_or_else(|_| panic!("operation {n} hangs"));
            assert!(result.unwrap().is_err(), "operation {n}");
        }
    });
    drop((open, peer, server));
}

/// The peers of a stack that nobody drives any more are told, as by a kernel whose process ended.
#[test]
fn connections_are_reset_when_the_runtime_is_dropped() {
    const CONNECTIONS: usize = 700;
    let (ours, theirs) = (runtime(), runtime());
    let (left, right) = MemoryLink::pair();
    let server = Stack::in_memory(left).address("10.0.0.1/24").start();
    let server = theirs.block_on(server).unwrap();
    let client = Stack::in_memory(right).address("10.0.0.2/24").start();
    let client = ours.block_on(client).unwrap();
    let mut accepted = Vec::new();
    let mut streams = Vec::new();
    ours.block_on(async {
        let listener = listen(&server).await;
        for _ in 0..CONNECTIONS {
            let (theirs, ours) = connect_to(&listener, &client).await;
            accepted.push(theirs);
            streams.push(ours);
        }
    });
    drop(ours);
    assert!(!client.is_running());
    theirs.block_on(async {
        for mut stream in accepted {
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0])).await;
            let error = read.expect("the peer was not told").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    });
    drop(streams);
}

/// Handles may be used and dropped after their runtime and outside of any.
#[test]
fn handles_outlive_their_runtime() {
    let runtime = runtime();
    let (server, client) = runtime.block_on(pair());
    let (accepted, stream) = runtime.block_on(connected(&server, &client));
    drop(runtime);
    assert!(!server.is_running());
    let error = stream.try_read(&mut [0]).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    assert!(accepted.try_write(b"x").is_err());
    drop((accepted, stream, server, client));
}

/// A server that accepts until it fails, and only then ends its sessions, must be able to shut
/// down.
async fn shutdown_ends_a_wait_to_accept_at_once() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let (accepted, stream) = connect_to(&listener, &client).await;
    let serving = tokio::spawn(async move {
        while listener.accept().await.is_ok() {}
        drop(accepted);
    });
    drop(stream);
    tokio::task::yield_now().await;
    server.shutdown(Duration::from_secs(30)).await.unwrap();
    serving.await.unwrap();
}

/// Where time stands still unless everybody sleeps, a stack must sleep, too.
#[tokio::test(start_paused = true)]
async fn a_stack_lets_paused_time_pass() {
    let (server, client) = pair().await;
    let (mut accepted, mut stream) = connected(&server, &client).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    stream.write_all(b"still there").await.unwrap();
    let mut buffer = [0; 11];
    accepted.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"still there");
}
