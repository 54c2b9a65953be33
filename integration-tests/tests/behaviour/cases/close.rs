//! Close: half-close, full close, reset, and the state after each.

use std::io::{ErrorKind, IoSlice};

use tidewire_integration_tests::{TestResult, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Ends as _, code, reset};
use crate::{Implementation, World};

super::cases!(
    we_close_our_half_first,
    the_peer_closes_its_half_first,
    shutting_down_twice,
    writing_after_shutdown,
    writing_nothing_after_shutdown,
    writing_nothing_after_a_reset,
    both_close_at_once,
    a_drop_delivers_what_was_written,
    a_drop_with_unread_data_resets,
    zero_linger_resets,
    a_reset_is_read_as_one,
    a_reset_after_data_is_read_after_it,
    reading_on_after_a_reset,
    writing_after_a_reset,
    a_reset_is_taken_once,
    a_reader_that_waits_for_a_reset,
    a_writer_that_waits_for_a_reset,
    shutting_down_after_a_reset,
    writing_to_a_peer_that_is_gone,
    writing_after_the_end_was_reset,
    the_peers_address_is_forgotten,
    no_error_after_an_orderly_end,
);

async fn we_close_our_half_first(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    stream.write_all(b"request").await?;
    stream.shutdown().await?;
    let mut request = String::new();
    peer.read_to_string(&mut request).await?;
    peer.write_all(b"reply").await?;
    drop(peer);
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    assert_eq!((request.as_str(), reply.as_str()), ("request", "reply"));
    Ok(())
}

async fn the_peer_closes_its_half_first(world: World) -> TestResult {
    let (mut stream, mut peer) = world.incoming().await?;
    peer.write_all(b"request").await?;
    peer.shutdown().await?;
    let mut request = String::new();
    stream.read_to_string(&mut request).await?;
    let reply = vec![b'r'; 300_000];
    let mut received = Vec::new();
    let send = async {
        stream.write_all(&reply).await?;
        stream.shutdown().await
    };
    let (sent, _) = tokio::join!(send, peer.read_to_end(&mut received));
    sent?;
    assert!(request == "request" && received == reply);
    Ok(())
}

async fn shutting_down_twice(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    stream.shutdown().await?;
    stream.shutdown().await?;
    assert_eq!(peer.read(&mut [0]).await?, 0);
    stream.shutdown().await?;
    Ok(())
}

async fn writing_after_shutdown(world: World) -> TestResult {
    let (mut stream, _peer) = world.outgoing().await?;
    stream.shutdown().await?;
    for _ in 0..2 {
        let error = stream.write(b"x").await.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(error.raw_os_error(), Some(libc::EPIPE));
    }
    Ok(())
}

/// An empty write of a single buffer reaches the connection; an empty write of several does not.
async fn writing_nothing_after_shutdown(world: World) -> TestResult {
    let (mut stream, _peer) = world.outgoing().await?;
    assert_eq!(stream.write(&[]).await?, 0);
    stream.shutdown().await?;
    assert_eq!(code(stream.write(&[]).await), libc::EPIPE);
    assert_eq!(code(stream.try_write(&[])), libc::EPIPE);
    let nothing = [IoSlice::new(&[]); 2];
    assert_eq!(stream.write_vectored(&nothing).await?, 0);
    assert_eq!(stream.try_write_vectored(&nothing)?, 0);
    assert_eq!(stream.try_write_vectored(&nothing[..1])?, 0);
    Ok(())
}

async fn writing_nothing_after_a_reset(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    reset(peer)?;
    stream.readable().await?;
    let nothing = [IoSlice::new(&[]); 2];
    assert_eq!(stream.write_vectored(&nothing).await?, 0);
    assert_eq!(code(stream.write(&[]).await), libc::ECONNRESET);
    assert_eq!(code(stream.write(&[]).await), libc::EPIPE);
    Ok(())
}

async fn both_close_at_once(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let (ours, theirs) = tokio::join!(stream.shutdown(), peer.shutdown());
    ours?;
    theirs?;
    assert_eq!(stream.read(&mut [0]).await?, 0);
    assert_eq!(peer.read(&mut [0]).await?, 0);
    Ok(())
}

async fn a_drop_delivers_what_was_written(world: World) -> TestResult {
    const LEN: usize = 1 << 20;
    let (stream, mut peer) = world.outgoing().await?;
    let data = vec![5; LEN];
    stream.writable().await?;
    let mut written = 0;
    while let Ok(n) = stream.try_write(&data[..LEN - written]) {
        written += n;
        if written == LEN {
            break;
        }
    }
    drop(stream);
    let mut received = Vec::new();
    peer.read_to_end(&mut received).await?;
    assert_eq!(received, data[..written]);
    Ok(())
}

