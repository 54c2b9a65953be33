//! JSON form of a test, with iperf3's names where iperf3 has one.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::client::{Interval, Moved, Record};
use super::parts::{Results, StreamResult};
use super::plan::{Mode, Plan};
use crate::report::Environment;
use crate::traffic::{Latency, Limit, StreamInfo};

/// One test as the client saw it.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// Version of the JSON form.
    schema: u32,
    environment: Environment,
    start: Start,
    intervals: Vec<IntervalForm>,
    end: EndForm,
    /// Why the test ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Document {
    pub(super) fn new(
        transport: &'static str,
        target: (&str, u16),
        plan: &Plan,
        record: &Record,
        error: Option<String>,
    ) -> Self {
        Self {
            schema: 1,
            environment: Environment::read(),
            start: Start::new(transport, target, plan, record),
            intervals: record.intervals.iter().map(IntervalForm::new).collect(),
            end: EndForm::new(plan, record),
            error,
        }
    }
}

#[derive(Debug, Serialize)]
struct Start {
    connected: Vec<Connected>,
    version: &'static str,
    timestamp: Timestamp,
    connecting_to: ConnectingTo,
    /// `tidewire` or `kernel`: this end's TCP.
    transport: &'static str,
    test_start: TestStart,
}

#[derive(Debug, Serialize)]
struct Connected {
    socket: u32,
    local_host: String,
    local_port: u16,
    remote_host: String,
    remote_port: u16,
}

#[derive(Debug, Serialize)]
struct Timestamp {
    timesecs: u64,
}

#[derive(Debug, Serialize)]
struct ConnectingTo {
    host: String,
    port: u16,
}

#[derive(Debug, Serialize)]
struct TestStart {
    protocol: &'static str,
    mode: Mode,
    num_streams: u32,
    /// Bytes per write, or per message.
    blksize: u32,
    /// Seconds; 0 when the test ends by bytes.
    duration: f64,
    /// 0 when the test ends by time.
    bytes: u64,
    reverse: bool,
    bidir: bool,
    no_delay: bool,
}

impl Start {
    fn new(
        transport: &'static str,
        (host, port): (&str, u16),
        plan: &Plan,
        record: &Record,
    ) -> Self {
        let connected = (0..).zip(&record.connected);
        let connected = connected.map(|(socket, (local, remote))| Connected {
            socket,
            local_host: local.ip().to_string(),
            local_port: local.port(),
            remote_host: remote.ip().to_string(),
            remote_port: remote.port(),
        });
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let (duration, bytes) = match plan.limit {
            Limit::Time(time) => (time.as_secs_f64(), 0),
            Limit::Bytes(bytes) => (0.0, bytes),
        };
        Self {
            connected: connected.collect(),
            version: concat!("tidewire ", env!("CARGO_PKG_VERSION")),
            timestamp: Timestamp {
                timesecs: since.map_or(0, |time| time.as_secs()),
            },
            connecting_to: ConnectingTo {
                host: host.to_owned(),
                port,
            },
            transport,
            test_start: TestStart {
                protocol: "TCP",
                mode: plan.mode,
                num_streams: plan.streams,
                blksize: plan.length,
                duration,
                bytes,
                reverse: plan.mode == Mode::Receive,
                bidir: plan.mode == Mode::Both,
                no_delay: plan.nodelay,
            },
        }
    }
}

/// What one or more connections moved in one direction.
#[derive(Debug, Serialize)]
struct Flow {
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<u32>,
    start: f64,
    end: f64,
    seconds: f64,
    bytes: u64,
    bits_per_second: f64,
    #[serde(flatten)]
    info: Option<StreamInfo>,
    /// Whether this program, the client, is the sender.
    sender: bool,
}

#[derive(Debug, Serialize)]
struct IntervalForm {
    streams: Vec<Flow>,
    sum: Flow,
}

impl IntervalForm {
    fn new(interval: &Interval) -> Self {
        let flow = |socket, bytes, info, sender| Flow {
            socket,
            start: interval.start,
            end: interval.end,
            seconds: interval.end - interval.start,
            bytes,
            bits_per_second: per_second(bytes as f64 * 8.0, interval.end - interval.start),
            info,
            sender,
        };
        let of = |moved: &Moved| flow(Some(moved.stream), moved.bytes, moved.info, moved.sender);
        let sum = interval.streams.iter().map(|moved| moved.bytes).sum();
        Self {
            streams: interval.streams.iter().map(of).collect(),
            sum: flow(
                None,
                sum,
                None,
                interval.streams.iter().any(|moved| moved.sender),
            ),
        }
    }
}

#[derive(Debug, Serialize)]
struct EndForm {
    streams: Vec<Ends>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_sent: Option<Sum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_received: Option<Sum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_sent_bidir_reverse: Option<Sum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum_received_bidir_reverse: Option<Sum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trips: Option<LatencyForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<LatencyForm>,
}

