//! Memory budget: a stack never holds more, and no connection stalls or loses a byte.

use tidewire_core::{ConnId, Duration, Instant, Stack};

use crate::pair::{Ends, Pair};

const CONNECTIONS: usize = 1_000;
const BUDGET: usize = 16 << 20;
/// Bytes of each sender: four times the budget together.
const EACH: usize = 64 << 10;

/// The byte at a place of a connection's stream.
fn byte(conn: usize, at: usize) -> u8 {
    (at % 251) as u8 ^ conn as u8
}

/// Progress of a connection.
struct Progress {
    ends: Ends,
    written: usize,
    read: usize,
}

fn write(stack: &mut Stack, now: Instant, id: ConnId, conn: usize, at: &mut usize) {
    while *at < EACH {
        let data: Vec<u8> = (*at..EACH.min(*at + 8_192))
            .map(|at| byte(conn, at))
            .collect();
        match stack.conn(id).expect("open").write(now, &data) {
            Ok(n) => *at += n,
            Err(_) => break,
        }
    }
}

/// A thousand fast senders without readers: both stacks stay within the budget. Then all
/// connections are read, and every byte arrives.
pub(crate) fn holds_against_a_thousand_senders_without_readers() {
    let mut pair = Pair::with(true, |config| config.memory = BUDGET);
    let mut all: Vec<Progress> = Vec::new();
    for _ in 0..CONNECTIONS {
        let ends = pair.open();
        all.push(Progress {
            ends,
            written: 0,
            read: 0,
        });
    }
    let mut most = (0, 0);
    let mut step = |pair: &mut Pair, all: &mut Vec<Progress>| {
        for (n, progress) in all.iter_mut().enumerate() {
            write(
                &mut pair.client,
                pair.now,
                progress.ends.client,
                n,
                &mut progress.written,
            );
        }
        pair.run();
        pair.wait(Duration::from_millis(100));
        most.0 = most.0.max(pair.client.memory_used());
        most.1 = most.1.max(pair.server.memory_used());
    };
    for _ in 0..100 {
        step(&mut pair, &mut all);
    }
    assert!(
        pair.server.memory_used() > BUDGET / 2,
        "the senders fill it"
    );

    for _ in 0..20_000 {
        for (n, progress) in all.iter_mut().enumerate() {
            let mut at = progress.read;
            let conn = pair.server.conn(progress.ends.server);
            let _ = conn
                .expect("open")
                .read_with(pair.now, usize::MAX, &mut |piece| {
                    for &got in piece {
                        assert_eq!(got, byte(n, at), "connection {n} at {at}");
                        at += 1;
                    }
                });
            progress.read = at;
        }
        step(&mut pair, &mut all);
        if all.iter().all(|progress| progress.read == EACH) {
            break;
        }
    }
    let late = all.iter().filter(|progress| progress.read < EACH).count();
    assert_eq!(late, 0, "connections that did not finish");
    eprintln!(
        "most memory used: {} bytes by the senders, {} by the receiver",
        most.0, most.1
    );
    assert!(most.0 <= BUDGET && most.1 <= BUDGET, "{most:?}");
    pair.wait(Duration::from_secs(10));
    assert!(pair.client.memory_used() < BUDGET / 2, "it comes back");
    assert!(pair.server.memory_used() < BUDGET / 2, "it comes back");
}
