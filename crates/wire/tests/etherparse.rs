//! Cross-checks with the `etherparse` crate: what one side builds, the other reads alike.

mod common;

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Options, Ipv6Extensions, Ipv6FlowLabel,
    Ipv6FragmentHeader, Ipv6RawExtHeader, LinkHeader, NetHeaders, PacketBuilder, PacketHeaders,
    TcpOptionElement, TransportHeader, ip_number,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tidewire_wire::{
    EtherType, EthernetHeader, Frame, Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header,
    Ipv6Header, MacAddr, Network, SackBlock, TcpFlags, TcpHeader, TcpOptions, TcpTimestamps,
    Transport,
};

const SRC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DST: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn flags_of(tcp: &etherparse::TcpHeader) -> TcpFlags {
    [
        (tcp.fin, TcpFlags::FIN),
        (tcp.syn, TcpFlags::SYN),
        (tcp.rst, TcpFlags::RST),
        (tcp.psh, TcpFlags::PSH),
        (tcp.ack, TcpFlags::ACK),
        (tcp.urg, TcpFlags::URG),
        (tcp.ece, TcpFlags::ECE),
        (tcp.cwr, TcpFlags::CWR),
        (tcp.ns, TcpFlags::AE),
    ]
    .into_iter()
    .filter(|&(set, _)| set)
    .fold(TcpFlags::EMPTY, |all, (_, flag)| all | flag)
}

fn folded(tcp: &etherparse::TcpHeader) -> TcpOptions {
    let block = |(left, right)| SackBlock {
        left: tidewire_wire::SeqNum::new(left),
        right: tidewire_wire::SeqNum::new(right),
    };
    let mut options = TcpOptions::default();
    for element in tcp.options_iterator() {
        match element.unwrap() {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(mss) => options.mss = Some(mss),
            TcpOptionElement::WindowScale(shift) => options.window_scale = Some(shift),
            TcpOptionElement::SelectiveAcknowledgementPermitted => options.sack_permitted = true,
            TcpOptionElement::Timestamp(value, echo) => {
                options.timestamps = Some(TcpTimestamps { value, echo });
            }
            TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                let rest = rest.into_iter().flatten();
                options.sack = std::iter::once(first).chain(rest).map(block).collect();
            }
        }
    }
    options
}

fn same_tcp(theirs: &etherparse::TcpHeader, ours: &TcpHeader, options: &TcpOptions) {
    assert_eq!(
        (theirs.source_port, theirs.destination_port),
        (ours.src_port, ours.dst_port)
    );
    assert_eq!(theirs.sequence_number, ours.seq.raw());
    assert_eq!(theirs.acknowledgment_number, ours.ack.raw());
    assert_eq!(
        (theirs.window_size, theirs.urgent_pointer),
        (ours.window, ours.urgent)
    );
    assert_eq!(theirs.checksum, ours.checksum);
    assert_eq!(flags_of(theirs), ours.flags);
    assert_eq!(folded(theirs), *options);
}

fn same_ipv4(theirs: &etherparse::Ipv4Header, ours: &Ipv4Header) {
    assert_eq!((theirs.dscp.value() << 2) | theirs.ecn.value(), ours.tos);
    assert_eq!(
        (theirs.total_len, theirs.identification),
        (ours.total_len, ours.id)
    );
    assert_eq!(theirs.dont_fragment, ours.dont_fragment);
    assert_eq!(theirs.more_fragments, ours.more_fragments);
    assert_eq!(theirs.fragment_offset.value() * 8, ours.fragment_offset);
    assert_eq!(
        (theirs.time_to_live, theirs.protocol.0),
        (ours.ttl, ours.protocol.0)
    );
    assert_eq!(Ipv4Addr::from(theirs.source), ours.src);
    assert_eq!(Ipv4Addr::from(theirs.destination), ours.dst);
    assert_eq!(theirs.options.len(), usize::from(ours.options_len));
}

