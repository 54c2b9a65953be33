//! Peer: one end of a connection, a writer and a reader that follow a plan.

mod watch;

use std::net::SocketAddr;

use bytes::Bytes;
use tidewire_core::{
    ConnError, ConnEvents, ConnId, ConnectError, ConnectOptions, Duration, Instant, ReadError,
    State, TcpConfig, WriteError,
};

use super::read::{peek_and_read, read_piece};
use super::{App, AppCx, Ending, Fate, Plan, Stream};
use crate::laws::{Law, MEMORY_ALLOWANCE, is_full};

/// An application with one connection.
///
/// What it sends is a function of the connection and the offset. What it reads is compared with
/// that, byte by byte. A wrong byte, or an end of stream before the other end has finished, breaks
/// [`Law::PrefixDelivered`].
#[derive(Debug)]
pub struct Peer {
    start: Start,
    /// Tries again where it is refused.
    insists: bool,
    plan: Plan,
    conn: Option<ConnId>,
    streams: Option<Streams>,
    /// Pauses last until here.
    write_after: Instant,
    read_after: Instant,
    shut: bool,
    ended: bool,
    done: bool,
    waits: ConnEvents,
    watchdog: Instant,
    suspicious: bool,
    /// When it first had a connection.
    started: Option<Instant>,
    /// Bytes read when the watchdog last looked.
    heard: u64,
    /// Since when the connection is established.
    connected_at: Option<Instant>,
    /// How many bytes were acknowledged, and since when no more although some are under way.
    stuck_at: Option<(u64, Instant)>,
    /// The handle was given back, and the connection has to be over by then.
    lingers_until: Option<Instant>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one in each application, not many"
)]
enum Start {
    Connect {
        to: SocketAddr,
        local: Option<SocketAddr>,
        tcp: Option<TcpConfig>,
    },
    Accepted,
}

/// Both directions, once both addresses are known.
#[derive(Debug)]
struct Streams {
    local: SocketAddr,
    remote: SocketAddr,
    sent: Stream,
    received: Stream,
}

impl Peer {
    /// An end that connects to `to`.
    #[must_use]
    pub fn connecting(to: SocketAddr, plan: Plan) -> Self {
        Self::new(
            Start::Connect {
                to,
                local: None,
                tcp: None,
            },
            None,
            plan,
        )
    }

    /// The same from an address and port of its own: two such ends towards each other open
    /// simultaneously.
    #[must_use]
    pub fn connecting_from(local: SocketAddr, to: SocketAddr, plan: Plan) -> Self {
        Self::new(
            Start::Connect {
                to,
                local: Some(local),
                tcp: None,
            },
            None,
            plan,
        )
    }

    /// The same end, which tries again where it is refused: in a simultaneous open the other end
    /// may be between two attempts of its own.
    #[must_use]
    pub fn insisting(mut self) -> Self {
        self.insists = true;
        self
    }

    /// An end that was accepted.
    #[must_use]
    pub fn accepted(conn: ConnId, plan: Plan) -> Self {
        Self::new(Start::Accepted, Some(conn), plan)
    }

    /// Options of the connection; the stack's defaults without.
    #[must_use]
    pub fn with_tcp(mut self, config: TcpConfig) -> Self {
        if let Start::Connect { tcp, .. } = &mut self.start {
            *tcp = Some(config);
        }
        self
    }

    fn new(start: Start, conn: Option<ConnId>, plan: Plan) -> Self {
        Self {
            start,
            insists: false,
            plan,
            conn,
            streams: None,
            write_after: Instant::ZERO,
            read_after: Instant::ZERO,
            shut: false,
            ended: false,
            done: false,
            waits: ConnEvents::NONE,
            watchdog: Instant::ZERO,
            suspicious: false,
            started: None,
            heard: 0,
            connected_at: None,
            stuck_at: None,
            lingers_until: None,
            scratch: Vec::new(),
        }
    }

