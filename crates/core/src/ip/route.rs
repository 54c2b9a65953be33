//! Routes: own addresses and prefixes, one gateway per IP version, MTUs of link and path.

use core::net::{IpAddr, Ipv6Addr};

use tidewire_wire::{EthernetHeader, TcpHeader, solicited_node};

use super::addr::is_link_local;
use super::network::Network;
use super::packet::ip_header_len;
use super::report::Quoted;
use crate::time::Instant;

/// All nodes of the link (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

impl Network {
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|cidr| cidr.address == address)
    }

    /// Whether this is a group that we are in: all nodes, or the solicited-node group of an own
    /// address (RFC 4291 §2.8).
    pub(crate) fn is_own_group(&self, group: Ipv6Addr) -> bool {
        if group == ALL_NODES {
            return self.speaks_ipv6();
        }
        self.own_ipv6()
            .any(|address| solicited_node(address) == group)
    }

    fn own_ipv6(&self) -> impl Iterator<Item = Ipv6Addr> {
        let addresses = self.addresses.iter();
        addresses.filter_map(|cidr| match cidr.address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
    }

    /// Whether `address` is on an own prefix. Link-local addresses are, where the stack has an IPv6
    /// address (RFC 4861 §5.1).
    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        let mut own = self.addresses.iter();
        own.any(|cidr| cidr.contains(address)) || is_link_local(address) && self.speaks_ipv6()
    }

    /// Whether one of our addresses is an IPv6 address.
    pub(crate) fn speaks_ipv6(&self) -> bool {
        self.own_ipv6().next().is_some()
    }

    /// Whether `address` is the broadcast address of an own prefix (RFC 1122 §3.2.1.3), or its
    /// all-zeros one.
    pub(crate) fn is_subnet_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else {
            return false;
        };
        self.addresses.iter().any(|cidr| {
            let host_bits = u32::MAX
                .checked_shr(u32::from(cidr.prefix_len))
                .unwrap_or(0);
            let host = u32::from(address) & host_bits;
            // Links of one or two hosts have no such addresses (RFC 3021).
            cidr.contains(IpAddr::V4(address)) && host_bits > 1 && (host == host_bits || host == 0)
        })
    }

    /// The own address to use towards `remote` (RFC 6724 §5, as far as own addresses differ):
    /// itself where it is our own, else one on its prefix, else one of its scope, else the first of
    /// its version.
    pub(crate) fn source_for(&self, remote: IpAddr) -> Option<IpAddr> {
        if self.is_own(remote) {
            return Some(remote);
        }
        let same_version = || {
            let addresses = self.addresses.iter();
            addresses.filter(|cidr| cidr.address.is_ipv4() == remote.is_ipv4())
        };
        same_version()
            .filter(|cidr| cidr.contains(remote))
            .max_by_key(|cidr| cidr.prefix_len)
            .or_else(|| {
                same_version().find(|cidr| is_link_local(cidr.address) == is_link_local(remote))
            })
            .or_else(|| same_version().next())
            .map(|cidr| cidr.address)
    }

    /// Where packets to `remote` go on this link (RFC 1122 §3.3.1.1, RFC 4861 §5.2).
    pub(crate) fn next_hop(&self, remote: IpAddr) -> Option<IpAddr> {
        if self.is_on_link(remote) {
            return Some(remote);
        }
        self.gateways.to(remote)
    }

    /// Largest segment that the link brings us: MTU less fixed headers (RFC 9293 §3.7.1, MUST-67).
    /// One link has one MTU (SHLD-6).
    pub(crate) fn link_mss(&self, local: IpAddr) -> u16 {
        let headers = ip_header_len(local) + TcpHeader::MIN_LEN;
        let mss = (self.link.ip_mtu as usize).saturating_sub(headers);
        u16::try_from(mss).unwrap_or(u16::MAX)
    }

    /// Payload that one frame to `remote` may carry with TCP's largest header; 0 where the device
    /// does not segment.
    pub(crate) fn max_payload(&self, remote: IpAddr) -> usize {
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

    /// Changes of what is known about paths so far.
    pub(crate) fn paths_version(&self) -> u32 {
        self.paths.version()
    }

    /// Payload and TCP options of the largest packet known to reach `remote`, and until when the
    /// report behind that is valid.
    pub(crate) fn path_mss(&self, now: Instant, remote: IpAddr) -> (u32, Option<Instant>) {
        let path = self.paths.get(now, remote);
        let headers = (ip_header_len(remote) + TcpHeader::MIN_LEN) as u32;
        let link_mtu = self.link.ip_mtu;
        let mtu = path.map_or(link_mtu, |path| path.mtu.min(link_mtu));
        (mtu.saturating_sub(headers), path.map(|path| path.until))
    }

    /// A router says that a packet of ours was larger than `mtu`, the next hop's; 0 where it does
    /// not know.
    pub(crate) fn on_too_big(&mut self, now: Instant, quoted: &Quoted, mtu: u32) {
        let (remote, link_mtu) = (quoted.tuple.remote, self.link.ip_mtu);
        if self.paths.report(now, remote, (mtu, quoted.len), link_mtu) {
            self.stats.path_mtu_lowered += 1;
        }
    }
}
