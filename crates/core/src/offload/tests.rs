//! Property tests of segmentation and coalescing, over generated super-frames.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use proptest::prelude::*;
use tidewire_wire::{
    Checksum, EtherType, EthernetHeader, Frame, IpProtocol, Ipv4Header, Ipv6Header, MacAddr,
    Network, SeqNum, TcpFlags, TcpHeader, TcpOptions, TcpTimestamps, Transport, VlanTag,
};

use super::{Coalescer, RxChecksum, RxMeta, TxOffload, segment};

/// What a generated super-frame is made of.
#[derive(Clone, Debug)]
struct Super {
    v6: bool,
    vlan: bool,
    seq: u32,
    id: u16,
    dont_fragment: bool,
    flags: TcpFlags,
    timestamps: bool,
    mss: u16,
    payload: Vec<u8>,
}

impl Super {
    /// The frame as the stack hands it to a device, and what it asks of it.
    fn build(&self) -> (Vec<u8>, TxOffload) {
        let timestamps = self
            .timestamps
            .then_some(TcpTimestamps { value: 7, echo: 9 });
        let mut options = [0; 40];
        let options_len = TcpOptions {
            timestamps,
            ..TcpOptions::default()
        }
        .emit(&mut options)
        .unwrap();
        let ethernet = EthernetHeader {
            dst: MacAddr([2, 0, 0, 0, 0, 1]),
            src: MacAddr([2, 0, 0, 0, 0, 2]),
            vlan: self.vlan.then_some(VlanTag { tci: 5 }),
            ether_type: if self.v6 {
                EtherType::IPV6
            } else {
                EtherType::IPV4
            },
        };
        let tcp_len = TcpHeader::MIN_LEN + options_len + self.payload.len();
        let mut frame = vec![0; 120];
        let ip = ethernet.emit(&mut frame).unwrap();
        let (src, dst) = self.addresses();
        let ip_len = self.emit_ip(tcp_len, &mut frame[ip..]);
        let tcp = ip + ip_len;
        let pseudo =
            Checksum::pseudo_header(src, dst, IpProtocol::TCP, u32::try_from(tcp_len).unwrap());
        let header = TcpHeader {
            src_port: 80,
            dst_port: 40_000,
            seq: SeqNum::new(self.seq),
            ack: SeqNum::new(77),
            flags: self.flags | TcpFlags::ACK,
            window: 501,
            checksum: pseudo.fold(),
            urgent: 0,
        };
        let header_len = tcp
            + header
                .emit(&options[..options_len], &mut frame[tcp..])
                .unwrap();
        frame.truncate(header_len);
        frame.extend_from_slice(&self.payload);
        let offload = TxOffload::Tcp {
            v6: self.v6,
            header_len: u16::try_from(header_len).unwrap(),
            mss: self.mss,
            start: u16::try_from(tcp).unwrap(),
            offset: 16,
        };
        (frame, offload)
    }

    /// Writes the IP header before `tcp_len` bytes and returns its length.
    fn emit_ip(&self, tcp_len: usize, into: &mut [u8]) -> usize {
        match self.addresses() {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Ipv4Header {
                tos: 2,
                total_len: u16::try_from(Ipv4Header::MIN_LEN + tcp_len).unwrap(),
                id: self.id,
                dont_fragment: self.dont_fragment,
                more_fragments: false,
                fragment_offset: 0,
                ttl: 64,
                protocol: IpProtocol::TCP,
                src,
                dst,
                options_len: 0,
            }
            .emit(into),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Ipv6Header {
                traffic_class: 2,
                flow_label: 0x12345,
                payload_len: u16::try_from(tcp_len).unwrap(),
                next_header: IpProtocol::TCP,
                hop_limit: 64,
                src,
                dst,
            }
            .emit(into),
            _ => unreachable!(),
        }
        .unwrap()
    }

    fn addresses(&self) -> (IpAddr, IpAddr) {
        if self.v6 {
            (
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).into(),
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into(),
            )
        } else {
            (
                Ipv4Addr::new(10, 0, 0, 2).into(),
                Ipv4Addr::new(10, 0, 0, 1).into(),
            )
        }
    }

    fn segmented(&self) -> Vec<Vec<u8>> {
        let (frame, offload) = self.build();
        let mut pieces = Vec::new();
        let count = segment(&frame, offload, |piece| pieces.push(piece.to_vec()));
        assert_eq!(count, pieces.len());
        pieces
    }
}

/// Super-frames of two segments and more: a single one is complete on its own.
fn super_frames() -> impl Strategy<Value = Super> {
    let bits = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<u16>(),
    );
    let sizes = (1_u16..3_000).prop_flat_map(|mss| {
        let most = (usize::from(mss) * 30).min(65_400);
        (Just(mss), (usize::from(mss) + 1).min(most)..=most)
    });
    let flags = prop::sample::subsequence(
        vec![TcpFlags::PSH, TcpFlags::FIN, TcpFlags::CWR, TcpFlags::ECE],
        0..=4,
    );
    (bits, any::<u32>(), sizes, flags, any::<u8>()).prop_map(
        |(bits, seq, (mss, len), flags, salt)| {
            let (v6, vlan, dont_fragment, timestamps, id) = bits;
            let payload = (0..len)
                .map(|at| (at as u8).wrapping_mul(31).wrapping_add(salt))
                .collect();
            let flags = flags
                .into_iter()
                .fold(TcpFlags::EMPTY, |all, flag| all | flag);
            Super {
                v6,
                vlan,
                seq,
                id,
                dont_fragment,
                flags,
                timestamps,
                mss,
                payload,
            }
        },
    )
}

