//! Bulk transfer, hashed at both ends.

use core::hash::Hasher;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use twox_hash::XxHash3_64;

use super::pattern::Pattern;
use super::rate::await_end;
use super::session::{self, Flow, Side, Transport};
use crate::progress::Progress;

/// What one end saw of a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// How many bytes.
    pub bytes: u64,
    /// XXH3-64 over all of them.
    pub hash: u64,
    /// From the first write, or the first byte read, to the end of the stream.
    pub elapsed: Duration,
}

/// A transfer that both ends agree about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Verified {
    /// How many bytes.
    pub bytes: u64,
    /// XXH3-64 over all of them, the same at both ends; JSON has it in hexadecimal.
    #[serde(serialize_with = "as_hexadecimal")]
    pub hash: u64,
    /// The receiver's time in seconds, first byte to last.
    pub seconds: f64,
    /// Bits per second by that time.
    pub bits_per_second: f64,
}

/// Writes `total` bytes of the pattern of `seed`, then ends the stream in this direction.
///
/// # Errors
/// Those of the stream.
pub async fn send<W>(mut writer: W, total: u64, seed: u64) -> io::Result<Transfer>
where
    W: AsyncWrite + Unpin,
{
    let mut pattern = Pattern::new(seed, CHUNK);
    let mut hash = XxHash3_64::new();
    let mut bytes = 0;
    let start = Instant::now();
    while bytes < total {
        let block = pattern.next_block();
        let wanted = usize::try_from(total - bytes)
            .unwrap_or(usize::MAX)
            .min(block.len());
        let piece = block.get(..wanted).unwrap_or_default();
        writer.write_all(piece).await?;
        hash.write(piece);
        bytes += piece.len() as u64;
    }
    writer.shutdown().await?;
    Ok(Transfer {
        bytes,
        hash: hash.finish(),
        elapsed: start.elapsed(),
    })
}

/// Reads to the end of the stream, reporting progress in bytes.
///
/// # Errors
/// Those of the stream.
pub async fn receive<R>(mut reader: R, progress: &Progress) -> io::Result<Transfer>
where
    R: AsyncRead + Unpin,
{
    let mut buffer = vec![0; CHUNK];
    let mut hash = XxHash3_64::new();
    let mut bytes = 0;
    let mut start = None;
    loop {
        let length = reader.read(&mut buffer).await?;
        let start = *start.get_or_insert_with(Instant::now);
        if length == 0 {
            return Ok(Transfer {
                bytes,
                hash: hash.finish(),
                elapsed: start.elapsed(),
            });
        }
        hash.write(buffer.get(..length).unwrap_or_default());
        bytes += length as u64;
        progress.add(length as u64);
    }
}

/// Moves `total` bytes over one connection and compares what both ends hashed.
///
/// # Errors
/// Those of the connection, and [`io::ErrorKind::InvalidData`] when the two ends differ.
pub async fn verified_transfer<C: Transport, S: Transport>(
    client: &Side<C>,
    server: &Side<S>,
    address: SocketAddr,
    flow: Flow,
    total: u64,
    progress: &Progress,
) -> io::Result<Verified> {
    let progress = progress.clone();
    let (sent, received) = match flow {
        Flow::ClientToServer => {
            let serve = async move |stream| receive(stream, &progress).await;
            session::run(
                client,
                server,
                address,
                move |stream| send_and_wait(stream, total),
                serve,
            )
            .await?
        }
        Flow::ServerToClient => {
            let call = async move |stream| receive(stream, &progress).await;
            let (received, sent) = session::run(client, server, address, call, move |stream| {
                send_and_wait(stream, total)
            })
            .await?;
            (sent, received)
        }
    };
    if (sent.bytes, sent.hash) != (received.bytes, received.hash) {
        let text = format!(
            "sent {} bytes with hash {:016x}, received {} bytes with hash {:016x}",
            sent.bytes, sent.hash, received.bytes, received.hash
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let seconds = received.elapsed.as_secs_f64();
    Ok(Verified {
        bytes: received.bytes,
        hash: received.hash,
        seconds,
        bits_per_second: received.bytes as f64 * 8.0 / seconds.max(f64::MIN_POSITIVE),
    })
}

fn as_hexadecimal<S: serde::Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{hash:016x}"))
}

/// Sends, then keeps the connection until the peer ends its direction too.
async fn send_and_wait<T>(mut stream: T, total: u64) -> io::Result<Transfer>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let sent = send(&mut stream, total, SEED).await?;
    await_end(&mut stream).await?;
    Ok(sent)
}

/// Bytes per write and per read.
const CHUNK: usize = 256 * 1024;
const SEED: u64 = 0x5449_4445;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends_agree_on_length_and_hash() {
        let (near, far) = tokio::io::duplex(10_000);
        let progress = Progress::hidden();
        let total = 1_000_003;
        let (sent, received) =
            tokio::try_join!(send(near, total, 5), receive(far, &progress)).expect("a transfer");
        assert_eq!((sent.bytes, sent.hash), (total, received.hash));
        assert_eq!(received.bytes, total);
        assert_eq!(progress.position(), total);
    }

    #[tokio::test]
    async fn one_changed_byte_changes_the_hash() {
        let mut bytes = Vec::new();
        let sent = send(&mut bytes, 100_000, 1)
            .await
            .expect("a vector takes all");
        bytes[77_777] ^= 1;
        let received = receive(&bytes[..], &Progress::hidden())
            .await
            .expect("a slice");
        assert_eq!(received.bytes, sent.bytes);
        assert_ne!(received.hash, sent.hash);
    }
}
