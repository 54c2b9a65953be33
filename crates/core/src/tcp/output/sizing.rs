//! Segment sizes: windows, whole segments (SHLD-28), Nagle, sender SWS avoidance.
//!
//! RFC 9293 §3.7.4 and §3.8.6.2.1. Short super-frames may wait for more data.

use core::ops::Range;

use super::Held;
use crate::tcp::info::SendLimit;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::Connection;
use crate::time::{Duration, Instant};

/// Bytes in flight from which on a short frame may wait for ACKs: the longest super-frame.
const LONGEST_FRAME: u64 = 64 * 1024;

/// Longest round trip at which a short frame may wait for ACKs, and the longest wait: too short to
/// be noticed.
const SHORT_ROUND_TRIP: Duration = Duration::from_millis(1);

/// Room for new data in the congestion window and in the peer's.
#[derive(Copy, Clone, Debug)]
struct WindowRoom {
    in_flight: u64,
    congestion: u64,
    peer: u64,
    /// Bytes that both windows allow.
    usable: u64,
}

impl Connection {
    /// Bytes that congestion control allows to be retransmitted now.
    pub(super) fn retransmission_room(&self, mss: u64) -> u64 {
        let in_flight = self.in_flight();
        let room = self.congestion.cwnd().saturating_sub(in_flight);
        if in_flight == 0 || self.recovery.is_first_retransmission_exempt() {
            room.max(mss)
        } else {
            room
        }
    }

    /// Fills a short retransmission that ends at SND.NXT up with new data, to at most `full` bytes:
    /// the octet of a window probe is not sent alone once the window is open.
    pub(super) fn fill_up(&self, start: u64, end: u64, full: u64) -> u64 {
        if end == self.snd.nxt && end - start < full {
            self.snd.end().min(start + full).max(end)
        } else {
            end
        }
    }

    /// How many of the `unsent` bytes may be sent in one frame now, and the position up to which
    /// the congestion window holds data back, if it does.
    pub(super) fn sendable(
        &self,
        now: Instant,
        unsent: u64,
        room: usize,
    ) -> Result<(u64, Option<u64>), Held> {
        let mss = u64::from(self.segment_size());
        let windows = self.window_room(mss);
        let is_cwnd_limited = windows.usable < unsent && windows.congestion <= windows.peer;
        let cwnd_limited_to = is_cwnd_limited.then_some(self.snd.nxt + windows.usable);
        let room = ((room as u64).max(mss) / mss * mss)
            .min(u64::from(self.congestion.send_quantum()).max(mss));
        match self.frame_len(now, unsent, room, mss, windows) {
            Ok(len) => Ok((len, cwnd_limited_to)),
            Err(held) => Err(Held {
                cwnd_limited_to,
                ..held
            }),
        }
    }

    /// The length of a frame that may be sent now: windows, whole segments, Nagle, SWS avoidance.
    fn frame_len(
        &self,
        now: Instant,
        unsent: u64,
        room: u64,
        mss: u64,
        windows: WindowRoom,
    ) -> Result<u64, Held> {
        let usable = windows.usable;
        let blocked_by = if windows.peer < windows.congestion || self.snd.wnd == 0 {
            SendLimit::ReceiveWindow
        } else {
            SendLimit::Congestion
        };
        let len = unsent.min(usable).min(room);
        if len == 0 {
            return Err(blocked_by.into());
        }
        // What a short segment waits for: a window, or more data.
        let limit = if usable < unsent {
            blocked_by
        } else {
            SendLimit::Coalescing
        };
        let whole = len / mss * mss;
        // All data that is queued; a FIN that does not fit is sent separately.
        let tail_fits = len >= self.unsent_data().max(1) && self.may_send_small();
        if !tail_fits && whole == 0 {
            return self.fill_small_window(len, usable, limit);
        }
        let len = if tail_fits { len } else { whole };
        self.check_frame(now, len, room, windows.in_flight, limit)?;
        Ok(len)
    }

    fn window_room(&self, mss: u64) -> WindowRoom {
        let in_flight = self.in_flight();
        let mut congestion = self.congestion.cwnd().saturating_sub(in_flight);
        if in_flight == 0 {
            // At any cwnd, one segment in flight keeps the ACK clock running.
            congestion = congestion.max(mss);
        }
        let peer = self.snd.window_edge().saturating_sub(self.snd.nxt);
        // Congestion control does not hold back a FIN without data, which takes almost no
        // bandwidth.
        let usable = if self.unsent_data() == 0 {
            peer
        } else {
            congestion.min(peer)
        };
        WindowRoom {
            in_flight,
            congestion,
            peer,
            usable,
        }
    }

    /// Data bytes that were never sent, the FIN excepted.
    fn unsent_data(&self) -> u64 {
        self.snd.buffer.end().saturating_sub(self.snd.nxt)
    }

    /// Sender SWS avoidance (RFC 9293 §3.8.6.2.1, MUST-38): part of the queued data, shorter than a
    /// segment, is sent only if it fills half of the peer's largest window.
    fn fill_small_window(&self, len: u64, usable: u64, limit: SendLimit) -> Result<u64, Held> {
        let is_half = usable.saturating_mul(2) >= u64::from(self.snd.max_wnd);
        if limit == SendLimit::ReceiveWindow && is_half {
            Ok(len)
        } else {
            Err(limit.into())
        }
    }

    /// Nagle (SHLD-7, MAY-16), in Minshall's form as in Linux: a small segment waits only while
    /// another small segment is unacknowledged (MUST-60). So the last part of a long request does
    /// not wait for its first part.
    fn may_send_small(&self) -> bool {
        self.app.nodelay || self.snd.fin_queued || self.snd.small_segment_to <= self.snd.una
    }

    /// Whether `len` bytes are sent now, or wait for more data or more window. The cost of a frame
    /// does not depend on its length, and at a short round trip the ACKs of the data in flight come
    /// soon. A frame never waits after a sign of loss (limited transmit, RFC 3042), with little
    /// data in flight, or for longer than a short round trip.
    fn check_frame(
        &self,
        now: Instant,
        len: u64,
        room: u64,
        in_flight: u64,
        limit: SendLimit,
    ) -> Result<(), Held> {
        let is_short = |rtt| rtt <= SHORT_ROUND_TRIP;
        let may_wait = len < room
            && !self.snd.fin_queued
            && self.recovery.phase() == Phase::Open
            && !self.recovery.is_in_disorder()
            && self.rtt.srtt().is_some_and(is_short);
        let until = self.snd.last_sent + SHORT_ROUND_TRIP;
        if !may_wait || now >= until {
            return Ok(());
        }
        let is_enough = if limit == SendLimit::Coalescing {
            // All queued data: the application may write more.
            in_flight < room.max(LONGEST_FRAME)
        } else {
            // All that a window allows: a quarter of the window is long enough for a frame.
            let window = self.congestion.cwnd().min(u64::from(self.snd.wnd));
            len >= window / 4 || in_flight < window / 2
        };
        if is_enough {
            return Ok(());
        }
        Err(Held {
            until: Some(until),
            ..limit.into()
        })
    }

    /// The end of `range`, or of the slices of the send buffer that one frame can take; the FIN
    /// takes none.
    pub(super) fn cut_to_slices(&self, range: Range<u64>) -> u64 {
        let data_end = self.snd.buffer.end();
        if range.start >= data_end {
            return range.end;
        }
        let reach = self.snd.buffer.reach(range.start..range.end.min(data_end));
        if reach < data_end { reach } else { range.end }
    }
}
