//! Round-trip times: histogram, echo and ping-pong.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::session::{self, Side, Transport};

/// Round-trip times: a histogram that keeps three significant digits of each, however many there
/// are.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// In nanoseconds.
    histogram: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let mut histogram = Histogram::new(DIGITS).expect("up to five digits are possible");
        // The range grows with the largest sample.
        histogram.auto(true);
        Self { histogram }
    }
}

impl Latency {
    /// Adds a sample.
    pub fn record(&mut self, sample: Duration) {
        let nanoseconds = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        // No sample is out of range: the histogram grows.
        let _ = self.histogram.record(nanoseconds);
    }

    /// Adds all samples of another.
    pub fn merge(&mut self, other: &Self) {
        let _ = self.histogram.add(&other.histogram);
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// What `percent` percent of all samples do not exceed; zero without samples.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(percent / 100.0))
    }

    /// The largest sample.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram.max())
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.histogram.mean() / 1e9)
    }

    /// How many samples there are up to each power of two of microseconds, from the first such
    /// bound that has samples to the one that has all.
    #[must_use]
    pub fn buckets(&self) -> Vec<(Duration, u64)> {
        let mut buckets = Vec::new();
        let (mut bound, mut below) = (Duration::from_micros(1), 0);
        while below < self.count() {
            let up_to = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
            let count = self.histogram.count_between(0, up_to);
            if count > below {
                buckets.push((bound, count - below));
            }
            below = count;
            bound *= 2;
        }
        buckets
    }
}

/// Sends back whatever comes, until the peer ends its direction; then ends the other. `echoed` is
/// called after each piece.
///
/// # Errors
/// Those of the stream.
pub async fn echo<T>(mut stream: T, mut echoed: impl FnMut(&T, usize)) -> io::Result<u64>
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
        echoed(&stream, length);
    }
}

/// Sends `size` bytes (at least one) and waits for their echo, over and over for `duration`; then
/// ends the stream in this direction. `done` is called after each exchange.
///
/// # Errors
/// Those of the stream, and [`io::ErrorKind::InvalidData`] when other bytes come back.
pub async fn ping_pong<T>(
    mut stream: T,
    duration: Duration,
    size: usize,
    mut done: impl FnMut(&T, usize),
) -> io::Result<Latency>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut latency = Latency::default();
    let mut message = vec![0u8; size.max(1)];
    let mut answer = message.clone();
    let begin = Instant::now();
    while begin.elapsed() < duration {
        message[0] = message[0].wrapping_add(1);
        let start = Instant::now();
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        latency.record(start.elapsed());
        if answer != message {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the echo differs",
            ));
        }
        done(&stream, message.len());
    }
    stream.shutdown().await?;
    Ok(latency)
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
    let call = move |stream| ping_pong(stream, duration, 1, |_, _| {});
    let serve = |stream| echo(stream, |_, _| {});
    let (latency, _) = session::run(client, server, address, call, serve).await?;
    Ok(latency)
}

/// Significant digits that the histogram keeps.
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(microseconds: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        for sample in microseconds {
            latency.record(Duration::from_micros(sample));
        }
        latency
    }

    #[test]
    fn percentiles_are_exact_to_a_thousandth() {
        let latency = latency((1..=200).rev());
        for (percent, expected) in [(50.0, 100), (99.0, 198), (100.0, 200), (0.0, 1)] {
            let (found, expected) = (latency.percentile(percent), Duration::from_micros(expected));
            assert!(
                found >= expected && found <= expected.mul_f64(1.001),
                "{percent}: {found:?}"
            );
        }
        assert_eq!(Latency::default().percentile(50.0), Duration::ZERO);
    }

    #[test]
    fn buckets_hold_every_sample_once() {
        let mut all = latency([1, 3, 3, 900]);
        all.merge(&latency([70]));
        let counts: Vec<u64> = all.buckets().iter().map(|&(_, count)| count).collect();
        assert_eq!((counts, all.count()), (vec![1, 2, 1, 1], 5));
        assert_eq!(Latency::default().buckets(), []);
    }

    #[tokio::test]
    async fn each_ping_comes_back() {
        let (near, far) = tokio::io::duplex(64);
        let (latency, echoed) = tokio::try_join!(
            ping_pong(near, Duration::from_millis(20), 7, |_, _| {}),
            echo(far, |_, _| {})
        )
        .expect("an exchange");
        assert_eq!(latency.count() * 7, echoed);
        assert!(latency.count() > 0);
    }
}
