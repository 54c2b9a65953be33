//! How much to send: windows, whole segments (SHLD-28), Nagle, sender SWS avoidance (RFC 9293 §3.7.4 and §3.8.6.2.1), and
//! holding short super-frames back while many bytes are in flight.

use core::ops::Range;

use crate::tcp::info::SendLimit;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::Connection;
use crate::tcp::timer::RetransmitKind;
use crate::time::{Duration, Instant};

/// Bytes in flight behind which a short frame waits for its predecessors' ACKs: the longest super-frame.
const CORK: u64 = 64 * 1024;

/// Round trips up to this long are too short for anyone to notice the wait for one of them.
const NEAR: Duration = Duration::from_millis(1);

impl Connection {
    /// The next lost range to send again: whole segments, as far as congestion control allows.
    pub(super) fn retransmission(&mut self, now: Instant, room: usize) -> Option<Range<u64>> {
        let lost = self.recovery.next_lost()?;
        let mss = u64::from(self.segment_size(&self.options(self.snd.last_sent)));
        let in_flight = self.in_flight();
        let mut allowed = self.congestion.cwnd().saturating_sub(in_flight);
        if in_flight == 0 || self.recovery.take_urgent() {
            // The first retransmission does not wait for the window.
            allowed = allowed.max(mss);
        }
        if self.snd.wnd == 0 {
            // A closed window is probed with what is at the left edge, one unit at a time.
            return self.snd.probe.then(|| {
                self.snd.probe = false;
                lost.start..lost.start + 1
            });
        }
        if allowed < mss {
            self.snd.limit = SendLimit::Congestion;
            self.snd.cwnd_limited_until = self.snd.nxt;
            return None;
        }
        if self.is_paced(now) {
            return None;
        }
        let room = (room as u64).max(mss);
        let most = room.min(allowed) / mss * mss;
        // The peer may have shrunk its window since (RFC 9293 §3.8.6, MUST-34): what lies inside is sent again as
        // usual (SHLD-16), nothing new goes beyond (SHLD-15), and of the rest one segment at a time (MAY-7) until
        // it is acknowledged (SHLD-17).
        let inside = self.snd.window_edge().saturating_sub(lost.start);
        let end = lost.end.min(lost.start + most.min(inside.max(mss)));
        let end = self.fill_up(lost.start, end, mss.min(inside));
        Some(lost.start..self.cut_to_slices(lost.start..end))
    }

    /// A short retransmission at the end of what was sent takes new data with it, up to `full` bytes:
    /// the octet that probed a closed window does not travel alone once it is open.
    fn fill_up(&self, start: u64, end: u64, full: u64) -> u64 {
        if end == self.snd.nxt && end - start < full {
            self.snd.end().min(start + full).max(end)
        } else {
            end
        }
    }

    /// The next range of new data to send, FIN included.
    pub(super) fn new_data(&mut self, now: Instant, room: usize) -> Option<Range<u64>> {
        let unsent = self.snd.end() - self.snd.nxt;
        if unsent == 0 {
            self.snd.limit = SendLimit::Application;
            return None;
        }
        if self.snd.probe && self.snd.flight_size() == 0 {
            // MUST-36, MUST-37: one octet of new data into a closed window, or as much as a small window takes.
            self.snd.probe = false;
            let window = self.snd.window_edge().saturating_sub(self.snd.nxt);
            let len = unsent
                .min(window.max(1))
                .min(u64::from(self.segment_size(&self.options(now))));
            return Some(self.snd.nxt..self.snd.nxt + len);
        }
        self.restart_after_idle(now);
        if self.snd.nxt < self.snd.buffer.end() && self.is_paced(now) {
            return None;
        }
        let len = self.sendable(unsent, room)?;
        let end = self.cut_to_slices(self.snd.nxt..self.snd.nxt + len);
        Some(self.snd.nxt..end)
    }

