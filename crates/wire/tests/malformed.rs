//! Malformed input, in tables, each with the exact error it gets.

mod common;

use std::net::Ipv6Addr;

use common::{V6, ip4, ip6};
use tidewire_wire::{
    ArpPacket, Checksum, IpProtocol, Ipv4Header, Ipv6Header, Layer, MAX_EXTENSION_BYTES,
    MAX_EXTENSION_HEADERS, MacAddr, Malformed, NeighborAdvert, NeighborSolicit, ParseError,
    TcpHeader, TcpOptions, solicited_node, walk_extensions,
};

fn malformed(layer: Layer, offset: usize, what: Malformed) -> ParseError {
    ParseError::Malformed {
        layer,
        offset,
        what,
    }
}

#[test]
fn tcp_options_of_illegal_length() {
    // Each option, at the start and behind two no-operations.
    let lengths: &[(u8, &[u8])] = &[
        (2, &[4]),
        (3, &[3]),
        (4, &[2]),
        (5, &[10, 18, 26, 34]),
        (8, &[10]),
    ];
    for &(kind, legal) in lengths {
        for at in [0, 2] {
            for len in 0..=255_u8 {
                let mut bytes = vec![1; at];
                bytes.extend([kind, len]);
                bytes.resize(at + 40, 0);
                let result = TcpOptions::parse(&bytes);
                if legal.contains(&len) {
                    assert!(result.is_ok(), "kind {kind} length {len}");
                } else if len <= 40 {
                    let expected = malformed(Layer::Tcp, at, Malformed::OptionLength);
                    assert_eq!(result, Err(expected), "kind {kind} length {len}");
                } else {
                    let expected = ParseError::Truncated {
                        layer: Layer::Tcp,
                        offset: at,
                        needed: len.into(),
                        available: 40,
                    };
                    assert_eq!(result, Err(expected), "kind {kind} length {len}");
                }
            }
        }
    }
    // Five SACK blocks, which only fit a slice that no TCP header can have.
    let five = [&[5, 42][..], &[0; 40]].concat();
    let expected = malformed(Layer::Tcp, 0, Malformed::OptionLength);
    assert_eq!(TcpOptions::parse(&five), Err(expected));
    // A kind without a length, and an unknown kind with one of 0 and 1.
    let lone = ParseError::Truncated {
        layer: Layer::Tcp,
        offset: 2,
        needed: 2,
        available: 1,
    };
    assert_eq!(TcpOptions::parse(&[1, 1, 8]), Err(lone));
    for len in [0, 1] {
        let expected = malformed(Layer::Tcp, 0, Malformed::OptionLength);
        assert_eq!(TcpOptions::parse(&[99, len, 0, 0]), Err(expected));
    }
    // What follows End of Option List is not looked at.
    assert_eq!(TcpOptions::parse(&[0, 8, 0, 0]), Ok(TcpOptions::default()));
}

#[test]
fn tcp_data_offsets() {
    let mut segment = [0; 40];
    for words in 0..=15_u8 {
        segment[12] = words << 4;
        let len = usize::from(words) * 4;
        let result = TcpHeader::parse(&segment);
        match words {
            0..5 => {
                assert_eq!(
                    result,
                    Err(malformed(Layer::Tcp, 12, Malformed::DataOffset))
                );
            }
            5..=10 => assert_eq!(result.unwrap().2, len),
            _ => {
                let available = segment.len();
                let (layer, offset, needed) = (Layer::Tcp, 0, len);
                let expected = ParseError::Truncated {
                    layer,
                    offset,
                    needed,
                    available,
                };
                assert_eq!(result, Err(expected));
            }
        }
    }
}

#[test]
fn ipv4_header_fields() {
    let mut packet = [0; 20];
    Ipv4Header {
        total_len: 20,
        ..ip4(IpProtocol::TCP)
    }
    .emit(&mut packet)
    .unwrap();
    let with = |at: usize, value: &[u8]| {
        let mut packet = packet;
        packet[at..at + value.len()].copy_from_slice(value);
        Ipv4Header::parse_unverified(&packet)
    };
    let error = |offset, what| Err(malformed(Layer::Ipv4, offset, what));
    assert_eq!(with(0, &[0x65]), error(0, Malformed::Version));
    for ihl in 0..5 {
        assert_eq!(with(0, &[0x40 | ihl]), error(0, Malformed::HeaderLength));
    }
    for total_len in 1..20 {
        assert_eq!(with(2, &[0, total_len]), error(2, Malformed::TotalLength));
    }
    assert!(matches!(
        with(0, &[0x46]),
        Err(ParseError::Truncated { needed: 24, .. })
    ));
    assert!(matches!(
        with(2, &[0, 21]),
        Err(ParseError::Truncated { needed: 21, .. })
    ));
    // A last fragment that ends beyond 65,535 bytes ("ping of death").
    assert_eq!(with(6, &[0x1f, 0xff]), error(6, Malformed::FragmentRange));
    packet[10] ^= 1;
    assert_eq!(Ipv4Header::parse(&packet), error(10, Malformed::Checksum));
}

