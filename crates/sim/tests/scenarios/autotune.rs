//! Buffer auto-tuning.

use super::pair::{Pair, address, check};
use tidewire_core::{BufferSize, Duration, Instant};
use tidewire_sim::{LinkConfig, Peer, Plan, Server};

/// 100 Mbit/s in bytes per second.
const RATE: u64 = 12_500_000;

/// Bytes per second that arrive between the fifth and the tenth second on a path of 100 Mbit/s and
/// 200 ms.
fn speed(buffer: Option<BufferSize>) -> u64 {
    let mut pair = Pair::with_tcp(|tcp| {
        if let Some(size) = buffer {
            (tcp.send_buffer, tcp.recv_buffer) = (size, size);
        }
    });
    let config = LinkConfig {
        rate: Some(RATE),
        queue: 4 << 20,
        ..LinkConfig::with_delay(Duration::from_millis(100))
    };
    pair.world.configure_at(Instant::ZERO, pair.link, config);
    let server = Server::new(address(2, 80), 1, |_| Plan::bulk(0));
    check(pair.world.add_app(pair.b, server));
    let client = Peer::connecting(address(2, 80), Plan::bulk(1 << 30));
    check(pair.world.add_app(pair.a, client));
    pair.run_ms(5_000);
    let before = pair.world.bytes_read();
    pair.run_ms(5_000);
    (pair.world.bytes_read() - before) / 5
}

#[test]
fn a_long_fat_path_is_filled_without_being_told_its_size() {
    let tuned = speed(None);
    assert!(tuned >= RATE / 10 * 9, "{tuned} bytes per second");
    let fixed = speed(Some(BufferSize::Fixed(64 * 1024)));
    assert!(fixed < 3_000_000 / 8, "{fixed} bytes per second");
}

/// Where the path could take more, buffers end at 4 MiB each way.
#[test]
fn buffers_grow_to_four_mebibytes_and_no_further() {
    let mut pair = Pair::new();
    let config = LinkConfig {
        rate: Some(10 * RATE),
        queue: 16 << 20,
        ..LinkConfig::with_delay(Duration::from_millis(100))
    };
    pair.world.configure_at(Instant::ZERO, pair.link, config);
    let (client, server) = pair.established();
    for _ in 0..400 {
        let sender = pair.info(pair.a, client);
        if sender.send_queue < sender.send_buffer {
            pair.write(pair.a, client, 1 << 20);
        }
        pair.run_ms(10);
        while pair.read(pair.b, server, 1 << 20).is_ok() {}
    }
    let (sender, receiver) = (pair.info(pair.a, client), pair.info(pair.b, server));
    let most = 4 << 20;
    assert_eq!((sender.send_buffer, receiver.recv_buffer), (most, most));
}

/// A reader of 50 kB/s needs no more than the first window, whatever the sender could send.
#[test]
fn a_slow_reader_s_window_does_not_grow() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    let first = pair.info(pair.b, server).recv_buffer;
    let mut read = 0;
    for _ in 0..1_000 {
        let room = pair.info(pair.a, client);
        if room.send_queue < room.send_buffer / 2 {
            pair.write(pair.a, client, 100_000);
        }
        pair.run_ms(20);
        read += pair.read(pair.b, server, 1_000).unwrap_or(0);
    }
    assert!(read > 990_000);
    assert_eq!(pair.info(pair.b, server).recv_buffer, first);
}

/// An application's own size is kept.
#[test]
fn a_size_that_was_asked_for_stays() {
    let size = BufferSize::Fixed(300_000);
    let mut pair = Pair::with_tcp(|tcp| (tcp.send_buffer, tcp.recv_buffer) = (size, size));
    let (client, server) = pair.established();
    let mut read = 0;
    while read < 10_000_000 {
        if pair.info(pair.a, client).send_queue < 200_000 {
            pair.write(pair.a, client, 100_000);
        }
        pair.run_ms(5);
        read += pair.read(pair.b, server, 1 << 20).unwrap_or(0);
    }
    let (sender, receiver) = (pair.info(pair.a, client), pair.info(pair.b, server));
    assert_eq!(
        (sender.send_buffer, receiver.recv_buffer),
        (300_000, 300_000)
    );
}