fn same_ipv6(theirs: &etherparse::Ipv6Header, ours: &Ipv6Header) {
    assert_eq!(theirs.traffic_class, ours.traffic_class);
    assert_eq!(theirs.flow_label.value(), ours.flow_label);
    assert_eq!(theirs.payload_length, ours.payload_len);
    assert_eq!(
        (theirs.next_header.0, theirs.hop_limit),
        (ours.next_header.0, ours.hop_limit)
    );
    assert_eq!(Ipv6Addr::from(theirs.source), ours.src);
    assert_eq!(Ipv6Addr::from(theirs.destination), ours.dst);
}

/// Both sides' reading of one frame with TCP in it.
fn same_tcp_frame(bytes: &[u8]) {
    let theirs = PacketHeaders::from_ethernet_slice(bytes).unwrap();
    let ours = Frame::parse(bytes).unwrap();
    let Some(TransportHeader::Tcp(their_tcp)) = &theirs.transport else {
        panic!("etherparse sees no TCP");
    };
    let Some(Transport::Tcp {
        header,
        options,
        payload,
        ..
    }) = ours.transport()
    else {
        panic!("no TCP");
    };
    same_tcp(their_tcp, header, &TcpOptions::parse(options).unwrap());
    assert_eq!(theirs.payload.slice(), *payload);
    match (theirs.net.as_ref().unwrap(), &ours.network) {
        (NetHeaders::Ipv4(theirs, _), Network::Ipv4 { header, .. }) => {
            same_ipv4(theirs, header);
            assert_eq!(theirs.calc_header_checksum(), theirs.header_checksum);
            let expected = their_tcp.calc_checksum_ipv4(theirs, payload).unwrap();
            assert_eq!(expected, their_tcp.checksum);
        }
        (NetHeaders::Ipv6(theirs, _), Network::Ipv6 { header, .. }) => {
            same_ipv6(theirs, header);
            let expected = their_tcp.calc_checksum_ipv6(theirs, payload).unwrap();
            assert_eq!(expected, their_tcp.checksum);
        }
        other => panic!("different networks: {other:?}"),
    }
    assert_eq!(ours.tcp_checksum_is_valid(), Some(true));
}

/// Our options as theirs, in an order and with a padding that are not ours.
fn elements(options: &TcpOptions) -> Vec<TcpOptionElement> {
    let mut elements = Vec::new();
    if let Some(ts) = options.timestamps {
        elements.push(TcpOptionElement::Timestamp(ts.value, ts.echo));
    }
    if let Some(shift) = options.window_scale {
        elements.push(TcpOptionElement::WindowScale(shift));
    }
    if options.sack_permitted {
        elements.push(TcpOptionElement::SelectiveAcknowledgementPermitted);
    }
    let blocks: Vec<_> = options
        .sack
        .iter()
        .map(|b| (b.left.raw(), b.right.raw()))
        .collect();
    if let [first, rest @ ..] = &blocks[..] {
        let rest = [
            rest.first().copied(),
            rest.get(1).copied(),
            rest.get(2).copied(),
        ];
        elements.push(TcpOptionElement::SelectiveAcknowledgement(*first, rest));
    }
    if let Some(mss) = options.mss {
        elements.push(TcpOptionElement::MaximumSegmentSize(mss));
    }
    elements
}

fn their_tcp(ours: &TcpHeader, options: &TcpOptions) -> etherparse::TcpHeader {
    let mut tcp =
        etherparse::TcpHeader::new(ours.src_port, ours.dst_port, ours.seq.raw(), ours.window);
    tcp.acknowledgment_number = ours.ack.raw();
    tcp.urgent_pointer = ours.urgent;
    tcp.fin = ours.flags.contains(TcpFlags::FIN);
    tcp.syn = ours.flags.contains(TcpFlags::SYN);
    tcp.rst = ours.flags.contains(TcpFlags::RST);
    tcp.psh = ours.flags.contains(TcpFlags::PSH);
    tcp.ack = ours.flags.contains(TcpFlags::ACK);
    tcp.urg = ours.flags.contains(TcpFlags::URG);
    tcp.ece = ours.flags.contains(TcpFlags::ECE);
    tcp.cwr = ours.flags.contains(TcpFlags::CWR);
    tcp.ns = ours.flags.contains(TcpFlags::AE);
    tcp.set_options(&elements(options)).unwrap();
    tcp
}

