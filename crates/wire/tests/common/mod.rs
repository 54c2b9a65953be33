//! Strategies for well-formed values, shared by the property tests.

#![allow(dead_code, reason = "no test uses all of them")]

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidewire_wire::{
    ArpOperation, ArpPacket, EtherType, EthernetHeader, GsoType, IpProtocol, Ipv4Header,
    Ipv6Header, MacAddr, SackBlock, SackBlocks, SeqNum, TcpFlags, TcpHeader, TcpOptions,
    TcpTimestamps, VlanTag, VnetFlags, VnetHeader,
};

pub(crate) const V4: (Ipv4Addr, Ipv4Addr) =
    (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
pub(crate) const V6: (Ipv6Addr, Ipv6Addr) = (
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
);

/// A header without options; `ipv4_frame` sets its length.
pub(crate) fn ip4(protocol: IpProtocol) -> Ipv4Header {
    Ipv4Header {
        tos: 0,
        total_len: 0,
        id: 77,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol,
        src: V4.0,
        dst: V4.1,
        options_len: 0,
    }
}

/// A header; `ipv6_frame` sets its length.
pub(crate) fn ip6(next_header: IpProtocol) -> Ipv6Header {
    Ipv6Header {
        traffic_class: 0,
        flow_label: 0x1_2345,
        payload_len: 0,
        next_header,
        hop_limit: 255,
        src: V6.0,
        dst: V6.1,
    }
}

pub(crate) fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

pub(crate) fn v4() -> impl Strategy<Value = Ipv4Addr> {
    any::<[u8; 4]>().prop_map(Ipv4Addr::from)
}

pub(crate) fn v6() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 16]>().prop_map(Ipv6Addr::from)
}

pub(crate) fn unicast_v6() -> impl Strategy<Value = Ipv6Addr> {
    v6().prop_filter("unicast", |address| !address.is_multicast())
}

pub(crate) fn seq() -> impl Strategy<Value = SeqNum> {
    any::<u32>().prop_map(SeqNum::new)
}

pub(crate) fn ethernet() -> impl Strategy<Value = EthernetHeader> {
    (mac(), mac(), option::of(any::<u16>()), 0x0800..=u16::MAX).prop_map(|(dst, src, tci, kind)| {
        let kind = if kind == EtherType::VLAN.0 {
            EtherType::IPV4.0
        } else {
            kind
        };
        EthernetHeader {
            dst,
            src,
            vlan: tci.map(|tci| VlanTag { tci }),
            ether_type: EtherType(kind),
        }
    })
}

pub(crate) fn arp() -> impl Strategy<Value = ArpPacket> {
    (any::<u16>(), mac(), v4(), mac(), v4()).prop_map(
        |(operation, sender_mac, sender_ip, target_mac, target_ip)| ArpPacket {
            operation: ArpOperation::from(operation),
            sender_mac,
            sender_ip,
            target_mac,
            target_ip,
        },
    )
}

/// A header for `payload_len` bytes; a fragment or not.
pub(crate) fn ipv4(payload_len: u16) -> impl Strategy<Value = Ipv4Header> {
    let total_len = payload_len + 20;
    let offsets = prop_oneof![Just(0), 0..=(u16::MAX - total_len) / 8];
    (any::<(u8, u16, bool, bool, u8, u8)>(), offsets, v4(), v4()).prop_map(
        move |((tos, id, dont_fragment, more_fragments, ttl, protocol), offset, src, dst)| {
            Ipv4Header {
                tos,
                total_len,
                id,
                dont_fragment,
                more_fragments,
                fragment_offset: offset * 8,
                ttl,
                protocol: IpProtocol(protocol),
                src,
                dst,
                options_len: 0,
            }
        },
    )
}

pub(crate) fn ipv6(payload_len: u16) -> impl Strategy<Value = Ipv6Header> {
    (any::<(u8, u8, u8)>(), 0_u32..1 << 20, v6(), v6()).prop_map(
        move |((traffic_class, next_header, hop_limit), flow_label, src, dst)| Ipv6Header {
            traffic_class,
            flow_label,
            payload_len,
            next_header: IpProtocol(next_header),
            hop_limit,
            src,
            dst,
        },
    )
}

pub(crate) fn tcp() -> impl Strategy<Value = TcpHeader> {
    (any::<(u16, u16, u16, u16, u16)>(), seq(), seq(), 0_u16..512).prop_map(
        |((src_port, dst_port, window, checksum, urgent), seq, ack, flags)| TcpHeader {
            src_port,
            dst_port,
            seq,
            ack,
            flags: TcpFlags::from_bits(flags),
            window,
            checksum,
            urgent,
        },
    )
}

