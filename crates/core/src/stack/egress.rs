//! From a segment plan to a frame: routing, headers, checksums or their offload.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tidewire_wire::{
    Checksum, EtherType, EthernetHeader, IpProtocol, Ipv4Header, MacAddr, SeqNum, TcpFlags,
    TcpHeader, TcpOptions, TcpTimestamps,
};

use super::flow::FourTuple;
use super::trace::{Direction, Seen};
use super::transmit::{MAX_HEADER, Slices, Transmit};
use super::{ConnId, DropReason, Stack};
use crate::error::ConnectError;
use crate::ip::Resolution;
use crate::offload::TxOffload;
use crate::tcp::State;
use crate::tcp::segment::{IpFields, ResetReply, SegmentPlan};
use crate::time::Instant;

/// Frames of no connection that may wait for the driver; more are dropped, as a full queue on the way would.
const MAX_CONTROL: usize = 512;
/// The checksum field's offset in a TCP header.
const TCP_CHECKSUM: u16 = 16;

/// A complete set of headers.
struct Headers {
    bytes: [u8; MAX_HEADER],
    len: usize,
    offload: TxOffload,
}

impl Stack {
    /// The next frame to send. It counts as sent: a driver that cannot send it now keeps a copy, one that loses it has
    /// lost it like the network would.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.advance(now);
        let now = self.now;
        if !self.link.up {
            self.lose_while_down(now);
            return None;
        }
        loop {
            if let Some(frame) = self.control.pop_front() {
                return Some(self.transmit_frame(frame));
            }
            let id = self.ready.pop_front()?;
            if let Some((plan, mac)) = self.plan_next(now, id) {
                // The others first, before this one sends again.
                self.ready.push_back(id);
                return self.transmit_plan(id, &plan, mac);
            }
            // Nothing more to send for now.
            if let Some(conn) = self.conns.get_mut(id.0) {
                conn.in_ready = false;
            }
            self.settle_timers(id);
        }
    }

    /// The link is down: what has a timer waits for it in its place, what has none loses its segment and
    /// so gets one. Nobody waits without end.
    fn lose_while_down(&mut self, now: Instant) {
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else {
                return;
            };
            let Some(conn) = self.conns.get_mut(id.0) else {
                continue;
            };
            if conn.timers.next().is_some() {
                self.ready.push_back(id);
                continue;
            }
            conn.in_ready = false;
            self.lose_next_segment(now, id);
        }
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

    /// The next segment of a connection and the link address it goes to.
    fn plan_next(&mut self, now: Instant, id: ConnId) -> Option<(SegmentPlan, MacAddr)> {
        let conn = self.conns.get(id.0)?;
        if !conn.wants_to_send() {
            return None;
        }
        let remote = conn.tuple.remote;
        let next_hop = self.next_hop(remote)?;
        let mac = match self.neighbors.resolve(now, next_hop) {
            Resolution::Known(mac) => mac,
            Resolution::Pending => {
                self.wait_for_neighbor(id, next_hop);
                return None;
            }
            Resolution::Full => {
                self.lose_next_segment(now, id);
                return None;
            }
        };
        let room = self.max_payload(remote);
        let conn = self.conns.get_mut(id.0)?;
        let before = conn.state;
        let plan = conn.next_segment(now, room)?;
        let (after, tuple) = (conn.state, conn.tuple);
        self.trace_out(now, &tuple, Some(id), &plan, (before, after));
        self.settle_timers(id);
        Some((plan, mac))
    }

    /// The next segment cannot be sent, and counts as lost on the way: the retransmission timer, and
    /// its limit, apply to it.
    pub(super) fn lose_next_segment(&mut self, now: Instant, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id.0)
            && conn.next_segment(now, 0).is_some()
        {
            self.drop_frame(DropReason::NeighborUnresolved);
        }
        self.settle_timers(id);
    }

    fn wait_for_neighbor(&mut self, id: ConnId, next_hop: IpAddr) {
        self.flush_neighbor_requests();
        if let Some(conn) = self.conns.get_mut(id.0)
            && !conn.in_neighbor_queue
        {
            conn.in_neighbor_queue = true;
            self.neighbors.wait(next_hop, id);
        }
    }

    /// Payload that one frame to `remote` may carry; the connection rounds it to whole segments.
    fn max_payload(&self, remote: IpAddr) -> usize {
        let ip_header = if remote.is_ipv4() { 20 } else { 40 };
        let most_headers = EthernetHeader::LEN + ip_header + TcpHeader::MAX_LEN;
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
        let tuple = self.conns.get(id.0)?.tuple;
        self.stats.segments_out += 1;
        self.stats.retransmitted += u64::from(plan.retransmission);
        let mut payload = Slices::EMPTY;
        let conn = self.conns.get(id.0)?;
        conn.snd.buffer.slices(plan.payload.clone(), &mut payload);
        let headers = self.headers(&tuple, plan, mac, payload.as_slice(), self.link.tx_checksum)?;
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

    /// Ethernet, IP and TCP headers of a segment; `tx_checksum`: the device completes the checksum.
    fn headers(
        &self,
        tuple: &FourTuple,
        plan: &SegmentPlan,
        to: MacAddr,
        payload: &[&[u8]],
        tx_checksum: bool,
    ) -> Option<Headers> {
        let payload_len: usize = payload.iter().map(|piece| piece.len()).sum();
        let mut bytes = [0; MAX_HEADER];
        let ethernet = EthernetHeader {
            dst: to,
            src: self.link.mac,
            vlan: None,
            ether_type: EtherType::IPV4,
        };
        let ip_at = ethernet.emit(&mut bytes).ok()?;
        let tcp_len = TcpHeader::MIN_LEN + plan.options.emitted_len();
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (tuple.local, tuple.remote) else {
            return None;
        };
        let ip = Ipv4Header {
            tos: plan.ip.traffic_class,
            total_len: u16::try_from(Ipv4Header::MIN_LEN + tcp_len + payload_len).ok()?,
            // RFC 6864 4.1: with DF the identification means nothing; a constant tells nobody how much we send.
            id: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: plan.ip.hop_limit,
            protocol: IpProtocol::TCP,
            src,
            dst,
            options_len: 0,
        };
        let tcp_at = ip_at + ip.emit(bytes.get_mut(ip_at..)?).ok()?;
        emit_tcp(tuple, plan, bytes.get_mut(tcp_at..)?)?;
        let len = tcp_at + tcp_len;
        let offload = if tx_checksum {
            offload(plan, payload_len, tcp_at, len)?
        } else {
            TxOffload::None
        };

        let total = u32::try_from(tcp_len + payload_len).ok()?;
        let mut sum = Checksum::pseudo_header(tuple.local, tuple.remote, IpProtocol::TCP, total);
        let field = if offload == TxOffload::None {
            sum.add_bytes(bytes.get(tcp_at..len)?);
            payload.iter().for_each(|piece| sum.add_bytes(piece));
            sum.finish()
        } else {
            // The device sums the rest.
            sum.fold()
        };
        let at = tcp_at + usize::from(TCP_CHECKSUM);
        bytes
            .get_mut(at..at + 2)?
            .copy_from_slice(&field.to_be_bytes());
        Some(Headers {
            bytes,
            len,
            offload,
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
        let headers = self.headers(tuple, plan, MacAddr([0; 6]), &[], false);
        let packet = headers.and_then(|headers| {
            Some(
                headers
                    .bytes
                    .get(EthernetHeader::LEN..headers.len)?
                    .to_vec(),
            )
        });
        if let Some(packet) = packet {
            self.send_packet(now, tuple.remote, packet);
        }
    }

    /// Answers a segment with a reset (RFC 9293 3.10.7.1).
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
        // RFC 7323 5.2: a reset that answers a segment with timestamps echoes it.
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
        let Some(next_hop) = self.next_hop(to) else {
            return self.drop_frame(DropReason::NeighborUnresolved);
        };
        match self.neighbors.resolve(now, next_hop) {
            Resolution::Known(mac) => self.queue_packet(mac, &packet),
            Resolution::Pending => {
                if self.neighbors.park(next_hop, packet).is_some() {
                    self.drop_frame(DropReason::NeighborUnresolved);
                }
            }
            Resolution::Full => self.drop_frame(DropReason::NoMemory),
        }
        self.flush_neighbor_requests();
    }

    pub(super) fn queue_packet(&mut self, to: MacAddr, packet: &[u8]) {
        let ethernet = EthernetHeader {
            dst: to,
            src: self.link.mac,
            vlan: None,
            ether_type: EtherType::IPV4,
        };
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
        self.control.push_back(frame);
    }

    // ---- Addressing ----

    /// Both ends of an active open (RFC 9293 3.9.1.6: source address and port).
    pub(super) fn choose_tuple(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<FourTuple, ConnectError> {
        let invalid = match remote.ip() {
            // MUST-63: never to broadcast or multicast.
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
        };
        if invalid || remote.port() == 0 || self.is_subnet_broadcast(remote.ip()) {
            return Err(ConnectError::InvalidDestination);
        }
        if remote.ip().is_ipv6() || self.is_own(remote.ip()) || self.next_hop(remote.ip()).is_none()
        {
            return Err(ConnectError::NoRoute);
        }
        let source = match local
            .map(|local| local.ip())
            .filter(|ip| !ip.is_unspecified())
        {
            Some(ip) if self.is_own(ip) => ip,
            Some(_) => return Err(ConnectError::AddrNotAvailable),
            None => self.source_for(remote.ip()).ok_or(ConnectError::NoRoute)?,
        };
        let tuple = |port| FourTuple::new(SocketAddr::new(source, port), remote);
        if let Some(port) = local.map(|local| local.port()).filter(|&port| port != 0) {
            return if self.find_flow(&tuple(port)).is_some() {
                Err(ConnectError::AddrInUse)
            } else {
                Ok(tuple(port))
            };
        }
        let mut ports = self.ports.clone();
        let is_free =
            |port| !self.listening.contains_key(&port) && self.find_flow(&tuple(port)).is_none();
        let port = ports.choose((source, remote.ip(), remote.port()), is_free);
        self.ports = ports;
        port.map(tuple).ok_or(ConnectError::PortsExhausted)
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

fn tcp_header(tuple: &FourTuple, plan: &SegmentPlan) -> TcpHeader {
    TcpHeader {
        src_port: tuple.local_port,
        dst_port: tuple.remote_port,
        seq: plan.seq,
        ack: plan.ack,
        flags: plan.flags,
        window: plan.window,
        checksum: 0,
        urgent: 0,
    }
}

/// Writes the TCP header with options and an empty checksum field.
fn emit_tcp(tuple: &FourTuple, plan: &SegmentPlan, into: &mut [u8]) -> Option<usize> {
    let mut options = [0; TcpOptions::MAX_LEN];
    let options_len = plan.options.emit(&mut options).ok()?;
    tcp_header(tuple, plan)
        .emit(options.get(..options_len)?, into)
        .ok()
}

/// What the device must do with a frame whose TCP header is at `tcp_at` and whose payload begins at
/// `header_len`.
fn offload(
    plan: &SegmentPlan,
    payload_len: usize,
    tcp_at: usize,
    header_len: usize,
) -> Option<TxOffload> {
    let (start, offset) = (u16::try_from(tcp_at).ok()?, TCP_CHECKSUM);
    if payload_len <= plan.mss as usize {
        return Some(TxOffload::Checksum { start, offset });
    }
    Some(TxOffload::Tcp {
        v6: false,
        header_len: u16::try_from(header_len).ok()?,
        mss: u16::try_from(plan.mss).unwrap_or(u16::MAX),
        start,
        offset,
    })
}
