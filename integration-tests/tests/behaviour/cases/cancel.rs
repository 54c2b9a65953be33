//! Cancelled futures, fairness between tasks of one thread, and wakeups.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::Poll;

use tidewire_integration_tests::{TestResult, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::net::{TcpListener, TcpSocket, TcpStream};
use super::{Ends as _, give_up, kind};
use crate::World;

super::cases!(
    a_read_that_was_given_up_took_nothing,
    a_write_that_was_given_up_wrote_nothing,
    a_peek_that_was_given_up,
    waiting_for_room_that_was_given_up,
    whichever_comes_first,
    a_task_takes_over_from_another,
    a_reader_on_another_task_is_woken,
    nobody_starves_beside_a_busy_reader,
    nobody_starves_beside_a_busy_writer,
    nobody_starves_beside_one_who_peeks,
    nobody_starves_beside_one_who_asks_whether_it_is_ready,
    nobody_starves_beside_one_who_accepts,
    nobody_starves_beside_one_who_connects,
    an_aborted_task_closes_its_stream,
);

async fn a_read_that_was_given_up_took_nothing(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let mut lost = [0; 8];
    for _ in 0..3 {
        give_up(stream.read(&mut lost));
    }
    peer.write_all(b"all of it").await?;
    peer.shutdown().await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    assert_eq!(text, "all of it");
    Ok(())
}

async fn a_write_that_was_given_up_wrote_nothing(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let piece = vec![1; 64 << 10];
    stream.writable().await?;
    let mut written = 0;
    while let Ok(n) = stream.try_write(&piece) {
        written += n;
    }
    let lost = vec![2; 1000];
    for _ in 0..3 {
        give_up(stream.write(&lost));
    }
    let mut all = Vec::new();
    let (shut, read) = tokio::join!(stream.shutdown(), peer.read_to_end(&mut all));
    shut?;
    read?;
    assert!(all.len() == written && all.iter().all(|&byte| byte == 1));
    Ok(())
}

async fn a_peek_that_was_given_up(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    give_up(stream.peek(&mut [0; 8]));
    peer.write_all(b"x").await?;
    assert_eq!(stream.peek(&mut [0; 8]).await?, 1);
    assert_eq!(stream.try_read(&mut [0; 8])?, 1);
    Ok(())
}

async fn waiting_for_room_that_was_given_up(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let piece = vec![1; 64 << 10];
    stream.writable().await?;
    let mut written = 0;
    while let Ok(n) = stream.try_write(&piece) {
        written += n as u64;
    }
    for _ in 0..3 {
        give_up(stream.writable());
    }
    let drain = async {
        let mut all = (&mut peer).take(written);
        tokio::io::copy(&mut all, &mut tokio::io::sink()).await
    };
    let (drained, writable) = tokio::join!(drain, stream.writable());
    writable?;
    assert_eq!(drained?, written);
    // The cancelled waits have sent nothing.
    assert_eq!(kind(peer.try_read(&mut [0])), ErrorKind::WouldBlock);
    Ok(())
}

async fn whichever_comes_first(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.into_split();
    let (mut received, mut sent) = (0, 0);
    let echo = tokio::spawn(async move {
        let (mut from, mut to) = peer.split();
        tokio::io::copy(&mut from, &mut to).await
    });
    let mut piece = [0; 1000];
    while sent < 300_000 || received < sent {
        tokio::select! {
            read = reader.read(&mut piece) => received += read?,
            written = writer.write(&[7; 700]), if sent < 300_000 => sent += written?,
        }
    }
    assert_eq!(received, sent);
    writer.shutdown().await?;
    assert_eq!(echo.await??, sent as u64);
    Ok(())
}

async fn a_task_takes_over_from_another(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (mut reader, _writer) = stream.into_split();
    let mut byte = [0];
    give_up(reader.read(&mut byte));
    let task = tokio::spawn(async move { reader.read_u8().await });
    peer.write_all(b"x").await?;
    assert_eq!(task.await??, b'x');
    Ok(())
}

async fn a_reader_on_another_task_is_woken(world: World) -> TestResult {
    let (stream, peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.into_split();
    let (mut from, mut to) = peer.into_split();
    let echo = tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
    let (ask, mut asked) = tokio::sync::mpsc::channel::<u8>(1);
    let read = tokio::spawn(async move {
        while let Ok(byte) = reader.read_u8().await {
            if ask.send(byte).await.is_err() {
                break;
            }
        }
    });
    for number in 0..200 {
        writer.write_all(&[number]).await?;
        assert_eq!(asked.recv().await, Some(number));
    }
    writer.shutdown().await?;
    echo.await??;
    read.await?;
    Ok(())
}

/// Runs `busy` beside a counter in the same task; returns how often the counter was polled.
async fn turns_beside(busy: impl Future<Output = io::Result<()>>) -> io::Result<usize> {
    let turns = Cell::new(0);
    let bystander = poll_fn(|_| {
        turns.set(turns.get() + 1);
        Poll::<io::Result<()>>::Pending
    });
    tokio::select! {
        result = busy => result?,
        never = bystander => never?,
    }
    Ok(turns.get())
}

async fn nobody_starves_beside_a_busy_reader(world: World) -> TestResult {
    const LEN: usize = 50_000;
    let (mut stream, mut peer) = world.outgoing().await?;
    peer.write_all(&vec![1; LEN]).await?;
    while stream.peek(&mut vec![0; LEN]).await? < LEN {}
    // Every read is ready: only the task's budget lets others run.
    let turns = turns_beside(async {
        for _ in 0..2_000 {
            stream.read_u8().await?;
        }
        Ok(())
    });
    assert!(turns.await? > 10, "nobody else had a turn");
    Ok(())
}

async fn nobody_starves_beside_a_busy_writer(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let turns = turns_beside(async {
        for _ in 0..2_000 {
            stream.write_all(&[1]).await?;
        }
        Ok(())
    });
    assert!(turns.await? > 10, "nobody else had a turn");
    peer.read_exact(&mut [0; 2_000]).await?;
    Ok(())
}

async fn nobody_starves_beside_one_who_peeks(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"x").await?;
    let turns = turns_beside(async {
        for _ in 0..2_000 {
            assert_eq!(stream.peek(&mut [0]).await?, 1);
        }
        Ok(())
    });
    assert!(turns.await? > 10, "nobody else had a turn");
    Ok(())
}

async fn nobody_starves_beside_one_who_asks_whether_it_is_ready(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"x").await?;
    let turns = turns_beside(async {
        for _ in 0..1_000 {
            poll_fn(|cx| stream.poll_read_ready(cx)).await?;
            poll_fn(|cx| stream.poll_write_ready(cx)).await?;
        }
        Ok(())
    });
    assert!(turns.await? > 10, "nobody else had a turn");
    Ok(())
}

