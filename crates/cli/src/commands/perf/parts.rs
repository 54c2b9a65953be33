//! Parts of the two ends in a test: source, sink, ping and echo, with their meters.

use core::time::Duration;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::plan::{End, Part, Plan};
use crate::traffic::{Latency, Stream, StreamInfo, await_end, echo, ping_pong, sink, source};

/// One end's results of a test.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) streams: Vec<StreamResult>,
}

/// One end's results of one connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StreamResult {
    pub(super) stream: u32,
    /// Whether this end sent.
    pub(super) sender: bool,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// The sender's report on the connection, if there is one.
    pub(super) info: Option<StreamInfo>,
}

/// Counter of the bytes that one connection has moved, readable while it runs.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: AtomicU64,
    is_asked: AtomicBool,
    info: Mutex<Option<StreamInfo>>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            bytes: AtomicU64::new(0),
            // The first write or read stores a report, so that every connection has one.
            is_asked: AtomicBool::new(true),
            info: Mutex::default(),
        }
    }
}

impl Meter {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The last report on the connection; requests a newer one for the next call.
    pub(super) fn ask(&self) -> Option<StreamInfo> {
        self.is_asked.store(true, Ordering::Relaxed);
        *self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn count_of<S: Stream>(&self, stream: &S, bytes: usize) {
        self.count(bytes);
        if self.is_asked.load(Ordering::Relaxed) && self.is_asked.swap(false, Ordering::Relaxed) {
            self.answer(stream);
        }
    }

    fn answer<S: Stream>(&self, stream: &S) {
        // A connection that has ended has no report; the last one stays.
        if let Ok(info) = stream.info() {
            *self.info.lock().unwrap_or_else(PoisonError::into_inner) = Some(info);
        }
    }
}

/// Meters for so many connections.
pub(super) fn meters(count: u32) -> Vec<Arc<Meter>> {
    (0..count).map(|_| Arc::default()).collect()
}

/// Plays this end's part on all connections at once; they come in the order of their numbers, with
/// a meter each.
pub(super) async fn play<S: Stream>(
    plan: &Plan,
    end: End,
    streams: Vec<S>,
    meters: &[Arc<Meter>],
) -> io::Result<(Results, Latency)> {
    let mut tasks = JoinSet::new();
    for ((index, stream), meter) in (0..).zip(streams).zip(meters) {
        stream.set_nodelay(plan.nodelay)?;
        let (part, meter) = (plan.part(index, end), Arc::clone(meter));
        tasks.spawn(async move { play_one(stream, index, part, &meter).await });
    }
    let (mut results, mut latency) = (Results::default(), Latency::default());
    while let Some(task) = tasks.join_next().await {
        let (result, own_latency) = task.map_err(io::Error::other)??;
        results.streams.push(result);
        latency.merge(&own_latency);
    }
    results.streams.sort_by_key(|result| result.stream);
    Ok((results, latency))
}

async fn play_one<S: Stream>(
    mut stream: S,
    index: u32,
    part: Part,
    meter: &Meter,
) -> io::Result<(StreamResult, Latency)> {
    let count = |stream: &&mut S, bytes: usize| meter.count_of(*stream, bytes);
    let is_sender = matches!(part, Part::Source { .. } | Part::Ping { .. });
    let begin = std::time::Instant::now();
    let (mut bytes, mut elapsed, mut latency) = (None, None, Latency::default());
    match part {
        Part::Source { limit, chunk } => {
            let rate = source(&mut stream, limit, chunk, count).await?;
            // Before the close: the kernel has no `TCP_INFO` in TIME-WAIT.
            meter.answer(&stream);
            await_end(&mut stream).await?;
            (bytes, elapsed) = (Some(rate.bytes), Some(rate.elapsed));
        }
        Part::Sink { chunk } => {
            let rate = sink(&mut stream, chunk, count).await?;
            (bytes, elapsed) = (Some(rate.bytes), Some(rate.elapsed));
        }
        Part::Ping { duration, size } => {
            latency = ping_pong(&mut stream, duration, size, count).await?;
        }
        Part::Echo => {
            echo(&mut stream, count).await?;
        }
    }
    if matches!(part, Part::Ping { .. }) {
        meter.answer(&stream);
    }
    let result = StreamResult {
        stream: index,
        sender: is_sender,
        bytes: bytes.unwrap_or_else(|| meter.bytes()),
        seconds: elapsed.unwrap_or_else(|| begin.elapsed()).as_secs_f64(),
        info: meter.ask().filter(|_| is_sender),
    };
    Ok((result, latency))
}

/// Returns an error once no bytes have moved for [`STALL`].
pub(super) async fn watch(meters: &[Arc<Meter>]) -> io::Error {
    let mut last = None;
    loop {
        let total: u64 = meters.iter().map(|meter| meter.bytes()).sum();
        if last.replace(total) == Some(total) {
            let text = format!("nothing moved for {} seconds", STALL.as_secs());
            return io::Error::new(io::ErrorKind::TimedOut, text);
        }
        sleep(STALL).await;
    }
}

/// Longer than TCP takes to notice a loss, and than a window stays closed.
const STALL: Duration = Duration::from_secs(20);
