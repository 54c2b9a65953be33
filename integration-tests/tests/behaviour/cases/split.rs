//! Borrowed and owned halves of a stream.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;

use tidewire_integration_tests::TestResult;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{Ends as _, code, give_up, kind};
use crate::World;

super::cases!(
    borrowed_halves_work_at_once,
    owned_halves_work_on_two_tasks,
    halves_of_one_stream_are_reunited,
    halves_of_two_streams_are_given_back,
    dropping_the_writing_half_ends_the_stream,
    a_forgotten_writing_half_ends_nothing,
    dropping_the_reading_half_ends_nothing,
    dropping_both_halves_closes,
    shutting_down_a_half,
    halves_know_the_addresses,
    halves_peek_and_try,
    borrowed_halves_take_several_buffers,
    owned_halves_take_several_buffers,
);

async fn borrowed_halves_work_at_once(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.split();
    let mut byte = [0];
    let (read, written, echoed) = tokio::join!(
        reader.read_exact(&mut byte),
        writer.write_all(b"x"),
        async {
            let byte = peer.read_u8().await?;
            peer.write_u8(byte).await
        }
    );
    read?;
    written?;
    echoed?;
    assert_eq!(byte, *b"x");
    Ok(())
}

async fn owned_halves_work_on_two_tasks(world: World) -> TestResult {
    const LEN: usize = 1 << 20;
    let (stream, mut peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.into_split();
    let write = tokio::spawn(async move {
        writer.write_all(&vec![3; LEN]).await?;
        writer.shutdown().await
    });
    let read = tokio::spawn(async move {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).await
    });
    let (mut from, mut to) = peer.split();
    let copied = tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await?;
    write.await??;
    assert_eq!((copied, read.await??), (LEN as u64, LEN));
    Ok(())
}

async fn halves_of_one_stream_are_reunited(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let local = stream.local_addr()?;
    let (reader, writer) = stream.into_split();
    let stream = reader.reunite(writer).expect("of one stream");
    let (reader, writer) = stream.into_split();
    let mut stream = writer.reunite(reader).expect("of one stream");
    assert_eq!(stream.local_addr()?, local);
    stream.write_all(b"whole").await?;
    let mut text = [0; 5];
    peer.read_exact(&mut text).await?;
    assert_eq!(&text, b"whole");
    Ok(())
}

async fn halves_of_two_streams_are_given_back(world: World) -> TestResult {
    let (one, _peer_of_one) = world.outgoing().await?;
    let (two, mut peer_of_two) = world.outgoing().await?;
    let local = two.local_addr()?;
    let (reader, _writer_of_one) = one.into_split();
    let (_reader_of_two, writer) = two.into_split();
    let error = reader.reunite(writer).expect_err("of two streams");
    assert!(!error.to_string().is_empty());
    let mut writer = error.1;
    assert_eq!(writer.local_addr()?, local);
    writer.write_all(b"x").await?;
    assert_eq!(peer_of_two.read_u8().await?, b'x');
    Ok(())
}

async fn dropping_the_writing_half_ends_the_stream(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(b"last").await?;
    drop(writer);
    let mut text = String::new();
    peer.read_to_string(&mut text).await?;
    assert_eq!(text, "last");
    peer.write_all(b"reply").await?;
    drop(peer);
    let mut reply = String::new();
    reader.read_to_string(&mut reply).await?;
    assert_eq!(reply, "reply");
    Ok(())
}

async fn a_forgotten_writing_half_ends_nothing(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (mut reader, writer) = stream.into_split();
    writer.forget();
    peer.write_all(b"still here").await?;
    let mut text = [0; 10];
    reader.read_exact(&mut text).await?;
    // A FIN would have arrived before the ACK of this answer.
    assert_eq!(kind(peer.try_read(&mut [0])), ErrorKind::WouldBlock);
    drop(reader);
    assert_eq!(peer.read(&mut [0]).await?, 0);
    Ok(())
}

async fn dropping_the_reading_half_ends_nothing(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (reader, mut writer) = stream.into_split();
    drop(reader);
    writer.write_all(b"still here").await?;
    let mut text = [0; 10];
    peer.read_exact(&mut text).await?;
    peer.write_all(b"and here").await?;
    writer.write_all(b"x").await?;
    assert_eq!(peer.read_u8().await?, b'x');
    Ok(())
}

