//! Connection close: half-close, either end first, simultaneous, reset.

use super::pair::{DELAY, Pair, check};
use tidewire_core::{ConnError, ReadError, State, WriteError};
use tidewire_wire::TcpFlags;

/// After a FIN one way, data goes on the other way (RFC 9293 §3.6).
#[test]
fn data_flows_against_a_half_close() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    pair.write(pair.a, client, 100);
    pair.shutdown(pair.a, client);
    pair.run_ms(100);
    assert_eq!(
        (pair.state(pair.a, client), pair.state(pair.b, server)),
        (State::FinWait2, State::CloseWait)
    );
    assert_eq!(pair.read(pair.b, server, 1_000), Ok(100));
    assert_eq!(pair.read(pair.b, server, 1_000), Ok(0));
    pair.write(pair.b, server, 50_000);
    let mut read = 0;
    for _ in 0..300 {
        pair.run_ms(1);
        while let Ok(len) = pair.read(pair.a, client, 65_536) {
            read += len;
        }
    }
    assert_eq!(read, 50_000);
    let late = check(pair.world.on(pair.a, |stack, now| {
        stack.conn(client).expect("open").write(now, b"late")
    }));
    assert_eq!(late, Err(WriteError::Closed));
}

/// RFC 9293 §3.6, figure 12, with either end first; TIME-WAIT is with the first one, and ends.
#[test]
fn either_end_may_close_first() {
    for client_first in [true, false] {
        let mut pair = Pair::new();
        let (client, server) = pair.established();
        let mut ends = [(pair.a, client), (pair.b, server)];
        if !client_first {
            ends.reverse();
        }
        let [(first, first_id), (second, second_id)] = ends;
        pair.shutdown(first, first_id);
        pair.run_ms(100);
        assert_eq!(
            (pair.state(first, first_id), pair.state(second, second_id)),
            (State::FinWait2, State::CloseWait)
        );
        pair.shutdown(second, second_id);
        assert_eq!(pair.state(second, second_id), State::LastAck);
        pair.run_ms(100);
        assert_eq!(pair.read(first, first_id, 1), Ok(0));
        assert_eq!(pair.read(second, second_id, 1), Ok(0));
        pair.close(first, first_id);
        pair.close(second, second_id);
        pair.run_ms(130_000);
        assert_eq!(
            (
                pair.world.connections(pair.a),
                pair.world.connections(pair.b)
            ),
            (0, 0)
        );
        let fins = pair
            .sent()
            .iter()
            .filter(|sent| sent.has(TcpFlags::FIN))
            .count();
        assert_eq!(fins, 2);
        assert!(!pair.sent().iter().any(|sent| sent.has(TcpFlags::RST)));
    }
}

/// RFC 9293 §3.6, figure 13.
#[test]
fn both_ends_may_close_at_once() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    pair.shutdown(pair.a, client);
    pair.shutdown(pair.b, server);
    pair.run_ms(DELAY.as_millis());
    assert_eq!(
        (pair.state(pair.a, client), pair.state(pair.b, server)),
        (State::Closing, State::Closing)
    );
    pair.run_ms(100);
    assert_eq!(
        (pair.read(pair.a, client, 1), pair.read(pair.b, server, 1)),
        (Ok(0), Ok(0))
    );
    pair.close(pair.a, client);
    pair.close(pair.b, server);
    pair.run_ms(130_000);
    assert_eq!(
        (
            pair.world.connections(pair.a),
            pair.world.connections(pair.b)
        ),
        (0, 0)
    );
    assert!(!pair.sent().iter().any(|sent| sent.has(TcpFlags::RST)));
}

/// What was written before `close` arrives, though nobody holds the connection any more.
#[test]
fn closing_sends_what_was_written() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    pair.write(pair.a, client, 200_000);
    pair.close(pair.a, client);
    let closing = check(
        pair.world
            .on(pair.a, |stack, _| stack.closing_connections()),
    );
    assert_eq!(closing, 1);
    let mut read = 0;
    for _ in 0..500 {
        pair.run_ms(1);
        while let Ok(len @ 1..) = pair.read(pair.b, server, 65_536) {
            read += len;
        }
    }
    assert_eq!(read, 200_000);
    assert_eq!(pair.read(pair.b, server, 1), Ok(0));
    pair.close(pair.b, server);
    pair.run_ms(130_000);
    let closing = check(
        pair.world
            .on(pair.a, |stack, _| stack.closing_connections()),
    );
    assert_eq!(closing, 0);
}

/// A reset is an error for every later read, never an end of stream.
#[test]
fn a_reset_is_not_an_end_of_stream() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    check(pair.world.on(pair.a, |stack, now| {
        stack.conn(client).expect("open").abort(now);
    }));
    pair.run_ms(100);
    for _ in 0..2 {
        assert_eq!(
            pair.read(pair.b, server, 1),
            Err(ReadError::Failed(ConnError::Reset))
        );
    }
    let gone = check(
        pair.world
            .on(pair.a, |stack, _| stack.conn(client).is_none()),
    );
    assert!(gone);
}

/// RFC 1122 §4.2.2.13: closing with unread data tells the other end that it was lost.
#[test]
fn closing_with_unread_data_resets() {
    let mut pair = Pair::new();
    let (client, server) = pair.established();
    pair.write(pair.a, client, 100);
    pair.run_ms(100);
    pair.close(pair.b, server);
    pair.run_ms(100);
    assert_eq!(
        pair.read(pair.a, client, 1),
        Err(ReadError::Failed(ConnError::Reset))
    );
    assert!(
        pair.sent()
            .iter()
            .any(|sent| sent.from == pair.b && sent.has(TcpFlags::RST))
    );
}

/// A lost FIN is sent again, a lost ACK of a FIN is repeated from TIME-WAIT.
#[test]
fn lost_fins_and_their_acks_are_repaired() {
    for lost in 1..=4 {
        let mut pair = Pair::new();
        let (client, server) = pair.established();
        let mut count = 0;
        pair.lose(move |_| {
            count += 1;
            count == lost
        });
        pair.shutdown(pair.a, client);
        pair.run_ms(3_000);
        pair.shutdown(pair.b, server);
        pair.run_ms(3_000);
        assert_eq!(
            (pair.read(pair.a, client, 1), pair.read(pair.b, server, 1)),
            (Ok(0), Ok(0))
        );
        pair.close(pair.a, client);
        pair.close(pair.b, server);
        pair.run_ms(130_000);
        assert_eq!(
            (
                pair.world.connections(pair.a),
                pair.world.connections(pair.b)
            ),
            (0, 0),
            "segment {lost} lost"
        );
    }
}