/// Several times a task's budget.
const MANY: u32 = 500;

/// A listener with room for so many in its queue.
fn spacious_listener(world: &World) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = match world.net.version() {
        Version::V4 => TcpSocket::new_v4()?,
        Version::V6 => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(world.own, 0))?;
    let listener = socket.listen(2 * MANY)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn nobody_starves_beside_one_who_accepts(world: World) -> TestResult {
    let (listener, address) = spacious_listener(&world)?;
    let mut peers = Vec::new();
    for _ in 0..MANY {
        peers.push(world.net.kernel_connect(address).await?);
    }
    let mut accepted = Vec::new();
    let turns = turns_beside(async {
        for _ in 0..MANY {
            accepted.push(listener.accept().await?);
        }
        Ok(())
    });
    assert!(turns.await? >= 3, "nobody else had a turn");
    Ok(())
}

/// Connects to a listener of the same host, where answers arrive at once.
async fn nobody_starves_beside_one_who_connects(world: World) -> TestResult {
    let (_listener, address) = spacious_listener(&world)?;
    let mut streams = Vec::new();
    let turns = turns_beside(async {
        for _ in 0..MANY {
            streams.push(TcpStream::connect(address).await?);
        }
        Ok(())
    });
    assert!(turns.await? >= 3, "nobody else had a turn");
    Ok(())
}

async fn an_aborted_task_closes_its_stream(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let task = tokio::spawn(async move { stream.read_u8().await });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(peer.read(&mut [0]).await?, 0);
    Ok(())
}
