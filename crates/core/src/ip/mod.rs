//! Below TCP: neighbours and their addresses (ARP), ICMP. IPv4 for now; IPv6 takes the same places.

mod arp;
mod icmp;
mod neighbor;

pub(crate) use arp::Announcer;
pub(crate) use neighbor::{NeighborCache, Resolution, Waiters};