async fn dropping_both_halves_closes(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (reader, writer) = stream.into_split();
    drop(reader);
    drop(writer);
    assert_eq!(peer.read(&mut [0]).await?, 0);
    Ok(())
}

async fn shutting_down_a_half(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let (_reader, mut writer) = stream.split();
    writer.shutdown().await?;
    assert_eq!(code(writer.write(b"x").await), libc::EPIPE);
    assert_eq!(peer.read(&mut [0]).await?, 0);
    Ok(())
}

async fn halves_know_the_addresses(world: World) -> TestResult {
    let (mut stream, peer) = world.outgoing().await?;
    let ends = (peer.peer_addr()?, peer.local_addr()?);
    let (reader, writer) = stream.split();
    assert_eq!((reader.local_addr()?, reader.peer_addr()?), ends);
    assert_eq!((writer.local_addr()?, writer.peer_addr()?), ends);
    let (reader, writer) = stream.into_split();
    assert_eq!((reader.local_addr()?, reader.peer_addr()?), ends);
    assert_eq!((writer.local_addr()?, writer.peer_addr()?), ends);
    assert_eq!(reader.as_ref().local_addr()?, ends.0);
    assert_eq!(writer.as_ref().local_addr()?, ends.0);
    Ok(())
}

async fn halves_peek_and_try(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"x").await?;
    let mut byte = [0];
    let (mut reader, writer) = stream.split();
    assert_eq!(reader.peek(&mut byte).await?, 1);
    assert_eq!(writer.try_write(b"a")?, 1);
    let (mut reader, writer) = stream.into_split();
    assert_eq!((reader.peek(&mut byte).await?, byte), (1, *b"x"));
    assert_eq!(reader.try_read(&mut byte)?, 1);
    assert_eq!(kind(reader.try_read(&mut byte)), ErrorKind::WouldBlock);
    assert_eq!(writer.try_write(b"b")?, 1);
    let mut both = [0; 2];
    peer.read_exact(&mut both).await?;
    assert_eq!(&both, b"ab");
    Ok(())
}

/// Methods that both kinds of halves have without a common trait.
macro_rules! talk_in_several_buffers {
    ($reader:ident, $writer:ident, $peer:ident) => {
        assert!($writer.is_write_vectored());
        let buffers = [&b"one"[..], b" two"].map(IoSlice::new);
        let written = poll_fn(|cx| Pin::new(&mut $writer).poll_write_vectored(cx, &buffers));
        assert_eq!(written.await?, 7);
        assert_eq!($writer.try_write_vectored(&buffers)?, 7);
        let mut all = [0; 14];
        $peer.read_exact(&mut all).await?;
        assert_eq!(&all, b"one twoone two");

        let mut bytes = [0; 8];
        let mut seen = ReadBuf::new(&mut bytes);
        give_up(poll_fn(|cx| $reader.poll_peek(cx, &mut seen)));
        $peer.write_all(b"abcdefg").await?;
        while $reader.peek(&mut [0; 8]).await? < 7 {}
        let peeked = poll_fn(|cx| $reader.poll_peek(cx, &mut seen)).await?;
        assert_eq!((peeked, seen.filled()), (7, &b"abcdefg"[..]));
        let (mut first, mut second) = ([0; 1], [0; 2]);
        let mut buffers = [&mut first[..], &mut second].map(IoSliceMut::new);
        assert_eq!($reader.try_read_vectored(&mut buffers)?, 3);
        assert_eq!((&first, &second), (b"a", b"bc"));
        let mut rest = Vec::with_capacity(16);
        assert_eq!($reader.try_read_buf(&mut rest)?, 4);
        assert_eq!(rest, b"defg");
    };
}

async fn borrowed_halves_take_several_buffers(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.split();
    talk_in_several_buffers!(reader, writer, peer);
    Ok(())
}

async fn owned_halves_take_several_buffers(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let (mut reader, mut writer) = stream.into_split();
    talk_in_several_buffers!(reader, writer, peer);
    Ok(())
}
