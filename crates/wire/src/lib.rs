//! Wire formats of Ethernet, ARP, IPv4, IPv6, ICMP, Neighbor Discovery and TCP over byte slices.
//!
//! Every `parse` is a total function of its input: what the bytes hold is either a value or a
//! [`ParseError`] that names the layer, the offset, and the bytes needed and available there. Every
//! `emit` writes into a caller's buffer and returns the bytes written. Nothing here allocates,
//! panics on input, or keeps state; offsets in errors count from the first byte of the slice that
//! the failing parser was given.
//!
//! Not covered on purpose: Ethernet with IEEE 802.3 length fields beyond reporting them, stacked
//! VLAN tags, IPv4 options (skipped by length), IPsec headers, router discovery, TCP-AO.
//!
//! # Files
//!
//! | file | holds |
//! |---|---|
//! | `arp.rs` | ARP packets for IPv4 over Ethernet |
//! | `bytes.rs` | checked access to byte slices |
//! | `checksum.rs` | Internet checksum, pseudo-headers, incremental update |
//! | `error.rs` | errors of parsing and emission |
//! | `ethernet.rs` | Ethernet II header, MAC address, VLAN tag |
//! | `frame.rs` | dissection of a whole frame, one-line form for traces |
//! | `icmp.rs` | layout shared by ICMPv4 and ICMPv6 |
//! | `icmpv4.rs` | ICMP messages for IPv4 |
//! | `icmpv6.rs` | ICMP messages for IPv6 |
//! | `ipv4.rs` | IPv4 header, protocol numbers |
//! | `ipv6.rs` | IPv6 header |
//! | `ipv6_ext.rs` | IPv6 extension headers |
//! | `ndp.rs` | Neighbor Solicitation and Advertisement, their options |
//! | `seq.rs` | sequence-number arithmetic |
//! | `tcp/flags.rs` | control bits of a TCP segment |
//! | `tcp/header.rs` | fixed part of a TCP header |
//! | `tcp/options.rs` | TCP options |
//! | `tcp/sack.rs` | SACK blocks |
//! | `vnet.rs` | `struct virtio_net_hdr` |

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

#[cfg(test)]
extern crate std;

mod arp;
mod bytes;
mod checksum;
mod error;
mod ethernet;
mod frame;
mod icmp;
mod icmpv4;
mod icmpv6;
mod ipv4;
mod ipv6;
mod ipv6_ext;
mod ndp;
mod seq;
mod tcp;
mod vnet;

pub use arp::{ArpOperation, ArpPacket};
pub use checksum::{
    Checksum, transport_checksum, update, update_u32, verify_tcp, verify_transport,
};
pub use error::{EmitError, Layer, Malformed, ParseError};
pub use ethernet::{EtherType, EthernetHeader, MacAddr, ParseMacAddrError, VlanTag};
pub use frame::{Frame, Network, Transport};
pub use icmpv4::Icmpv4Message;
pub use icmpv6::Icmpv6Message;
pub use ipv4::{IpProtocol, Ipv4Header};
pub use ipv6::Ipv6Header;
pub use ipv6_ext::{
    ExtensionWalk, FragmentHeader, MAX_EXTENSION_BYTES, MAX_EXTENSION_HEADERS, walk_extensions,
};
pub use ndp::{NdpOption, NdpOptionIter, NeighborAdvert, NeighborSolicit, solicited_node};
pub use seq::SeqNum;
pub use tcp::{
    MAX_WINDOW_SCALE, SackBlock, SackBlocks, TcpFlags, TcpHeader, TcpOption, TcpOptionIter,
    TcpOptions, TcpTimestamps,
};
pub use vnet::{GsoType, VnetFlags, VnetHeader};
