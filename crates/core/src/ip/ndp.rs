//! NDP (RFC 4861): address resolution, and duplicate address detection (RFC 4862 §5.4).
//!
//! Router advertisements and redirects are ignored: prefixes and gateways are configured.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use tidewire_wire::{
    Icmpv6Message, IpProtocol, Ipv6Header, MacAddr, NeighborAdvert, NeighborSolicit, solicited_node,
};

use super::neighbor::Claim;
use super::network::{Network, Received, Upcall};
use super::packet::{Ends, build_packet};
use super::route::ALL_NODES;
use crate::time::Instant;
use crate::types::{DropReason, IpFields};

/// RFC 4861 §7.1: a hop limit of 255 shows that no router forwarded the packet.
const FIELDS: IpFields = IpFields {
    hop_limit: 255,
    traffic_class: 0,
};

impl Network {
    /// A Neighbor Solicitation arrived (RFC 4861 §7.2.3), in a frame from `from`.
    pub(super) fn handle_solicit(
        &mut self,
        now: Instant,
        ip: &Ipv6Header,
        from: MacAddr,
        solicit: &NeighborSolicit,
    ) -> Received {
        if solicit.validate(ip.src, ip.dst, ip.hop_limit).is_err() {
            return Err(DropReason::Malformed);
        }
        let target = solicit.target;
        if !self.is_own(IpAddr::V6(target)) {
            return Err(DropReason::NotForUs);
        }
        let is_probe = ip.src.is_unspecified();
        if self.must_not_answer(IpAddr::V6(target), is_probe, from) {
            return Err(DropReason::BadSource);
        }
        if is_probe {
            // DAD of another host, which learns that the address is taken. It has no address of its
            // own to put into the cache.
            self.send_announcement(target);
            return Ok(Upcall::None);
        }
        let source = IpAddr::V6(ip.src);
        let known = solicit.source_mac.filter(|mac| self.may_be_neighbor(*mac));
        let mut upcall = Upcall::None;
        if let Some(mac) = known.filter(|_| self.is_on_link(source)) {
            let claim = Claim::overriding(mac);
            let waiters = self.neighbors.on_request(now, source, claim);
            upcall = self.release(now, waiters);
        }
        // Without a usable option the answer goes to the source of the frame.
        self.send_advert(target, (ip.src, known.unwrap_or(from)), true);
        Ok(upcall)
    }

    /// A Neighbor Advertisement arrived (RFC 4861 §7.2.5), in a frame from `from`.
    pub(super) fn handle_advert(
        &mut self,
        now: Instant,
        ip: &Ipv6Header,
        from: MacAddr,
        advert: &NeighborAdvert,
    ) -> Received {
        if advert.validate(ip.dst, ip.hop_limit).is_err() {
            return Err(DropReason::Malformed);
        }
        let target = IpAddr::V6(advert.target);
        if self.is_own(target) {
            // RFC 4862 §5.4.4: another host uses our address.
            self.note_conflict(target, advert.target_mac.unwrap_or(from));
            return Err(DropReason::BadSource);
        }
        if advert
            .target_mac
            .is_some_and(|mac| !self.may_be_neighbor(mac))
        {
            return Err(DropReason::BadSource);
        }
        let claim = Claim {
            mac: advert.target_mac,
            solicited: advert.solicited,
            overrides: advert.override_cache,
        };
        let waiters = self.neighbors.on_answer(now, target, claim);
        if waiters.is_none() {
            return Err(DropReason::UnsolicitedNeighbor);
        }
        Ok(self.release(now, waiters))
    }

    /// Whether a neighbour can have this link address.
    pub(super) fn may_be_neighbor(&self, mac: MacAddr) -> bool {
        !mac.is_multicast() && mac != self.link.mac
    }

    /// Sends a Neighbor Solicitation for `target`: to its solicited-node group, or to the MAC
    /// address that is being verified (RFC 4861 §7.2.2, §7.3.3).
    pub(super) fn send_solicit(&mut self, source: Ipv6Addr, target: Ipv6Addr, to: Option<MacAddr>) {
        let group = solicited_node(target);
        let (dst, mac) = match to {
            Some(mac) => (target, mac),
            None => (group, MacAddr::ipv6_multicast(group)),
        };
        let solicit = NeighborSolicit {
            target,
            source_mac: Some(self.link.mac),
        };
        self.send_ndp((source, dst), mac, &Icmpv6Message::NeighborSolicit(solicit));
    }

    /// Asks whether another host has `target`, from the unspecified address (RFC 4862 §5.4.2).
    pub(super) fn send_probe(&mut self, target: Ipv6Addr) {
        let group = solicited_node(target);
        let solicit = NeighborSolicit {
            target,
            source_mac: None,
        };
        self.send_ndp(
            (Ipv6Addr::UNSPECIFIED, group),
            MacAddr::ipv6_multicast(group),
            &Icmpv6Message::NeighborSolicit(solicit),
        );
    }

    /// Announces `target` to all nodes (RFC 4861 §7.2.6).
    pub(super) fn send_announcement(&mut self, target: Ipv6Addr) {
        self.send_advert(
            target,
            (ALL_NODES, MacAddr::ipv6_multicast(ALL_NODES)),
            false,
        );
    }

    fn send_advert(&mut self, target: Ipv6Addr, (dst, mac): (Ipv6Addr, MacAddr), solicited: bool) {
        let advert = NeighborAdvert {
            router: false,
            solicited,
            override_cache: true,
            target,
            target_mac: Some(self.link.mac),
        };
        self.send_ndp((target, dst), mac, &Icmpv6Message::NeighborAdvert(advert));
    }

    fn send_ndp(
        &mut self,
        (src, dst): (Ipv6Addr, Ipv6Addr),
        to: MacAddr,
        message: &Icmpv6Message<'_>,
    ) {
        let packet: Option<Vec<u8>> = build_packet(
            Ends {
                src: src.into(),
                dst: dst.into(),
            },
            IpProtocol::ICMPV6,
            FIELDS,
            message.buffer_len(),
            |into| message.emit(src, dst, into).is_ok(),
        );
        if let Some(packet) = packet {
            self.queue_packet(to, IpAddr::V6(dst), &packet);
        }
    }
}