#[test]
fn a_total_length_of_zero_reaches_to_the_end() {
    // BIG TCP: the device says where the super-frame ends.
    let mut packet = [0; 100];
    ip4(IpProtocol::TCP).emit(&mut packet).unwrap();
    let (header, _) = Ipv4Header::parse(&packet).unwrap();
    assert_eq!(header.payload_range(100), 20..100);
    assert_eq!(header.payload_range(10), 10..10);
    let mut packet = [0; 100];
    ip6(IpProtocol::TCP).emit(&mut packet).unwrap();
    let (header, _) = Ipv6Header::parse(&packet).unwrap();
    assert_eq!(header.payload_range(100), 40..100);
    let empty = ip6(IpProtocol::NO_NEXT);
    assert_eq!(empty.payload_range(100), 40..40);
}

#[test]
fn ipv4_options_are_skipped_by_length() {
    // RFC 9293: MUST-50.
    let mut packet = [0; 30];
    Ipv4Header {
        total_len: 30,
        ..ip4(IpProtocol::TCP)
    }
    .emit(&mut packet)
    .unwrap();
    packet[0] = 0x47;
    packet[20..28].copy_from_slice(&[0x94, 4, 0, 0, 1, 1, 1, 0]);
    let (header, len) = Ipv4Header::parse_unverified(&packet).unwrap();
    assert_eq!(
        (header.options_len, len, header.payload_range(30)),
        (8, 28, 28..30)
    );
    // The options are part of the header checksum.
    assert!(Ipv4Header::parse(&packet).is_err());
    packet[10..12].fill(0);
    let mut sum = Checksum::new();
    sum.add_bytes(&packet[..28]);
    packet[10..12].copy_from_slice(&sum.finish().to_be_bytes());
    assert_eq!(Ipv4Header::parse(&packet), Ok((header, 28)));
}

#[test]
fn arp_for_other_hardware_or_protocols() {
    let mut packet = [0; 28];
    packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    assert!(ArpPacket::parse(&packet).is_ok());
    for (at, offset, what) in [
        (1, 0, Malformed::HardwareType),
        (2, 2, Malformed::ProtocolType),
        (4, 4, Malformed::AddressLength),
        (5, 4, Malformed::AddressLength),
    ] {
        let mut packet = packet;
        packet[at] ^= 1;
        assert_eq!(
            ArpPacket::parse(&packet),
            Err(malformed(Layer::Arp, offset, what))
        );
    }
}

/// An extension header of 8 bytes that names `next`.
fn extension(next: IpProtocol, body: [u8; 7]) -> Vec<u8> {
    [&[next.0][..], &body].concat()
}

const PADDING: [u8; 7] = [0, 1, 4, 0, 0, 0, 0];

#[test]
fn extension_chains_are_walked_to_the_upper_header() {
    let bytes = [
        extension(IpProtocol::DEST_OPTIONS, [0, 5, 2, 0, 0, 0, 0]),
        extension(IpProtocol::ROUTING, PADDING),
        extension(IpProtocol::FRAGMENT, [0, 2, 0, 0, 0, 0, 0]),
        extension(IpProtocol::TCP, [0, 0, 1, 0, 0, 0, 7]),
    ]
    .concat();
    let walk = walk_extensions(IpProtocol::HOP_BY_HOP, &bytes).unwrap();
    let fragment = walk.fragment.unwrap();
    assert_eq!((walk.protocol, walk.offset), (IpProtocol::TCP, 32));
    assert_eq!((fragment.offset, fragment.more, fragment.id), (0, true, 7));
    assert_eq!(
        (fragment.next_header, fragment.data_offset),
        (IpProtocol::TCP, 32)
    );
    assert!(!fragment.is_atomic());
    // Nothing to walk.
    let walk = walk_extensions(IpProtocol::TCP, &[]).unwrap();
    assert_eq!(
        (walk.protocol, walk.offset, walk.fragment),
        (IpProtocol::TCP, 0, None)
    );
}

