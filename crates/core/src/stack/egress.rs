//! Egress: from a segment plan to a frame, with its route, its headers and its checksum.

use core::net::IpAddr;

use tidewire_wire::{MacAddr, SeqNum, TcpFlags, TcpOptions, TcpTimestamps};

use super::Stack;
use super::headers::{Headers, tcp_header};
use super::trace::{Direction, Seen};
use super::transmit::{MAX_HEADER, Transmit};
use crate::ip::Resolution;
use crate::offload::TxOffload;
use crate::tcp::State;
use crate::tcp::segment::{ResetReply, SegmentPlan};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, FourTuple, IpFields, Slices};

/// Next hop of a segment.
#[derive(Copy, Clone, Debug)]
enum Hop {
    /// To this link address.
    Link(MacAddr),
    /// To an own address.
    Own,
}

impl Stack {
    /// The next frame to send. It counts as sent: a driver that cannot send it now keeps a copy,
    /// and a frame that the driver loses is lost as if by the network.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.advance(now);
        let now = self.now;
        self.scheduler.retry_link();
        loop {
            if self.net.link().up && self.net.out.advance() {
                return Some(self.transmit_frame());
            }
            if self.deliver_loopback(now) {
                continue;
            }
            let id = self.scheduler.next_ready()?;
            if !self.net.link().up && !self.is_to_own_address(id) {
                self.await_link(now, id);
                continue;
            }
            if let Some((plan, hop)) = self.plan_next(now, id) {
                self.scheduler.next_turn(id);
                match hop {
                    Hop::Link(mac) => return self.transmit_plan(id, &plan, mac),
                    Hop::Own => self.loop_back_segment(id, &plan),
                }
                continue;
            }
            // Nothing more to send for now.
            if let Some(slot) = self.conns.slot_mut(id) {
                slot.marks.ready = false;
            }
            self.schedule_timers(id);
        }
    }

    /// The link is down. A connection whose retransmission timer runs waits for the link. Any other
    /// one counts its segment as lost, which arms that timer: no connection waits without limit.
    fn await_link(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.conns.slot_mut(id) else {
            return;
        };
        if slot.tcp.timers.retransmit().is_some() {
            return self.scheduler.await_link(id);
        }
        slot.marks.ready = false;
        self.lose_next_segment(now, id);
    }

    fn is_to_own_address(&self, id: ConnId) -> bool {
        self.conns
            .get(id)
            .is_some_and(|conn| self.net.is_own(conn.tuple.remote))
    }

    /// The frame that the network layer handed out.
    fn transmit_frame(&mut self) -> Transmit<'_> {
        let len = self.net.out.current().len();
        self.net.stats.frames_out += 1;
        self.net.stats.bytes_out += len as u64;
        let mut payload = Slices::EMPTY;
        payload.push(self.net.out.current());
        Transmit {
            header: [0; MAX_HEADER],
            header_len: 0,
            payload,
            offload: TxOffload::None,
            conn: None,
        }
    }

    /// The next segment of a connection and where it goes.
    fn plan_next(&mut self, now: Instant, id: ConnId) -> Option<(SegmentPlan, Hop)> {
        let conn = self.conns.get(id)?;
        if !conn.wants_to_send() {
            return None;
        }
        let (remote, progress) = (conn.tuple.remote, conn.snd.proven_at);
        let (hop, room) = if self.net.is_own(remote) {
            (Hop::Own, Self::max_loopback_payload(remote))
        } else {
            let mac = self.resolve_for(now, id, remote, progress)?;
            (Hop::Link(mac), self.net.max_payload(remote))
        };
        self.update_path(now, id);
        self.update_pressure(id);
        let conn = self.conns.get_mut(id)?;
        let before = conn.state;
        conn.recovery.supply(&mut self.memory.pool);
        let plan = conn.next_segment(now, room)?;
        let (after, tuple) = (conn.state, conn.tuple);
        self.trace_out(now, &tuple, Some(id), &plan, (before, after));
        self.account_memory(id);
        self.schedule_timers(id);
        Some((plan, hop))
    }

    /// The link address for the next segment of a connection. Without one the connection waits for
    /// it, or its segment counts as lost.
    fn resolve_for(
        &mut self,
        now: Instant,
        id: ConnId,
        remote: IpAddr,
        progress: Option<Instant>,
    ) -> Option<MacAddr> {
        match self.net.resolve(now, remote, progress)? {
            Resolution::Known(mac) => Some(mac),
            Resolution::Pending => {
                self.await_neighbor(id, remote);
                None
            }
            Resolution::Full => {
                self.lose_next_segment(now, id);
                None
            }
        }
    }

    /// The next segment cannot be sent, and counts as lost on the way: the retransmission timer,
    /// and its limit, apply to it.
    pub(super) fn lose_next_segment(&mut self, now: Instant, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && conn.next_segment(now, 0).is_some()
        {
            self.drop_frame(DropReason::NeighborUnresolved);
        }
        self.schedule_timers(id);
    }

    fn await_neighbor(&mut self, id: ConnId, remote: IpAddr) {
        self.net.flush_neighbor_requests();
        if let Some(slot) = self.conns.slot_mut(id)
            && !slot.marks.awaits_neighbor
        {
            slot.marks.awaits_neighbor = true;
            self.net.await_neighbor(remote, id);
        }
    }

    fn transmit_plan(
        &mut self,
        id: ConnId,
        plan: &SegmentPlan,
        mac: MacAddr,
    ) -> Option<Transmit<'_>> {
        self.net.stats.segments_out += 1;
        self.net.stats.retransmitted += u64::from(plan.retransmission);
        let Some(conn) = self.conns.get(id) else {
            self.net.stats.count_broken("a segment of no connection");
            return None;
        };
        let mut payload = Slices::EMPTY;
        conn.snd.buffer.slices(plan.payload.clone(), &mut payload);
        let (pieces, tx_checksum) = (payload.as_slice(), self.net.link().tx_checksum);
        let link = self.net.link();
        let Some(headers) = Headers::new(link, mac, &conn.tuple, plan, pieces, tx_checksum) else {
            self.net.stats.count_broken("a segment without headers");
            return None;
        };
        self.net.stats.frames_out += 1;
        self.net.stats.bytes_out += (headers.len + payload.len()) as u64;
        Some(Transmit {
            header: headers.bytes,
            header_len: headers.len,
            payload,
            offload: headers.offload,
            conn: Some(id),
        })
    }

    // ---- Segments of no connection ----

    /// Sends a segment without payload that belongs to no connection: SYN-ACK, reset, TIME-WAIT's
    /// ACK.
    pub(super) fn send_control_segment(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        plan: &SegmentPlan,
        state: State,
    ) {
        self.trace_out(now, tuple, None, plan, (state, state));
        self.net.stats.segments_out += 1;
        self.net.stats.retransmitted += u64::from(plan.retransmission);
        // The link address is a placeholder, which `send_packet` replaces, and the checksum is
        // complete: frames of that queue use no offload.
        let headers = Headers::new(self.net.link(), MacAddr([0; 6]), tuple, plan, &[], false);
        let packet = headers.and_then(|headers| headers.packet());
        match packet {
            Some(packet) => self.net.send_packet(now, tuple.remote, packet),
            None => self.net.stats.count_broken("a segment without headers"),
        }
    }

    /// Answers a segment with a reset (RFC 9293 §3.10.7.1).
    pub(super) fn send_reset(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        reset: ResetReply,
        timestamps: Option<TcpTimestamps>,
        ip: IpFields,
    ) {
        self.net.stats.resets_out += 1;
        let flags = if reset.ack.is_some() {
            TcpFlags::RST | TcpFlags::ACK
        } else {
            TcpFlags::RST
        };
        // RFC 7323 §5.2: a reset that answers a segment with timestamps echoes it.
        let echo = timestamps.map(|ts| TcpTimestamps {
            value: 0,
            echo: ts.value,
        });
        let numbers = (reset.seq, reset.ack.unwrap_or(SeqNum::new(0)));
        let options = TcpOptions {
            timestamps: echo,
            ..TcpOptions::default()
        };
        let plan = SegmentPlan::control(numbers, flags, 0, options, ip);
        self.send_control_segment(now, tuple, &plan, State::Closed);
    }

    fn trace_out(
        &mut self,
        at: Instant,
        tuple: &FourTuple,
        conn: Option<ConnId>,
        plan: &SegmentPlan,
        states: (State, State),
    ) {
        self.trace_segment(at, tuple, conn, states, || Seen {
            direction: Direction::Out,
            header: tcp_header(tuple, plan),
            options: plan.options,
            payload_len: plan.payload_len(),
            retransmission: plan.retransmission,
        });
    }
}
