use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Side, Transport, session};

/// Round-trip times, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    sorted: Vec<Duration>,
}

impl Latency {
    /// Takes samples in any order.
    #[must_use]
    pub fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self { sorted: samples }
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest sample that at least `percent` percent of all do not exceed (nearest rank); zero without samples.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Duration {
        let rank = (self.sorted.len() * usize::from(percent.min(100))).div_ceil(100);
        self.sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

/// Sends back whatever comes, until the peer ends its direction; then ends the other.
///
/// # Errors
/// Those of the stream.
pub async fn echo<T>(mut stream: T) -> io::Result<u64>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            stream.shutdown().await?;
            return Ok(bytes);
        }
        stream
            .write_all(buffer.get(..length).unwrap_or_default())
            .await?;
        bytes += length as u64;
    }
}

/// Sends one byte and waits for its echo, over and over for `duration`; then ends the stream in this direction.
///
/// # Errors
/// Those of the stream, and [`io::ErrorKind::InvalidData`] when another byte comes back.
pub async fn ping_pong<T>(mut stream: T, duration: Duration) -> io::Result<Latency>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut samples = Vec::new();
    let mut byte: u8 = 0;
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let mut answer = [0];
        let start = Instant::now();
        stream.write_all(&[byte]).await?;
        stream.read_exact(&mut answer).await?;
        samples.push(start.elapsed());
        if answer != [byte] {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the echo differs",
            ));
        }
        byte = byte.wrapping_add(1);
    }
    stream.shutdown().await?;
    Ok(Latency::new(samples))
}

/// Measures one-byte round trips from `client` to an echo server at `server` for `duration`.
///
/// # Errors
/// Those of the connection.
pub async fn round_trips<C: Transport, S: Transport>(
    client: &Side<C>,
    server: &Side<S>,
    address: SocketAddr,
    duration: Duration,
) -> io::Result<Latency> {
    let call = move |stream| ping_pong(stream, duration);
    let (latency, _) = session::run(client, server, address, call, echo).await?;
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let latency = Latency::new((1..=200).rev().map(Duration::from_micros).collect());
        assert_eq!(latency.percentile(50), Duration::from_micros(100));
        assert_eq!(latency.percentile(99), Duration::from_micros(198));
        assert_eq!(latency.percentile(100), Duration::from_micros(200));
        assert_eq!(latency.percentile(0), Duration::from_micros(1));
        assert_eq!(Latency::new(Vec::new()).percentile(50), Duration::ZERO);
    }

    #[tokio::test]
    async fn each_ping_comes_back() {
        let (near, far) = tokio::io::duplex(64);
        let (latency, echoed) =
            tokio::try_join!(ping_pong(near, Duration::from_millis(20)), echo(far))
                .expect("an exchange");
        assert_eq!(latency.count() as u64, echoed);
        assert!(latency.count() > 0);
    }
}