async fn a_drop_with_unread_data_resets(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"never read").await?;
    stream.readable().await?;
    drop(stream);
    assert_eq!(code(peer.read(&mut [0]).await), libc::ECONNRESET);
    Ok(())
}

async fn zero_linger_resets(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    stream.set_zero_linger()?;
    drop(stream);
    assert_eq!(code(peer.read(&mut [0]).await), libc::ECONNRESET);
    Ok(())
}

async fn a_reset_is_read_as_one(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    reset(peer)?;
    let error = stream.read(&mut [0]).await.expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "Connection reset by peer (os error 104)");
    Ok(())
}

async fn a_reset_after_data_is_read_after_it(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"data").await?;
    stream.readable().await?;
    reset(peer)?;
    until("the reset is here", || stream.peer_addr().is_err()).await?;
    let mut data = [0; 8];
    assert_eq!(stream.read(&mut data).await?, 4);
    assert_eq!(&data[..4], b"data");
    assert_eq!(code(stream.read(&mut data).await), libc::ECONNRESET);
    Ok(())
}

/// The kernel reports the reset once and end of file after that. Tidewire never reports a reset as
/// end of file.
async fn reading_on_after_a_reset(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    reset(peer)?;
    assert_eq!(code(stream.read(&mut [0]).await), libc::ECONNRESET);
    let again = stream.read(&mut [0]).await;
    match world.over {
        Implementation::Kernel => assert_eq!(again?, 0),
        Implementation::Tidewire => assert_eq!(code(again), libc::ECONNRESET),
    }
    Ok(())
}

async fn writing_after_a_reset(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    reset(peer)?;
    stream.readable().await?;
    assert_eq!(code(stream.write(b"x").await), libc::ECONNRESET);
    assert_eq!(code(stream.write(b"x").await), libc::EPIPE);
    Ok(())
}

async fn a_reset_is_taken_once(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    reset(peer)?;
    stream.readable().await?;
    let error = stream.take_error()?.expect("a pending error");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    assert!(stream.take_error()?.is_none());
    assert_eq!(code(stream.write(b"x").await), libc::EPIPE);
    Ok(())
}

async fn a_reader_that_waits_for_a_reset(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    let mut byte = [0];
    let (read, done) = tokio::join!(stream.read(&mut byte), async { reset(peer) });
    done?;
    assert_eq!(code(read), libc::ECONNRESET);
    Ok(())
}

async fn a_writer_that_waits_for_a_reset(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    let piece = vec![0; 64 << 10];
    stream.writable().await?;
    while stream.try_write(&piece).is_ok() {}
    let (written, done) = tokio::join!(stream.write_all(&piece), async { reset(peer) });
    done?;
    assert_eq!(code(written), libc::ECONNRESET);
    Ok(())
}

async fn shutting_down_after_a_reset(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    reset(peer)?;
    stream.readable().await?;
    stream.shutdown().await?;
    Ok(())
}

async fn writing_to_a_peer_that_is_gone(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    drop(peer);
    assert_eq!(stream.read(&mut [0]).await?, 0);
    // The first write is answered by a reset.
    assert_eq!(stream.write(b"x").await?, 1);
    until("the reset is here", || stream.peer_addr().is_err()).await?;
    assert_eq!(code(stream.write(b"x").await), libc::EPIPE);
    Ok(())
}

async fn writing_after_the_end_was_reset(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    peer.shutdown().await?;
    assert_eq!(stream.read(&mut [0]).await?, 0);
    reset(peer)?;
    until("the reset is here", || stream.peer_addr().is_err()).await?;
    // The stream was received to its end: a read still returns end of file.
    assert_eq!(stream.read(&mut [0]).await?, 0);
    assert_eq!(code(stream.write(b"x").await), libc::EPIPE);
    Ok(())
}

async fn the_peers_address_is_forgotten(world: World) -> TestResult {
    let (stream, peer) = world.outgoing().await?;
    let (local, remote) = (stream.local_addr()?, stream.peer_addr()?);
    assert_eq!(
        (Ok(local), Ok(remote)),
        (
            peer.peer_addr().map_err(drop),
            peer.local_addr().map_err(drop)
        )
    );
    reset(peer)?;
    until("the reset is here", || stream.peer_addr().is_err()).await?;
    assert_eq!(code(stream.peer_addr()), libc::ENOTCONN);
    assert_eq!(stream.local_addr()?, local);
    Ok(())
}

async fn no_error_after_an_orderly_end(world: World) -> TestResult {
    let (mut stream, mut peer) = world.incoming().await?;
    stream.shutdown().await?;
    peer.shutdown().await?;
    assert_eq!(stream.read(&mut [0]).await?, 0);
    assert!(stream.take_error()?.is_none());
    assert_eq!(code(stream.write(b"x").await), libc::EPIPE);
    assert_eq!(stream.read(&mut [0]).await?, 0);
    Ok(())
}
