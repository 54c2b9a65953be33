//! Throughput: source, sink and the measured rate.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::session::{self, Flow, Side, Transport};

/// Limit of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// For this time.
    Time(Duration),
    /// For so many bytes.
    Bytes(u64),
}

/// A measured rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Bytes that arrived, or that were written.
    pub bytes: u64,
    /// From the first byte to the last.
    pub elapsed: Duration,
}

impl Rate {
    /// Bits per second; 0 when no time passed.
    #[must_use]
    pub fn bits_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds == 0.0 {
            0.0
        } else {
            self.bytes as f64 * 8.0 / seconds
        }
    }
}

/// Writes `chunk` bytes at a time up to the limit, then ends the stream in this direction. `wrote`
/// is called after each write.
///
/// # Errors
/// Those of the stream.
pub async fn source<W>(
    mut writer: W,
    limit: Limit,
    chunk: usize,
    mut wrote: impl FnMut(&W, usize),
) -> io::Result<Rate>
where
    W: AsyncWrite + Unpin,
{
    let block = vec![0x5a; chunk.max(1)];
    let start = Instant::now();
    let mut bytes = 0;
    loop {
        let wanted = match limit {
            Limit::Time(duration) if start.elapsed() < duration => block.len(),
            Limit::Time(_) => 0,
            Limit::Bytes(total) => usize::try_from(total - bytes)
                .unwrap_or(usize::MAX)
                .min(block.len()),
        };
        if wanted == 0 {
            break;
        }
        writer
            .write_all(block.get(..wanted).unwrap_or_default())
            .await?;
        bytes += wanted as u64;
        wrote(&writer, wanted);
    }
    let elapsed = start.elapsed();
    writer.shutdown().await?;
    Ok(Rate { bytes, elapsed })
}

/// Reads to the end of the stream into a buffer of `chunk` bytes and counts. `got` is called after
/// each read.
///
/// # Errors
/// Those of the stream.
pub async fn sink<R>(
    mut reader: R,
    chunk: usize,
    mut got: impl FnMut(&R, usize),
) -> io::Result<Rate>
where
    R: AsyncRead + Unpin,
{
    let mut buffer = vec![0; chunk.max(1)];
    let mut bytes = 0;
    let mut start = None;
    let mut elapsed = Duration::ZERO;
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            return Ok(Rate { bytes, elapsed });
        }
        bytes += length as u64;
        elapsed = start.get_or_insert_with(Instant::now).elapsed();
        got(&reader, length);
    }
}

/// Measures one connection for `duration` with writes and reads of `chunk` bytes; the receiver's
/// count is the result.
///
/// # Errors
/// Those of the connection.
pub async fn throughput<C: Transport, S: Transport>(
    client: &Side<C>,
    server: &Side<S>,
    address: SocketAddr,
    flow: Flow,
    duration: Duration,
    chunk: usize,
) -> io::Result<Rate> {
    let limit = Limit::Time(duration);
    match flow {
        Flow::ClientToServer => {
            let call = move |stream| source_and_wait(stream, limit, chunk);
            let (_, rate) = session::run(client, server, address, call, move |stream| {
                sink(stream, chunk, |_, _| {})
            })
            .await?;
            Ok(rate)
        }
        Flow::ServerToClient => {
            let serve = move |stream| source_and_wait(stream, limit, chunk);
            let (rate, _) = session::run(
                client,
                server,
                address,
                move |stream| sink(stream, chunk, |_, _| {}),
                serve,
            )
            .await?;
            Ok(rate)
        }
    }
}

/// Keeps the connection until the receiver has read all of it.
async fn source_and_wait<T>(mut stream: T, limit: Limit, chunk: usize) -> io::Result<Rate>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let rate = source(&mut stream, limit, chunk, |_, _| {}).await?;
    await_end(&mut stream).await?;
    Ok(rate)
}

/// Waits for the peer to end its direction, which a receiver does when it has read all.
///
/// # Errors
/// Those of the stream, and [`io::ErrorKind::InvalidData`] when the peer sends data.
pub async fn await_end<R>(mut reader: R) -> io::Result<()>
where
    R: AsyncRead + Unpin,
{
    if reader.read(&mut [0]).await? == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "the receiver sent data",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sink_counts_what_a_source_wrote() {
        let (near, far) = tokio::io::duplex(4096);
        let limit = Limit::Time(Duration::from_millis(20));
        let (mut written, mut read) = (0, 0);
        let (sent, received) = tokio::try_join!(
            source(near, limit, 1000, |_, length| written += length as u64),
            sink(far, 4096, |_, length| read += length as u64)
        )
        .expect("a transfer");
        assert!(received.bytes > 0 && received.bytes.is_multiple_of(1000));
        assert!(received.bits_per_second() > 0.0);
        assert_eq!([sent.bytes, written, read], [received.bytes; 3]);
    }

    #[tokio::test]
    async fn a_source_of_bytes_ends_exactly_there() {
        for total in [0, 1, 1000, 2001] {
            let mut bytes = Vec::new();
            let sent = source(&mut bytes, Limit::Bytes(total), 1000, |_, _| {}).await;
            assert_eq!(sent.expect("a vector takes all").bytes, total);
            assert_eq!(bytes.len() as u64, total);
        }
    }

    #[test]
    fn no_time_is_no_rate() {
        assert!(
            Rate {
                bytes: 5,
                elapsed: Duration::ZERO
            }
            .bits_per_second()
            .abs()
                < f64::EPSILON
        );
    }
}
