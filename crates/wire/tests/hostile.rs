//! Hostile input: every parser answers with an error or a well-formed value.

mod common;

use common::{V4, V6, ip4, ip6};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;
use tidewire_wire::{
    ArpOperation, ArpPacket, EtherType, EthernetHeader, Frame, Icmpv4Message, Icmpv6Message,
    IpProtocol, Ipv4Header, Ipv6Header, MAX_EXTENSION_BYTES, MacAddr, NdpOptionIter,
    NeighborAdvert, NeighborSolicit, ParseError, SackBlock, SeqNum, TcpFlags, TcpHeader,
    TcpOptionIter, TcpOptions, TcpTimestamps, Transport, VnetHeader, walk_extensions,
};

fn tcp_header(flags: TcpFlags) -> TcpHeader {
    TcpHeader {
        src_port: 4000,
        dst_port: 80,
        seq: SeqNum::new(u32::MAX - 3),
        ack: SeqNum::new(5),
        flags,
        window: 1000,
        checksum: 0,
        urgent: 0,
    }
}

fn all_options() -> TcpOptions {
    let block = |at| SackBlock {
        left: SeqNum::new(at),
        right: SeqNum::new(at + 1),
    };
    TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(TcpTimestamps { value: 1, echo: 2 }),
        sack: [5, 9].map(block).into_iter().collect(),
    }
}

/// Valid frames of each kind.
fn valid_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let ethernet = EthernetHeader {
        dst: MacAddr::BROADCAST,
        src: MacAddr([2, 0, 0, 0, 0, 1]),
        vlan: None,
        ether_type: EtherType::ARP,
    };
    let mut arp = vec![0; EthernetHeader::LEN + ArpPacket::LEN];
    let at = ethernet.emit(&mut arp).unwrap();
    let packet = ArpPacket {
        operation: ArpOperation::Request,
        sender_mac: ethernet.src,
        sender_ip: V4.0,
        target_mac: MacAddr::default(),
        target_ip: V4.1,
    };
    packet.emit(&mut arp[at..]).unwrap();
    frames.push(arp);

    let header = tcp_header(TcpFlags::SYN | TcpFlags::ACK);
    let pair = (V4.0.into(), V4.1.into());
    let segment = common::tcp_segment(header, &all_options(), b"hello", pair);
    frames.push(common::ipv4_frame(ip4(IpProtocol::TCP), &segment));
    let pair = (V6.0.into(), V6.1.into());
    let segment = common::tcp_segment(header, &all_options(), b"hello", pair);
    frames.push(common::ipv6_frame(ip6(IpProtocol::TCP), &segment));
    // The same behind a chain of extension headers.
    let mut chain = vec![60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0];
    chain.extend([6, 0, 0, 0, 0, 0, 0, 9]);
    chain.extend(&segment);
    frames.push(common::ipv6_frame(ip6(IpProtocol::HOP_BY_HOP), &chain));

    let quoted = [0x45; 28];
    let mut buffer = [0; 64];
    for message in [
        Icmpv4Message::EchoRequest {
            id: 1,
            seq: 2,
            data: b"ping",
        },
        Icmpv4Message::Unreachable {
            code: 4,
            next_hop_mtu: 1400,
            quoted: &quoted,
        },
    ] {
        let len = message.emit(&mut buffer).unwrap();
        frames.push(common::ipv4_frame(ip4(IpProtocol::ICMP), &buffer[..len]));
    }
    let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    for message in [
        Icmpv6Message::PacketTooBig {
            mtu: 1280,
            quoted: &quoted,
        },
        Icmpv6Message::NeighborSolicit(NeighborSolicit {
            target: V6.1,
            source_mac: mac,
        }),
    ] {
        let len = message.emit(V6.0, V6.1, &mut buffer).unwrap();
        frames.push(common::ipv6_frame(ip6(IpProtocol::ICMPV6), &buffer[..len]));
    }
    frames
}

/// Uses every part of a frame, so that none hides a panic or leaves the frame.
fn exercise(frame: &Frame<'_>, bytes: &[u8]) {
    assert!(!frame.to_string().is_empty());
    frame.tcp_checksum_is_valid();
    if let Some(Transport::Tcp {
        options,
        payload,
        segment,
        header,
    }) = frame.transport()
    {
        assert!(options.len() <= TcpOptions::MAX_LEN);
        assert_eq!(
            TcpHeader::MIN_LEN + options.len() + payload.len(),
            segment.len()
        );
        assert!(segment.len() < bytes.len());
        assert!(header.flags.bits() < 1 << 9);
        assert!(TcpOptionIter::new(options).count() <= options.len());
    }
}

