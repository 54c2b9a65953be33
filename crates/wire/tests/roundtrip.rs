//! Round trips of every format: what is emitted parses to the same value.

mod common;

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tidewire_wire::{
    ArpPacket, EmitError, EthernetHeader, Frame, Icmpv4Message, Icmpv6Message, IpProtocol,
    Ipv4Header, Ipv6Header, MacAddr, NeighborAdvert, NeighborSolicit, Network, TcpHeader,
    TcpOption, TcpOptionIter, TcpOptions, Transport, VnetHeader,
};

/// Whether `emit` reports a buffer that is one byte short, and each shorter one.
fn refuses_short_buffers(len: usize, emit: impl Fn(&mut [u8]) -> Result<usize, EmitError>) -> bool {
    (0..len).all(|short| {
        matches!(emit(&mut vec![0; short]), Err(EmitError::BufferTooSmall { needed, available, .. })
            if available == short && needed == len)
    })
}

fn icmpv4<'a>(kind: u8, code: u8, a: u16, b: u16, data: &'a [u8]) -> Icmpv4Message<'a> {
    match kind {
        0 => Icmpv4Message::EchoReply {
            id: a,
            seq: b,
            data,
        },
        8 => Icmpv4Message::EchoRequest {
            id: a,
            seq: b,
            data,
        },
        3 => Icmpv4Message::Unreachable {
            code,
            next_hop_mtu: b,
            quoted: data,
        },
        11 => Icmpv4Message::TimeExceeded { code, quoted: data },
        12 => Icmpv4Message::ParameterProblem {
            code,
            pointer: a.to_be_bytes()[0],
            quoted: data,
        },
        _ => Icmpv4Message::Other {
            kind,
            code,
            rest: data,
        },
    }
}

fn icmpv6<'a>(kind: u8, code: u8, number: u32, data: &'a [u8]) -> Icmpv6Message<'a> {
    let [a, b, c, d] = number.to_be_bytes();
    let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    match kind {
        1 => Icmpv6Message::Unreachable { code, quoted: data },
        2 => Icmpv6Message::PacketTooBig {
            mtu: number,
            quoted: data,
        },
        3 => Icmpv6Message::TimeExceeded { code, quoted: data },
        4 => Icmpv6Message::ParameterProblem {
            code,
            pointer: number,
            quoted: data,
        },
        128 => Icmpv6Message::EchoRequest { id, seq, data },
        129 => Icmpv6Message::EchoReply { id, seq, data },
        // Solicitations and advertisements have their own test.
        135 | 136 => Icmpv6Message::Other {
            kind: 200,
            code,
            rest: data,
        },
        _ => Icmpv6Message::Other {
            kind,
            code,
            rest: data,
        },
    }
}

