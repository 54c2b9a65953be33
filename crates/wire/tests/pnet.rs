//! Cross-checks with the `pnet_packet` crate: what one side builds, the other reads alike.

mod common;

use std::net::IpAddr;

use pnet_packet::Packet;
use pnet_packet::arp::ArpPacket as TheirArp;
use pnet_packet::arp::{ArpHardwareTypes, ArpOperation as TheirOperation, MutableArpPacket};
use pnet_packet::ethernet::EtherTypes;
use pnet_packet::icmp::{self, IcmpPacket};
use pnet_packet::icmpv6::ndp::{NdpOptionTypes, NeighborAdvertPacket, NeighborSolicitPacket};
use pnet_packet::icmpv6::{self, Icmpv6Packet};
use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet_packet::ipv4::{self, Ipv4Packet, MutableIpv4Packet};
use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet_packet::tcp::{self, MutableTcpPacket, TcpOption as TheirOption, TcpPacket};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidewire_wire::{
    ArpOperation, ArpPacket, Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, Ipv6Header,
    NeighborAdvert, NeighborSolicit, SackBlock, SeqNum, TcpHeader, TcpOptions, TcpTimestamps,
    transport_checksum,
};

proptest! {
    #[test]
    fn arp_both_ways(packet in common::arp()) {
        let mut ours = [0; ArpPacket::LEN];
        packet.emit(&mut ours).unwrap();

        let mut theirs = [0; ArpPacket::LEN];
        let mut arp = MutableArpPacket::new(&mut theirs).unwrap();
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(TheirOperation::new(packet.operation.into()));
        arp.set_sender_hw_addr(packet.sender_mac.0.into());
        arp.set_sender_proto_addr(packet.sender_ip);
        arp.set_target_hw_addr(packet.target_mac.0.into());
        arp.set_target_proto_addr(packet.target_ip);
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(ArpPacket::parse(&theirs), Ok(packet));

        let arp = TheirArp::new(&ours).unwrap();
        prop_assert_eq!(ArpOperation::from(arp.get_operation().0), packet.operation);
        prop_assert_eq!(arp.get_sender_hw_addr().octets(), packet.sender_mac.0);
        prop_assert_eq!(arp.get_target_proto_addr(), packet.target_ip);
    }

    #[test]
    fn ipv4_both_ways(header in common::ipv4(0)) {
        let mut ours = [0; Ipv4Header::MIN_LEN];
        header.emit(&mut ours).unwrap();
        let read = Ipv4Packet::new(&ours).unwrap();
        prop_assert_eq!(read.get_checksum(), ipv4::checksum(&read));
        prop_assert_eq!((read.get_source(), read.get_destination()), (header.src, header.dst));

        let mut theirs = [0; Ipv4Header::MIN_LEN];
        let mut ip = MutableIpv4Packet::new(&mut theirs).unwrap();
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_dscp(header.tos >> 2);
        ip.set_ecn(header.tos & 3);
        ip.set_total_length(header.total_len);
        ip.set_identification(header.id);
        ip.set_flags(u8::from(header.dont_fragment) << 1 | u8::from(header.more_fragments));
        ip.set_fragment_offset(header.fragment_offset / 8);
        ip.set_ttl(header.ttl);
        ip.set_next_level_protocol(IpNextHeaderProtocol(header.protocol.0));
        ip.set_source(header.src);
        ip.set_destination(header.dst);
        let checksum = ipv4::checksum(&ip.to_immutable());
        ip.set_checksum(checksum);
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(Ipv4Header::parse(&theirs), Ok((header, 20)));
    }

    #[test]
    fn ipv6_both_ways(header in common::ipv6(0)) {
        let mut ours = [0; Ipv6Header::LEN];
        header.emit(&mut ours).unwrap();
        let read = Ipv6Packet::new(&ours).unwrap();
        prop_assert_eq!((read.get_source(), read.get_destination()), (header.src, header.dst));

        let mut theirs = [0; Ipv6Header::LEN];
        let mut ip = MutableIpv6Packet::new(&mut theirs).unwrap();
        ip.set_version(6);
        ip.set_traffic_class(header.traffic_class);
        ip.set_flow_label(header.flow_label);
        ip.set_next_header(IpNextHeaderProtocol(header.next_header.0));
        ip.set_hop_limit(header.hop_limit);
        ip.set_source(header.src);
        ip.set_destination(header.dst);
        prop_assert_eq!(ours, theirs);
        prop_assert_eq!(Ipv6Header::parse(&theirs), Ok((header, 40)));
    }

    #[test]
    fn they_read_our_tcp(
        header in common::tcp(),
        options in common::tcp_options(),
        data in vec(any::<u8>(), 0..64),
        (src4, dst4) in (common::v4(), common::v4()),
        (src6, dst6) in (common::v6(), common::v6()),
    ) {
        let segment = common::tcp_segment(header, &options, &data, (src4.into(), dst4.into()));
        let read = TcpPacket::new(&segment).unwrap();
        prop_assert_eq!(read.get_checksum(), tcp::ipv4_checksum(&read, &src4, &dst4));
        prop_assert_eq!(read.get_sequence(), header.seq.raw());
        prop_assert_eq!(read.get_acknowledgement(), header.ack.raw());
        prop_assert_eq!(read.get_window(), header.window);
        prop_assert_eq!(u16::from(read.get_flags()), header.flags.bits() & 0xff);
        prop_assert_eq!(usize::from(read.get_data_offset()) * 4, 20 + options.emitted_len());
        prop_assert_eq!(read.payload(), &data[..]);

        let segment = common::tcp_segment(header, &options, &data, (src6.into(), dst6.into()));
        let read = TcpPacket::new(&segment).unwrap();
        prop_assert_eq!(read.get_checksum(), tcp::ipv6_checksum(&read, &src6, &dst6));
    }

    #[test]
    fn we_read_their_tcp(
        header in common::tcp(),
        (mss, shift, value, echo) in any::<(u16, u8, u32, u32)>(),
        blocks in any::<[u32; 4]>(),
        data in vec(any::<u8>(), 0..64),
        (src, dst) in (common::v4(), common::v4()),
    ) {
        let [a, b, c, d] = blocks;
        let block = |left, right| SackBlock { left: SeqNum::new(left), right: SeqNum::new(right) };
        let cases = [
            (
                vec![
                    TheirOption::mss(mss),
                    TheirOption::sack_perm(),
                    TheirOption::timestamp(value, echo),
                    TheirOption::nop(),
                    TheirOption::wscale(shift),
                ],
                TcpOptions {
                    mss: Some(mss),
                    window_scale: Some(shift),
                    sack_permitted: true,
                    timestamps: Some(TcpTimestamps { value, echo }),
                    ..TcpOptions::default()
                },
            ),
            (
                vec![
                    TheirOption::nop(),
                    TheirOption::nop(),
                    TheirOption::selective_ack(&blocks),
                ],
                TcpOptions {
                    sack: [block(a, b), block(c, d)].into_iter().collect(),
                    ..TcpOptions::default()
                },
            ),
        ];
        for (theirs, ours) in cases {
            let option_len = 20;
            let mut bytes = vec![0; 20 + option_len + data.len()];
            let mut segment = MutableTcpPacket::new(&mut bytes).unwrap();
            segment.set_source(header.src_port);
            segment.set_destination(header.dst_port);
            segment.set_sequence(header.seq.raw());
            segment.set_acknowledgement(header.ack.raw());
            segment.set_data_offset(10);
            segment.set_flags(u8::try_from(header.flags.bits() & 0xff).unwrap());
            segment.set_window(header.window);
            segment.set_urgent_ptr(header.urgent);
            segment.set_options(&theirs);
            segment.set_payload(&data);
            let checksum = tcp::ipv4_checksum(&segment.to_immutable(), &src, &dst);
            segment.set_checksum(checksum);

            prop_assert!(tidewire_wire::verify_tcp(src.into(), dst.into(), &bytes));
            let (read, options, len) = TcpHeader::parse(&bytes).unwrap();
            prop_assert_eq!(len, 40);
            prop_assert_eq!((read.src_port, read.dst_port), (header.src_port, header.dst_port));
            prop_assert_eq!((read.seq, read.ack), (header.seq, header.ack));
            prop_assert_eq!(read.flags.bits(), header.flags.bits() & 0xff);
            prop_assert_eq!((read.window, read.urgent), (header.window, header.urgent));
            prop_assert_eq!(TcpOptions::parse(options), Ok(ours));
        }
    }

    #[test]
    fn icmp_checksums(
        data in vec(any::<u8>(), 0..64),
        (src, dst) in (common::v6(), common::v6()),
    ) {
        let message = Icmpv4Message::TimeExceeded { code: 1, quoted: &data };
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes).unwrap();
        let read = IcmpPacket::new(&bytes).unwrap();
        prop_assert_eq!(read.get_checksum(), icmp::checksum(&read));

        let message = Icmpv6Message::ParameterProblem { code: 0, pointer: 40, quoted: &data };
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(src, dst, &mut bytes).unwrap();
        let read = Icmpv6Packet::new(&bytes).unwrap();
        prop_assert_eq!(read.get_checksum(), icmpv6::checksum(&read, &src, &dst));
    }

    #[test]
    fn they_read_our_neighbor_discovery(
        target in common::unicast_v6(),
        mac in option::of(common::mac()),
        (router, solicited, override_cache) in any::<(bool, bool, bool)>(),
        (src, dst) in (common::v6(), common::v6()),
    ) {
        let solicit = NeighborSolicit { target, source_mac: mac };
        let message = Icmpv6Message::NeighborSolicit(solicit);
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(src, dst, &mut bytes).unwrap();
        let read = NeighborSolicitPacket::new(&bytes).unwrap();
        prop_assert_eq!(read.get_target_addr(), target);
        let options = read.get_options();
        prop_assert_eq!(options.len(), usize::from(mac.is_some()));
        if let (Some(mac), [option]) = (mac, &options[..]) {
            prop_assert_eq!(option.option_type, NdpOptionTypes::SourceLLAddr);
            prop_assert_eq!(&option.data[..], &mac.0[..]);
        }

        let advert = NeighborAdvert { router, solicited, override_cache, target, target_mac: mac };
        let message = Icmpv6Message::NeighborAdvert(advert);
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(src, dst, &mut bytes).unwrap();
        let read = NeighborAdvertPacket::new(&bytes).unwrap();
        prop_assert_eq!(read.get_target_addr(), target);
        let flags = u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(override_cache) << 5;
        prop_assert_eq!(read.get_flags(), flags);
        if let (Some(mac), [option]) = (mac, &read.get_options()[..]) {
            prop_assert_eq!(option.option_type, NdpOptionTypes::TargetLLAddr);
            prop_assert_eq!(&option.data[..], &mac.0[..]);
        }
    }

    #[test]
    fn transport_checksums(
        data in vec(any::<u8>(), 2..100),
        (src4, dst4) in (common::v4(), common::v4()),
        (src6, dst6) in (common::v6(), common::v6()),
    ) {
        let no_skip = usize::MAX;
        let tcp = IpNextHeaderProtocols::Tcp;
        let theirs = pnet_packet::util::ipv4_checksum(&data, no_skip, &[], &src4, &dst4, tcp);
        let ours = |src: IpAddr, dst: IpAddr| transport_checksum(src, dst, IpProtocol::TCP, &data);
        prop_assert_eq!(ours(src4.into(), dst4.into()), theirs);
        let theirs = pnet_packet::util::ipv6_checksum(&data, no_skip, &[], &src6, &dst6, tcp);
        prop_assert_eq!(ours(src6.into(), dst6.into()), theirs);
    }
}
