//! Ephemeral ports (RFC 6056) and 4-tuples that are used again.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use tidewire_core::{ConnId, ConnectError, ConnectOptions, ListenOptions, State};

use crate::common::*;

fn connect_to(t: &mut Tester, port: u16) -> Result<ConnId, ConnectError> {
    let to = SocketAddr::new(PEER_IP.into(), port);
    let id = t.stack.connect(t.now, to, ConnectOptions::default());
    t.pump();
    id
}

fn local_port(t: &mut Tester, id: ConnId) -> u16 {
    t.stack.conn(id).unwrap().local_addr().port()
}

/// An active open to port 40,000 that was closed from our side, with the peer's clock running.
fn closed_actively(offer: Offer) -> Tester {
    let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_000);
    t.connect();
    t.flow.timestamps = offer.timestamps;
    t.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), offer));
    t.shutdown_write();
    t.peer(seg(FIN_ACK).ack(2));
    t.close();
    assert_eq!(t.counts(), (0, 0, 1));
    t.sent.clear();
    t
}

#[test]
fn every_port_of_the_range_is_used_and_then_none() {
    let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_099);
    let mut used = BTreeSet::new();
    for _ in 0..100 {
        let id = connect_to(&mut t, 80).expect("a port is free");
        assert!(used.insert(local_port(&mut t, id)));
    }
    assert!(used.into_iter().eq(50_000..=50_099));
    assert_eq!(connect_to(&mut t, 80), Err(ConnectError::PortsExhausted));
    // For another destination the same ports are free again.
    assert!(connect_to(&mut t, 81).is_ok());
}

#[test]
fn a_port_that_becomes_free_is_used_at_once() {
    let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_003);
    let ids: Vec<_> = (0..4).map(|_| connect_to(&mut t, 80).unwrap()).collect();
    for id in ids {
        assert_eq!(connect_to(&mut t, 80), Err(ConnectError::PortsExhausted));
        let (port, now) = (local_port(&mut t, id), t.now);
        t.stack.conn(id).unwrap().abort(now);
        let again = connect_to(&mut t, 80).expect("one is free");
        assert_eq!(local_port(&mut t, again), port);
    }
}

#[test]
fn a_port_that_is_listened_on_is_not_given_away() {
    let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_001);
    let addr = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 50_000);
    let listener = t.stack.listen(addr, ListenOptions::default()).unwrap();
    let id = connect_to(&mut t, 80).unwrap();
    assert_eq!(local_port(&mut t, id), 50_001);
    assert_eq!(connect_to(&mut t, 80), Err(ConnectError::PortsExhausted));
    t.stack.close_listener(t.now, listener);
    let id = connect_to(&mut t, 80).unwrap();
    assert_eq!(local_port(&mut t, id), 50_000);
}

#[test]
fn a_listener_may_take_the_port_of_a_connection_that_is_being_opened() {
    // MUST-42, MUST-41: the listener does not disturb the connection.
    let mut t = Tester::connecting(|_| {});
    t.expect(seg(SYN));
    let local = t.conn().local_addr();
    t.listener = Some(t.stack.listen(local, ListenOptions::default()).unwrap());
    let first = t.flow;
    t.flow = flow(1_002, local.port());
    t.handshake(PLAIN);
    assert_eq!(t.state(), State::Established);
    t.flow = first;
    t.peer(seg(SYN_ACK).seq(0).ack(1));
    t.expect(seg(ACK).seq(1).ack(1));
}

#[test]
fn time_wait_of_our_own_is_reused_after_a_second_where_timestamps_tell_old_from_new() {
    let mut t = closed_actively(FULL);
    assert_eq!(
        connect_to(&mut t, 40_000),
        Err(ConnectError::PortsExhausted)
    );
    t.advance(ms(999));
    assert_eq!(
        connect_to(&mut t, 40_000),
        Err(ConnectError::PortsExhausted)
    );
    t.advance(ms(1));
    let old = t.flow;
    let last = old.stack_isn.add(2);
    t.flow = flow(40_000, 50_000);
    t.connect();
    let syn = t.expect(seg(SYN).seq(0));
    assert!(syn.header.seq.gt(last), "beyond what the old one sent");
    let value = syn.options.timestamps.unwrap().value;
    assert!(value.wrapping_sub(old.echo).cast_signed() > 0);
    assert_eq!(t.counts(), (1, 0, 0));
    t.flow.timestamps = true;
    t.peer(offer_as(seg(SYN_ACK).seq(0).ack(1), FULL));
    t.expect(seg(ACK).seq(1).ack(1));
    assert_eq!(t.state(), State::Established);
}

#[test]
fn time_wait_of_our_own_is_not_reused_without_timestamps() {
    let mut t = closed_actively(PLAIN);
    t.advance(secs(58));
    assert_eq!(
        connect_to(&mut t, 40_000),
        Err(ConnectError::PortsExhausted)
    );
    t.advance(secs(2));
    assert!(connect_to(&mut t, 40_000).is_ok());
}