pub(crate) fn sack_blocks(max: usize) -> impl Strategy<Value = SackBlocks> {
    vec((seq(), seq()), 0..=max).prop_map(|blocks| {
        blocks
            .into_iter()
            .map(|(left, right)| SackBlock { left, right })
            .collect()
    })
}

/// Options with as many SACK blocks as fit beside the others.
pub(crate) fn tcp_options() -> impl Strategy<Value = TcpOptions> {
    let timestamps = any::<(u32, u32)>().prop_map(|(value, echo)| TcpTimestamps { value, echo });
    (
        option::of(any::<u16>()),
        option::of(any::<u8>()),
        any::<bool>(),
        option::of(timestamps),
        sack_blocks(4),
    )
        .prop_map(|(mss, window_scale, sack_permitted, timestamps, sack)| {
            let mut options = TcpOptions {
                mss,
                window_scale,
                sack_permitted,
                timestamps,
                sack,
            };
            let fitting = options.fitting_sack_blocks();
            options.sack = sack.iter().copied().take(fitting).collect();
            options
        })
}

pub(crate) fn vnet() -> impl Strategy<Value = VnetHeader> {
    let gso = prop_oneof![
        Just(GsoType::None),
        Just(GsoType::TcpV4),
        Just(GsoType::Udp),
        Just(GsoType::TcpV6),
        Just(GsoType::UdpL4),
        (6_u8..0x80).prop_map(GsoType::Other),
    ];
    (any::<(u8, bool, u16, u16, u16, u16)>(), gso).prop_map(
        |((flags, ecn, header_len, gso_size, csum_start, csum_offset), gso)| VnetHeader {
            flags: VnetFlags(flags),
            gso,
            ecn,
            header_len,
            gso_size,
            csum_start,
            csum_offset,
        },
    )
}

/// A whole TCP segment with a right checksum.
pub(crate) fn tcp_segment(
    header: TcpHeader,
    options: &TcpOptions,
    payload: &[u8],
    (src, dst): (std::net::IpAddr, std::net::IpAddr),
) -> Vec<u8> {
    let mut option_bytes = [0; TcpOptions::MAX_LEN];
    let option_len = options.emit(&mut option_bytes).unwrap();
    let mut segment = vec![0; TcpHeader::MIN_LEN + option_len + payload.len()];
    let header = TcpHeader {
        checksum: 0,
        ..header
    };
    let len = header
        .emit(&option_bytes[..option_len], &mut segment)
        .unwrap();
    segment[len..].copy_from_slice(payload);
    let checksum = tidewire_wire::transport_checksum(src, dst, IpProtocol::TCP, &segment);
    let at = TcpHeader::CHECKSUM_OFFSET;
    segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    segment
}

/// An Ethernet frame with an IPv4 packet that carries `payload`.
pub(crate) fn ipv4_frame(header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    let ethernet = EthernetHeader {
        dst: MacAddr([2, 0, 0, 0, 0, 2]),
        src: MacAddr([2, 0, 0, 0, 0, 1]),
        vlan: None,
        ether_type: EtherType::IPV4,
    };
    let mut frame = vec![0; EthernetHeader::LEN + Ipv4Header::MIN_LEN];
    let at = ethernet.emit(&mut frame).unwrap();
    let total_len = u16::try_from(Ipv4Header::MIN_LEN + payload.len()).unwrap();
    Ipv4Header {
        total_len,
        ..header
    }
    .emit(&mut frame[at..])
    .unwrap();
    frame.extend(payload);
    frame
}

/// An Ethernet frame with an IPv6 packet that carries `payload`.
pub(crate) fn ipv6_frame(header: Ipv6Header, payload: &[u8]) -> Vec<u8> {
    let ethernet = EthernetHeader {
        dst: MacAddr([2, 0, 0, 0, 0, 2]),
        src: MacAddr([2, 0, 0, 0, 0, 1]),
        vlan: None,
        ether_type: EtherType::IPV6,
    };
    let mut frame = vec![0; EthernetHeader::LEN + Ipv6Header::LEN];
    let at = ethernet.emit(&mut frame).unwrap();
    let payload_len = u16::try_from(payload.len()).unwrap();
    Ipv6Header {
        payload_len,
        ..header
    }
    .emit(&mut frame[at..])
    .unwrap();
    frame.extend(payload);
    frame
}
