//! Client of a test: control connection, data connections, intervals.

use core::net::SocketAddr;
use core::time::Duration;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncWriteExt;
use tokio::time::{self, MissedTickBehavior};

use super::exchange;
use super::parts::{Meter, Results, meters, play, watch};
use super::plan::{End, Mode, Part, Plan};
use super::protocol::{Control, Hello, Kind, Message, unexpected};
use crate::traffic::{Latency, Limit, Stream, StreamInfo, Transport};

/// A client's results so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The own address and the server's of each connection.
    pub(super) connected: Vec<(SocketAddr, SocketAddr)>,
    pub(super) intervals: Vec<Interval>,
    pub(super) own: Results,
    pub(super) peer: Results,
    /// Of round trips, or of exchanges.
    pub(super) latency: Latency,
    /// What the test took, without its preparation.
    pub(super) seconds: f64,
}

/// Bytes moved in one interval, in seconds from the start of the test.
#[derive(Debug)]
pub(super) struct Interval {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) streams: Vec<Moved>,
}

#[derive(Debug)]
pub(super) struct Moved {
    pub(super) stream: u32,
    /// Whether the client sends.
    pub(super) sender: bool,
    pub(super) bytes: u64,
    pub(super) info: Option<StreamInfo>,
}

/// Carries out a plan with a server; `tell` is called with the record when it has grown: by the
/// connections, by an interval.
pub(super) async fn run<T: Transport>(
    transport: &T,
    server: SocketAddr,
    plan: &Plan,
    interval: Duration,
    record: &mut Record,
    mut tell: impl FnMut(&Record),
) -> io::Result<()> {
    let test = RandomState::new().build_hasher().finish();
    let mut stream = open(transport, server, Kind::Control, test, 0).await?;
    Hello::receive(&mut stream).await?;
    let mut control = Control::new(stream);
    control.send(&Message::Plan(plan.clone())).await?;
    expect(&mut control, |message| matches!(message, Message::Accepted)).await?;
    let mut streams = Vec::new();
    for index in 0..plan.connections() {
        let stream = open(transport, server, Kind::Data, test, index).await?;
        record.connected.push(stream.addresses()?);
        streams.push(stream);
    }
    expect(&mut control, |message| matches!(message, Message::Ready)).await?;
    tell(record);

    let meters = meters(match plan.mode {
        Mode::Connect => plan.streams,
        _ => plan.connections(),
    });
    let work = async {
        match (plan.mode, plan.limit) {
            (Mode::Connect, Limit::Time(duration)) => {
                let what = (plan.length as usize, duration);
                exchange::call(transport, server, test, what, &meters).await
            }
            _ => play(plan, End::Client, streams, &meters).await,
        }
    };
    let begin = Instant::now();
    let mut ticks = Ticks::new(plan, &meters);
    let outcome = tokio::select! {
        outcome = work => outcome,
        error = watch(&meters) => Err(error),
        never = ticks.run(interval, record, &mut tell) => match never {},
    };
    (record.own, record.latency) = outcome?;
    record.seconds = begin.elapsed().as_secs_f64();
    ticks.rest(interval, record, &mut tell);
    control.send(&Message::Results(record.own.clone())).await?;
    match control.receive_soon().await? {
        Message::Results(results) => record.peer = results,
        other => return Err(unexpected(&other)),
    }
    Ok(())
}

async fn open<T: Transport>(
    transport: &T,
    server: SocketAddr,
    kind: Kind,
    test: u64,
    stream: u32,
) -> io::Result<T::Stream> {
    let failed = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot connect to {server}: {error}"))
    };
    let mut connected = transport.connect(server).await.map_err(failed)?;
    let hello = Hello { kind, test, stream };
    connected.write_all(&hello.encode()).await?;
    connected.flush().await?;
    Ok(connected)
}

async fn expect<S: Stream>(
    control: &mut Control<S>,
    is_it: impl Fn(&Message) -> bool,
) -> io::Result<()> {
    let message = control.receive_soon().await?;
    if is_it(&message) {
        Ok(())
    } else {
        Err(unexpected(&message))
    }
}

/// Reads the meters at each interval.
struct Ticks<'a> {
    meters: &'a [Arc<Meter>],
    senders: Vec<bool>,
    /// The bytes up to the last interval's end.
    before: Vec<u64>,
    begin: Instant,
    /// The last interval's end.
    last: f64,
}

impl<'a> Ticks<'a> {
    fn new(plan: &Plan, meters: &'a [Arc<Meter>]) -> Self {
        let is_sender = |index| match plan.mode {
            Mode::Connect => true,
            _ => !matches!(plan.part(index, End::Client), Part::Sink { .. }),
        };
        let senders: Vec<bool> = (0..).map(is_sender).take(meters.len()).collect();
        Self {
            meters,
            senders,
            before: vec![0; meters.len()],
            begin: Instant::now(),
            last: 0.0,
        }
    }

    async fn run(
        &mut self,
        interval: Duration,
        record: &mut Record,
        tell: &mut impl FnMut(&Record),
    ) -> core::convert::Infallible {
        if interval.is_zero() {
            return core::future::pending().await;
        }
        let mut ticks = time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.take(record);
            tell(record);
        }
    }

    /// The last, shorter interval.
    fn rest(&mut self, interval: Duration, record: &mut Record, tell: &mut impl FnMut(&Record)) {
        let mut meters = self.meters.iter().zip(&self.before);
        let moved = meters.any(|(meter, before)| meter.bytes() > *before);
        if !interval.is_zero() && moved {
            self.take(record);
            tell(record);
        }
    }

    fn take(&mut self, record: &mut Record) {
        let end = self.begin.elapsed().as_secs_f64();
        let mut streams = Vec::with_capacity(self.meters.len());
        for (((stream, meter), sender), before) in (0..)
            .zip(self.meters)
            .zip(&self.senders)
            .zip(&mut self.before)
        {
            let bytes = meter.bytes();
            streams.push(Moved {
                stream,
                sender: *sender,
                bytes: bytes - core::mem::replace(before, bytes),
                info: meter.ask().filter(|_| *sender),
            });
        }
        let start = core::mem::replace(&mut self.last, end);
        record.intervals.push(Interval {
            start,
            end,
            streams,
        });
    }
}
