//! TIME-WAIT record (RFC 9293 §3.6.1): a closed connection, kept for 2 MSL (MUST-13).
//!
//! Resets are ignored (RFC 1337). A new SYN may replace the record (RFC 6191).

use tidewire_wire::{SeqNum, TcpFlags, TcpOptions, TcpTimestamps};

use super::challenge::ChallengeLimit;
use super::segment::{SegmentIn, SegmentPlan};
use super::tcb::Connection;
use super::timestamps::timestamp_value;
use crate::time::{Duration, Instant};
use crate::types::{ConnId, FourTuple, IpFields};

/// Time after the end of a connection before our own SYN may reuse its 4-tuple.
const REUSE_AFTER: Duration = Duration::from_secs(1);

/// A connection in TIME-WAIT.
#[derive(Clone, Debug)]
pub(crate) struct TimeWait {
    pub(crate) tuple: FourTuple,
    /// SND.NXT, RCV.NXT and the window field of the record's ACKs.
    pub(crate) snd_nxt: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    pub(crate) window: u16,
    rcv_wnd: u32,
    ip: IpFields,
    /// TSval offset and TS.Recent, where timestamps are in use.
    pub(crate) timestamps: Option<(u32, u32)>,
    /// 2 MSL, and when it is over.
    wait: Duration,
    pub(crate) deadline: Instant,
    pub(crate) challenges: ChallengeLimit,
    /// The application still holds the connection, to read the data that arrived.
    pub(crate) conn: Option<ConnId>,
}

/// Outcome of a segment for a TIME-WAIT record.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum TimeWaitVerdict {
    /// Retransmission of the peer's FIN: our last ACK was lost, and the wait starts again.
    FinAgain,
    /// An old or unexpected segment: answered with a rate-limited ACK.
    Acknowledge,
    /// A new connection may start.
    Reopen,
    /// No answer.
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
            ip: conn.config.ip_fields(),
            timestamps: conn
                .negotiated
                .timestamps
                .then_some((conn.ts.offset, conn.ts.recent)),
            wait: conn.config.time_wait,
            deadline: now + conn.config.time_wait,
            challenges: ChallengeLimit::default(),
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
            // An answer to a pure ACK could loop between two hosts in TIME-WAIT.
            return TimeWaitVerdict::Ignore;
        }
        let end = segment.header.seq.add(segment.len() as u32);
        if segment.has(TcpFlags::FIN) && end == self.rcv_nxt {
            TimeWaitVerdict::FinAgain
        } else {
            TimeWaitVerdict::Acknowledge
        }
    }

    /// The peer's FIN was retransmitted: 2 MSL start again (RFC 9293 §3.10.7.4).
    pub(crate) fn restart(&mut self, now: Instant) {
        self.deadline = now + self.wait;
    }

    /// The ACK that the record sends.
    pub(crate) fn acknowledgement(&self, now: Instant) -> SegmentPlan {
        let timestamps = self.timestamps.map(|(offset, recent)| TcpTimestamps {
            value: timestamp_value(now, offset),
            echo: recent,
        });
        let options = TcpOptions {
            timestamps,
            ..TcpOptions::default()
        };
        SegmentPlan::control(
            (self.snd_nxt, self.rcv_nxt),
            TcpFlags::ACK,
            self.window,
            options,
            self.ip,
        )
    }

    /// Whether our own SYN may replace the record, as with Linux' tcp_tw_reuse: one second after
    /// the end of the connection. All connections between two hosts share one timestamp clock, so
    /// by then our timestamps tell new segments from old ones (RFC 6191, RFC 7323 §B.2).
    pub(crate) fn may_reopen_actively(&self, now: Instant) -> bool {
        self.timestamps.is_some() && now + self.wait >= self.deadline + REUSE_AFTER
    }

    /// RFC 6191 §2 (SHLD-4, MAY-2): the SYN is new if its timestamp or sequence number is beyond
    /// the old connection's.
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
