//! Which addresses are ours, and where packets go: own prefixes, and one gateway per IP version.

use core::net::{IpAddr, Ipv6Addr};

use tidewire_wire::solicited_node;

use super::addr::is_link_local;
use super::packet::ip_header_len;
use crate::stack::Stack;

/// All nodes of the link (RFC 4291 §2.7.1).
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Fixed part of a TCP header.
const TCP_HEADER: usize = 20;

impl Stack {
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.config()
            .addresses
            .iter()
            .any(|cidr| cidr.address == address)
    }

    /// Whether this is a group that we are in: all nodes, or the solicited-node group of an own address (RFC 4291 §2.8).
    pub(crate) fn is_own_group(&self, group: Ipv6Addr) -> bool {
        if group == ALL_NODES {
            return self.speaks_ipv6();
        }
        self.own_ipv6()
            .any(|address| solicited_node(address) == group)
    }

    fn own_ipv6(&self) -> impl Iterator<Item = Ipv6Addr> {
        let addresses = self.config().addresses.iter();
        addresses.filter_map(|cidr| match cidr.address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
    }

    /// Whether `address` is on an own prefix; link-local ones are where the stack speaks IPv6 at all (RFC 4861 §5.1).
    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        let mut own = self.config().addresses.iter();
        own.any(|cidr| cidr.contains(address)) || is_link_local(address) && self.speaks_ipv6()
    }

    /// Whether one of our addresses is an IPv6 address.
    pub(crate) fn speaks_ipv6(&self) -> bool {
        self.own_ipv6().next().is_some()
    }

    /// Whether `address` is all hosts of an own prefix (RFC 1122 §3.2.1.3), or none.
    pub(crate) fn is_subnet_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else {
            return false;
        };
        self.config().addresses.iter().any(|cidr| {
            let host_bits = u32::MAX
                .checked_shr(u32::from(cidr.prefix_len))
                .unwrap_or(0);
            let host = u32::from(address) & host_bits;
            // Links of one or two hosts have no such addresses (RFC 3021).
            cidr.contains(IpAddr::V4(address)) && host_bits > 1 && (host == host_bits || host == 0)
        })
    }

    /// The own address to use towards `remote` (RFC 6724 §5, as far as own addresses differ): itself where it is our
    /// own, else one on its prefix, else one of its scope, else the first of its version.
    pub(crate) fn source_for(&self, remote: IpAddr) -> Option<IpAddr> {
        if self.is_own(remote) {
            return Some(remote);
        }
        let same_version = || {
            let addresses = self.config().addresses.iter();
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
        self.config().gateways.to(remote)
    }

    /// Largest segment that the link brings us: MTU less fixed headers (RFC 9293 §3.7.1, MUST-67). One link
    /// has one MTU (SHLD-6).
    pub(crate) fn link_mss(&self, local: IpAddr) -> u16 {
        let headers = ip_header_len(local) + TCP_HEADER;
        let mss = (self.link().ip_mtu as usize).saturating_sub(headers);
        u16::try_from(mss).unwrap_or(u16::MAX)
    }
}