    /// How many of the `unsent` bytes may leave in one frame now; `None` with the reason in `snd.limit`.
    fn sendable(&mut self, unsent: u64, room: usize) -> Option<u64> {
        let mss = u64::from(self.segment_size(&self.options(self.snd.last_sent)));
        let room = ((room as u64).max(mss) / mss * mss)
            .min(u64::from(self.congestion.send_quantum()).max(mss));
        let in_flight = self.in_flight();
        let mut cwnd_room = self.congestion.cwnd().saturating_sub(in_flight);
        if in_flight == 0 {
            // Whatever a controller says, one segment keeps the ACK clock running.
            cwnd_room = cwnd_room.max(mss);
        }
        let window_room = self.snd.window_edge().saturating_sub(self.snd.nxt);
        let data = self.snd.buffer.end() - self.snd.nxt.min(self.snd.buffer.end());
        // A bare FIN is not held back by congestion: it takes no bandwidth to speak of.
        let usable = if data == 0 {
            window_room
        } else {
            cwnd_room.min(window_room)
        };
        if usable < unsent && cwnd_room <= window_room {
            self.snd.cwnd_limited_until = self.snd.nxt + usable;
        }
        let len = unsent.min(usable).min(room);
        let blocked_by = if window_room < cwnd_room || self.snd.wnd == 0 {
            SendLimit::ReceiveWindow
        } else {
            SendLimit::Congestion
        };
        if len == 0 {
            self.snd.limit = blocked_by;
            return None;
        }
        let whole = len / mss * mss;
        // All data there is; a FIN that does not fit beside it follows by itself.
        let tail_fits = len >= data.max(1) && self.may_send_small();
        let len = if tail_fits {
            len
        } else if whole > 0 {
            whole
        } else {
            self.snd.limit = if usable < unsent {
                blocked_by
            } else {
                SendLimit::Coalescing
            };
            // Sender SWS avoidance (RFC 9293 §3.8.6.2.1, MUST-38): less than a segment, and not all there is,
            // fills a window only where that is half of the largest one seen.
            let fills_window = self.snd.limit == SendLimit::ReceiveWindow;
            let is_half = usable.saturating_mul(2) >= u64::from(self.snd.max_wnd);
            return (fills_window && is_half).then_some(len);
        };
        self.worth_a_frame(len, unsent, room, in_flight)
            .then_some(len)
    }

    /// Nagle (SHLD-7, MAY-16), in Minshall's form as Linux has it: a small segment waits only while another small one
    /// is unacknowledged, and so never for long (MUST-60). A request longer than one segment is then not held up by its
    /// own first part.
    fn may_send_small(&self) -> bool {
        self.app.nodelay || self.snd.fin_queued || self.snd.small_until <= self.snd.una
    }

    /// Whether to send `len` bytes now or let them grow. While much is in flight, its ACKs come soon and bring either
    /// more window or more data; a frame costs the same whatever its length. Nothing is held back during recovery or
    /// when little is in flight, so that no ACK can be late for it.
    fn worth_a_frame(&mut self, len: u64, unsent: u64, room: u64, in_flight: u64) -> bool {
        if len >= room || self.snd.fin_queued || self.recovery.phase() != Phase::Open {
            return true;
        }
        let enough = if len == unsent {
            // The application's own pace: hold back only behind more than a whole super-frame, and only where
            // the ACKs of that are a matter of microseconds.
            in_flight < room.max(CORK) || self.rtt.srtt().is_none_or(|srtt| srtt > NEAR)
        } else {
            // The window's pace: a quarter of it is a frame worth waiting for.
            let window = self.congestion.cwnd().min(u64::from(self.snd.wnd));
            len >= window / 4 || in_flight < window / 2
        };
        if !enough {
            self.snd.limit = SendLimit::Coalescing;
        }
        enough
    }

    /// A frame has room for so many pieces of the send buffer; the FIN takes none.
    fn cut_to_slices(&self, range: Range<u64>) -> u64 {
        let data_end = self.snd.buffer.end();
        if range.start >= data_end {
            return range.end;
        }
        let reach = self.snd.buffer.reach(range.start..range.end.min(data_end));
        if reach < data_end { reach } else { range.end }
    }

    /// RFC 5681 §4.1: after an idle RTO the ACK clock is gone, and cwnd falls back to the restart window.
    fn restart_after_idle(&mut self, now: Instant) {
        if self.snd.flight_size() == 0 && now.duration_since(self.snd.last_sent) > self.rto() {
            self.congestion.on_idle_restart(now);
        }
    }

    /// Something waits, nothing is in flight, and no ACK will come by itself: the persist timer must (MUST-35,
    /// MUST-36).
    pub(super) fn arm_persist_if_stuck(&mut self, now: Instant) {
        let waiting = self.snd.end() > self.snd.nxt
            || self.snd.wnd == 0 && self.recovery.next_lost().is_some();
        let idle = self.snd.flight_size() == 0 || self.snd.wnd == 0;
        if waiting && idle && self.timers.retransmit().is_none() && !self.timers.is_pacing() {
            // SHLD-29: the first probe after one RTO.
            self.snd.progress_at = now;
            let at = self.within_user_timeout(now + self.persist_interval());
            self.timers.arm_retransmit(at, RetransmitKind::Persist);
        }
    }
}
