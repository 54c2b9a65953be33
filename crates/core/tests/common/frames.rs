//! Frames on the wire, built and parsed with `tidewire-wire`.

use std::net::Ipv4Addr;

use tidewire_core::Instant;
use tidewire_core::wire::{
    ArpOperation, ArpPacket, EtherType, EthernetHeader, Frame, Icmpv4Message, IpProtocol,
    Ipv4Header, MacAddr, Network, TcpFlags, TcpHeader, TcpOptions, Transport, transport_checksum,
};

pub(crate) const STACK_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub(crate) const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
pub(crate) const STACK_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const PEER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A TCP segment that left the stack.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    /// The link address it went to.
    pub(crate) to: MacAddr,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    pub(crate) header: TcpHeader,
    pub(crate) options: TcpOptions,
    pub(crate) payload: Vec<u8>,
}

/// What left the stack.
#[derive(Clone, Debug)]
pub(crate) enum Left {
    Tcp(Sent),
    Arp(ArpPacket, MacAddr),
    Other(Vec<u8>),
}

/// Parses a frame of the stack, and checks what must hold for each frame.
pub(crate) fn dissect(at: Instant, bytes: &[u8], mtu: usize) -> Left {
    // RFC 9293: MUST-2, MUST-65.
    let frame = Frame::parse(bytes).expect("the stack sends well-formed frames");
    assert_eq!(frame.ethernet.src, STACK_MAC);
    match frame.network {
        Network::Arp(packet) => Left::Arp(packet, frame.ethernet.dst),
        Network::Ipv4 {
            header,
            transport:
                Transport::Tcp {
                    header: tcp,
                    options,
                    payload,
                    ..
                },
        } => {
            assert_eq!(frame.tcp_checksum_is_valid(), Some(true), "{frame}");
            assert_eq!(header.src, STACK_IP);
            assert!(
                usize::from(header.total_len) <= mtu,
                "{frame} is over the MTU"
            );
            assert!(
                header.dont_fragment && header.ttl > 1,
                "RFC 9293 §3.9.2, MUST-49"
            );
            let options = TcpOptions::parse(options).expect("well-formed options");
            assert!(
                options.mss.is_some() == tcp.flags.contains(TcpFlags::SYN),
                "{frame} has an MSS option where it should not, or none"
            );
            Left::Tcp(Sent {
                at,
                to: frame.ethernet.dst,
                hop_limit: header.ttl,
                traffic_class: header.tos,
                header: tcp,
                options,
                payload: payload.to_vec(),
            })
        }
        _ => Left::Other(bytes.to_vec()),
    }
}

/// A whole frame with a TCP segment from `src` to the stack.
pub(crate) fn tcp_frame(
    src: Ipv4Addr,
    header: TcpHeader,
    options: &TcpOptions,
    payload: &[u8],
) -> Vec<u8> {
    let mut option_bytes = [0; TcpOptions::MAX_LEN];
    let len = options
        .emit(&mut option_bytes)
        .expect("options of a test fit");
    let mut segment = vec![0; TcpHeader::MIN_LEN + len + payload.len()];
    let header = TcpHeader {
        checksum: 0,
        ..header
    };
    let at = header.emit(&option_bytes[..len], &mut segment).unwrap();
    segment[at..].copy_from_slice(payload);
    let sum = transport_checksum(src.into(), STACK_IP.into(), IpProtocol::TCP, &segment);
    segment[TcpHeader::CHECKSUM_OFFSET..][..2].copy_from_slice(&sum.to_be_bytes());
    ip_frame(src, STACK_IP, IpProtocol::TCP, &segment)
}

/// A whole frame with an ICMP message from the peer to `dst`.
pub(crate) fn icmp_frame(dst: Ipv4Addr, message: &Icmpv4Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes).unwrap();
    ip_frame(PEER_IP, dst, IpProtocol::ICMP, &bytes)
}

/// The ICMP message in a frame of the stack.
pub(crate) fn icmp_of(bytes: &[u8]) -> Icmpv4Message<'_> {
    let frame = Frame::parse(bytes).expect("the stack sends well-formed frames");
    match frame.transport() {
        Some(&Transport::Icmpv4(message)) => message,
        _ => panic!("{frame} is not ICMP"),
    }
}

/// A whole frame with an ARP packet from `mac` at `ip` about `target`.
pub(crate) fn arp_frame(
    operation: ArpOperation,
    (mac, ip): (MacAddr, Ipv4Addr),
    target: Ipv4Addr,
) -> Vec<u8> {
    let dst = match operation {
        ArpOperation::Reply => STACK_MAC,
        _ => MacAddr::BROADCAST,
    };
    let mut frame = vec![0; EthernetHeader::LEN + ArpPacket::LEN];
    let ethernet = EthernetHeader {
        dst,
        src: mac,
        vlan: None,
        ether_type: EtherType::ARP,
    };
    let at = ethernet.emit(&mut frame).unwrap();
    let packet = ArpPacket {
        operation,
        sender_mac: mac,
        sender_ip: ip,
        target_mac: MacAddr([0; 6]),
        target_ip: target,
    };
    packet.emit(&mut frame[at..]).unwrap();
    frame
}

/// A whole frame with an IPv4 packet.
pub(crate) fn ip_frame(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; EthernetHeader::LEN + Ipv4Header::MIN_LEN];
    let ethernet = EthernetHeader {
        dst: STACK_MAC,
        src: PEER_MAC,
        vlan: None,
        ether_type: EtherType::IPV4,
    };
    let at = ethernet.emit(&mut frame).unwrap();
    let ip = Ipv4Header {
        tos: 0,
        total_len: u16::try_from(Ipv4Header::MIN_LEN + body.len()).unwrap(),
        id: 7,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol,
        src,
        dst,
        options_len: 0,
    };
    ip.emit(&mut frame[at..]).unwrap();
    frame.extend(body);
    frame
}
