//! Tests of the receive buffer: reassembly, SACK blocks, memory.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use proptest::prelude::*;
use tidewire_wire::SeqNum;

use super::{PIECE_OVERHEAD, Payload, RecvBuffer};
use crate::offload::FrameBuffer;
use crate::tcp::pool::Pool;

const MAX_MEMORY: usize = 1 << 20;

/// The byte at a position of the stream. Each copy has other bytes, to prove that the first
/// received one stays.
fn byte(position: u64, copy: u8) -> u8 {
    (position % 251) as u8 ^ copy
}

fn data(range: Range<u64>, copy: u8) -> Vec<u8> {
    range.map(|position| byte(position, copy)).collect()
}

/// Delivers a segment as the connection does.
fn deliver(buffer: &mut RecvBuffer, nxt: &mut u64, range: Range<u64>, copy: u8, owned: bool) {
    let bytes = data(range.clone(), copy);
    let mut borrowed: &[u8] = &bytes;
    let mut shared = Bytes::from(bytes.clone());
    let frame: &mut dyn FrameBuffer = if owned { &mut shared } else { &mut borrowed };
    let mut payload = Payload {
        frame,
        range: 0..bytes.len(),
    };
    payload.skip(nxt.saturating_sub(range.start) as usize);
    if payload.len() == 0 {
        return;
    }
    if range.start <= *nxt {
        *nxt = buffer.append(*nxt, &mut payload);
    } else {
        buffer.insert(range.start, &mut payload, MAX_MEMORY);
    }
}

proptest! {
    /// In any order and with any overlap, the bytes read are the stream, each byte as first
    /// received.
    #[test]
    fn reassembles_what_arrives_first(
        segments in prop::collection::vec((0u64..400, 1u64..120, any::<bool>()), 1..40),
        reads in prop::collection::vec(1usize..100, 1..40),
    ) {
        let mut buffer = RecvBuffer::default();
        let mut pool = Pool::default();
        let mut nxt = 0;
        let mut model: Vec<Option<u8>> = alloc::vec![None; 600];
        let mut read = Vec::new();
        let mut reads = reads.into_iter().cycle();
        for (copy, (start, len, owned)) in (0u8..).zip(segments) {
            let range = start..start + len;
            for position in range.clone() {
                model[position as usize].get_or_insert_with(|| byte(position, copy));
            }
            if copy.is_multiple_of(2) {
                buffer.supply(len as usize, &mut pool);
            }
            deliver(&mut buffer, &mut nxt, range, copy, owned);
            buffer.reclaim(&mut pool);
            let want = model.iter().take_while(|b| b.is_some()).count() as u64;
            prop_assert_eq!(nxt, want);
            let ooo = model.iter().filter(|b| b.is_some()).count() as u64 - want;
            prop_assert_eq!(buffer.out_of_order() as u64, ooo);
            prop_assert_eq!(buffer.len(), nxt as usize - read.len());
            let max = reads.next().unwrap_or(1);
            if owned {
                buffer.read_with(max, &mut |piece| read.extend_from_slice(piece), &mut pool);
            } else {
                read.extend_from_slice(&buffer.read_chunk(max, &mut pool));
            }
        }
        buffer.read_with(usize::MAX, &mut |piece| read.extend_from_slice(piece), &mut pool);
        let want: Vec<u8> = model.iter().map_while(|b| *b).collect();
        prop_assert_eq!(read, want);
        prop_assert!(buffer.store.is_none());
        prop_assert_eq!(buffer.memory, 0);
        let out_of_order = buffer.out_of_order.as_ref().map_or(0, |ooo| ooo.pieces.values().map(|piece| piece.charge).sum());
        prop_assert_eq!(buffer.out_of_order.as_ref().map_or(0, |ooo| ooo.memory), out_of_order);
    }
}

#[test]
fn sack_blocks_come_newest_first() {
    let mut buffer = RecvBuffer::default();
    let mut nxt = 0;
    for start in [10, 30, 50, 70] {
        deliver(&mut buffer, &mut nxt, start..start + 10, 0, false);
    }
    deliver(&mut buffer, &mut nxt, 20..25, 0, false);
    let blocks = buffer.sack_blocks(3, |position| SeqNum::new(position as u32));
    let edges: Vec<_> = blocks
        .iter()
        .map(|b| (b.left.raw(), b.right.raw()))
        .collect();
    assert_eq!(edges, [(10, 25), (70, 80), (50, 60)]);
}

#[test]
fn a_small_payload_does_not_pin_its_frame() {
    let mut buffer = RecvBuffer::default();
    let frame = Bytes::from(alloc::vec![7; 60_000]);
    let mut shared = frame.clone();
    buffer.append(
        0,
        &mut Payload {
            frame: &mut shared,
            range: 0..100,
        },
    );
    drop(shared);
    assert!(frame.is_unique());
    let mut shared = frame.clone();
    buffer.append(
        100,
        &mut Payload {
            frame: &mut shared,
            range: 0..60_000,
        },
    );
    drop(shared);
    assert!(!frame.is_unique(), "a large payload is kept where it is");
}

#[test]
fn out_of_order_data_is_bounded_by_what_it_costs() {
    let mut buffer = RecvBuffer::default();
    let mut nxt = 0;
    let kept = (1..100_000_u64).filter(|i| {
        let mut frame: &[u8] = &[1];
        buffer.insert(
            2 * i,
            &mut Payload {
                frame: &mut frame,
                range: 0..1,
            },
            64 * 1024,
        )
    });
    assert!(kept.count() <= 64 * 1024 / PIECE_OVERHEAD);
    assert!(buffer.memory_held() <= 64 * 1024);
    deliver(&mut buffer, &mut nxt, 0..2, 0, false);
    assert_eq!(nxt, 3);
}

/// A payload over many runs adds a piece for each gap; the cost of all is checked before it is
/// stored.
#[test]
fn a_payload_over_many_runs_is_bounded_by_the_pieces_that_it_adds() {
    const RUNS: u64 = 1_000;
    let mut buffer = RecvBuffer::default();
    let mut nxt = 0;
    for run in 1..=RUNS {
        deliver(&mut buffer, &mut nxt, 2 * run..2 * run + 1, 0, false);
    }
    let max_memory = buffer.memory_held() + 10 * PIECE_OVERHEAD;
    let over = data(2..2 * RUNS, 1);
    let mut frame: &[u8] = &over;
    let mut payload = Payload {
        frame: &mut frame,
        range: 0..over.len(),
    };
    assert!(!buffer.insert(2, &mut payload, max_memory));
    assert_eq!(buffer.out_of_order() as u64, RUNS);
    payload.truncate(9);
    assert!(buffer.insert(2, &mut payload, max_memory));
    assert_eq!(buffer.out_of_order() as u64, RUNS + 4);
    assert!(buffer.memory_held() <= max_memory);
}

/// Each frame brings one new byte of a run.
#[test]
fn overlapping_frames_are_not_pinned_for_a_byte() {
    let mut buffer = RecvBuffer::default();
    let frame = Bytes::from(alloc::vec![7; 60_000]);
    for start in 1..100 {
        let mut shared = frame.clone();
        buffer.insert(
            start,
            &mut Payload {
                frame: &mut shared,
                range: 0..60_000,
            },
            MAX_MEMORY,
        );
    }
    let pinned = buffer.out_of_order.as_ref().map_or(0, |ooo| {
        ooo.pieces
            .values()
            .filter(|piece| piece.bytes.len() < 30_000 && !piece.bytes.is_unique())
            .count()
    });
    assert_eq!(pinned, 0);
}
