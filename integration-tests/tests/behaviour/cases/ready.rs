//! Readiness: `readable`, `writable`, `ready`, and wakeups of polls.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use tidewire_integration_tests::{TestResult, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use super::{Ends as _, give_up, kind, reset};
use crate::World;

super::cases!(
    a_new_stream_is_writable,
    data_makes_readable_until_it_is_read,
    the_end_is_readable_and_closed,
    an_own_shutdown_closes_writing,
    a_reset_is_readable_writable_and_closed,
    either_of_two_interests,
    waiting_can_be_given_up,
    a_reset_is_an_error,
    a_reset_is_an_error_whatever_came_before_it,
    an_orderly_end_is_no_error,
    polled_readiness,
    the_last_who_polled_for_data_is_woken,
    the_last_who_polled_for_room_is_woken,
    io_is_tried_only_where_ready,
    io_waits_until_ready,
    io_says_what_it_wants,
    halves_are_ready_too,
);

async fn a_new_stream_is_writable(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    stream.writable().await?;
    let ready = stream.ready(Interest::WRITABLE).await?;
    assert!(ready.is_writable() && !ready.is_readable() && !ready.is_write_closed());
    Ok(())
}

async fn data_makes_readable_until_it_is_read(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"xy").await?;
    for _ in 0..3 {
        let ready = stream.ready(Interest::READABLE).await?;
        assert!(ready.is_readable() && !ready.is_read_closed());
    }
    while stream.try_read(&mut [0; 8]).is_ok() {}
    give_up(stream.readable());
    Ok(())
}

async fn the_end_is_readable_and_closed(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.shutdown().await?;
    stream.readable().await?;
    let ready = stream
        .ready(Interest::READABLE | Interest::WRITABLE)
        .await?;
    assert!(ready.is_readable() && ready.is_read_closed());
    assert!(ready.is_writable() && !ready.is_write_closed());
    Ok(())
}

async fn an_own_shutdown_closes_writing(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    stream.shutdown().await?;
    assert_eq!(peer.read(&mut [0]).await?, 0);
    peer.shutdown().await?;
    stream.readable().await?;
    assert_eq!(stream.try_read(&mut [0])?, 0);
    // Both directions are closed now.
    let ready = stream
        .ready(Interest::READABLE | Interest::WRITABLE)
        .await?;
    assert!(ready.is_read_closed() && ready.is_write_closed());
    Ok(())
}

async fn a_reset_is_readable_writable_and_closed(world: World) -> TestResult {
    let (stream, peer) = world.outgoing().await?;
    reset(peer)?;
    stream.readable().await?;
    stream.writable().await?;
    let ready = stream
        .ready(Interest::READABLE | Interest::WRITABLE)
        .await?;
    assert!(ready.is_readable() && ready.is_read_closed());
    assert!(ready.is_writable() && ready.is_write_closed());
    Ok(())
}

async fn either_of_two_interests(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    stream.writable().await?;
    let ready = stream
        .ready(Interest::READABLE | Interest::WRITABLE)
        .await?;
    assert!(ready.is_writable() && !ready.is_readable());
    peer.write_all(b"x").await?;
    stream.readable().await?;
    let ready = stream
        .ready(Interest::READABLE | Interest::WRITABLE)
        .await?;
    assert!(ready.is_writable() && ready.is_readable());
    Ok(())
}

async fn waiting_can_be_given_up(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    for _ in 0..3 {
        give_up(stream.readable());
    }
    peer.write_all(b"x").await?;
    stream.readable().await?;
    assert_eq!(stream.try_read(&mut [0; 8])?, 1);
    Ok(())
}

async fn a_reset_is_an_error(world: World) -> TestResult {
    let (stream, peer) = world.outgoing().await?;
    give_up(stream.ready(Interest::ERROR));
    let (ready, done) = tokio::join!(stream.ready(Interest::ERROR), async { reset(peer) });
    done?;
    let ready = ready?;
    assert!(ready.is_error() && !ready.is_readable() && !ready.is_writable());
    let ready = stream.ready(Interest::READABLE | Interest::ERROR).await?;
    assert!(ready.is_error() && ready.is_readable());
    // Only a waiter that asks for errors is told.
    let ready = stream
        .ready(Interest::READABLE | Interest::WRITABLE)
        .await?;
    assert!(ready.is_readable() && ready.is_writable() && !ready.is_error());
    Ok(())
}

