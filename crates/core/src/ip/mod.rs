//! Below TCP: addresses and routes, neighbours (ARP, NDP), ICMP; for both IP versions.

mod addr;
mod announce;
mod arp;
mod errors_in;
mod errors_out;
mod icmp;
mod ndp;
mod neighbor;
mod packet;
mod path_mtu;
mod route;

use core::net::IpAddr;

use tidewire_wire::{ArpOperation, MacAddr};

pub use addr::{Gateways, IpCidr};
pub(crate) use addr::{covers, is_link_local, overlap};
pub(crate) use announce::Announcer;
pub(crate) use errors_in::{Quoted, Report};
pub(crate) use errors_out::ErrorLimit;
pub(crate) use neighbor::{NeighborCache, Resolution, Waiters};
pub(crate) use packet::{Ends, emit_ip, ether_type, ethernet, ip_header_len};
pub(crate) use path_mtu::PathMtuCache;

use crate::stack::Stack;

impl Stack {
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