/// The promise of `ParseError`'s fields.
fn check_error(error: ParseError, bytes: &[u8]) {
    if let ParseError::Truncated {
        offset,
        needed,
        available,
        ..
    } = error
    {
        assert!(available < needed, "{error}");
        assert!(
            offset <= bytes.len() && available <= bytes.len() - offset,
            "{error}"
        );
    }
    assert!(error.offset() <= bytes.len(), "{error}");
    assert!(error.to_string().starts_with(&error.layer().to_string()));
}

fn check<T: Debug>(result: Result<T, ParseError>, bytes: &[u8]) {
    if let Err(error) = result {
        check_error(error, bytes);
    }
}

#[test]
fn every_truncation_of_a_valid_frame_is_an_error() {
    for frame in valid_frames() {
        exercise(&Frame::parse(&frame).unwrap(), &frame);
        for len in 0..frame.len() {
            let error = Frame::parse(&frame[..len]).expect_err("a truncated frame");
            assert!(
                matches!(error, ParseError::Truncated { .. }),
                "{len} bytes: {error}"
            );
            check_error(error, &frame);
        }
    }
}

#[test]
fn every_bit_flip_of_a_valid_frame_is_an_error_or_a_value() {
    for mut frame in valid_frames() {
        for bit in 0..frame.len() * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            match Frame::parse(&frame) {
                Ok(parsed) => exercise(&parsed, &frame),
                Err(error) => check_error(error, &frame),
            }
            frame[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_bit_flip_behind_the_ethernet_header_is_noticed() {
    // Nothing of an IPv4 packet with ICMP or TCP in it is outside a checksum.
    let is_ipv4 = |frame: &Vec<u8>| frame[12..14] == EtherType::IPV4.0.to_be_bytes();
    let frames: Vec<_> = valid_frames().into_iter().filter(is_ipv4).collect();
    assert_eq!(frames.len(), 3);
    for mut frame in frames {
        for bit in EthernetHeader::LEN * 8..frame.len() * 8 {
            frame[bit / 8] ^= 1 << (bit % 8);
            if let Ok(parsed) = Frame::parse(&frame) {
                assert_eq!(
                    parsed.tcp_checksum_is_valid(),
                    Some(false),
                    "bit {bit}: {parsed}"
                );
            }
            frame[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_an_error_or_a_value(
        bytes in vec(any::<u8>(), 0..160),
        first in any::<u8>(),
    ) {
        check(EthernetHeader::parse(&bytes), &bytes);
        check(ArpPacket::parse(&bytes), &bytes);
        check(Ipv4Header::parse(&bytes), &bytes);
        check(Ipv4Header::parse_unverified(&bytes), &bytes);
        check(Ipv4Header::parse_quoted(&bytes), &bytes);
        check(Ipv6Header::parse(&bytes), &bytes);
        check(Icmpv4Message::parse(&bytes), &bytes);
        check(Icmpv6Message::parse(V6.0, V6.1, &bytes), &bytes);
        check(NeighborSolicit::parse(&bytes), &bytes);
        check(NeighborAdvert::parse(&bytes), &bytes);
        check(TcpHeader::parse(&bytes), &bytes);
        check(TcpOptions::parse(&bytes), &bytes);
        check(VnetHeader::parse(&bytes), &bytes);
        check(Frame::parse(&bytes), &bytes);
        if let Ok(walk) = walk_extensions(IpProtocol(first), &bytes) {
            prop_assert!(walk.offset <= bytes.len().min(MAX_EXTENSION_BYTES));
        }
    }

    /// Random bytes seldom pass the version, the length and the checksum: these do.
    #[test]
    fn arbitrary_payloads_behind_valid_headers(
        payload in vec(any::<u8>(), 0..120),
        protocol in prop::sample::select(vec![0_u8, 1, 6, 17, 43, 44, 58, 60]),
    ) {
        let protocol = IpProtocol(protocol);
        for frame in [
            common::ipv4_frame(ip4(protocol), &payload),
            common::ipv6_frame(ip6(protocol), &payload),
        ] {
            match Frame::parse(&frame) {
                Ok(parsed) => exercise(&parsed, &frame),
                Err(error) => check_error(error, &frame),
            }
        }
    }

    #[test]
    fn option_iterators_advance_and_end(bytes in vec(any::<u8>(), 0..300)) {
        // Each item but the error takes two bytes at least.
        prop_assert!(TcpOptionIter::new(&bytes).count() <= bytes.len() / 2 + 1);
        let mut options = TcpOptionIter::new(&bytes);
        let errors = options.by_ref().filter(Result::is_err).count();
        prop_assert!(errors <= 1);
        prop_assert!(options.next().is_none());
        // A folded parse fails exactly where the iterator does.
        prop_assert_eq!(TcpOptions::parse(&bytes).is_err(), errors == 1);

        prop_assert!(NdpOptionIter::new(&bytes).count() <= bytes.len() / 8 + 1);
        let mut options = NdpOptionIter::new(&bytes);
        prop_assert!(options.by_ref().filter(Result::is_err).count() <= 1);
        prop_assert!(options.next().is_none());
    }
}
