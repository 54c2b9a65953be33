//! Network layer on one link: own addresses, routes, neighbours, path MTUs, packet queues.
//!
//! It knows nothing of connections: what a frame means to TCP is returned as an [`Upcall`].

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;

use bytes::Bytes;
use tidewire_wire::{ArpOperation, EthernetHeader, MacAddr};

use super::addr::{Gateways, IpCidr};
use super::announcer::Announcer;
use super::error_limit::ErrorLimit;
use super::loopback::Loopback;
use super::neighbor::{NeighborCache, Resolution, Waiters};
use super::outbox::Outbox;
use super::packet::{Ends, destination_of, ether_type, ethernet};
use super::path_mtu::PathMtuCache;
use super::report::{Quoted, Report};
use crate::time::Instant;
use crate::types::{ConnId, DropReason, LinkCaps, Stats};

/// The network layer.
#[derive(Debug)]
pub(crate) struct Network {
    pub(super) addresses: Vec<IpCidr>,
    pub(super) gateways: Gateways,
    pub(super) link: LinkCaps,
    pub(super) neighbors: NeighborCache,
    pub(super) announcer: Announcer,
    pub(super) paths: PathMtuCache,
    pub(super) error_limit: ErrorLimit,
    /// Frames of no connection that wait for the driver.
    pub(crate) out: Outbox,
    /// Packets to own addresses.
    pub(crate) loopback: Loopback,
    /// Counters of the whole stack: this is the lowest room that counts.
    pub(crate) stats: Stats,
}

/// What a frame means to the rooms above.
#[derive(Debug)]
pub(crate) enum Upcall {
    /// Nothing: the network layer dealt with it.
    None,
    /// The next hop of these connections is known: they may send.
    Resolved(Vec<ConnId>),
    /// An ICMP error that quotes a TCP segment of this host.
    IcmpError { report: Report, quoted: Quoted },
    /// A TCP segment to an own address, at `range` of the frame.
    Segment { ends: Ends, range: Range<usize> },
}

/// What became of a frame or packet: its meaning above, or why it was dropped.
pub(crate) type Received = Result<Upcall, DropReason>;

impl Network {
    pub(crate) fn new(
        addresses: Vec<IpCidr>,
        gateways: Gateways,
        link: LinkCaps,
        max_neighbors: usize,
        now: Instant,
    ) -> Self {
        Self {
            addresses,
            gateways,
            link,
            neighbors: NeighborCache::new(max_neighbors),
            announcer: Announcer::default(),
            paths: PathMtuCache::default(),
            error_limit: ErrorLimit::new(now),
            out: Outbox::default(),
            loopback: Loopback::default(),
            stats: Stats::default(),
        }
    }

    pub(crate) fn link(&self) -> &LinkCaps {
        &self.link
    }

    /// Replaces the link capabilities.
    pub(crate) fn set_link(&mut self, link: LinkCaps) {
        if link.ip_mtu != self.link.ip_mtu {
            self.paths.on_link_mtu();
        }
        self.link = link;
    }

    /// Bytes of frames and packets that wait to leave.
    pub(crate) fn held_bytes(&self) -> usize {
        self.out.bytes() + self.neighbors.parked_bytes()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.neighbors.next_deadline(), self.announcer.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Handles what is due. Returns the connections whose next hop did not answer.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<ConnId> {
        let mut unreachable = Vec::new();
        for Waiters { packets, conns } in self.neighbors.on_timeout(now) {
            for _ in packets {
                self.stats.count_drop(DropReason::NeighborUnresolved);
            }
            unreachable.extend(conns);
        }
        self.make_announcements(now);
        self.flush_neighbor_requests();
        unreachable
    }

    // ---- Sending ----

    /// The link address of the next hop to `remote`; `None` where there is no route. `progress` is
    /// when the newest of what is known to have arrived there was sent (RFC 4861 §7.3.1).
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        remote: IpAddr,
        progress: Option<Instant>,
    ) -> Option<Resolution> {
        let next_hop = self.next_hop(remote)?;
        Some(self.neighbors.resolve(now, next_hop, progress))
    }

    /// A connection waits for the link address of the next hop to `remote`.
    pub(crate) fn await_neighbor(&mut self, remote: IpAddr, conn: ConnId) {
        if let Some(next_hop) = self.next_hop(remote) {
            self.neighbors.wait(next_hop, conn);
        }
    }

    /// Sends a complete IP packet, once the next hop's link address is known.
    pub(crate) fn send_packet(&mut self, now: Instant, to: IpAddr, packet: Vec<u8>) {
        if self.is_own(to) {
            return self.loop_back(packet.into(), None);
        }
        match self.resolve(now, to, None) {
            None => self.stats.count_drop(DropReason::NeighborUnresolved),
            Some(Resolution::Known(mac)) => self.queue_packet(mac, to, &packet),
            Some(Resolution::Pending) => self.park(to, packet),
            Some(Resolution::Full) => self.stats.count_drop(DropReason::NoMemory),
        }
        self.flush_neighbor_requests();
    }

    /// Holds a packet until the next hop to `to` is resolved.
    fn park(&mut self, to: IpAddr, packet: Vec<u8>) {
        let displaced = self
            .next_hop(to)
            .and_then(|next_hop| self.neighbors.park(next_hop, packet));
        if displaced.is_some() {
            self.stats.count_drop(DropReason::NeighborUnresolved);
        }
    }

    /// Queues a complete IP packet to `to` in a frame to `mac`.
    pub(super) fn queue_packet(&mut self, mac: MacAddr, to: IpAddr, packet: &[u8]) {
        let ethernet = ethernet(self.link.mac, mac, ether_type(to));
        let mut frame = alloc::vec![0; EthernetHeader::LEN + packet.len()];
        if let Ok(at) = ethernet.emit(&mut frame)
            && let Some(body) = frame.get_mut(at..)
        {
            body.copy_from_slice(packet);
            self.queue_frame(frame);
        }
    }

    pub(super) fn queue_frame(&mut self, frame: Vec<u8>) {
        if !self.out.push(frame) {
            self.stats.count_drop(DropReason::NoMemory);
        }
    }

    /// Sends a packet to an own address; `segment_len` is the payload of each TCP segment where it
    /// is several.
    pub(crate) fn loop_back(&mut self, packet: Bytes, segment_len: Option<u16>) {
        if !self.loopback.push(packet, segment_len) {
            self.stats.count_drop(DropReason::NoMemory);
        }
    }

    // ---- Neighbours ----

    /// A neighbour was resolved: sends the packets that waited for it.
    pub(super) fn release(&mut self, now: Instant, waiters: Option<Waiters>) -> Upcall {
        let Some(Waiters { packets, conns }) = waiters else {
            return Upcall::None;
        };
        for packet in packets {
            // The packet knows where it goes; its next hop is resolved now.
            if let Some(to) = destination_of(&packet) {
                self.send_packet(now, to, packet);
            }
        }
        Upcall::Resolved(conns)
    }

    /// Sends the requests that the neighbour cache wants sent.
    pub(crate) fn flush_neighbor_requests(&mut self) {
        while let Some(request) = self.neighbors.pop_request() {
            match (request.target, self.source_for(request.target)) {
                (IpAddr::V4(target), Some(IpAddr::V4(source))) => {
                    let to = request.to.unwrap_or(MacAddr::BROADCAST);
                    self.send_arp(ArpOperation::Request, source, target, to);
                }
                (IpAddr::V6(target), Some(IpAddr::V6(source))) => {
                    self.send_solicit(source, target, request.to);
                }
                _ => {}
            }
        }
    }
}
