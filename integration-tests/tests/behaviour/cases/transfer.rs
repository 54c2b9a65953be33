//! Reads and writes.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::pin::Pin;

use tidewire_integration_tests::TestResult;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{Ends as _, kind};
use crate::World;

super::cases!(
    what_was_written_is_read_in_pieces,
    nothing_is_read_or_written_at_once,
    the_end_is_read_again_and_again,
    less_than_exactly_wanted,
    peeking_takes_nothing,
    peeking_at_the_end,
    peeking_by_polling,
    several_buffers_are_written_in_order,
    several_buffers_are_filled_in_order,
    trying_to_read,
    trying_to_read_into_a_growing_buffer,
    trying_to_write_until_it_is_full,
    single_bytes_in_order,
    much_in_both_directions_at_once,
    copied_back,
    flushing_waits_for_nobody,
    a_reader_is_woken_by_data,
    a_writer_is_woken_by_room,
);

async fn what_was_written_is_read_in_pieces(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"one two").await?;
    let mut piece = [0; 4];
    stream.read_exact(&mut piece).await?;
    assert_eq!(&piece, b"one ");
    assert_eq!(stream.read(&mut piece).await?, 3);
    assert_eq!(&piece[..3], b"two");
    Ok(())
}

async fn nothing_is_read_or_written_at_once(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    assert_eq!(stream.write(&[]).await?, 0);
    peer.write_all(b"x").await?;
    stream.readable().await?;
    assert_eq!(stream.read(&mut []).await?, 0);
    assert_eq!(stream.peek(&mut []).await?, 0);
    // It read nothing, and is not end of file.
    assert_eq!(stream.read_u8().await?, b'x');
    Ok(())
}

async fn the_end_is_read_again_and_again(world: World) -> TestResult {
    let (mut stream, mut peer) = world.incoming().await?;
    peer.write_all(b"all").await?;
    peer.shutdown().await?;
    let mut all = Vec::new();
    assert_eq!(stream.read_to_end(&mut all).await?, 3);
    for _ in 0..3 {
        assert_eq!(stream.read(&mut [0; 8]).await?, 0);
    }
    assert!(stream.take_error()?.is_none());
    Ok(())
}

async fn less_than_exactly_wanted(world: World) -> TestResult {
    let (mut stream, mut peer) = world.incoming().await?;
    peer.write_all(b"short").await?;
    drop(peer);
    let result = stream.read_exact(&mut [0; 9]).await;
    assert_eq!(kind(result), ErrorKind::UnexpectedEof);
    Ok(())
}

async fn peeking_takes_nothing(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let mut seen = [0; 3];
    peer.write_all(b"peek").await?;
    for _ in 0..2 {
        assert_eq!(stream.peek(&mut seen).await?, 3);
        assert_eq!(&seen, b"pee");
    }
    let mut all = [0; 4];
    stream.read_exact(&mut all).await?;
    assert_eq!(&all, b"peek");
    Ok(())
}

async fn peeking_at_the_end(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.shutdown().await?;
    assert_eq!(stream.peek(&mut [0; 8]).await?, 0);
    assert_eq!(stream.peek(&mut [0; 8]).await?, 0);
    Ok(())
}

async fn peeking_by_polling(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let mut bytes = [0; 8];
    let mut seen = ReadBuf::new(&mut bytes);
    let peek = poll_fn(|cx| stream.poll_peek(cx, &mut seen));
    let (peeked, written) = tokio::join!(peek, peer.write_all(b"hi"));
    written?;
    assert!(matches!(peeked?, 1 | 2));
    assert_eq!(seen.filled()[0], b'h');
    Ok(())
}

async fn several_buffers_are_written_in_order(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    assert!(stream.is_write_vectored());
    let buffers = [b"one".as_slice(), b"", b" two", b" three"].map(IoSlice::new);
    let written = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, &buffers)).await?;
    assert_eq!(written, 13);
    let mut all = [0; 13];
    peer.read_exact(&mut all).await?;
    assert_eq!(&all, b"one two three");
    assert_eq!(stream.try_write_vectored(&buffers)?, 13);
    peer.read_exact(&mut all).await?;
    assert_eq!(&all, b"one two three");
    Ok(())
}

async fn several_buffers_are_filled_in_order(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"abcdefg").await?;
    // All of it may take more than one segment; peeking waits for it.
    while stream.peek(&mut [0; 8]).await? < 7 {}
    let (mut first, mut none, mut second) = ([0; 3], [0; 0], [0; 9]);
    let mut buffers = [&mut first[..], &mut none, &mut second].map(IoSliceMut::new);
    assert_eq!(stream.try_read_vectored(&mut buffers)?, 7);
    assert_eq!((&first, &second[..4]), (b"abc", &b"defg"[..]));
    Ok(())
}

