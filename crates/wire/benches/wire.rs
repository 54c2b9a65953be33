//! Cost of parsing and emitting the segments that dominate a bulk transfer, and of the checksum.

use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidewire_wire::{
    Checksum, EtherType, EthernetHeader, Frame, IpProtocol, Ipv4Header, MacAddr, SackBlock, SeqNum,
    TcpFlags, TcpHeader, TcpOptions, TcpTimestamps, transport_checksum,
};

const SRC: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const DATA_LEN: usize = 1448;

/// What `poll_transmit` writes for a segment: Ethernet, IPv4, TCP with options; checksum of the
/// headers only, as with checksum offload.
fn emit_headers(options: &TcpOptions, payload_len: usize, buffer: &mut [u8]) -> usize {
    let mut option_bytes = [0; TcpOptions::MAX_LEN];
    let option_len = options.emit(&mut option_bytes).unwrap();
    let tcp_len = TcpHeader::MIN_LEN + option_len + payload_len;
    let ethernet = EthernetHeader {
        dst: MacAddr([2, 0, 0, 0, 0, 2]),
        src: MacAddr([2, 0, 0, 0, 0, 1]),
        vlan: None,
        ether_type: EtherType::IPV4,
    };
    let ip = Ipv4Header {
        tos: 0,
        total_len: u16::try_from(Ipv4Header::MIN_LEN + tcp_len).unwrap(),
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol: IpProtocol::TCP,
        src: SRC,
        dst: DST,
        options_len: 0,
    };
    let pseudo = Checksum::pseudo_header(
        IpAddr::V4(SRC),
        IpAddr::V4(DST),
        IpProtocol::TCP,
        u32::try_from(tcp_len).unwrap(),
    );
    let tcp = TcpHeader {
        src_port: 4000,
        dst_port: 80,
        seq: SeqNum::new(0x0102_0304),
        ack: SeqNum::new(0x0506_0708),
        flags: TcpFlags::ACK | TcpFlags::PSH,
        window: 0xffff,
        checksum: pseudo.fold(),
        urgent: 0,
    };
    let mut at = ethernet.emit(buffer).unwrap();
    at += ip.emit(&mut buffer[at..]).unwrap();
    at += tcp
        .emit(&option_bytes[..option_len], &mut buffer[at..])
        .unwrap();
    at
}

/// What `handle_frame` reads of a segment whose checksum the device vouches for.
fn parse_segment(frame: &[u8]) -> (TcpHeader, TcpOptions, usize) {
    let (_, at) = EthernetHeader::parse(frame).unwrap();
    let packet = &frame[at..];
    let (ip, _) = Ipv4Header::parse(packet).unwrap();
    let segment = &packet[ip.payload_range(packet.len())];
    let (header, options, len) = TcpHeader::parse(segment).unwrap();
    (
        header,
        TcpOptions::parse(options).unwrap(),
        segment.len() - len,
    )
}

fn data_options() -> TcpOptions {
    TcpOptions {
        timestamps: Some(TcpTimestamps { value: 1, echo: 2 }),
        ..TcpOptions::default()
    }
}

fn sack_options() -> TcpOptions {
    let block = |at| SackBlock {
        left: SeqNum::new(at),
        right: SeqNum::new(at + 1448),
    };
    TcpOptions {
        sack: [2000, 6000, 10_000].map(block).into_iter().collect(),
        ..data_options()
    }
}

fn segments(c: &mut Criterion) {
    for (name, options, payload_len) in [
        ("data segment", data_options(), DATA_LEN),
        ("SACK of 3 blocks", sack_options(), 0),
    ] {
        let mut frame = [0; 2048];
        let len = emit_headers(&options, payload_len, &mut frame) + payload_len;
        c.bench_function(&format!("emit headers, {name}"), |b| {
            b.iter(|| emit_headers(black_box(&options), black_box(payload_len), &mut frame));
        });
        let frame = &frame[..len];
        c.bench_function(&format!("parse, {name}"), |b| {
            b.iter(|| parse_segment(black_box(frame)));
        });
        c.bench_function(&format!("dissect, {name}"), |b| {
            b.iter(|| Frame::parse(black_box(frame)));
        });
    }
}

fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    for len in [40, DATA_LEN, 64 * 1024] {
        let data: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len} B"), |b| {
            b.iter(|| {
                transport_checksum(SRC.into(), DST.into(), IpProtocol::TCP, black_box(&data))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, segments, checksum);
criterion_main!(benches);