    /// The connection, opened on the first run; `None` where that fails.
    fn open(&mut self, cx: &mut AppCx<'_>) -> Option<ConnId> {
        let id = match (self.conn, &self.start) {
            (Some(id), _) => id,
            (None, Start::Connect { to, local, tcp }) => {
                let options = ConnectOptions {
                    local: *local,
                    tcp: tcp.clone(),
                };
                match cx.connect(*to, options) {
                    Ok(id) => id,
                    // A full stack takes no more connections, and says so.
                    Err(ConnectError::NoMemory) => {
                        cx.wake_after(RETRY);
                        return None;
                    }
                    Err(error) => {
                        cx.fail(Law::PrefixDelivered, format!("connect to {to}: {error}"));
                        return None;
                    }
                }
            }
            (None, Start::Accepted) => return None,
        };
        self.conn = Some(id);
        if self.streams.is_none() {
            let conn = cx.stack.conn(id)?;
            let (local, remote) = (conn.local_addr(), conn.peer_addr());
            let (sent, received) = (Stream::new(local, remote), Stream::new(remote, local));
            self.streams = Some(Streams {
                local,
                remote,
                sent,
                received,
            });
            cx.own(id);
            cx.ledger.of(local, remote).opened = true;
            cx.ledger.of(remote, local);
            let started = *self.started.get_or_insert(cx.now);
            if cx
                .ledger
                .last_restart(remote.ip())
                .is_some_and(|at| at >= started)
            {
                cx.ledger.lose(cx.now, remote, local, Fate::Gone);
            }
        }
        Some(id)
    }

    /// Writes until everything is written, the buffer is full, or a pause begins.
    fn write(&mut self, cx: &mut AppCx<'_>, id: ConnId) -> Result<(), ConnError> {
        let Some(Streams {
            local,
            remote,
            sent,
            ..
        }) = &mut self.streams
        else {
            return Ok(());
        };
        let mut chunk = Vec::new();
        while sent.offset() < self.plan.send {
            if self.write_after > cx.now {
                cx.wake_after(self.write_after.duration_since(cx.now));
                return Ok(());
            }
            let size = cx
                .rng
                .between(*self.plan.write_chunk.start(), *self.plan.write_chunk.end());
            chunk.resize(size.min(self.plan.send - sent.offset()) as usize, 0);
            sent.fill(&mut chunk);
            let was_full = is_full(cx.stack);
            let Some(mut conn) = cx.stack.conn(id) else {
                return Err(ConnError::Aborted);
            };
            let queued = if was_full { conn.info().send_queue } else { 0 };
            let result = if cx.rng.chance(self.plan.by_reference_ppm) {
                conn.write_bytes(cx.now, &mut Bytes::copy_from_slice(&chunk))
            } else {
                conn.write(cx.now, &chunk)
            };
            match result {
                Ok(written) => {
                    sent.advance(written);
                    if was_full && queued + written > MEMORY_ALLOWANCE {
                        let what =
                            format!("{written} bytes more than {queued} written with memory full");
                        cx.fail(Law::MemoryBounded, what);
                    }
                    cx.ledger.of(*local, *remote).written += written as u64;
                }
                Err(WriteError::Blocked) => {
                    self.waits |= ConnEvents::WRITABLE;
                    return Ok(());
                }
                Err(WriteError::Failed(error)) => return Err(error),
                Err(_) => return Err(ConnError::Aborted),
            }
            if cx.rng.chance(self.plan.stall_ppm) {
                self.write_after =
                    cx.now + Duration::from_nanos(cx.rng.below(self.plan.stall.as_nanos()));
            }
        }
        Ok(())
    }

