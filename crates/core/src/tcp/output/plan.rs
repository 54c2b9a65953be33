//! Plan of the next segment, or the reason to wait. Planning changes nothing.

use core::ops::Range;

use super::{Held, Plan};
use crate::tcp::info::SendLimit;
use crate::tcp::state::State;
use crate::tcp::tcb::Connection;
use crate::time::Instant;

impl Connection {
    /// The next segment with sequence space, in the order of urgency: handshake, retransmission,
    /// new data and FIN. `room` is the payload that one frame may carry, at least one segment.
    pub(super) fn plan(&self, now: Instant, room: usize) -> Result<Plan, Held> {
        match self.state {
            State::SynSent | State::SynReceived => return self.plan_handshake(),
            State::Closed | State::Listen | State::TimeWait => return Err(Held::NOTHING_TO_SEND),
            _ => {}
        }
        let Some(lost) = self.recovery.next_lost() else {
            return self.plan_new(now, room);
        };
        let held = match self.plan_retransmission(now, room, lost) {
            Ok(plan) => return Ok(plan),
            Err(held) => held,
        };
        // The limit of the retransmission describes the path better than that of the data behind
        // it.
        self.plan_new(now, room).map_err(|new| Held {
            until: held.until.or(new.until),
            cwnd_limited_to: new.cwnd_limited_to.or(held.cwnd_limited_to),
            ..held
        })
    }

    /// A segment without sequence space, where one is due.
    pub(super) fn plan_empty(&self) -> Option<Plan> {
        match self.state {
            State::SynSent | State::SynReceived | State::Closed | State::Listen => None,
            _ if self.snd.keep_alive_due => Some(Plan::KeepAlive),
            _ => self.ack.is_due().then_some(Plan::Ack),
        }
    }

    /// The SYN, or the SYN-ACK of a simultaneous open; also their retransmissions.
    fn plan_handshake(&self) -> Result<Plan, Held> {
        let first = self.snd.nxt == 0;
        let again = self.recovery.next_lost().is_some();
        let owes_ack = self.state == State::SynReceived && self.ack.is_due();
        if first || again || owes_ack {
            Ok(Plan::Handshake)
        } else {
            Err(Held::NOTHING_TO_SEND)
        }
    }

    /// Retransmission of a lost range: whole segments, within cwnd and the pacing rate.
    fn plan_retransmission(
        &self,
        now: Instant,
        room: usize,
        lost: Range<u64>,
    ) -> Result<Plan, Held> {
        if self.snd.wnd == 0 {
            // A closed window is probed with one octet at SND.UNA.
            return if self.snd.persist_due {
                Ok(Plan::WindowProbe(lost.start..lost.start + 1))
            } else {
                Err(SendLimit::ReceiveWindow.into())
            };
        }
        let mss = u64::from(self.segment_size());
        let allowed = self.retransmission_room(mss);
        if allowed < mss {
            return Err(Held {
                cwnd_limited_to: Some(self.snd.nxt),
                ..SendLimit::Congestion.into()
            });
        }
        self.check_pace(now)?;
        let room = (room as u64).max(mss);
        let most = room.min(allowed) / mss * mss;
        // The peer may have shrunk its window since (RFC 9293 §3.8.6, MUST-34). Lost data inside
        // the window is sent again as usual (SHLD-16), and no new data goes beyond (SHLD-15). Lost
        // data beyond the window is sent again one segment at a time (MAY-7), until it is
        // acknowledged (SHLD-17).
        let inside = self.snd.window_edge().saturating_sub(lost.start);
        let end = lost.end.min(lost.start + most.min(inside.max(mss)));
        let end = self.fill_up(lost.start, end, mss.min(inside));
        let end = self.cut_to_slices(lost.start..end);
        Ok(Plan::Retransmit(lost.start..end))
    }

    /// New data and the FIN after it, within the windows, the pacing rate and Nagle.
    fn plan_new(&self, now: Instant, room: usize) -> Result<Plan, Held> {
        let nxt = self.snd.nxt;
        let unsent = self.snd.end() - nxt;
        if unsent == 0 {
            return Err(Held::NOTHING_TO_SEND);
        }
        if self.snd.persist_due && self.snd.flight_size() == 0 {
            // MUST-36, MUST-37: one octet of new data into a closed window, or as much as a small
            // window allows.
            let window = self.snd.window_edge().saturating_sub(nxt);
            let most = window.max(1).min(u64::from(self.segment_size()));
            return Ok(Plan::WindowProbe(nxt..nxt + unsent.min(most)));
        }
        if nxt < self.snd.buffer.end() {
            self.check_pace(now)?;
        }
        let (len, cwnd_limited_to) = self.sendable(now, unsent, room)?;
        Ok(Plan::New {
            range: nxt..self.cut_to_slices(nxt..nxt + len),
            cwnd_limited_to,
        })
    }
}