async fn trying_to_read(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let mut byte = [0];
    assert_eq!(kind(stream.try_read(&mut byte)), ErrorKind::WouldBlock);
    peer.write_all(b"x").await?;
    stream.readable().await?;
    assert_eq!((stream.try_read(&mut byte)?, byte), (1, *b"x"));
    assert_eq!(kind(stream.try_read(&mut byte)), ErrorKind::WouldBlock);
    peer.shutdown().await?;
    stream.readable().await?;
    assert_eq!(stream.try_read(&mut byte)?, 0);
    assert_eq!(stream.try_read(&mut byte)?, 0);
    Ok(())
}

async fn trying_to_read_into_a_growing_buffer(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    peer.write_all(b"and more").await?;
    while stream.peek(&mut [0; 16]).await? < 8 {}
    let mut text = b"some ".to_vec();
    text.reserve(64);
    assert_eq!(stream.try_read_buf(&mut text)?, 8);
    assert_eq!(text, b"some and more");
    Ok(())
}

async fn trying_to_write_until_it_is_full(world: World) -> TestResult {
    let (stream, mut peer) = world.outgoing().await?;
    let piece = vec![7; 64 << 10];
    let mut written = 0_u64;
    stream.writable().await?;
    let full = loop {
        match stream.try_write(&piece) {
            Ok(n) => written += n as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let drain = async {
        let mut all = (&mut peer).take(written);
        tokio::io::copy(&mut all, &mut tokio::io::sink()).await
    };
    let (drained, writable) = tokio::join!(drain, stream.writable());
    writable?;
    assert_eq!(drained?, written);
    assert!(stream.try_write(&piece)? > 0);
    Ok(())
}

async fn single_bytes_in_order(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    let write = async {
        for number in 0..2_000_u32 {
            stream.write_all(&[number as u8]).await?;
        }
        stream.shutdown().await
    };
    let mut all = Vec::new();
    let (written, read) = tokio::join!(write, peer.read_to_end(&mut all));
    written?;
    assert_eq!(read?, 2_000);
    assert!(
        (0..2_000_u32)
            .zip(&all)
            .all(|(number, &byte)| byte == number as u8)
    );
    Ok(())
}

async fn much_in_both_directions_at_once(world: World) -> TestResult {
    const LEN: usize = 8 << 20;
    let (stream, peer) = world.outgoing().await?;
    let pattern: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
    let (mut reader, mut writer) = stream.into_split();
    let (mut peer_reader, mut peer_writer) = peer.into_split();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let done = tokio::join!(
        async {
            writer.write_all(&pattern).await?;
            writer.shutdown().await
        },
        async {
            peer_writer.write_all(&pattern).await?;
            peer_writer.shutdown().await
        },
        reader.read_to_end(&mut ours),
        peer_reader.read_to_end(&mut theirs),
    );
    done.0?;
    done.1?;
    assert_eq!((done.2?, done.3?), (LEN, LEN));
    assert!(ours == pattern && theirs == pattern);
    Ok(())
}

async fn copied_back(world: World) -> TestResult {
    let (mut stream, mut peer) = world.incoming().await?;
    let echo = async {
        let (mut reader, mut writer) = stream.split();
        let copied = tokio::io::copy(&mut reader, &mut writer).await?;
        writer.shutdown().await?;
        std::io::Result::Ok(copied)
    };
    let talk = async {
        peer.write_all(b"hello").await?;
        peer.shutdown().await?;
        let mut all = String::new();
        peer.read_to_string(&mut all).await?;
        std::io::Result::Ok(all)
    };
    let (copied, all) = tokio::join!(echo, talk);
    assert_eq!((copied?, all?.as_str()), (5, "hello"));
    Ok(())
}

async fn flushing_waits_for_nobody(world: World) -> TestResult {
    let (mut stream, _peer) = world.outgoing().await?;
    stream.writable().await?;
    // More than fits in the buffers of a peer that does not read.
    let piece = vec![0; 64 << 10];
    while stream.try_write(&piece).is_ok() {}
    stream.flush().await?;
    Ok(())
}

async fn a_reader_is_woken_by_data(world: World) -> TestResult {
    let (mut stream, mut peer) = world.outgoing().await?;
    for number in 0..200 {
        let byte = [number];
        let (read, written) = tokio::join!(stream.read_u8(), peer.write_all(&byte));
        written?;
        assert_eq!(read?, number);
    }
    Ok(())
}

async fn a_writer_is_woken_by_room(world: World) -> TestResult {
    const LEN: usize = 32 << 20;
    let (mut stream, peer) = world.outgoing().await?;
    let data = vec![1; LEN];
    let write = async {
        stream.write_all(&data).await?;
        stream.shutdown().await
    };
    let drain = async {
        let mut all = peer;
        tokio::io::copy(&mut all, &mut tokio::io::sink()).await
    };
    let (written, drained) = tokio::join!(write, drain);
    written?;
    assert_eq!(drained?, LEN as u64);
    Ok(())
}
