//! Calls on one connection: send, receive, close, abort, status (RFC 9293 §3.9.1, §3.10).

use bytes::Bytes;
use core::net::SocketAddr;

use super::Stack;
use crate::error::{ConnError, ReadError, ShutdownError, WriteError};
use crate::tcp::pool::Pool;
use crate::tcp::pressure::MIN_BUFFER;
use crate::tcp::{Connection, SendLimit, State, TcpInfo};
use crate::time::{Duration, Instant};
use crate::types::{ConnEvents, ConnId};

/// One connection, borrowed from its stack ([`Stack::conn`]).
#[derive(Debug)]
pub struct Conn<'a> {
    pub(super) stack: &'a mut Stack,
    pub(super) id: ConnId,
}

impl Conn<'_> {
    /// SEND (RFC 9293 §3.10.2): queues the start of `data`, as much as the send buffer has room
    /// for, and returns how many bytes that is.
    ///
    /// # Errors
    /// [`WriteError::Blocked`] while the buffer is full or the handshake not over,
    /// [`WriteError::Closed`] after [`shutdown_write`](Self::shutdown_write),
    /// [`WriteError::Failed`] once when the connection failed.
    pub fn write(&mut self, now: Instant, data: &[u8]) -> Result<usize, WriteError> {
        let room = self.room_to_write(now)?;
        let data = data.get(..room.min(data.len())).unwrap_or_default();
        self.with_pool(|conn, pool| {
            conn.snd.buffer.write(data, pool);
            conn.app.write_blocked |= data.len() == room;
        });
        self.stack.settle(self.id);
        Ok(data.len())
    }

    /// As [`write`](Self::write), by reference: takes what there is room for off the front of
    /// `data`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_bytes(&mut self, now: Instant, data: &mut Bytes) -> Result<usize, WriteError> {
        let room = self.room_to_write(now)?;
        let taken = data.split_to(room.min(data.len()));
        let len = taken.len();
        self.with_pool(|conn, pool| {
            conn.snd.buffer.write_bytes(taken, pool);
            conn.app.write_blocked |= len == room;
        });
        self.stack.settle(self.id);
        Ok(len)
    }

    /// RECEIVE (RFC 9293 §3.10.3): copies the oldest bytes received to `into`. `Ok(0)` is the end
    /// of the stream, or an empty `into`.
    ///
    /// # Errors
    /// [`ReadError::Blocked`] when nothing is there yet, [`ReadError::Failed`] when the connection
    /// failed and everything received before was read.
    pub fn read(&mut self, now: Instant, into: &mut [u8]) -> Result<usize, ReadError> {
        let max = into.len();
        let mut at = 0;
        self.read_with(now, max, &mut |piece| {
            if let Some(to) = into.get_mut(at..at + piece.len()) {
                to.copy_from_slice(piece);
            }
            at += piece.len();
        })
    }

    /// As [`read`](Self::read), handing up to `max` bytes to `sink` piece by piece.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with(
        &mut self,
        now: Instant,
        max: usize,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, ReadError> {
        self.stack.advance(now);
        self.stack.update_pressure(self.id);
        if max == 0 || !self.check_readable()? {
            return Ok(0);
        }
        let read = self.with_pool(|conn, pool| {
            let read = conn.rcv.buffer.read_with(max, sink, pool);
            conn.tune_window(now, read);
            conn.update_window_after_read();
            read
        });
        self.stack.settle(self.id);
        Ok(read.unwrap_or(0))
    }

    /// As [`read`](Self::read), without copying: the next piece, at most `max` bytes. Empty at the
    /// end of the stream.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_chunk(&mut self, now: Instant, max: usize) -> Result<Bytes, ReadError> {
        self.stack.advance(now);
        self.stack.update_pressure(self.id);
        if max == 0 || !self.check_readable()? {
            return Ok(Bytes::new());
        }
        let chunk = self.with_pool(|conn, pool| {
            let chunk = conn.rcv.buffer.read_chunk(max, pool);
            conn.tune_window(now, chunk.len());
            conn.update_window_after_read();
            chunk
        });
        self.stack.settle(self.id);
        Ok(chunk.unwrap_or_default())
    }

    /// As [`read`](Self::read), leaving the bytes where they are.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn peek(&self, into: &mut [u8]) -> Result<usize, ReadError> {
        if into.is_empty() || !self.check_readable()? {
            return Ok(0);
        }
        Ok(self.get().map_or(0, |conn| conn.rcv.buffer.peek(into)))
    }

    /// Whether a read would not block: data, the end of the stream, or an error.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.check_readable() != Err(ReadError::Blocked)
    }

    /// Whether a write would not block: room worth writing to, or an error.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.get().is_none_or(|conn| {
            // A write that finds no room sets `write_blocked`; only then does `WRITABLE` follow.
            let may_write = conn.state.can_send() && !conn.snd.fin_queued;
            let waits_for_room = may_write && conn.app.write_blocked;
            !conn.is_connecting() && !waits_for_room
        })
    }

    /// Outcome of the active open; `None` while it goes on.
    #[must_use]
    pub fn connect_result(&self) -> Option<Result<(), ConnError>> {
        let conn = self.get()?;
        if conn.is_connecting() {
            return None;
        }
        Some(
            conn.app
                .error
                .filter(|_| conn.snd.una == 0)
                .map_or(Ok(()), Err),
        )
    }

    /// Half of CLOSE (RFC 9293 §3.10.4): no more data will be written; the FIN follows what is
    /// queued. A second call does nothing.
    ///
    /// # Errors
    /// [`ShutdownError::NotConnected`] before the handshake is over, or after the connection ended.
    pub fn shutdown_write(&mut self, now: Instant) -> Result<(), ShutdownError> {
        self.stack.advance(now);
        let result = self.connection(|conn| match conn.state {
            State::SynSent | State::Listen | State::Closed if !conn.snd.fin_queued => {
                Err(ShutdownError::NotConnected)
            }
            _ => {
                conn.snd.fin_queued = true;
                // A writer that waits for room learns that there will be none.
                if core::mem::take(&mut conn.app.write_blocked) {
                    conn.app.events |= ConnEvents::WRITABLE;
                }
                Ok(())
            }
        });
        self.stack.settle(self.id);
        result.unwrap_or(Err(ShutdownError::NotConnected))
    }

    /// CLOSE (RFC 9293 §3.10.4), giving the handle back. What is queued is sent in the background,
    /// then the FIN. The connection is reset instead where data was received and not read (RFC 2525
    /// §2.17; RFC 9293 §3.6.1, SHLD-3, MAY-1), with a linger time of zero, and where
    /// [`StackConfig::max_orphans`](crate::StackConfig::max_orphans) connections are closing
    /// already.
    pub fn close(mut self, now: Instant) {
        self.stack.advance(now);
        let now = self.stack.now;
        let lossy = self.get().is_some_and(|conn| {
            conn.rcv.buffer.len() > 0
                || conn.app.linger == Some(Duration::ZERO)
                || conn.is_connecting()
        });
        if lossy {
            return self.abort(now);
        }
        let lingers = !matches!(self.state(), State::TimeWait | State::Closed);
        if lingers && self.stack.conns.orphans >= self.stack.config.max_orphans {
            self.stack.net.stats.orphans_reset += 1;
            return self.abort(now);
        }
        self.orphan();
        self.connection(|conn| {
            conn.snd.fin_queued = true;
            conn.arm_orphan_timers(now);
        });
        self.stack.settle(self.id);
    }

    /// ABORT (RFC 9293 §3.10.5), giving the handle back: the peer gets a reset, nothing queued is
    /// sent.
    pub fn abort(mut self, now: Instant) {
        self.stack.advance(now);
        let now = self.stack.now;
        if let Some(reset) = self.get().and_then(Connection::reset_on_abort) {
            self.stack.send_reset_of(now, self.id, reset);
        }
        self.orphan();
        self.connection(|conn| {
            if conn.state != State::TimeWait && conn.state != State::Closed {
                conn.fail(ConnError::Aborted);
            }
            conn.rcv.buffer.clear();
        });
        self.stack.settle(self.id);
    }

    /// The error that the connection failed with, whether or not it was taken, and whatever is left
    /// to be read.
    #[must_use]
    pub fn error(&self) -> Option<ConnError> {
        self.get().and_then(|conn| conn.app.error)
    }

    /// The error the connection failed with, once (SO_ERROR).
    pub fn take_error(&mut self) -> Option<ConnError> {
        self.connection(|conn| {
            let error = conn.app.error.filter(|_| !conn.app.error_taken);
            conn.app.error_taken |= error.is_some();
            error
        })?
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.get().map_or(State::Closed, |conn| conn.state)
    }

    /// STATUS (RFC 9293 §3.10.6): a snapshot as of the latest input or call of the stack.
    #[must_use]
    pub fn info(&self) -> TcpInfo {
        let now = self.stack.now;
        let Some(slot) = self.stack.conns.slot(self.id) else {
            return TcpInfo::default();
        };
        let mut info = slot.tcp.info(now);
        if slot.marks.awaits_neighbor {
            info.limited_by = SendLimit::Link;
        }
        info
    }

    /// The local end.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.get().map_or(UNSPECIFIED, Connection::local_addr)
    }

    /// The remote end.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.get().map_or(UNSPECIFIED, Connection::remote_addr)
    }

    pub(super) fn get(&self) -> Option<&Connection> {
        self.stack.conns.get(self.id)
    }

    pub(super) fn connection<R>(&mut self, with: impl FnOnce(&mut Connection) -> R) -> Option<R> {
        self.stack.conns.get_mut(self.id).map(with)
    }

    fn with_pool<R>(&mut self, with: impl FnOnce(&mut Connection, &mut Pool) -> R) -> Option<R> {
        let Stack { conns, memory, .. } = &mut *self.stack;
        conns
            .get_mut(self.id)
            .map(|conn| with(conn, &mut memory.pool))
    }

    fn orphan(&mut self) {
        let newly = self.connection(|conn| !core::mem::replace(&mut conn.app.orphaned, true));
        self.stack.conns.orphans += usize::from(newly.unwrap_or(false));
    }

    fn room_to_write(&mut self, now: Instant) -> Result<usize, WriteError> {
        self.stack.advance(now);
        self.stack.update_pressure(self.id);
        // What is left of the budget bounds a single write, too.
        let left = self
            .stack
            .config
            .memory
            .saturating_sub(self.stack.memory_used());
        let room = self
            .connection(|conn| {
                if let Some(error) = conn.app.error {
                    let first = !core::mem::replace(&mut conn.app.error_taken, true);
                    return Err(if first {
                        WriteError::Failed(error)
                    } else {
                        WriteError::Closed
                    });
                }
                if conn.is_connecting() {
                    return Err(WriteError::Blocked);
                }
                if conn.snd.fin_queued || !conn.state.can_send() {
                    return Err(WriteError::Closed);
                }
                match conn.send_room() {
                    0 => {
                        conn.app.write_blocked = true;
                        Err(WriteError::Blocked)
                    }
                    room => Ok(room),
                }
            })
            .unwrap_or(Err(WriteError::Closed));
        if room == Err(WriteError::Blocked) {
            self.stack.wait_for_memory(self.id);
        }
        room.map(|room| room.min(left.max(MIN_BUFFER as usize)))
    }

    /// Whether there is data (true) or the stream has ended (false).
    fn check_readable(&self) -> Result<bool, ReadError> {
        let Some(conn) = self.get() else {
            return Ok(false);
        };
        if conn.rcv.buffer.len() > 0 {
            return Ok(true);
        }
        // A stream that was received to its end is complete, whatever happened to the connection
        // afterwards.
        if conn.rcv.finished() {
            return Ok(false);
        }
        match conn.app.error {
            Some(error) => Err(ReadError::Failed(error)),
            None if conn.state == State::Closed => Ok(false),
            None => Err(ReadError::Blocked),
        }
    }
}

const UNSPECIFIED: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0);
