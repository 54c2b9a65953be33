//! Loopback: connections of a stack with itself, which put no frame on the link.

use std::net::SocketAddr;

use tidewire_core::{ConnectOptions, ListenOptions, ReadError, State, WriteError};

use crate::common::*;

/// Opens a connection to an own address and moves bytes both ways.
fn talks_to_itself(addresses: &[&str], to: &str) {
    let to = to.parse().unwrap();
    host_talks_to_itself(Host::new(addresses), to, to);
}

fn host_talks_to_itself(mut host: Host, at: SocketAddr, to: SocketAddr) {
    let now = host.now;
    let before = host.stack.connection_counts().connections;
    let listener = host.stack.listen(at, ListenOptions::default()).unwrap();
    let client = host
        .stack
        .connect(now, to, ConnectOptions::default())
        .unwrap();
    host.pump();
    let (server, from) = host.stack.accept(listener).expect("it is accepted at once");
    assert!(
        host.stack
            .config()
            .addresses
            .iter()
            .any(|own| own.address == from.ip())
    );
    assert_eq!(host.stack.conn(client).unwrap().state(), State::Established);

    for (sender, receiver) in [(client, server), (server, client)] {
        let data: Vec<u8> = (0..3_000_000_u64).map(pattern).collect();
        let (mut written, mut read) = (0, Vec::new());
        while read.len() < data.len() {
            match host
                .stack
                .conn(sender)
                .unwrap()
                .write(now, &data[written..])
            {
                Ok(n) => written += n,
                Err(WriteError::Blocked) => {}
                Err(error) => panic!("{error}"),
            }
            host.pump();
            let mut bytes = vec![0; 65_536];
            let before = read.len();
            loop {
                match host.stack.conn(receiver).unwrap().read(now, &mut bytes) {
                    Ok(n) => read.extend_from_slice(&bytes[..n]),
                    Err(ReadError::Blocked) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            host.pump();
            if read.len() == before {
                host.advance(ms(10));
            }
        }
        assert!(read == data, "every byte is right");
    }
    let now = host.now;
    host.stack.conn(client).unwrap().close(now);
    host.stack.conn(server).unwrap().close(now);
    host.advance(secs(120));
    let counts = host.stack.connection_counts();
    assert_eq!((counts.connections, counts.time_wait), (before, 0));
    assert!(host.sent.is_empty(), "nothing is sent: {:?}", host.lines());
    assert_eq!(host.stack.stats().frames_out, 0);
}

#[test]
fn an_own_ipv4_address_is_reached_without_the_link() {
    talks_to_itself(&["10.0.0.1/24", "10.9.0.1/24"], "10.9.0.1:80");
}

#[test]
fn an_own_ipv6_address_is_reached_without_the_link() {
    talks_to_itself(&["10.0.0.1/24", "2001:db8::1/64"], "[2001:db8::1]:80");
}

#[test]
fn the_unspecified_address_is_this_host() {
    // As Linux has it.
    for any in ["0.0.0.0:80", "[::]:80"] {
        let host = Host::new(&["10.0.0.1/24", "2001:db8::1/64"]);
        let any = any.parse().unwrap();
        host_talks_to_itself(host, any, any);
    }
}

#[test]
fn an_own_address_is_reached_while_the_link_is_down() {
    let mut host = Host::new(&["10.0.0.1/24"]);
    let mut link = host.stack.link();
    link.up = false;
    let now = host.now;
    host.stack.set_link(now, link).unwrap();
    let away = "10.0.0.2:80".parse().unwrap();
    // Another connection waits for the link meanwhile.
    host.stack
        .connect(now, away, ConnectOptions::default())
        .unwrap();
    let own = "10.0.0.1:80".parse().unwrap();
    host_talks_to_itself(host, own, own);
}

#[test]
fn an_own_port_that_nobody_listens_on_refuses() {
    let mut host = Host::new(&["10.0.0.1/24"]);
    let now = host.now;
    let to = "10.0.0.1:81".parse().unwrap();
    let id = host
        .stack
        .connect(now, to, ConnectOptions::default())
        .unwrap();
    host.pump();
    let result = host.stack.conn(id).unwrap().connect_result();
    assert_eq!(result, Some(Err(tidewire_core::ConnError::Refused)));
    assert!(host.sent.is_empty());
}

#[test]
fn a_socket_that_connects_to_itself_opens_simultaneously() {
    let mut host = Host::new(&["10.0.0.1/24"]);
    let now = host.now;
    let own = "10.0.0.1:4000".parse().unwrap();
    let options = ConnectOptions {
        local: Some(own),
        tcp: None,
    };
    let id = host.stack.connect(now, own, options).unwrap();
    host.pump();
    assert_eq!(host.stack.conn(id).unwrap().state(), State::Established);
    host.stack.conn(id).unwrap().write(now, b"echo").unwrap();
    host.pump();
    let mut bytes = [0; 8];
    let read = host.stack.conn(id).unwrap().read(now, &mut bytes);
    assert_eq!((read, &bytes[..4]), (Ok(4), &b"echo"[..]));
    assert!(host.sent.is_empty());
}

#[test]
fn own_addresses_that_come_from_the_wire_are_still_refused() {
    // LAND attack: loopback inside the stack does not permit own addresses from the link.
    let mut t = Tester::listening(16, |_| {});
    t.flow.ip = STACK_IP;
    t.peer(seg(SYN).seq(0));
    assert_eq!(t.dropped(tidewire_core::DropReason::BadSource), 1);
    t.silent();
}