proptest! {
    #[test]
    fn ethernet(header in common::ethernet(), payload in vec(any::<u8>(), 0..20)) {
        let mut bytes = vec![0; header.len()];
        prop_assert_eq!(header.emit(&mut bytes), Ok(header.len()));
        bytes.extend(payload);
        prop_assert_eq!(EthernetHeader::parse(&bytes), Ok((header, header.len())));
        prop_assert!(refuses_short_buffers(header.len(), |buffer| header.emit(buffer)));
    }

    #[test]
    fn mac_address_text(mac in common::mac()) {
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        prop_assert_eq!(mac.to_string().to_uppercase().parse(), Ok(mac));
    }

    #[test]
    fn arp(packet in common::arp()) {
        let mut bytes = [0; ArpPacket::LEN + 18];
        prop_assert_eq!(packet.emit(&mut bytes), Ok(ArpPacket::LEN));
        prop_assert_eq!(ArpPacket::parse(&bytes), Ok(packet));
        prop_assert!(refuses_short_buffers(ArpPacket::LEN, |buffer| packet.emit(buffer)));
    }

    #[test]
    fn ipv4(header in common::ipv4(9), padding in 0_usize..30) {
        let mut bytes = vec![0; 29 + padding];
        prop_assert_eq!(header.emit(&mut bytes), Ok(20));
        prop_assert_eq!(Ipv4Header::parse(&bytes), Ok((header, 20)));
        prop_assert_eq!(Ipv4Header::parse_unverified(&bytes), Ok((header, 20)));
        prop_assert_eq!(Ipv4Header::parse_quoted(&bytes[..20]), Ok((header, 20)));
        prop_assert_eq!(header.payload_range(bytes.len()), 20..29);
        prop_assert!(refuses_short_buffers(20, |buffer| header.emit(buffer)));
    }

    #[test]
    fn ipv6(header in common::ipv6(9), padding in 0_usize..30) {
        let mut bytes = vec![0; 49 + padding];
        prop_assert_eq!(header.emit(&mut bytes), Ok(40));
        prop_assert_eq!(Ipv6Header::parse(&bytes), Ok((header, 40)));
        prop_assert_eq!(Ipv6Header::parse_quoted(&bytes[..40]), Ok((header, 40)));
        prop_assert_eq!(header.payload_range(bytes.len()), 40..49);
        prop_assert!(refuses_short_buffers(40, |buffer| header.emit(buffer)));
    }

    #[test]
    fn icmpv4_messages(
        kind in prop_oneof![any::<u8>(), prop::sample::select(vec![0_u8, 3, 8, 11, 12])],
        code in any::<u8>(),
        (a, b) in any::<(u16, u16)>(),
        data in vec(any::<u8>(), 0..80),
    ) {
        let message = icmpv4(kind, code, a, b, &data);
        let len = message.buffer_len();
        let mut bytes = vec![0xaa; len];
        prop_assert_eq!(message.emit(&mut bytes), Ok(len));
        prop_assert_eq!(Icmpv4Message::parse(&bytes), Ok(message));
        prop_assert!(refuses_short_buffers(len, |buffer| message.emit(buffer)));
    }

    #[test]
    fn icmpv6_messages(
        kind in prop_oneof![any::<u8>(), prop::sample::select(vec![1_u8, 2, 3, 4, 128, 129])],
        code in any::<u8>(),
        number in any::<u32>(),
        data in vec(any::<u8>(), 0..80),
        (src, dst) in (common::v6(), common::v6()),
    ) {
        let message = icmpv6(kind, code, number, &data);
        let len = message.buffer_len();
        let mut bytes = vec![0xaa; len];
        prop_assert_eq!(message.emit(src, dst, &mut bytes), Ok(len));
        prop_assert_eq!(Icmpv6Message::parse(src, dst, &bytes), Ok(message));
        prop_assert!(refuses_short_buffers(len, |buffer| message.emit(src, dst, buffer)));
    }

    #[test]
    fn neighbor_discovery(
        target in common::unicast_v6(),
        mac in option::of(common::mac()),
        (router, solicited, override_cache) in any::<(bool, bool, bool)>(),
        (src, dst) in (common::v6(), common::v6()),
    ) {
        let solicit = NeighborSolicit { target, source_mac: mac };
        let advert =
            NeighborAdvert { router, solicited, override_cache, target, target_mac: mac };
        for message in
            [Icmpv6Message::NeighborSolicit(solicit), Icmpv6Message::NeighborAdvert(advert)]
        {
            let len = message.buffer_len();
            let mut bytes = vec![0xaa; len];
            prop_assert_eq!(message.emit(src, dst, &mut bytes), Ok(len));
            prop_assert_eq!(Icmpv6Message::parse(src, dst, &bytes), Ok(message));
            prop_assert!(refuses_short_buffers(len, |buffer| message.emit(src, dst, buffer)));
        }
    }

    #[test]
    fn tcp(
        header in common::tcp(),
        options in common::tcp_options(),
        payload in vec(any::<u8>(), 0..40),
    ) {
        let mut option_bytes = [0; TcpOptions::MAX_LEN];
        let option_len = options.emit(&mut option_bytes).unwrap();
        let option_bytes = &option_bytes[..option_len];
        let len = TcpHeader::MIN_LEN + option_len;
        let mut bytes = vec![0; len];
        prop_assert_eq!(header.emit(option_bytes, &mut bytes), Ok(len));
        bytes.extend(payload);
        prop_assert_eq!(TcpHeader::parse(&bytes), Ok((header, option_bytes, len)));
        prop_assert!(refuses_short_buffers(len, |buffer| header.emit(option_bytes, buffer)));
    }

    #[test]
    fn tcp_options(options in common::tcp_options()) {
        let mut bytes = [0; TcpOptions::MAX_LEN];
        let len = options.emit(&mut bytes).unwrap();
        prop_assert_eq!(len, options.emitted_len());
        prop_assert_eq!(len % 4, 0);
        prop_assert_eq!(TcpOptions::parse(&bytes[..len]), Ok(options));
        // Zeros behind the options are End of Option List options.
        prop_assert_eq!(TcpOptions::parse(&bytes), Ok(options));
        prop_assert!(refuses_short_buffers(len, |buffer| options.emit(buffer)));
    }

    #[test]
    fn sack_blocks_that_do_not_fit_are_left_out_from_the_end(
        options in common::tcp_options(),
        sack in common::sack_blocks(4),
    ) {
        let asked = TcpOptions { sack, ..options };
        let mut bytes = [0; TcpOptions::MAX_LEN];
        let len = asked.emit(&mut bytes).unwrap();
        let got = TcpOptions::parse(&bytes[..len]).unwrap();
        prop_assert_eq!(TcpOptions { sack: got.sack, ..asked }, got);
        prop_assert!(sack.as_slice().starts_with(got.sack.as_slice()));
        // One more block would not have fitted.
        prop_assert!(got.sack.len() == sack.len() || len + 8 > TcpOptions::MAX_LEN);
    }

    #[test]
    fn vnet(header in common::vnet()) {
        let mut bytes = [0; VnetHeader::LEN];
        prop_assert_eq!(header.emit(&mut bytes), Ok(VnetHeader::LEN));
        prop_assert_eq!(bytes, header.encode());
        prop_assert_eq!(VnetHeader::parse(&bytes), Ok(header));
        prop_assert!(refuses_short_buffers(VnetHeader::LEN, |buffer| header.emit(buffer)));
    }

    #[test]
    fn whole_frames_over_ipv4(
        tcp in common::tcp(),
        options in common::tcp_options(),
        ip in common::ipv4(0),
        data in vec(any::<u8>(), 0..100),
    ) {
        let ip = Ipv4Header {
            more_fragments: false,
            fragment_offset: 0,
            protocol: IpProtocol::TCP,
            ..ip
        };
        let pair = (ip.src.into(), ip.dst.into());
        let sent = common::tcp_segment(tcp, &options, &data, pair);
        let bytes = common::ipv4_frame(ip, &sent);
        let frame = Frame::parse(&bytes).unwrap();
        prop_assert_eq!(frame.tcp_checksum_is_valid(), Some(true));
        prop_assert_eq!(frame.addresses(), Some(pair));
        match frame.network {
            Network::Ipv4 { transport: Transport::Tcp { header, payload, segment, options: got }, .. } => {
                prop_assert_eq!(TcpHeader { checksum: tcp.checksum, ..header }, tcp);
                prop_assert_eq!(TcpOptions::parse(got), Ok(options));
                prop_assert_eq!((payload, segment), (&data[..], &sent[..]));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn whole_frames_over_ipv6(
        tcp in common::tcp(),
        options in common::tcp_options(),
        ip in common::ipv6(0),
        data in vec(any::<u8>(), 0..100),
    ) {
        let ip = Ipv6Header { next_header: IpProtocol::TCP, ..ip };
        let pair = (ip.src.into(), ip.dst.into());
        let sent = common::tcp_segment(tcp, &options, &data, pair);
        let bytes = common::ipv6_frame(ip, &sent);
        let frame = Frame::parse(&bytes).unwrap();
        prop_assert_eq!(frame.tcp_checksum_is_valid(), Some(true));
        prop_assert_eq!(frame.addresses(), Some(pair));
        let Some(Transport::Tcp { payload, segment, .. }) = frame.transport() else {
            return Err(TestCaseError::fail("no TCP"));
        };
        prop_assert_eq!((*payload, *segment), (&data[..], &sent[..]));
    }
}

#[test]
fn values_that_have_no_form_are_refused() {
    let ip = Ipv4Header {
        tos: 0,
        total_len: 20,
        id: 0,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 4,
        ttl: 1,
        protocol: IpProtocol::TCP,
        src: Ipv4Addr::LOCALHOST,
        dst: Ipv4Addr::LOCALHOST,
        options_len: 0,
    };
    let out_of_range = |result| matches!(result, Err(EmitError::ValueOutOfRange { .. }));
    assert!(out_of_range(ip.emit(&mut [0; 20])));
    let ip = Ipv6Header {
        traffic_class: 0,
        flow_label: 1 << 20,
        payload_len: 0,
        next_header: IpProtocol::TCP,
        hop_limit: 1,
        src: Ipv6Addr::LOCALHOST,
        dst: Ipv6Addr::LOCALHOST,
    };
    assert!(out_of_range(ip.emit(&mut [0; 40])));
    let (tcp, ..) = TcpHeader::parse(&[0x50; 20]).unwrap();
    assert!(out_of_range(tcp.emit(&[1; 3], &mut [0; 60])));
    assert!(out_of_range(tcp.emit(&[1; 44], &mut [0; 64])));
}

#[test]
fn options_are_laid_out_as_linux_does() {
    // RFC 9293: MUST-68, MUST-69.
    let timestamps = Some(tidewire_wire::TcpTimestamps { value: 1, echo: 2 });
    let syn = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        ..TcpOptions::default()
    };
    let block = |at| tidewire_wire::SackBlock {
        left: tidewire_wire::SeqNum::new(at),
        right: tidewire_wire::SeqNum::new(at + 1),
    };
    let emitted = |options: TcpOptions| {
        let mut bytes = [0; TcpOptions::MAX_LEN];
        let len = options.emit(&mut bytes).unwrap();
        bytes[..len].to_vec()
    };
    let ts = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let cat = |parts: &[&[u8]]| parts.concat();
    assert_eq!(
        emitted(TcpOptions { timestamps, ..syn }),
        cat(&[&[2, 4, 5, 180, 4, 2], &ts, &[1, 3, 3, 7]])
    );
    assert_eq!(emitted(syn), [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7]);
    let data = TcpOptions {
        timestamps,
        ..TcpOptions::default()
    };
    assert_eq!(emitted(data), cat(&[&[1, 1], &ts]));
    let ack = TcpOptions {
        sack: [9, 5].map(block).into_iter().collect(),
        ..data
    };
    assert_eq!(
        emitted(ack),
        cat(&[
            &[1, 1],
            &ts,
            &[1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 5, 0, 0, 0, 6]
        ])
    );
    // RFC 2018 §3: three blocks beside timestamps, four alone.
    let four = [1, 2, 3, 4].map(block).into_iter().collect();
    assert_eq!(TcpOptions { sack: four, ..data }.fitting_sack_blocks(), 3);
    assert_eq!(
        TcpOptions {
            sack: four,
            ..TcpOptions::default()
        }
        .fitting_sack_blocks(),
        4
    );
}

#[test]
fn unknown_options_are_kept_and_the_first_of_a_kind_counts() {
    let bytes = [
        1, 254, 4, 0xf9, 0x89, 2, 4, 0, 1, 2, 4, 0, 2, 253, 2, 0, 9, 9,
    ];
    let listed: Vec<_> = TcpOptionIter::new(&bytes).map(Result::unwrap).collect();
    assert_eq!(
        listed,
        [
            TcpOption::Unknown {
                kind: 254,
                data: &[0xf9, 0x89]
            },
            TcpOption::MaxSegmentSize(1),
            TcpOption::MaxSegmentSize(2),
            TcpOption::Unknown {
                kind: 253,
                data: &[]
            },
        ]
    );
    assert_eq!(TcpOptions::parse(&bytes).unwrap().mss, Some(1));

    let sack = |right| [5, 10, 0, 0, 0, 1, 0, 0, 0, right];
    let blocks = TcpOptions::parse(&[sack(2), sack(3)].concat())
        .unwrap()
        .sack;
    assert_eq!(
        blocks.as_slice(),
        [tidewire_wire::SackBlock {
            left: tidewire_wire::SeqNum::new(1),
            right: tidewire_wire::SeqNum::new(2),
        }]
    );
    let timestamps = |value| [8, 10, 0, 0, 0, value, 0, 0, 0, 9];
    let repeated = [
        &[1, 1][..],
        &timestamps(4),
        &timestamps(5),
        &[3, 3, 6, 3, 3, 7],
    ]
    .concat();
    let options = TcpOptions::parse(&repeated).unwrap();
    assert_eq!(
        options.timestamps.map(|timestamps| timestamps.value),
        Some(4)
    );
    assert_eq!(options.window_scale, Some(6));
}

#[test]
fn an_echo_with_a_code_is_no_echo() {
    let mut bytes = [0; 12];
    let message = Icmpv4Message::Other {
        kind: 8,
        code: 1,
        rest: &[0, 1, 0, 2, 9, 9, 9, 9],
    };
    message.emit(&mut bytes).unwrap();
    assert_eq!(Icmpv4Message::parse(&bytes), Ok(message));
    let address = Ipv6Addr::LOCALHOST;
    let message = Icmpv6Message::Other {
        kind: 128,
        code: 1,
        rest: &[0, 1, 0, 2, 9, 9, 9, 9],
    };
    message.emit(address, address, &mut bytes).unwrap();
    assert_eq!(Icmpv6Message::parse(address, address, &bytes), Ok(message));
}

#[test]
fn mac_addresses_that_are_none() {
    for text in [
        "",
        "0:1:2:3:4:5",
        "00:01:02:03:04",
        "00:01:02:03:04:05:06",
        "+0:01:02:03:04:05",
    ] {
        assert!(text.parse::<MacAddr>().is_err(), "{text}");
    }
    assert!(MacAddr::BROADCAST.is_multicast() && MacAddr::BROADCAST.is_broadcast());
    assert!(!MacAddr([2, 0, 0, 0, 0, 1]).is_multicast());
}
