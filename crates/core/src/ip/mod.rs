//! Network layer, below TCP, for both IP versions: routes, neighbours (ARP, NDP), ICMP.

mod addr;
mod announce;
mod announcer;
mod arp;
mod error_limit;
mod errors_in;
mod errors_out;
mod icmp;
mod ingress;
mod loopback;
mod ndp;
mod neighbor;
mod network;
mod outbox;
mod packet;
mod path_mtu;
mod report;
mod route;

pub use addr::{Gateways, IpCidr};
pub(crate) use addr::{covers, is_link_local, overlap};
pub(crate) use loopback::LoopbackPacket;
pub(crate) use neighbor::Resolution;
pub(crate) use network::{Network, Upcall};
pub(crate) use packet::{Datagram, Ends, emit_ip, ether_type, ethernet, ip_header_len};
pub(crate) use report::{Quoted, Report};