#[test]
fn a_later_fragment_ends_the_walk() {
    // Its data look like an endless chain of options.
    let mut bytes = extension(IpProtocol::DEST_OPTIONS, [0, 0, 8, 0, 0, 0, 7]);
    bytes.extend([60; 64]);
    let walk = walk_extensions(IpProtocol::FRAGMENT, &bytes).unwrap();
    assert_eq!((walk.protocol, walk.offset), (IpProtocol::DEST_OPTIONS, 8));
    assert_eq!(walk.fragment.unwrap().offset, 8);
}

#[test]
fn hostile_extension_chains() {
    let walk = |first, parts: &[Vec<u8>]| walk_extensions(first, &parts.concat());
    let error = |offset, what| Err(malformed(Layer::Ipv6, offset, what));
    let options = || extension(IpProtocol::DEST_OPTIONS, PADDING);
    let dest = IpProtocol::DEST_OPTIONS;

    // A loop of headers, and one header that is too long.
    let limit = MAX_EXTENSION_HEADERS * 8;
    assert_eq!(
        walk(dest, &vec![options(); 1000]),
        error(limit, Malformed::ExtensionLimit)
    );
    let long = [vec![6, 32], vec![0; 262]].concat();
    assert_eq!(walk(dest, &[long]), error(0, Malformed::ExtensionLimit));
    let longest = [vec![6, 31], vec![0; 254]].concat();
    assert_eq!(walk(dest, &[longest]).unwrap().offset, MAX_EXTENSION_BYTES);

    // Hop-by-Hop Options that are not first.
    let second = [extension(IpProtocol::HOP_BY_HOP, PADDING), options()];
    assert_eq!(walk(dest, &second), error(8, Malformed::HopByHopPosition));

    // Routing headers.
    let routing = |kind, left| extension(IpProtocol::TCP, [0, kind, left, 0, 0, 0, 0]);
    let first = IpProtocol::ROUTING;
    assert_eq!(
        walk(first, &[routing(0, 1)]),
        error(2, Malformed::RoutingType0)
    );
    assert_eq!(
        walk(first, &[routing(0, 0)]),
        error(2, Malformed::RoutingType0)
    );
    assert_eq!(
        walk(first, &[routing(4, 1)]),
        error(3, Malformed::SegmentsLeft)
    );
    assert!(walk(first, &[routing(4, 0)]).is_ok());

    // Fragments of fragments.
    let fragment = |next| extension(next, [0, 0, 1, 0, 0, 0, 7]);
    let twice = [fragment(IpProtocol::FRAGMENT), fragment(IpProtocol::TCP)];
    assert_eq!(
        walk(IpProtocol::FRAGMENT, &twice),
        error(8, Malformed::DuplicateFragment)
    );

    // A first fragment without the upper header's predecessor (RFC 7112).
    let cut = [fragment(dest), vec![6, 0, 1]];
    let truncated = ParseError::Truncated {
        layer: Layer::Ipv6,
        offset: 8,
        needed: 8,
        available: 3,
    };
    assert_eq!(walk(IpProtocol::FRAGMENT, &cut), Err(truncated));
    // A header longer than the packet.
    let short = ParseError::Truncated {
        layer: Layer::Ipv6,
        offset: 0,
        needed: 24,
        available: 8,
    };
    assert_eq!(
        walk(dest, &[extension(IpProtocol::TCP, [2, 1, 4, 0, 0, 0, 0])]),
        Err(short)
    );
}

#[test]
fn options_in_extension_headers() {
    let walk = |body| walk_extensions(IpProtocol::HOP_BY_HOP, &extension(IpProtocol::TCP, body));
    let error = |offset, what| Err(malformed(Layer::Ipv6, offset, what));
    assert!(walk([0, 0, 0, 0, 0, 0, 0]).is_ok(), "Pad1");
    assert!(walk([0, 1, 4, 9, 9, 9, 9]).is_ok(), "PadN");
    assert!(walk([0, 0xc2, 4, 0, 1, 0, 0]).is_ok(), "jumbo payload");
    assert!(
        walk([0, 0x3e, 4, 0, 0, 0, 0]).is_ok(),
        "unknown, to be skipped"
    );
    for kind in [0x7e, 0xbe, 0xfe] {
        assert_eq!(
            walk([0, kind, 4, 0, 0, 0, 0]),
            error(2, Malformed::UnrecognizedOption)
        );
    }
    assert_eq!(
        walk([0, 0xc2, 3, 0, 0, 0, 0]),
        error(2, Malformed::OptionLength)
    );
    assert_eq!(
        walk([0, 1, 5, 0, 0, 0, 0]),
        error(2, Malformed::OptionLength)
    );
    assert_eq!(
        walk([0, 1, 3, 0, 0, 0, 1]),
        error(7, Malformed::OptionLength)
    );
}