/// A super-frame with two and a half segments.
fn sample() -> Super {
    let payload = (0..=249).collect();
    let flags = TcpFlags::PSH;
    Super {
        v6: false,
        vlan: false,
        seq: 100,
        id: 1,
        dont_fragment: true,
        flags,
        timestamps: true,
        mss: 100,
        payload,
    }
}

fn coalesced(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<(Bytes, RxMeta)> {
    let mut coalescer = Coalescer::new();
    let mut out = Vec::new();
    let mut emit = |frame: Bytes, meta: RxMeta| out.push((frame, meta));
    for frame in frames {
        coalescer.push(Bytes::from(frame), &mut emit);
    }
    coalescer.flush(&mut emit);
    out
}

/// Header, options, payload and IPv4 identification, after every checksum was verified.
fn dissect(frame: &[u8]) -> (TcpHeader, Vec<u8>, Vec<u8>, Option<u16>) {
    let parsed = Frame::parse(frame).unwrap();
    assert_eq!(parsed.tcp_checksum_is_valid(), Some(true));
    let id = match parsed.network {
        Network::Ipv4 { header, .. } => Some(header.id),
        _ => None,
    };
    let Some(Transport::Tcp {
        header,
        options,
        payload,
        ..
    }) = parsed.transport()
    else {
        panic!("not TCP: {parsed}");
    };
    (*header, options.to_vec(), payload.to_vec(), id)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn coalescing_undoes_segmentation(frame in super_frames()) {
        let out = coalesced(frame.segmented());
        prop_assert_eq!(out.len(), 1);
        let meta = RxMeta { checksum: RxChecksum::Partial, segment_len: Some(frame.mss) };
        prop_assert_eq!(out[0].1, meta);
        prop_assert!(out[0].0 == frame.build().0, "the bytes differ");
    }

    #[test]
    fn every_piece_is_a_legal_frame(frame in super_frames()) {
        let pieces = frame.segmented();
        let (whole, _) = frame.build();
        prop_assert_eq!(pieces.len(), frame.payload.len().div_ceil(frame.mss.into()));
        let mut joined = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let (header, options, payload, id) = dissect(piece);
            let last = index + 1 == pieces.len();
            prop_assert_eq!(header.seq, SeqNum::new(frame.seq).add(u32::try_from(joined.len()).unwrap()));
            prop_assert_eq!(header.flags.contains(TcpFlags::CWR), index == 0 && frame.flags.contains(TcpFlags::CWR));
            let at_end = header.flags.bits() & (TcpFlags::PSH | TcpFlags::FIN).bits();
            let expected = if last { frame.flags.bits() & (TcpFlags::PSH | TcpFlags::FIN).bits() } else { 0 };
            prop_assert_eq!(at_end, expected);
            prop_assert_eq!(header.flags.contains(TcpFlags::ECE), frame.flags.contains(TcpFlags::ECE));
            prop_assert_eq!(options.len(), if frame.timestamps { 12 } else { 0 });
            prop_assert!(payload.len() == usize::from(frame.mss) || last);
            if let Some(id) = id {
                prop_assert_eq!(id, frame.id.wrapping_add(u16::try_from(index).unwrap()));
            }
            joined.extend_from_slice(&payload);
        }
        prop_assert_eq!(&joined, &frame.payload);
        prop_assert!(whole.ends_with(&joined));
    }

    /// Whatever the bytes and the offload say, there is no panic.
    #[test]
    fn nonsense_is_refused(
        frame in prop::collection::vec(any::<u8>(), 0..200),
        v6: bool, header_len in 0_u16..250, mss in 0_u16..4, start in 0_u16..250, offset: u16,
    ) {
        segment(&frame, TxOffload::Tcp { v6, header_len, mss, start, offset }, |_| ());
        segment(&frame, TxOffload::Checksum { start, offset }, |_| ());
        let out = coalesced([frame.clone(), frame.clone()]);
        prop_assert!(out.iter().all(|(out, _)| *out == frame));
        prop_assert_eq!(out.len(), 2);
    }
}

#[test]
fn a_plain_checksum_is_completed() {
    let (frame, offload) = sample().build();
    let TxOffload::Tcp { start, offset, .. } = offload else {
        unreachable!()
    };
    let mut complete = Vec::new();
    assert_eq!(
        segment(&frame, TxOffload::Checksum { start, offset }, |frame| {
            complete.push(frame.to_vec());
        }),
        1
    );
    let (header, _, payload, _) = dissect(&complete[0]);
    assert_eq!((header.seq, payload), (SeqNum::new(100), sample().payload));
}

