//! Memory budget: its effect on a peer.

use crate::common::*;
use tidewire_core::{ConnectError, ConnectOptions, DropReason, LinkCaps, ReadError};

const BUDGET: usize = 64 << 10;

/// Out-of-order data never exceeds the budget. Once the gap is filled, the peer sends again what
/// was dropped inside the window.
#[test]
fn data_out_of_order_stays_within_the_budget_and_is_not_lost() {
    let mut t = Tester::established_with(SACK, |config| config.memory = BUDGET);
    let len = 1_000;
    for n in 1..60 {
        t.peer(seg(ACK).seq(1 + n * len).len(len as usize));
        assert!(t.stack.memory_used() <= BUDGET, "{}", t.stack.memory_used());
    }
    assert!(t.dropped(DropReason::NoMemory) > 0);
    assert_eq!(t.read(1), Err(ReadError::Blocked));
    let mut total = 0;
    for n in 0..60 {
        t.peer(seg(ACK).seq(1 + n * len).len(len as usize));
        while let Ok(read) = t.read(1 << 16) {
            total += read;
        }
        assert!(t.stack.memory_used() <= BUDGET);
    }
    assert_eq!(total, 60 * len as usize);
}

/// Data inside the window that does not fit is dropped and not acknowledged; no acknowledged data
/// is lost.
#[test]
fn what_is_acknowledged_is_there_when_memory_is_full() {
    let mut t = Tester::established_with(FULL, |config| config.memory = 20_000);
    let mut sent = 1;
    for _ in 0..60 {
        t.peer(seg(ACK).seq(sent).len(1_000));
        let acknowledged = t.sent.iter().map(|s| s.header.ack).next_back();
        if let Some(ack) = acknowledged {
            sent = i64::from(ack.distance(t.flow.isn));
        }
        t.sent.clear();
        assert!(
            t.stack.memory_used() <= 20_000 + 4_096,
            "{}",
            t.stack.memory_used()
        );
    }
    assert!(t.dropped(DropReason::NoMemory) > 0);
    let mut total = 0;
    while let Ok(read) = t.read(1 << 20) {
        total += read as i64;
    }
    assert_eq!(total, sent - 1);
    t.sent.clear();
    t.peer(seg(ACK).seq(sent).len(1_000));
    assert_eq!(t.read(1 << 20), Ok(1_000), "it goes on");
}

/// The smallest step of the window depends on the memory allowed, not on a segment that would not
/// fit: a connection that is read can receive while others hold all memory.
#[test]
fn large_segments_get_through_when_memory_is_full() {
    let offer = Offer {
        mss: Some(8_960),
        ..PLAIN
    };
    let mut t = Tester::established_with(offer, |config| {
        config.link = LinkCaps::ethernet(STACK_MAC, 9_000);
        config.memory = 64_000;
    });
    let mut hoarder = t.flow;
    t.flow = flow(6_000, PORT);
    t.handshake(offer);
    // The first connection is not read.
    core::mem::swap(&mut hoarder, &mut t.flow);
    for n in 0..6 {
        t.peer(seg(ACK).seq(1 + n * 8_960).len(8_960));
    }
    core::mem::swap(&mut hoarder, &mut t.flow);
    t.sent.clear();
    assert!(t.stack.memory_used() > 48_000, "{}", t.stack.memory_used());

    let (mut next, mut edge, mut read) = (1, 1 + i64::from(u16::MAX), 0);
    for _ in 0..500 {
        let len = (edge - next).min(8_960);
        t.peer(seg(ACK).seq(next).len(len.max(1) as usize));
        while let Ok(n) = t.read(1 << 20) {
            read += n as i64;
        }
        t.advance(ms(50));
        for sent in t.sent.drain(..) {
            next = i64::from(sent.header.ack.distance(t.flow.isn));
            edge = next + i64::from(sent.header.window);
        }
        if read > 300_000 {
            return;
        }
    }
    panic!("{read} bytes got through, {} more are offered", edge - next);
}

/// SYNs of a flood are dropped when the budget is used up, and `connect` fails. Timeouts free the
/// memory.
#[test]
fn a_syn_flood_stays_within_the_budget() {
    let mut t = Tester::listening(4_096, |config| {
        config.memory = BUDGET;
        config.tcp.syn_retries = 1;
    });
    for port in 1..2_000 {
        t.flow = flow(port, PORT);
        t.syn(FULL);
        assert!(t.stack.memory_used() <= BUDGET);
    }
    assert!(t.dropped(DropReason::NoMemory) > 0);
    let to = std::net::SocketAddr::new(PEER_IP.into(), 9);
    let refused = t.stack.connect(t.now, to, ConnectOptions::default());
    assert_eq!(refused, Err(ConnectError::NoMemory));
    t.advance(secs(60));
    assert_eq!(t.stack.memory_used(), 0);
    assert!(
        t.stack
            .connect(t.now, to, ConnectOptions::default())
            .is_ok()
    );
}