#[derive(Debug, Serialize)]
struct Ends {
    sender: Flow,
    receiver: Flow,
}

impl EndForm {
    fn new(plan: &Plan, record: &Record) -> Self {
        let totals = Totals::new(record);
        let latency = LatencyForm::new(&record.latency, record.seconds);
        Self {
            streams: totals.streams(),
            sum_sent: totals.sent(plan.mode != Mode::Receive),
            sum_received: totals.received(plan.mode != Mode::Receive),
            sum_sent_bidir_reverse: totals.sent(false).filter(|_| plan.mode == Mode::Both),
            sum_received_bidir_reverse: totals.received(false).filter(|_| plan.mode == Mode::Both),
            round_trips: latency.clone().filter(|_| plan.mode == Mode::RoundTrip),
            connections: latency.filter(|_| plan.mode == Mode::Connect),
        }
    }
}

/// What all connections of one direction moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Sum {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    pub(super) bits_per_second: f64,
    /// Segments sent again; senders only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retransmits: Option<u64>,
    /// Whether this program, the client, is the sender.
    pub(super) sender: bool,
}

/// Both ends' results, side by side.
pub(super) struct Totals<'a> {
    own: &'a Results,
    peer: &'a Results,
}

impl<'a> Totals<'a> {
    pub(super) fn new(record: &'a Record) -> Self {
        Self {
            own: &record.own,
            peer: &record.peer,
        }
    }

    /// What the senders of one direction wrote; `None` when nothing is known of it.
    pub(super) fn sent(&self, by_client: bool) -> Option<Sum> {
        let side = if by_client { self.own } else { self.peer };
        sum(side, |result| result.sender, by_client)
    }

    /// What the receivers of one direction read.
    pub(super) fn received(&self, from_client: bool) -> Option<Sum> {
        let side = if from_client { self.peer } else { self.own };
        sum(side, |result| !result.sender, from_client)
    }

    fn streams(&self) -> Vec<Ends> {
        let own = self.own.streams.iter();
        let pairs = own.filter_map(|own| {
            let mut peers = self.peer.streams.iter();
            let peer = peers.find(|peer| peer.stream == own.stream)?;
            let (sender, receiver) = if own.sender { (own, peer) } else { (peer, own) };
            let flow = |result: &StreamResult| Flow {
                socket: Some(result.stream),
                start: 0.0,
                end: result.seconds,
                seconds: result.seconds,
                bytes: result.bytes,
                bits_per_second: per_second(result.bytes as f64 * 8.0, result.seconds),
                info: result.info,
                sender: own.sender,
            };
            Some(Ends {
                sender: flow(sender),
                receiver: flow(receiver),
            })
        });
        pairs.collect()
    }
}

fn sum(side: &Results, takes: impl Fn(&StreamResult) -> bool, by_client: bool) -> Option<Sum> {
    let results: Vec<&StreamResult> = side.streams.iter().filter(|result| takes(result)).collect();
    let longest = results.iter().map(|result| result.seconds);
    let seconds = longest.reduce(f64::max)?;
    let bytes = results.iter().map(|result| result.bytes).sum();
    let infos = results.iter().filter_map(|result| result.info);
    let retransmits = infos
        .map(|info| info.retransmits)
        .reduce(|sum, more| sum + more);
    Some(Sum {
        seconds,
        bytes,
        bits_per_second: per_second(bytes as f64 * 8.0, seconds),
        retransmits,
        sender: by_client,
    })
}

/// Times of round trips or exchanges, in seconds.
#[derive(Debug, Clone, Serialize)]
struct LatencyForm {
    count: u64,
    per_second: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
    histogram: Vec<Bucket>,
}

#[derive(Debug, Clone, Serialize)]
struct Bucket {
    /// Seconds; from the bound before.
    up_to: f64,
    count: u64,
}

impl LatencyForm {
    fn new(latency: &Latency, seconds: f64) -> Option<Self> {
        let percentile = |percent| latency.percentile(percent).as_secs_f64();
        let buckets = latency.buckets().into_iter();
        let histogram = buckets.map(|(bound, count)| Bucket {
            up_to: bound.as_secs_f64(),
            count,
        });
        (latency.count() > 0).then(|| Self {
            count: latency.count(),
            per_second: per_second(latency.count() as f64, seconds),
            mean: latency.mean().as_secs_f64(),
            p50: percentile(50.0),
            p90: percentile(90.0),
            p99: percentile(99.0),
            p999: percentile(99.9),
            max: latency.max().as_secs_f64(),
            histogram: histogram.collect(),
        })
    }
}

/// 0 when no time passed.
pub(super) fn per_second(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}
