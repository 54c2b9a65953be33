//! From a segment plan to a frame: routing, headers, checksums or their offload.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tidewire_wire::{
    EthernetHeader, MacAddr, SeqNum, TcpFlags, TcpHeader, TcpOptions, TcpTimestamps,
};

use super::Stack;
use super::headers::{Headers, tcp_header};
use super::trace::{Direction, Seen};
use super::transmit::{MAX_HEADER, Transmit};
use crate::error::ConnectError;
use crate::ip::{Resolution, ether_type, ethernet, ip_header_len};
use crate::offload::TxOffload;
use crate::tcp::State;
use crate::tcp::segment::{ResetReply, SegmentPlan};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, FourTuple, IpFields, Slices};

/// Frames of no connection that may wait for the driver; more are dropped, as a full queue on the way would.
const MAX_CONTROL: usize = 512;
/// Where a packet goes next.
#[derive(Copy, Clone, Debug)]
enum Hop {
    /// To this link address.
    Link(MacAddr),
    /// To ourselves.
    Own,
}

impl Stack {
    /// The next frame to send. It counts as sent: a driver that cannot send it now keeps a copy, one that loses it has
    /// lost it like the network would.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.advance(now);
        let now = self.now;
        self.ready.append(&mut self.held);
        loop {
            if self.link.up
                && let Some(frame) = self.control.pop_front()
            {
                self.memory.control -= frame.len();
                return Some(self.transmit_frame(frame));
            }
            if self.deliver_looped(now) {
                continue;
            }
            let id = self.ready.pop_front()?;
            if !self.link.up && !self.is_to_ourselves(id) {
                self.hold_while_down(now, id);
                continue;
            }
            if let Some((plan, hop)) = self.plan_next(now, id) {
                // The others first, before this one sends again.
                self.ready.push_back(id);
                match hop {
                    Hop::Link(mac) => return self.transmit_plan(id, &plan, mac),
                    Hop::Own => self.loop_segment(id, &plan),
                }
                continue;
            }
            // Nothing more to send for now.
            if let Some(slot) = self.conns.slot_mut(id) {
                slot.marks.ready = false;
            }
            self.settle_timers(id);
        }
    }

    /// The link is down: a connection that is going to send again waits for that, another one loses its segment and so
    /// gets a timer. Nobody waits without end.
    fn hold_while_down(&mut self, now: Instant, id: ConnId) {
        let Some(slot) = self.conns.slot_mut(id) else {
            return;
        };
        if slot.tcp.timers.retransmit().is_some() {
            return self.held.push_back(id);
        }
        slot.marks.ready = false;
        self.lose_next_segment(now, id);
    }

    fn is_to_ourselves(&self, id: ConnId) -> bool {
        self.conns
            .get(id)
            .is_some_and(|conn| self.is_own(conn.tuple.remote))
    }

    fn transmit_frame(&mut self, frame: Vec<u8>) -> Transmit<'_> {
        self.outgoing = frame;
        self.stats.frames_out += 1;
        self.stats.bytes_out += self.outgoing.len() as u64;
        let mut payload = Slices::EMPTY;
        payload.push(&self.outgoing);
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
        let (hop, room) = if self.is_own(remote) {
            (Hop::Own, Self::max_looped_payload(remote))
        } else {
            let mac = self.resolve_for(now, id, remote, progress)?;
            (Hop::Link(mac), self.max_payload(remote))
        };
        self.update_path(now, id);
        self.show_pressure(id);
        let conn = self.conns.get_mut(id)?;
        let before = conn.state;
        conn.recovery.supply(&mut self.pool);
        let plan = conn.next_segment(now, room)?;
        let (after, tuple) = (conn.state, conn.tuple);
        self.trace_out(now, &tuple, Some(id), &plan, (before, after));
        self.settle_memory(id);
        self.settle_timers(id);
        Some((plan, hop))
    }

    /// The link address that a connection's next segment goes to; without one the connection waits for it, or loses the
    /// segment.
    fn resolve_for(
        &mut self,
        now: Instant,
        id: ConnId,
        remote: IpAddr,
        progress: Option<Instant>,
    ) -> Option<MacAddr> {
        let next_hop = self.next_hop(remote)?;
        match self.neighbors.resolve(now, next_hop, progress) {
            Resolution::Known(mac) => Some(mac),
            Resolution::Pending => {
                self.wait_for_neighbor(id, next_hop);
                None
            }
            Resolution::Full => {
                self.lose_next_segment(now, id);
                None
            }
        }
    }

    /// The next segment cannot be sent, and counts as lost on the way: the retransmission timer, and
    /// its limit, apply to it.
    pub(super) fn lose_next_segment(&mut self, now: Instant, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id)
            && conn.next_segment(now, 0).is_some()
        {
            self.drop_frame(DropReason::NeighborUnresolved);
        }
        self.settle_timers(id);
    }

    fn wait_for_neighbor(&mut self, id: ConnId, next_hop: IpAddr) {
        self.flush_neighbor_requests();
        if let Some(slot) = self.conns.slot_mut(id)
            && !slot.marks.awaits_neighbor
        {
            slot.marks.awaits_neighbor = true;
            self.neighbors.wait(next_hop, id);
        }
    }

    /// Payload that one frame to `remote` may carry; the connection rounds it to whole segments.
    fn max_payload(&self, remote: IpAddr) -> usize {
        let most_headers = EthernetHeader::LEN + ip_header_len(remote) + TcpHeader::MAX_LEN;
        // The IP total length is 16 bits, of which the Ethernet header is no part.
        let frame =
            (self.link.max_superframe as usize).min(usize::from(u16::MAX) + EthernetHeader::LEN);
        if self.link.tx_checksum {
            frame.saturating_sub(most_headers)
        } else {
            0
        }
    }

    fn transmit_plan(
        &mut self,
        id: ConnId,
        plan: &SegmentPlan,
        mac: MacAddr,
    ) -> Option<Transmit<'_>> {
        let tuple = self.conns.get(id)?.tuple;
        self.stats.segments_out += 1;
        self.stats.retransmitted += u64::from(plan.retransmission);
        let mut payload = Slices::EMPTY;
        let conn = self.conns.get(id)?;
        conn.snd.buffer.slices(plan.payload.clone(), &mut payload);
        let (pieces, tx_checksum) = (payload.as_slice(), self.link.tx_checksum);
        let headers = Headers::new(&self.link, mac, &tuple, plan, pieces, tx_checksum)?;
        self.stats.frames_out += 1;
        self.stats.bytes_out += (headers.len + payload.len()) as u64;
        Some(Transmit {
            header: headers.bytes,
            header_len: headers.len,
            payload,
            offload: headers.offload,
            conn: Some(id),
        })
    }

    // ---- Segments of no connection ----

    /// Sends a segment without payload that belongs to no connection: SYN-ACK, reset, TIME-WAIT's ACK.
    pub(super) fn send_control_segment(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        plan: &SegmentPlan,
        state: State,
    ) {
        self.trace_out(now, tuple, None, plan, (state, state));
        self.stats.segments_out += 1;
        self.stats.retransmitted += u64::from(plan.retransmission);
        // With a placeholder for the link address, which `send_packet` knows, and with its checksum:
        // frames in that queue ask nothing of the device.
        let headers = Headers::new(&self.link, MacAddr([0; 6]), tuple, plan, &[], false);
        let packet = headers.and_then(|headers| headers.packet());
        if let Some(packet) = packet {
            self.send_packet(now, tuple.remote, packet);
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
        self.stats.resets_out += 1;
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

    /// Sends a complete IP packet, once the next hop's link address is known.
    pub(crate) fn send_packet(&mut self, now: Instant, to: IpAddr, packet: Vec<u8>) {
        if self.is_own(to) {
            return self.loop_packet(packet.into(), None);
        }
        let Some(next_hop) = self.next_hop(to) else {
            return self.drop_frame(DropReason::NeighborUnresolved);
        };
        match self.neighbors.resolve(now, next_hop, None) {
            Resolution::Known(mac) => self.queue_packet(mac, to, &packet),
            Resolution::Pending => {
                if self.neighbors.park(next_hop, packet).is_some() {
                    self.drop_frame(DropReason::NeighborUnresolved);
                }
            }
            Resolution::Full => self.drop_frame(DropReason::NoMemory),
        }
        self.flush_neighbor_requests();
    }

    /// Queues a complete IP packet to `to` in a frame to `mac`.
    pub(crate) fn queue_packet(&mut self, mac: MacAddr, to: IpAddr, packet: &[u8]) {
        let ethernet = ethernet(self.link.mac, mac, ether_type(to));
        let mut frame = alloc::vec![0; EthernetHeader::LEN + packet.len()];
        if let Ok(at) = ethernet.emit(&mut frame)
            && let Some(body) = frame.get_mut(at..)
        {
            body.copy_from_slice(packet);
            self.queue_frame(frame);
        }
    }

    pub(crate) fn queue_frame(&mut self, frame: Vec<u8>) {
        if self.control.len() >= MAX_CONTROL {
            return self.drop_frame(DropReason::NoMemory);
        }
        self.memory.control += frame.len();
        self.control.push_back(frame);
    }

    // ---- Addressing ----

    /// Where `remote` is: the unspecified address is this host, as Linux has it.
    fn destination(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<SocketAddr, ConnectError> {
        if !remote.ip().is_unspecified() {
            return Ok(remote);
        }
        let bound = local.map(|local| local.ip());
        let here = bound
            .filter(|ip| !ip.is_unspecified())
            .or_else(|| self.source_for(remote.ip()))
            .ok_or(ConnectError::NoRoute)?;
        Ok(SocketAddr::new(here, remote.port()))
    }

    /// Both ends of an active open (RFC 9293 §3.9.1.1: the source address is chosen now, MUST-44, and stays, MUST-45).
    pub(super) fn choose_tuple(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<FourTuple, ConnectError> {
        let remote = self.destination(remote, local)?;
        let invalid = match remote.ip() {
            // MUST-46: never to broadcast or multicast.
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        if invalid || remote.port() == 0 || self.is_subnet_broadcast(remote.ip()) {
            return Err(ConnectError::InvalidDestination);
        }
        if !self.is_own(remote.ip()) && self.next_hop(remote.ip()).is_none() {
            return Err(ConnectError::NoRoute);
        }
        let source = match local
            .map(|local| local.ip())
            .filter(|ip| !ip.is_unspecified())
        {
            Some(ip) if self.is_own(ip) && ip.is_ipv4() == remote.is_ipv4() => ip,
            Some(_) => return Err(ConnectError::AddrNotAvailable),
            None => self.source_for(remote.ip()).ok_or(ConnectError::NoRoute)?,
        };
        let tuple = |port| FourTuple::new(SocketAddr::new(source, port), remote);
        if let Some(port) = local.map(|local| local.port()).filter(|&port| port != 0) {
            return if self.may_connect(&tuple(port)) {
                Ok(tuple(port))
            } else {
                Err(ConnectError::AddrInUse)
            };
        }
        let to = (source, remote.ip(), remote.port());
        let is_free = |port| !self.is_local_port(port) && self.may_connect(&tuple(port));
        let Some(choice) = self.ports.find(self.now, to, is_free) else {
            self.ports.note_exhausted(self.now, to);
            return Err(ConnectError::PortsExhausted);
        };
        self.ports.take(to, choice);
        Ok(tuple(choice.port))
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
