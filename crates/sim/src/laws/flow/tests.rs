//! Tests of the laws on frames: each catches a frame that breaks it, and lets a legal one pass.

use std::net::Ipv4Addr;

use tidewire_wire::{
    EtherType, EthernetHeader, Frame, IpProtocol, Ipv4Header, MacAddr, SeqNum, TcpFlags, TcpHeader,
    TcpOptions, transport_checksum,
};

use super::Flows;
use crate::laws::Law;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;

/// A segment from `src`, both ports 80.
fn frame(
    src: Ipv4Addr,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    window: u16,
    payload: usize,
) -> Vec<u8> {
    let dst = if src == A { B } else { A };
    let options = if flags.contains(SYN) {
        TcpOptions {
            mss: Some(1_000),
            window_scale: Some(2),
            ..TcpOptions::default()
        }
    } else {
        TcpOptions::default()
    };
    let mut option_bytes = [0; 40];
    let options_len = options.emit(&mut option_bytes).unwrap();
    let mut frame = vec![0; 120];
    let mac = MacAddr([2; 6]);
    let ip = EthernetHeader {
        dst: mac,
        src: mac,
        vlan: None,
        ether_type: EtherType::IPV4,
    }
    .emit(&mut frame)
    .unwrap();
    let ip_header = Ipv4Header {
        tos: 0,
        total_len: (40 + options_len + payload) as u16,
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol: IpProtocol::TCP,
        src,
        dst,
        options_len: 0,
    };
    let tcp = ip + ip_header.emit(&mut frame[ip..]).unwrap();
    let header = TcpHeader {
        src_port: 80,
        dst_port: 80,
        seq: SeqNum::new(seq),
        ack: SeqNum::new(ack),
        flags,
        window,
        checksum: 0,
        urgent: 0,
    };
    let end = tcp
        + header
            .emit(&option_bytes[..options_len], &mut frame[tcp..])
            .unwrap();
    frame.resize(end + payload, 7);
    frame.truncate(end + payload);
    let sum = transport_checksum(src.into(), dst.into(), IpProtocol::TCP, &frame[tcp..]);
    frame[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn sent(flows: &mut Flows, frame: &[u8]) -> Option<Law> {
    let parsed = Frame::parse(frame).unwrap();
    flows
        .sent(&parsed, frame.len(), 1_500, true)
        .err()
        .map(|breach| breach.law)
}

/// Sends a frame that is legal and arrives.
fn exchange(flows: &mut Flows, frame: &[u8]) {
    assert_eq!(sent(flows, frame), None);
    flows.received(&Frame::parse(frame).unwrap());
}

/// A connection: A's next byte is 101, B's 201, windows of 1,000 bytes, scaled by 2 bits.
fn established() -> Flows {
    let mut flows = Flows::default();
    exchange(&mut flows, &frame(A, SYN, 100, 0, 1_000, 0));
    exchange(&mut flows, &frame(B, SYN | ACK, 200, 101, 1_000, 0));
    exchange(&mut flows, &frame(A, ACK, 101, 201, 250, 0));
    exchange(&mut flows, &frame(B, ACK, 201, 101, 250, 0));
    flows
}

#[test]
fn the_window_is_known_after_more_than_half_of_the_sequence_space() {
    let mut flows = established();
    let mut end = 101_u32;
    for _ in 0..20_000 {
        // The window opens, and one byte at its right edge stands for all of it.
        let opens = frame(B, ACK, 201, end, u16::MAX, 0);
        exchange(&mut flows, &opens);
        let edge = end.wrapping_add(u32::from(u16::MAX) << 2);
        let last = frame(A, ACK, edge.wrapping_sub(1), 201, 250, 1);
        let parsed = Frame::parse(&last).unwrap();
        assert!(flows.sent(&parsed, last.len(), 1_500, false).is_ok());
        end = edge;
    }
}

#[test]
fn data_beyond_the_window_is_caught() {
    let mut flows = established();
    assert_eq!(sent(&mut flows, &frame(A, ACK, 101, 201, 250, 900)), None);
    assert_eq!(sent(&mut flows, &frame(A, ACK, 1_001, 201, 250, 100)), None);
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 1_101, 201, 250, 2)),
        Some(Law::WithinPeerWindow)
    );
    // A probe of a closed window, and data once it has opened.
    assert_eq!(sent(&mut flows, &frame(A, ACK, 1_101, 201, 250, 1)), None);
    exchange(&mut flows, &frame(B, ACK, 201, 1_101, 1, 0));
    assert_eq!(sent(&mut flows, &frame(A, ACK, 1_101, 201, 250, 4)), None);
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 1_105, 201, 250, 2)),
        Some(Law::WithinPeerWindow)
    );
}

