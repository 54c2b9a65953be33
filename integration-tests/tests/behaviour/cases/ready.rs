//! Readiness.

use std::future::poll_fn;
use std::io::{self, ErrorKind};

use tidewire_integration_tests::TestResult;
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
    polled_readiness,
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