    /// Reads until the end, until there is nothing, or until a pause begins.
    fn read(&mut self, cx: &mut AppCx<'_>, id: ConnId) -> Result<(), ConnError> {
        let Some(streams) = &mut self.streams else {
            return Ok(());
        };
        while !self.ended {
            if self.read_after > cx.now {
                cx.wake_after(self.read_after.duration_since(cx.now));
                return Ok(());
            }
            let size = cx
                .rng
                .between(*self.plan.read_chunk.start(), *self.plan.read_chunk.end())
                as usize;
            let by_reference = cx.rng.chance(self.plan.by_reference_ppm);
            let peek = cx.rng.chance(PEEK_PPM);
            let Some(mut conn) = cx.stack.conn(id) else {
                return Err(ConnError::Aborted);
            };
            let result = if peek {
                peek_and_read(&mut conn, cx.now, size, &mut self.scratch)
            } else {
                read_piece(&mut conn, cx.now, size, by_reference, &mut self.scratch)
            };
            match result {
                Ok(0) => self.ended = true,
                Ok(len) => {
                    if let Err(at) = streams.received.verify(&self.scratch[..len]) {
                        let Streams { local, remote, .. } = streams;
                        cx.fail(
                            Law::PrefixDelivered,
                            format!("{remote} > {local}: byte {at} is wrong"),
                        );
                        return Ok(());
                    }
                }
                Err(ReadError::Blocked) => {
                    self.waits |= ConnEvents::READABLE;
                    return Ok(());
                }
                Err(ReadError::Failed(error)) => return Err(error),
                Err(_) => return Err(ConnError::Aborted),
            }
            streams.account(cx, self.ended);
            if cx.rng.chance(self.plan.stall_ppm) {
                self.read_after =
                    cx.now + Duration::from_nanos(cx.rng.below(self.plan.stall.as_nanos()));
            }
        }
        Ok(())
    }

    /// Ends the connection when the plan says so.
    fn end(&mut self, cx: &mut AppCx<'_>, id: ConnId) -> Result<(), ConnError> {
        let Some(Streams {
            local,
            remote,
            sent,
            ..
        }) = &self.streams
        else {
            return Ok(());
        };
        let (local, remote, offset) = (*local, *remote, sent.offset());
        let Some(mut conn) = cx.stack.conn(id) else {
            return Err(ConnError::Aborted);
        };
        let all_written = offset == self.plan.send;
        let has_arrived = conn.info().bytes_acked > 0;
        match self.plan.ending {
            Ending::Abort { after } if offset >= after.min(self.plan.send) && has_arrived => {
                conn.abort(cx.now);
                cx.ledger.lose(cx.now, local, remote, Fate::Gone);
                self.done = true;
            }
            Ending::HalfClose if all_written => {
                if !self.shut {
                    // The connection has failed after the end of the incoming stream.
                    if conn.shutdown_write(cx.now).is_err() {
                        return Err(conn.take_error().unwrap_or(ConnError::Aborted));
                    }
                    self.shut = true;
                    cx.ledger.of(local, remote).finished = true;
                }
                if self.shut && self.ended {
                    self.close(cx, id);
                }
            }
            Ending::ReadFirst if all_written && self.ended => self.close(cx, id),
            Ending::CloseAtOnce if all_written => {
                cx.ledger.of(remote, local).ended = true;
                self.close(cx, id);
            }
            Ending::Linger(time) if all_written && (time > Duration::ZERO || has_arrived) => {
                conn.set_linger(Some(time));
                cx.ledger.of(remote, local).ended = true;
                self.close(cx, id);
                let is_limited = time > Duration::ZERO;
                let fate = if is_limited {
                    Fate::Limited
                } else {
                    Fate::Gone
                };
                cx.ledger.lose(cx.now, local, remote, fate);
                self.lingers_until = Some(cx.now + time);
                self.done = false;
                self.linger(cx, id);
            }
            // As above: it has failed after the end of the incoming stream.
            Ending::Abort { .. } | Ending::Linger(_) if conn.state() == State::Closed => {
                return Err(conn.take_error().unwrap_or(ConnError::Aborted));
            }
            Ending::Abort { .. } | Ending::Linger(_) => cx.wake_after(POLL),
            Ending::HalfClose | Ending::ReadFirst | Ending::CloseAtOnce => {}
        }
        Ok(())
    }

    /// Gives the handle back with everything written.
    fn close(&mut self, cx: &mut AppCx<'_>, id: ConnId) {
        let (Some(Streams { local, remote, .. }), Some(conn)) = (&self.streams, cx.stack.conn(id))
        else {
            return;
        };
        conn.close(cx.now);
        cx.ledger.of(*local, *remote).finished = true;
        if self.plan.may_time_out() {
            cx.ledger.lose(cx.now, *local, *remote, Fate::Limited);
        }
        self.done = true;
    }