#[test]
fn an_update_on_its_way_allows_nothing_yet() {
    let mut flows = established();
    assert_eq!(sent(&mut flows, &frame(A, ACK, 101, 201, 250, 960)), None);
    let update = frame(B, ACK, 201, 101, 500, 0);
    assert_eq!(sent(&mut flows, &update), None);
    let data = frame(A, ACK, 1_061, 201, 250, 100);
    assert_eq!(sent(&mut flows, &data), Some(Law::WithinPeerWindow));
    flows.received(&Frame::parse(&update).unwrap());
    assert_eq!(sent(&mut flows, &data), None);
}

#[test]
fn holes_and_acks_of_unsent_data_are_caught() {
    let mut flows = established();
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 102, 201, 250, 10)),
        Some(Law::WithinPeerWindow)
    );
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 101, 202, 250, 10)),
        Some(Law::WithinPeerWindow)
    );
    assert_eq!(sent(&mut flows, &frame(A, ACK, 101, 201, 250, 10)), None);
    exchange(&mut flows, &frame(B, ACK, 201, 111, 250, 0));
}

#[test]
fn a_shrinking_window_is_caught() {
    let mut flows = established();
    assert_eq!(
        sent(&mut flows, &frame(B, ACK, 201, 101, 249, 0)),
        Some(Law::EdgeMonotone)
    );
    exchange(&mut flows, &frame(A, ACK, 101, 201, 250, 103));
    assert_eq!(
        sent(&mut flows, &frame(B, ACK, 201, 204, 223, 0)),
        Some(Law::EdgeMonotone)
    );
    // 897 bytes are 224 units of 4 and a rest, which may be cut off.
    assert_eq!(sent(&mut flows, &frame(B, ACK, 201, 204, 224, 0)), None);
    assert_eq!(sent(&mut flows, &frame(B, ACK, 201, 204, 225, 0)), None);
}

/// Behind the peer's FIN the window may be anything.
#[test]
fn a_window_behind_a_fin_is_free() {
    let mut flows = established();
    exchange(&mut flows, &frame(A, ACK | TcpFlags::FIN, 101, 201, 250, 0));
    assert_eq!(
        sent(&mut flows, &frame(B, ACK, 201, 101, 0, 0)),
        Some(Law::EdgeMonotone)
    );
    assert_eq!(sent(&mut flows, &frame(B, ACK, 201, 102, 0, 0)), None);
}

#[test]
fn a_segment_above_the_mss_and_a_wrong_checksum_are_caught() {
    let mut flows = established();
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 101, 201, 250, 1_001)),
        Some(Law::WellFormed)
    );
    let mut wrong = frame(A, ACK, 101, 201, 250, 10);
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(sent(&mut flows, &wrong), Some(Law::WellFormed));
    let long = frame(A, ACK, 101, 201, 250, 10);
    let parsed = Frame::parse(&long).unwrap();
    assert_eq!(
        flows
            .sent(&parsed, 14 + 1_501, 1_500, true)
            .err()
            .map(|breach| breach.law),
        Some(Law::WellFormed)
    );
}

/// A connection between the same ends begins anew with its SYN.
#[test]
fn a_new_syn_forgets_the_old_connection() {
    let mut flows = established();
    exchange(&mut flows, &frame(A, SYN, 900_000, 0, 1_000, 0));
    exchange(&mut flows, &frame(B, SYN | ACK, 800_000, 900_001, 1_000, 0));
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 900_001, 800_001, 250, 1_000)),
        None
    );
    assert_eq!(
        sent(&mut flows, &frame(A, ACK, 901_001, 800_001, 250, 2)),
        Some(Law::WithinPeerWindow)
    );
}