#[test]
fn neighbor_discovery_messages_that_are_dropped() {
    let mut solicit = vec![135, 0, 0, 0, 0, 0, 0, 0];
    solicit.extend(V6.1.octets());
    solicit.extend([1, 1, 2, 0, 0, 0, 0, 1]);
    let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    let parsed = NeighborSolicit::parse(&solicit).unwrap();
    assert_eq!(
        parsed,
        NeighborSolicit {
            target: V6.1,
            source_mac: mac
        }
    );

    let error = |offset, what| Err(malformed(Layer::Ndp, offset, what));
    let with = |at: usize, value: u8| {
        let mut message = solicit.clone();
        message[at] = value;
        NeighborSolicit::parse(&message)
    };
    assert_eq!(with(1, 1), error(1, Malformed::Code));
    assert_eq!(with(8, 0xff), error(8, Malformed::TargetAddress));
    assert_eq!(with(25, 0), error(24, Malformed::OptionLength));
    assert!(matches!(
        with(25, 2),
        Err(ParseError::Truncated {
            offset: 24,
            needed: 16,
            ..
        })
    ));
    // A link-layer address that is not Ethernet's.
    let mut long = solicit.clone();
    long[25] = 2;
    long.extend([0; 8]);
    assert_eq!(
        NeighborSolicit::parse(&long),
        error(24, Malformed::OptionLength)
    );
    // A zero length behind a good option, in both messages.
    let mut second = solicit.clone();
    second.extend([14, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        NeighborSolicit::parse(&second),
        error(32, Malformed::OptionLength)
    );
    assert!(NeighborAdvert::parse(&second).is_err());
    // An option of another kind is skipped, a second address does not count.
    let mut others = solicit[..24].to_vec();
    others.extend([14, 1, 9, 9, 9, 9, 9, 9]);
    others.extend(&solicit[24..]);
    others.extend([1, 1, 9, 9, 9, 9, 9, 9]);
    assert_eq!(NeighborSolicit::parse(&others).unwrap(), parsed);
}

#[test]
fn neighbor_discovery_rules_that_need_the_ipv6_header() {
    let what = |result: Result<(), ParseError>| match result {
        Ok(()) => None,
        Err(ParseError::Malformed { what, .. }) => Some(what),
        Err(other) => panic!("{other}"),
    };
    let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    let solicit = NeighborSolicit {
        target: V6.1,
        source_mac: mac,
    };
    let probe = NeighborSolicit {
        source_mac: None,
        ..solicit
    };
    let group = solicited_node(V6.1);
    assert_eq!(group, "ff02::1:ff00:2".parse::<Ipv6Addr>().unwrap());
    let nowhere = Ipv6Addr::UNSPECIFIED;
    assert_eq!(what(solicit.validate(V6.0, group, 255)), None);
    assert_eq!(
        what(solicit.validate(V6.0, group, 254)),
        Some(Malformed::HopLimit)
    );
    assert_eq!(
        what(solicit.validate(nowhere, group, 255)),
        Some(Malformed::Addressing)
    );
    assert_eq!(what(probe.validate(nowhere, group, 255)), None);
    assert_eq!(
        what(probe.validate(nowhere, V6.1, 255)),
        Some(Malformed::Addressing)
    );
    let advert = NeighborAdvert {
        router: false,
        solicited: true,
        override_cache: true,
        target: V6.1,
        target_mac: mac,
    };
    assert_eq!(what(advert.validate(V6.0, 255)), None);
    assert_eq!(what(advert.validate(V6.0, 64)), Some(Malformed::HopLimit));
    assert_eq!(
        what(advert.validate(group, 255)),
        Some(Malformed::Addressing)
    );
    let unsolicited = NeighborAdvert {
        solicited: false,
        ..advert
    };
    assert_eq!(what(unsolicited.validate(group, 255)), None);
}
