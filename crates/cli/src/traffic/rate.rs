use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Flow, Side, Transport, session};

/// A measured rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Bytes that arrived.
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

/// Writes `chunk` bytes at a time for `duration`, then ends the stream in this direction.
///
/// # Errors
/// Those of the stream.
pub async fn source<W>(mut writer: W, duration: Duration, chunk: usize) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let block = vec![0x5a; chunk.max(1)];
    let deadline = Instant::now() + duration;
    while Instant::now() < deadline {
        writer.write_all(&block).await?;
    }
    writer.shutdown().await
}

/// Reads to the end of the stream into a buffer of `chunk` bytes and counts.
///
/// # Errors
/// Those of the stream.
pub async fn sink<R>(mut reader: R, chunk: usize) -> io::Result<Rate>
where
    R: AsyncRead + Unpin,
{
    let mut buffer = vec![0; chunk.max(1)];
    let mut bytes = reader.read(&mut buffer).await? as u64;
    let start = Instant::now();
    let mut elapsed = Duration::ZERO;
    loop {
        let length = reader.read(&mut buffer).await?;
        if length == 0 {
            return Ok(Rate { bytes, elapsed });
        }
        bytes += length as u64;
        elapsed = start.elapsed();
    }
}

/// Measures one connection for `duration` with writes and reads of `chunk` bytes; the receiver's count is the result.
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
    match flow {
        Flow::ClientToServer => {
            let call = move |stream| source_and_wait(stream, duration, chunk);
            let (_, rate) = session::run(client, server, address, call, move |stream| {
                sink(stream, chunk)
            })
            .await?;
            Ok(rate)
        }
        Flow::ServerToClient => {
            let serve = move |stream| source_and_wait(stream, duration, chunk);
            let (rate, _) = session::run(
                client,
                server,
                address,
                move |stream| sink(stream, chunk),
                serve,
            )
            .await?;
            Ok(rate)
        }
    }
}

/// Keeps the connection until the receiver has read all of it.
async fn source_and_wait<T>(mut stream: T, duration: Duration, chunk: usize) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    source(&mut stream, duration, chunk).await?;
    stream.read(&mut [0]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sink_counts_what_a_source_wrote() {
        let (near, far) = tokio::io::duplex(4096);
        let duration = Duration::from_millis(20);
        let ((), rate) =
            tokio::try_join!(source(near, duration, 1000), sink(far, 4096)).expect("a transfer");
        assert!(rate.bytes > 0 && rate.bytes.is_multiple_of(1000));
        assert!(rate.bits_per_second() > 0.0);
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