proptest! {
    #[test]
    fn they_read_our_tcp_over_ipv4(
        ip in common::ipv4(0),
        tcp in common::tcp(),
        options in common::tcp_options(),
        data in vec(any::<u8>(), 0..64),
    ) {
        let ip = Ipv4Header {
            protocol: IpProtocol::TCP,
            more_fragments: false,
            fragment_offset: 0,
            ..ip
        };
        let pair = (ip.src.into(), ip.dst.into());
        let segment = common::tcp_segment(tcp, &options, &data, pair);
        same_tcp_frame(&common::ipv4_frame(ip, &segment));
    }

    #[test]
    fn they_read_our_tcp_over_ipv6(
        ip in common::ipv6(0),
        tcp in common::tcp(),
        options in common::tcp_options(),
        data in vec(any::<u8>(), 0..64),
    ) {
        let ip = Ipv6Header { next_header: IpProtocol::TCP, ..ip };
        let pair = (ip.src.into(), ip.dst.into());
        let segment = common::tcp_segment(tcp, &options, &data, pair);
        same_tcp_frame(&common::ipv6_frame(ip, &segment));
    }

    #[test]
    fn we_read_their_tcp_over_ipv4_with_options(
        (src, dst) in any::<([u8; 4], [u8; 4])>(),
        ip_options in (0_usize..=10).prop_flat_map(|words| vec(Just(1_u8), words * 4)),
        tcp in common::tcp(),
        options in common::tcp_options(),
        data in vec(any::<u8>(), 0..64),
    ) {
        let mut ip = etherparse::Ipv4Header::new(0, 64, ip_number::TCP, src, dst).unwrap();
        ip.options = Ipv4Options::try_from(&ip_options[..]).unwrap();
        let builder = PacketBuilder::ethernet2(SRC, DST)
            .ip(IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default()))
            .tcp_header(their_tcp(&tcp, &options));
        let mut bytes = Vec::new();
        builder.write(&mut bytes, &data).unwrap();
        same_tcp_frame(&bytes);
    }

    #[test]
    fn we_read_their_tcp_over_ipv6_with_extensions(
        (src, dst, flow) in (any::<[u8; 16]>(), any::<[u8; 16]>(), 0_u32..1 << 20),
        (hop_by_hop, destination, atomic) in any::<(bool, bool, bool)>(),
        tcp in common::tcp(),
        options in common::tcp_options(),
        data in vec(any::<u8>(), 0..64),
    ) {
        let ip = etherparse::Ipv6Header {
            traffic_class: 3,
            flow_label: Ipv6FlowLabel::try_new(flow).unwrap(),
            payload_length: 0,
            next_header: ip_number::TCP,
            hop_limit: 64,
            source: src,
            destination: dst,
        };
        let padding = || Ipv6RawExtHeader::new_raw(ip_number::TCP, &[1, 4, 0, 0, 0, 0]).unwrap();
        let no_fragment = IpFragOffset::try_new(0).unwrap();
        let extensions = Ipv6Extensions {
            hop_by_hop_options: hop_by_hop.then(padding),
            destination_options: destination.then(padding),
            routing: None,
            fragment: atomic
                .then(|| Ipv6FragmentHeader::new(ip_number::TCP, no_fragment, false, 7)),
            auth: None,
        };
        let builder = PacketBuilder::ethernet2(SRC, DST)
            .ip(IpHeaders::Ipv6(ip, extensions))
            .tcp_header(their_tcp(&tcp, &options));
        let mut bytes = Vec::new();
        builder.write(&mut bytes, &data).unwrap();
        same_tcp_frame(&bytes);
    }

    #[test]
    fn ethernet_headers(header in common::ethernet()) {
        let mut bytes = vec![0; header.len()];
        header.emit(&mut bytes).unwrap();
        let (theirs, rest) = etherparse::Ethernet2Header::from_slice(&bytes).unwrap();
        prop_assert_eq!((theirs.destination, theirs.source), (header.dst.0, header.src.0));
        match header.vlan {
            None => prop_assert_eq!(theirs.ether_type.0, header.ether_type.0),
            Some(tag) => {
                prop_assert_eq!(theirs.ether_type.0, EtherType::VLAN.0);
                let (vlan, _) = etherparse::SingleVlanHeader::from_slice(rest).unwrap();
                prop_assert_eq!(vlan.vlan_id.value(), tag.id());
                prop_assert_eq!(vlan.pcp.value(), tag.priority());
                prop_assert_eq!(vlan.ether_type.0, header.ether_type.0);
            }
        }
    }

    #[test]
    fn echo_messages_both_ways(
        (id, seq) in any::<(u16, u16)>(),
        data in vec(any::<u8>(), 0..64),
        (src4, dst4) in (common::v4(), common::v4()),
        (src6, dst6) in (common::v6(), common::v6()),
    ) {
        let mut theirs = Vec::new();
        PacketBuilder::ethernet2(SRC, DST)
            .ipv4(src4.octets(), dst4.octets(), 64)
            .icmpv4_echo_request(id, seq)
            .write(&mut theirs, &data)
            .unwrap();
        let message = Icmpv4Message::EchoRequest { id, seq, data: &data };
        let frame = Frame::parse(&theirs).unwrap();
        prop_assert_eq!(frame.transport(), Some(&Transport::Icmpv4(message)));
        let mut ours = vec![0; message.buffer_len()];
        message.emit(&mut ours).unwrap();
        prop_assert_eq!(&theirs[34..], &ours[..]);

        let mut theirs = Vec::new();
        PacketBuilder::ethernet2(SRC, DST)
            .ipv6(src6.octets(), dst6.octets(), 64)
            .icmpv6_echo_reply(id, seq)
            .write(&mut theirs, &data)
            .unwrap();
        let message = Icmpv6Message::EchoReply { id, seq, data: &data };
        let frame = Frame::parse(&theirs).unwrap();
        prop_assert_eq!(frame.transport(), Some(&Transport::Icmpv6(message)));
        let mut ours = vec![0; message.buffer_len()];
        message.emit(src6, dst6, &mut ours).unwrap();
        prop_assert_eq!(&theirs[54..], &ours[..]);
    }

    #[test]
    fn errors_about_the_path_mtu(
        (mtu4, mtu6) in any::<(u16, u32)>(),
        quoted in vec(any::<u8>(), 28..64),
        (src, dst) in (common::v6(), common::v6()),
    ) {
        use etherparse::{Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, icmpv4};

        let message = Icmpv4Message::Unreachable {
            code: Icmpv4Message::CODE_FRAGMENTATION_NEEDED,
            next_hop_mtu: mtu4,
            quoted: &quoted,
        };
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes).unwrap();
        let theirs = Icmpv4Slice::from_slice(&bytes).unwrap();
        let unreachable = icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu4 };
        prop_assert_eq!(theirs.icmp_type(), Icmpv4Type::DestinationUnreachable(unreachable));
        prop_assert_eq!(theirs.payload(), &quoted[..]);

        let message = Icmpv6Message::PacketTooBig { mtu: mtu6, quoted: &quoted };
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(src, dst, &mut bytes).unwrap();
        let theirs = Icmpv6Slice::from_slice(&bytes).unwrap();
        prop_assert_eq!(theirs.icmp_type(), Icmpv6Type::PacketTooBig { mtu: mtu6 });
        prop_assert!(theirs.is_checksum_valid(src.octets(), dst.octets()));
        prop_assert_eq!(theirs.payload(), &quoted[..]);
    }
}

#[test]
fn the_ethernet_header_of_their_frames() {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(SRC, DST)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(1, 2)
        .write(&mut bytes, b"x")
        .unwrap();
    let (ours, len) = EthernetHeader::parse(&bytes).unwrap();
    assert_eq!((ours.src, ours.dst), (MacAddr(SRC), MacAddr(DST)));
    let theirs = PacketHeaders::from_ethernet_slice(&bytes).unwrap();
    assert!(matches!(theirs.link, Some(LinkHeader::Ethernet2(h)) if h.source == SRC));
    let (ip, _) = Ipv4Header::parse(&bytes[len..]).unwrap();
    assert_eq!(IpNumber(ip.protocol.0), ip_number::UDP);
}