    fn act(&mut self, cx: &mut AppCx<'_>, id: ConnId) -> Result<(), ConnError> {
        let connected = cx.stack.conn(id).and_then(|conn| conn.connect_result());
        match connected {
            None => {
                self.waits = ConnEvents::CONNECTED;
                return Ok(());
            }
            Some(Err(error)) if self.can_retry(cx, error) => {
                self.retry(cx, id);
                return Ok(());
            }
            Some(result) => result?,
        }
        self.configure(cx, id);
        self.check_user_timeout(cx, id);
        self.write(cx, id)?;
        self.read(cx, id)?;
        self.end(cx, id)
    }

    /// Sets the plan's options, once.
    fn configure(&mut self, cx: &mut AppCx<'_>, id: ConnId) {
        if self.connected_at.is_some() {
            return;
        }
        self.connected_at = Some(cx.now);
        let Some(mut conn) = cx.stack.conn(id) else {
            return;
        };
        if self.plan.keepalive.is_some() {
            conn.set_keepalive(cx.now, self.plan.keepalive);
        }
        if self.plan.user_timeout.is_some() {
            conn.set_user_timeout(cx.now, self.plan.user_timeout);
        }
    }

    fn can_retry(&self, cx: &mut AppCx<'_>, error: ConnError) -> bool {
        let retries = match error {
            ConnError::HostUnreachable => true,
            ConnError::Refused => self.insists,
            _ => false,
        };
        // The other end may be gone, alone or with its host.
        let is_gone = self
            .streams
            .as_ref()
            .is_some_and(|streams| cx.ledger.of(streams.remote, streams.local).fate > Fate::Kept);
        retries && !is_gone && matches!(self.start, Start::Connect { .. })
    }

    /// Connects again, as a program does after all address requests of an attempt were lost.
    fn retry(&mut self, cx: &mut AppCx<'_>, id: ConnId) {
        if let Some(conn) = cx.stack.conn(id) {
            conn.close(cx.now);
        }
        if let Some(Streams { local, remote, .. }) = self.streams.take() {
            cx.ledger.forget(local, remote);
        }
        self.conn = None;
        cx.wake_after(RETRY);
    }

    fn fail(&mut self, cx: &mut AppCx<'_>, id: ConnId, error: ConnError) {
        if let Some(Streams { local, remote, .. }) = &self.streams {
            cx.ledger.of(*remote, *local).failed = Some(error);
            if error == ConnError::TimedOut
                && self.connected_at.is_some()
                && self.plan.may_time_out()
            {
                cx.ledger.lose(cx.now, *local, *remote, Fate::Gone);
            }
        }
        if let Some(breach) = self.is_unfounded(cx.now, error) {
            cx.fail(Law::EveryWaitEnds, breach);
        }
        if let Some(conn) = cx.stack.conn(id) {
            conn.close(cx.now);
        }
        self.done = true;
    }
}

impl Streams {
    /// Notes how far the reader has come and compares that with the writer.
    fn account(&self, cx: &mut AppCx<'_>, ended: bool) {
        let record = cx.ledger.of(self.remote, self.local);
        record.read = self.received.offset();
        record.ended = ended;
        let early_end = ended && (!record.finished || record.read != record.written);
        if record.read > record.written || early_end {
            let what = format!("{} > {}: {record:?}", self.remote, self.local);
            cx.fail(Law::PrefixDelivered, what);
        }
    }
}

impl App for Peer {
    fn run(&mut self, cx: &mut AppCx<'_>) {
        if self.done {
            return;
        }
        self.waits = ConnEvents::NONE;
        let Some(id) = self.open(cx) else { return };
        if self.lingers_until.is_some() {
            return self.linger(cx, id);
        }
        if let Err(error) = self.act(cx, id) {
            self.fail(cx, id, error);
        }
        if !self.done && self.lingers_until.is_none() {
            self.watch(cx, id);
        }
        if self.done || self.conn.is_none() {
            self.waits = ConnEvents::NONE;
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn waits_for(&self) -> Option<(ConnId, ConnEvents)> {
        self.conn
            .filter(|_| !self.waits.is_empty())
            .map(|id| (id, self.waits))
    }
}

const PEEK_PPM: u32 = 20_000;
const POLL: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_secs(1);
