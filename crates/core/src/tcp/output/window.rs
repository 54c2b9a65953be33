//! Offered window (RFC 9293 §3.8.6, RFC 7323 §2.3).
//!
//! Its right edge never moves left (SHLD-14), may stay where it is for ever (MAY-8), and moves
//! right only in steps of a useful size (receiver SWS avoidance, RFC 9293 §3.8.6.2.2).

use tidewire_wire::SeqNum;

use crate::tcp::tcb::Connection;

impl Connection {
    /// Receive buffer size that the window may promise. Rounding to the window's scale may promise
    /// up to one unit more than is free, so one unit is kept back.
    pub(crate) fn rcv_capacity(&self) -> u64 {
        let unit = 1_u64 << self.rcv_shift();
        let buffer = u64::from(self.rcv.tuning.size()).saturating_sub(unit - 1);
        // Without window scaling the window field is smaller than a large buffer.
        buffer.clamp(1, u64::from(u16::MAX) * unit)
    }

    /// The largest right edge that a segment can have offered, rounding included. All text before
    /// it is accepted.
    pub(crate) fn rcv_accepted_edge(&self) -> u64 {
        let rounding = (1 << self.rcv_shift()) - 1;
        (self.rcv.edge + rounding).max(self.rcv.nxt)
    }

    /// [`rcv_capacity`](Self::rcv_capacity), reduced under memory pressure.
    fn rcv_allowance(&self) -> u64 {
        self.rcv_capacity()
            .min(u64::from(self.pressure.cap(u32::MAX)))
    }

    /// The right edge that free memory allows. Out-of-order data lies inside the window, so it is
    /// not deducted.
    fn free_edge(&self) -> u64 {
        self.rcv.nxt
            + self
                .rcv_allowance()
                .saturating_sub(self.rcv.buffer.len() as u64)
    }

    /// SEG.ACK and SEG.WND of the next segment.
    pub(super) fn acknowledge(&mut self) -> (SeqNum, u16) {
        self.ack.on_sent();
        self.timers.disarm_delayed_ack();
        self.rcv.last_ack = self.rcv.nxt;
        self.rcv.forget_duplicate();
        let free = self.free_edge();
        if free > self.rcv.edge && free - self.rcv.edge >= self.worthwhile_step() {
            self.rcv.edge = free;
        }
        // Rounded up in the window field, so that the offered edge never moves left
        // (RFC 7323 §2.4). `rcv.edge` is not rounded: it would move right with every odd byte.
        let field = self
            .rcv
            .wnd()
            .div_ceil(1 << self.rcv_shift())
            .min(u64::from(u16::MAX));
        (
            self.rcv.seq(self.rcv.nxt),
            u16::try_from(field).unwrap_or(u16::MAX),
        )
    }

    /// The application read: an ACK is due at once if the window opens by enough.
    pub(crate) fn update_window_after_read(&mut self) {
        if !self.state.can_receive() {
            return;
        }
        let step = self.free_edge().saturating_sub(self.rcv.edge);
        let quarter = self.rcv_capacity() / 4;
        let nearly_closed = self.rcv.wnd() < u64::from(self.rcv.mss_seen).saturating_mul(2);
        if step >= self.worthwhile_step() && (step >= quarter || nearly_closed) {
            self.ack.send_now();
        }
    }

    /// Receiver SWS avoidance (MUST-39): the smallest step of the right edge, min(half of the
    /// buffer, one segment).
    fn worthwhile_step(&self) -> u64 {
        (self.rcv_allowance() / 2)
            .min(u64::from(self.rcv.mss_seen))
            .max(1)
    }
}
