//! Internet checksum: a word-by-word reference, and the incremental update.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use tidewire_wire::{
    Checksum, IpProtocol, transport_checksum, update, update_u32, verify_tcp, verify_transport,
};

/// RFC 1071 §1, word by word.
fn naive(data: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in data.chunks(2) {
        sum += u64::from(pair[0]) << 8;
        sum += u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

fn sum(data: &[u8]) -> Checksum {
    let mut sum = Checksum::new();
    sum.add_bytes(data);
    sum
}

#[test]
fn rfc_1071_example() {
    let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(sum(&data).fold(), 0xddf2);
    assert_eq!(sum(&data).finish(), !0xddf2);
}

#[test]
fn extremes_do_not_overflow() {
    for len in [
        0, 1, 2, 3, 65_534, 65_535, 65_536, 65_537, 131_071, 131_072, 1_000_003,
    ] {
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let data = vec![byte; len];
            assert_eq!(sum(&data).fold(), naive(&data), "{len} bytes of {byte:#x}");
        }
    }
}

#[test]
fn pseudo_headers_spelt_out() {
    let v4 = [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0x12, 0x34];
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let pseudo = Checksum::pseudo_header(src.into(), dst.into(), IpProtocol::TCP, 0x1234);
    assert_eq!(pseudo.fold(), naive(&v4));

    let (src, dst): (Ipv6Addr, Ipv6Addr) = (
        "fe80::1:2".parse().unwrap(),
        "2001:db8::ffff".parse().unwrap(),
    );
    let mut v6 = Vec::new();
    v6.extend(src.octets());
    v6.extend(dst.octets());
    v6.extend([0x00, 0x01, 0x23, 0x45, 0, 0, 0, 58]);
    let pseudo = Checksum::pseudo_header(src.into(), dst.into(), IpProtocol::ICMPV6, 0x1_2345);
    assert_eq!(pseudo.fold(), naive(&v6));
}

#[test]
fn rfc_1624_example() {
    // RFC 1624 §4: the case that the older equation gets wrong.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
    ]
}

proptest! {
    #[test]
    fn equals_the_reference(data in vec(any::<u8>(), 0..5000)) {
        prop_assert_eq!(sum(&data).fold(), naive(&data));
    }

    #[test]
    fn pieces_of_any_length_equal_the_whole(
        pieces in vec(vec(any::<u8>(), 0..40), 0..12),
    ) {
        let mut split = Checksum::new();
        for piece in &pieces {
            split.add_bytes(piece);
        }
        let whole = pieces.concat();
        prop_assert_eq!(split.fold(), naive(&whole));
        prop_assert_eq!(split.finish(), !naive(&whole));
    }

    #[test]
    fn fields_equal_their_bytes(a in any::<u16>(), b in any::<u32>()) {
        let mut fields = Checksum::new();
        fields.add_u16(a);
        fields.add_u32(b);
        let bytes = [&a.to_be_bytes()[..], &b.to_be_bytes()[..]].concat();
        prop_assert_eq!(fields.fold(), naive(&bytes));
    }

    #[test]
    fn a_filled_checksum_verifies_and_a_flipped_bit_does_not(
        (src, dst) in addresses(),
        mut segment in vec(any::<u8>(), 20..200),
        flip in any::<prop::sample::Index>(),
    ) {
        segment[16..18].fill(0);
        let checksum = transport_checksum(src, dst, IpProtocol::TCP, &segment);
        segment[16..18].copy_from_slice(&checksum.to_be_bytes());
        prop_assert!(verify_tcp(src, dst, &segment));
        prop_assert!(verify_transport(src, dst, IpProtocol::TCP, &segment));
        let bit = flip.index(segment.len() * 8);
        segment[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify_tcp(src, dst, &segment));
    }

    #[test]
    fn update_equals_recomputing(
        mut data in vec(any::<u8>(), 4..64),
        at in any::<prop::sample::Index>(),
        field in any::<u16>(),
    ) {
        let at = at.index(data.len() / 2) * 2;
        let old = u16::from_be_bytes([data[at], data[at + 1]]);
        let before = sum(&data).finish();
        data[at..at + 2].copy_from_slice(&field.to_be_bytes());
        // All zeros is the one message that has no updated form (RFC 1624 §3).
        prop_assume!(data.iter().any(|&byte| byte != 0));
        prop_assert_eq!(update(before, old, field), sum(&data).finish());
    }

    #[test]
    fn update_u32_equals_recomputing(
        prefix in any::<[u8; 6]>(),
        old in any::<u32>(),
        new in any::<u32>(),
    ) {
        prop_assume!(prefix != [0; 6]);
        let message = |field: u32| [&prefix[..], &field.to_be_bytes()[..]].concat();
        let before = sum(&message(old)).finish();
        prop_assert_eq!(update_u32(before, old, new), sum(&message(new)).finish());
    }
}
