//! TIME-WAIT as a compact record (RFC 9293 3.6.1): the last words of a connection, kept for 2 MSL.
//!
//! Resets are ignored (RFC 1337), a new SYN may take the place (RFC 6191).

use tidewire_wire::{SeqNum, TcpFlags};

use super::segment::SegmentIn;
use super::tcb::Connection;
use crate::stack::{ConnId, FourTuple};
use crate::time::Instant;

/// A connection in TIME-WAIT.
#[derive(Clone, Debug)]
pub(crate) struct TimeWait {
    pub(crate) tuple: FourTuple,
    /// SND.NXT, RCV.NXT and the window field: what its ACKs say.
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    pub(crate) window: u16,
    rcv_wnd: u32,
    /// TSval offset and TS.Recent, where timestamps are in use.
    pub(crate) timestamps: Option<(u32, u32)>,
    pub(crate) deadline: Instant,
    /// The application still holds the connection, to read what arrived.
    pub(crate) conn: Option<ConnId>,
}

/// What a segment means to a TIME-WAIT record.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum TimeWaitVerdict {
    /// The peer did not get our last ACK, or sends something old: it gets the ACK. `restart`: it was the FIN.
    Acknowledge { restart: bool },
    /// A new connection may start.
    Reopen,
    /// Nothing to say.
    Ignore,
}

impl TimeWait {
    pub(crate) fn new(conn: &Connection, now: Instant, handle: Option<ConnId>) -> Self {
        let shift = conn.rcv_shift();
        let rcv_wnd = u32::try_from(conn.rcv.wnd()).unwrap_or(u32::MAX);
        Self {
            tuple: conn.tuple,
            snd_nxt: conn.snd.seq(conn.snd.nxt),
            rcv_nxt: conn.rcv.seq(conn.rcv.nxt),
            window: u16::try_from(rcv_wnd >> shift).unwrap_or(u16::MAX),
            rcv_wnd,
            timestamps: conn
                .negotiated
                .timestamps
                .then_some((conn.ts.offset, conn.ts.recent)),
            deadline: now + conn.config.time_wait,
            conn: handle,
        }
    }

    pub(crate) fn judge(&self, segment: &SegmentIn) -> TimeWaitVerdict {
        if segment.has(TcpFlags::RST) {
            return TimeWaitVerdict::Ignore;
        }
        if segment.has(TcpFlags::SYN) && !segment.has(TcpFlags::ACK) && self.may_reopen(segment) {
            return TimeWaitVerdict::Reopen;
        }
        let old = segment.header.seq.lt(self.rcv_nxt);
        let inside = segment
            .header
            .seq
            .in_window(self.rcv_nxt, self.rcv_wnd.max(1));
        if segment.len() == 0 && (inside || old) {
            // A pure ACK needs no answer; two TIME-WAITs would talk for ever.
            return TimeWaitVerdict::Ignore;
        }
        TimeWaitVerdict::Acknowledge {
            restart: segment.has(TcpFlags::FIN),
        }
    }

    /// RFC 6191 2: a SYN is new if its timestamp or its sequence number is beyond the old connection's.
    fn may_reopen(&self, segment: &SegmentIn) -> bool {
        let later_seq = segment.header.seq.gt(self.rcv_nxt);
        match (self.timestamps, segment.options.timestamps) {
            (Some((_, recent)), Some(ts)) => {
                let ahead = ts.value.wrapping_sub(recent).cast_signed();
                ahead > 0 || ahead == 0 && later_seq
            }
            (None, Some(_)) => true,
            (_, None) => later_seq,
        }
    }
}