async fn a_reset_is_an_error_whatever_came_before_it(world: World) -> TestResult {
    for ends_first in [false, true] {
        let (mut stream, mut peer) = world.outgoing().await?;
        peer.write_all(b"unread").await?;
        if ends_first {
            peer.shutdown().await?;
        }
        stream.readable().await?;
        let (ready, done) = tokio::join!(stream.ready(Interest::ERROR), async { reset(peer) });
        done?;
        assert!(ready?.is_error());
        let mut bytes = [0; 8];
        assert_eq!(stream.read(&mut bytes).await?, 6);
    }
    Ok(())
}

async fn an_orderly_end_is_no_error(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    stream.shutdown().await?;
    assert_eq!(peer.read(&mut [0]).await?, 0);
    drop(peer);
    assert_eq!(stream.read(&mut [0]).await?, 0);
    let ready = stream.ready(Interest::READABLE | Interest::ERROR).await?;
    assert!(ready.is_read_closed() && !ready.is_error());
    give_up(stream.ready(Interest::ERROR));
    Ok(())
}

async fn polled_readiness(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    poll_fn(|cx| stream.poll_write_ready(cx)).await?;
    give_up(poll_fn(|cx| stream.poll_read_ready(cx)));
    let readable = poll_fn(|cx| stream.poll_read_ready(cx));
    let (readable, written) = tokio::join!(readable, peer.write_all(b"x"));
    readable?;
    written?;
    assert_eq!(stream.try_read(&mut [0; 8])?, 1);
    Ok(())
}

/// Waker that records whether it was woken.
#[derive(Default)]
struct Sleeper(AtomicBool);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Sleeper {
    fn is_awake(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Two wakers that poll one after the other while nothing is ready.
fn two_sleepers(
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<()>>,
) -> Option<[Arc<Sleeper>; 2]> {
    let sleepers: [Arc<Sleeper>; 2] = Default::default();
    for sleeper in &sleepers {
        let waker = Arc::clone(sleeper).into();
        if poll(&mut Context::from_waker(&waker)).is_ready() {
            return None;
        }
    }
    Some(sleepers)
}

async fn the_last_who_polled_for_data_is_woken(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let sleepers = two_sleepers(|cx| stream.poll_read_ready(cx));
    let [first, last] = sleepers.expect("there is no data");
    // A poll for writing does not replace the waker for reading.
    poll_fn(|cx| stream.poll_write_ready(cx)).await?;
    peer.write_all(b"x").await?;
    until("the last one is awake", || last.is_awake()).await?;
    assert!(!first.is_awake());
    Ok(())
}

async fn the_last_who_polled_for_room_is_woken(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let piece = vec![0; 64 << 10];
    stream.writable().await?;
    // Acknowledgements may make room once more while the peer's buffer fills.
    let [first, last] = loop {
        while stream.try_write(&piece).is_ok() {}
        if let Some(sleepers) = two_sleepers(|cx| stream.poll_write_ready(cx)) {
            break sleepers;
        }
    };
    let drain =
        tokio::spawn(async move { tokio::io::copy(&mut peer, &mut tokio::io::sink()).await });
    until("the last one is awake", || last.is_awake()).await?;
    assert!(!first.is_awake());
    drop(stream);
    drain.await??;
    Ok(())
}

async fn io_is_tried_only_where_ready(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    stream.writable().await?;
    let never = || -> io::Result<()> { panic!("there is nothing to read") };
    let tried = stream.try_io(Interest::READABLE, never);
    assert_eq!(kind(tried), ErrorKind::WouldBlock);
    peer.write_all(b"x").await?;
    stream.readable().await?;
    assert_eq!(stream.try_io(Interest::READABLE, || Ok(5))?, 5);
    Ok(())
}

async fn io_waits_until_ready(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let mut byte = [0];
    let read = stream.async_io(Interest::READABLE, || stream.try_read(&mut byte));
    let (read, written) = tokio::join!(read, peer.write_all(b"x"));
    written?;
    assert_eq!((read?, byte), (1, *b"x"));
    Ok(())
}

async fn io_says_what_it_wants(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    let failed = || -> io::Result<()> { Err(ErrorKind::Unsupported.into()) };
    let result = stream.async_io(Interest::WRITABLE, failed).await;
    assert_eq!(kind(result), ErrorKind::Unsupported);
    Ok(())
}

async fn halves_are_ready_too(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"x").await?;
    let (reader, writer) = stream.split();
    reader.readable().await?;
    writer.writable().await?;
    assert!(reader.ready(Interest::READABLE).await?.is_readable());
    let (reader, writer) = stream.into_split();
    reader.readable().await?;
    writer.writable().await?;
    assert!(writer.ready(Interest::WRITABLE).await?.is_writable());
    assert_eq!(reader.try_read(&mut [0; 8])?, 1);
    assert_eq!(writer.try_write(b"y")?, 1);
    assert_eq!(peer.read_u8().await?, b'y');
    Ok(())
}