#[test]
fn no_offload_is_the_frame_itself() {
    let (frame, _) = sample().build();
    let mut out = Vec::new();
    assert_eq!(
        segment(&frame, TxOffload::None, |frame| out.push(frame.to_vec())),
        1
    );
    assert_eq!(out, [frame]);
}

#[test]
fn an_offload_that_contradicts_the_frame_emits_nothing() {
    let (frame, offload) = sample().build();
    let TxOffload::Tcp {
        header_len,
        mss,
        start,
        offset,
        ..
    } = offload
    else {
        unreachable!()
    };
    let contradictions = [
        TxOffload::Tcp {
            v6: true,
            header_len,
            mss,
            start,
            offset,
        },
        TxOffload::Tcp {
            v6: false,
            header_len: 9_000,
            mss,
            start,
            offset,
        },
        TxOffload::Tcp {
            v6: false,
            header_len,
            mss: 0,
            start,
            offset,
        },
        TxOffload::Tcp {
            v6: false,
            header_len,
            mss,
            start: 20,
            offset,
        },
        TxOffload::Tcp {
            v6: false,
            header_len,
            mss,
            start,
            offset: 60,
        },
        TxOffload::Checksum {
            start: 9_000,
            offset,
        },
        TxOffload::Checksum {
            start,
            offset: 9_000,
        },
    ];
    for offload in contradictions {
        assert_eq!(
            segment(&frame, offload, |_| panic!("{offload:?} emitted a frame")),
            0
        );
    }
}

/// What may not be merged goes through, in order and unchanged.
#[test]
fn only_consecutive_segments_are_merged() {
    let pieces = sample().segmented();
    let change = |change: &dyn Fn(&mut Super)| {
        let mut other = sample();
        change(&mut other);
        other.segmented()[1].clone()
    };
    let others = [
        change(&|other| other.seq = 101),
        change(&|other| other.timestamps = false),
        change(&|other| other.flags = TcpFlags::ECE),
        change(&|other| other.dont_fragment = false),
        change(&|other| other.vlan = true),
        change(&|other| other.v6 = true),
        // The same segment once more is no successor of itself.
        pieces[0].clone(),
    ];
    for other in others {
        let out = coalesced([pieces[0].clone(), other.clone()]);
        let frames: Vec<_> = out.iter().map(|(frame, _)| frame.to_vec()).collect();
        assert_eq!(frames, [pieces[0].clone(), other]);
        assert!(out.iter().all(|(_, meta)| meta.segment_len.is_none()));
    }
}

/// Behind a short segment, and behind PSH, a new super-frame begins.
#[test]
fn a_short_or_pushed_segment_is_the_last() {
    let first = sample();
    let second = Super {
        seq: 350,
        ..sample()
    };
    let out = coalesced(first.segmented().into_iter().chain(second.segmented()));
    let frames: Vec<_> = out.iter().map(|(frame, _)| frame.to_vec()).collect();
    assert_eq!(frames, [first.build().0, second.build().0]);
}

/// A wrong checksum is the stack's to count: the frame stays as it is, unverified.
#[test]
fn a_corrupt_segment_is_not_merged() {
    let mut pieces = sample().segmented();
    let last = pieces[1].len() - 1;
    pieces[1][last] ^= 1;
    let corrupt = pieces[1].clone();
    let out = coalesced(pieces);
    assert_eq!(out.len(), 3);
    assert_eq!(out[1], (Bytes::from(corrupt), RxMeta::default()));
}

/// A frame without data does not overtake the data before it.
#[test]
fn the_order_within_a_flow_is_kept() {
    let pieces = sample().segmented();
    let bare = Super {
        payload: Vec::new(),
        seq: 200,
        ..sample()
    }
    .segmented()
    .remove(0);
    let out = coalesced([pieces[0].clone(), bare.clone(), pieces[1].clone()]);
    let frames: Vec<_> = out.iter().map(|(frame, _)| frame.to_vec()).collect();
    assert_eq!(frames, [pieces[0].clone(), bare, pieces[1].clone()]);
}

#[test]
fn flows_are_merged_side_by_side() {
    let (four, six) = (
        sample(),
        Super {
            v6: true,
            ..sample()
        },
    );
    let mixed = four
        .segmented()
        .into_iter()
        .zip(six.segmented())
        .flat_map(|(four, six)| [four, six]);
    let frames: Vec<_> = coalesced(mixed)
        .into_iter()
        .map(|(frame, _)| frame.to_vec())
        .collect();
    assert_eq!(frames, [four.build().0, six.build().0]);
}

#[test]
fn a_super_frame_ends_at_65535_bytes() {
    let payload = vec![7; 1_000];
    let train = (0..70).map(|index| Super {
        seq: index * 1_000,
        id: u16::try_from(index).unwrap(),
        flags: TcpFlags::EMPTY,
        mss: 1_000,
        payload: payload.clone(),
        ..sample()
    });
    let out = coalesced(train.flat_map(|frame| frame.segmented()));
    let sizes: Vec<_> = out.iter().map(|(frame, _)| frame.len()).collect();
    assert_eq!(sizes, [65_066, 5_066]);
}
