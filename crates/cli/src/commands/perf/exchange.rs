//! Connect, request, reply, close: the exchange of a client without keep-alive.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::parts::{Meter, Results};
use super::protocol::{Hello, Kind};
use crate::traffic::{Latency, Stream, Transport};

/// Exchanges, one after the other on each of `meters`, for `duration`; the time of each from the
/// connect to the end.
pub(super) async fn call<T: Transport>(
    transport: &T,
    server: SocketAddr,
    test: u64,
    (length, duration): (usize, Duration),
    meters: &[Arc<Meter>],
) -> io::Result<(Results, Latency)> {
    let mut tasks = JoinSet::new();
    for (stream, meter) in (0..).zip(meters) {
        let (transport, meter) = (transport.clone(), Arc::clone(meter));
        tasks.spawn(async move {
            let kind = Kind::Exchange;
            let mut request = Hello { kind, test, stream }.encode().to_vec();
            request.resize(Hello::LEN + length, b'?');
            let mut latency = Latency::default();
            let begin = Instant::now();
            while begin.elapsed() < duration {
                let start = Instant::now();
                let connected = transport.connect(server).await?;
                exchange(connected, &request, length).await?;
                latency.record(start.elapsed());
                meter.count(length);
            }
            Ok::<_, io::Error>(latency)
        });
    }
    let mut latency = Latency::default();
    while let Some(task) = tasks.join_next().await {
        latency.merge(&task.map_err(io::Error::other)??);
    }
    Ok((Results::default(), latency))
}

async fn exchange<S: Stream>(mut stream: S, request: &[u8], length: usize) -> io::Result<()> {
    stream.write_all(request).await?;
    let mut reply = Vec::with_capacity(length);
    // The server closes first, and so has the connection in TIME-WAIT: the client's ports stay
    // free.
    stream.read_to_end(&mut reply).await?;
    if reply.len() != length {
        let text = format!("a reply of {} bytes instead of {length}", reply.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(())
}

/// The server's side of one exchange, after the hello.
pub(super) async fn answer<S: Stream>(mut stream: S, length: usize) -> io::Result<()> {
    let mut buffer = vec![0; length];
    stream.read_exact(&mut buffer).await?;
    buffer.fill(b'!');
    stream.write_all(&buffer).await?;
    stream.shutdown().await?;
    stream.read(&mut [0]).await.map(drop)
}
