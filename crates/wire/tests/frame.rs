//! One-line form of frames and of the values in them.

mod common;

use common::{V4, V6, ip4, ip6};
use tidewire_wire::{
    ArpOperation, ArpPacket, EtherType, EthernetHeader, Frame, Icmpv4Message, Icmpv6Message,
    IpProtocol, Ipv4Header, MacAddr, NeighborSolicit, SackBlock, SeqNum, TcpFlags, TcpHeader,
    TcpOptions, TcpTimestamps, VlanTag,
};

fn line(frame: &[u8]) -> String {
    Frame::parse(frame).unwrap().to_string()
}

fn tcp_line(flags: TcpFlags, options: TcpOptions, payload: &[u8]) -> String {
    let header = TcpHeader {
        src_port: 4000,
        dst_port: 80,
        seq: SeqNum::new(100),
        ack: SeqNum::new(200),
        flags,
        window: 64_240,
        checksum: 0,
        urgent: 0,
    };
    let segment = common::tcp_segment(header, &options, payload, (V4.0.into(), V4.1.into()));
    line(&common::ipv4_frame(ip4(IpProtocol::TCP), &segment))
}

#[test]
fn tcp_segments() {
    let timestamps = Some(TcpTimestamps { value: 1, echo: 0 });
    let syn = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps,
        ..TcpOptions::default()
    };
    assert_eq!(
        tcp_line(TcpFlags::SYN, syn, b""),
        "IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [S], seq 100, win 64240, \
         options [mss 1460,sackOK,TS val 1 ecr 0,wscale 7], length 0"
    );
    assert_eq!(
        tcp_line(
            TcpFlags::PSH | TcpFlags::ACK,
            TcpOptions::default(),
            b"hello"
        ),
        "IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [P.], seq 100:105, ack 200, win 64240, length 5"
    );
    let block = |left, right| SackBlock {
        left: SeqNum::new(left),
        right: SeqNum::new(right),
    };
    let sack = [block(300, 400), block(500, 600)].into_iter().collect();
    assert_eq!(
        tcp_line(
            TcpFlags::ACK,
            TcpOptions {
                sack,
                ..TcpOptions::default()
            },
            b""
        ),
        "IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [.], ack 200, win 64240, \
         options [sack 2 {300:400}{500:600}], length 0"
    );
    assert_eq!(
        tcp_line(TcpFlags::RST, TcpOptions::default(), b""),
        "IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [R], seq 100, win 64240, length 0"
    );
}

#[test]
fn flags_in_the_order_of_tcpdump() {
    for (flags, text) in [
        (TcpFlags::EMPTY, "none"),
        (TcpFlags::SYN | TcpFlags::ACK, "S."),
        (TcpFlags::FIN | TcpFlags::ACK, "F."),
        (TcpFlags::RST | TcpFlags::ACK, "R."),
        (
            TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR | TcpFlags::AE,
            "SEWe",
        ),
        (TcpFlags::from_bits(u16::MAX), "FSRP.UEWe"),
    ] {
        assert_eq!(flags.to_string(), text);
    }
}

#[test]
fn arp_packets() {
    let ethernet = EthernetHeader {
        dst: MacAddr::BROADCAST,
        src: MacAddr([2, 0, 0, 0, 0, 1]),
        vlan: Some(VlanTag { tci: 0x6007 }),
        ether_type: EtherType::ARP,
    };
    let request = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: ethernet.src,
        sender_ip: V4.0,
        target_mac: MacAddr::default(),
        target_ip: V4.1,
    };
    let text = |packet: ArpPacket| {
        let mut frame = [0; 64];
        let at = ethernet.emit(&mut frame).unwrap();
        packet.emit(&mut frame[at..]).unwrap();
        line(&frame)
    };
    assert_eq!(
        text(request),
        "vlan 7, ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28"
    );
    let reply = ArpPacket {
        operation: ArpOperation::Reply,
        ..request
    };
    assert_eq!(
        text(reply),
        "vlan 7, ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01, length 28"
    );
    assert_eq!(ethernet.vlan.unwrap().priority(), 3);
}

#[test]
fn icmp_messages() {
    let v4 = |message: Icmpv4Message<'_>| {
        let mut bytes = [0; 64];
        let len = message.emit(&mut bytes).unwrap();
        line(&common::ipv4_frame(ip4(IpProtocol::ICMP), &bytes[..len]))
    };
    assert_eq!(
        v4(Icmpv4Message::EchoRequest {
            id: 3,
            seq: 1,
            data: &[0; 56]
        }),
        "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 3, seq 1, length 64"
    );
    assert_eq!(
        v4(Icmpv4Message::Unreachable {
            code: 4,
            next_hop_mtu: 1400,
            quoted: &[]
        }),
        "IP 10.0.0.1 > 10.0.0.2: ICMP unreachable, need to frag (mtu 1400), length 8"
    );
    let v6 = |message: Icmpv6Message<'_>| {
        let mut bytes = [0; 64];
        let len = message.emit(V6.0, V6.1, &mut bytes).unwrap();
        line(&common::ipv6_frame(ip6(IpProtocol::ICMPV6), &bytes[..len]))
    };
    let solicit = NeighborSolicit {
        target: V6.1,
        source_mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
    };
    assert_eq!(
        v6(Icmpv6Message::NeighborSolicit(solicit)),
        "IP6 fe80::1 > fe80::2: ICMP6, neighbor solicitation, who has fe80::2, length 32"
    );
    assert_eq!(
        v6(Icmpv6Message::PacketTooBig {
            mtu: 1280,
            quoted: &[]
        }),
        "IP6 fe80::1 > fe80::2: ICMP6, packet too big, mtu 1280, length 8"
    );
}

#[test]
fn fragments_and_unknown_payloads() {
    let fragment = Ipv4Header {
        fragment_offset: 8,
        more_fragments: true,
        ..ip4(IpProtocol::TCP)
    };
    assert_eq!(
        line(&common::ipv4_frame(fragment, &[0; 16])),
        "IP 10.0.0.1 > 10.0.0.2: frag (id 77, offset 8+), length 16"
    );
    let last = Ipv4Header {
        more_fragments: false,
        ..fragment
    };
    assert_eq!(
        line(&common::ipv4_frame(last, &[0; 16])),
        "IP 10.0.0.1 > 10.0.0.2: frag (id 77, offset 8), length 16"
    );
    let piece = [6, 0, 0, 9, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(
        line(&common::ipv6_frame(ip6(IpProtocol::FRAGMENT), &piece)),
        "IP6 fe80::1 > fe80::2: frag (id 5, offset 8+), length 8"
    );
    assert_eq!(
        line(&common::ipv4_frame(ip4(IpProtocol::UDP), &[0; 16])),
        "IP 10.0.0.1 > 10.0.0.2: UDP, length 16"
    );
    assert_eq!(
        line(&[0; 20]),
        "00:00:00:00:00:00 > 00:00:00:00:00:00, ethertype 0x0000, length 6"
    );
}
