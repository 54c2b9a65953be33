//! Several addresses, two gateways, and listeners that serve both IP versions.

use std::net::SocketAddr;

use tidewire_core::{
    ConfigError, ConnectError, ConnectOptions, Instant, ListenError, ListenOptions, Secret, Stack,
};

use crate::common::*;

const ADDRESSES: [&str; 5] = [
    "10.0.0.1/24",
    "192.168.0.1/16",
    "2001:db8::a/64",
    "fe80::a/64",
    "fd00::a/48",
];

/// The source that a connection to `to` has.
fn source(host: &mut Host, to: &str) -> String {
    let options = ConnectOptions::default();
    let id = host.stack.connect(host.now, to.parse().unwrap(), options);
    let conn = id.unwrap_or_else(|error| panic!("{to}: {error}"));
    host.stack.conn(conn).unwrap().local_addr().ip().to_string()
}

#[test]
fn the_source_is_of_the_destinations_prefix_or_scope() {
    let mut config = host_config(A_MAC, &ADDRESSES);
    config.gateways.set("10.0.0.254".parse().unwrap());
    config.gateways.set("fe80::1".parse().unwrap());
    let mut host = Host::with(config);
    for (to, wanted) in [
        ("10.0.0.9:80", "10.0.0.1"),
        ("192.168.7.9:80", "192.168.0.1"),
        ("198.51.100.9:80", "10.0.0.1"),
        ("[2001:db8::9]:80", "2001:db8::a"),
        ("[fe80::9]:80", "fe80::a"),
        ("[fd00:0:0:7::9]:80", "fd00::a"),
        ("[2001:db8:ffff::9]:80", "2001:db8::a"),
        ("[fd00::a]:80", "fd00::a"),
    ] {
        assert_eq!(source(&mut host, to), wanted, "{to}");
    }
}

#[test]
fn each_version_has_its_gateway() {
    let mut config = host_config(A_MAC, &ADDRESSES);
    config.gateways.set("fe80::1".parse().unwrap());
    let mut host = Host::with(config);
    source(&mut host, "[2001:db8:ffff::9]:80");
    host.pump();
    assert!(host.lines()[0].contains("who has fe80::1"));
    let now = host.now;
    let to = "198.51.100.9:80".parse().unwrap();
    let refused = host.stack.connect(now, to, ConnectOptions::default());
    assert_eq!(refused, Err(ConnectError::NoRoute));
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    let start = |addresses: &[&str], gateway: Option<&str>, mtu| {
        let mut config = host_config(A_MAC, addresses);
        config.link.ip_mtu = mtu;
        if let Some(gateway) = gateway {
            config.gateways.set(gateway.parse().unwrap());
        }
        Stack::new(config, Secret::new([1; 16]), Instant::ZERO).err()
    };
    let off_link = Some(ConfigError::GatewayOffLink);
    assert_eq!(start(&["10.0.0.1/24"], Some("fe80::1"), 1500), off_link);
    assert_eq!(start(&["fd00::1/64"], Some("10.0.0.1"), 1500), off_link);
    assert_eq!(start(&["fd00::1/64"], Some("fd01::1"), 1500), off_link);
    assert_eq!(start(&["fd00::1/64"], Some("fe80::1"), 1500), None);
    // RFC 8200 §5.
    let too_small = Some(ConfigError::BadMtu);
    assert_eq!(start(&["fd00::1/64"], None, 1279), too_small);
    assert_eq!(start(&["10.0.0.1/24"], None, 1279), None);
}

#[test]
fn a_link_whose_mtu_is_lowered_too_far_for_ipv6_goes_on_with_ipv4() {
    let mut pair = Pair::new(&["10.0.0.1/24", "fd00::1/64"], &["10.0.0.2/24"]);
    let mut link = pair.a.link();
    link.ip_mtu = 1_200;
    let now = pair.now;
    pair.a.set_link(now, link).unwrap();
    let to = "10.0.0.2:80".parse().unwrap();
    let listener = pair.b.listen(to, ListenOptions::default()).unwrap();
    let client = pair.a.connect(now, to, ConnectOptions::default()).unwrap();
    pair.run();
    let (server, _) = pair.b.accept(listener).unwrap();
    transfer(&mut pair, client, server, 10_000);
}

const BOTH: [[&str; 2]; 2] = [
    ["10.0.0.1/24", "2001:db8::a/64"],
    ["10.0.0.2/24", "2001:db8::b/64"],
];

#[test]
fn a_listener_on_all_of_ipv6_serves_ipv4_and_shows_mapped_addresses() {
    let mut pair = Pair::new(&BOTH[0], &BOTH[1]);
    let listener = pair
        .b
        .listen("[::]:80".parse().unwrap(), ListenOptions::default())
        .unwrap();
    for (to, local, peer) in [
        ("10.0.0.2:80", "::ffff:10.0.0.2", "::ffff:10.0.0.1"),
        ("[2001:db8::b]:80", "2001:db8::b", "2001:db8::a"),
    ] {
        let to: SocketAddr = to.parse().unwrap();
        let now = pair.now;
        let client = pair.a.connect(now, to, ConnectOptions::default()).unwrap();
        pair.run();
        let (server, from) = pair.b.accept(listener).unwrap();
        let conn = pair.b.conn(server).unwrap();
        assert_eq!(from, conn.peer_addr());
        assert_eq!(conn.local_addr().ip().to_string(), local);
        assert_eq!(conn.peer_addr().ip().to_string(), peer);
        assert_eq!(pair.a.conn(client).unwrap().peer_addr(), to);
        transfer(&mut pair, client, server, 10_000);
    }
}

#[test]
fn a_mapped_address_is_connected_to_over_ipv4() {
    let mut pair = Pair::new(&BOTH[0], &BOTH[1]);
    let (client, server) = pair.connect("[::ffff:10.0.0.2]:80", "0.0.0.0:80");
    let conn = pair.a.conn(client).unwrap();
    assert_eq!(conn.peer_addr(), "[::ffff:10.0.0.2]:80".parse().unwrap());
    assert_eq!(conn.local_addr().ip().to_string(), "::ffff:10.0.0.1");
    let from = pair.b.conn(server).unwrap().peer_addr();
    assert_eq!(from.ip().to_string(), "10.0.0.1");
}

#[test]
fn listeners_of_both_versions_get_out_of_each_others_way() {
    let mut host = Host::new(&BOTH[0]);
    let mut listen = |addr: &str| {
        let id = host
            .stack
            .listen(addr.parse().unwrap(), ListenOptions::default());
        id.map(|_| ())
    };
    let in_use = Err(ListenError::AddrInUse);
    assert_eq!(listen("[::]:80"), Ok(()));
    for addr in ["[::]:80", "0.0.0.0:80", "10.0.0.1:80", "[2001:db8::a]:80"] {
        assert_eq!(listen(addr), in_use, "{addr}");
    }
    assert_eq!(listen("0.0.0.0:81"), Ok(()));
    assert_eq!(listen("[2001:db8::a]:81"), Ok(()));
    for addr in ["[::]:81", "10.0.0.1:81"] {
        assert_eq!(listen(addr), in_use, "{addr}");
    }
    let nowhere = Err(ListenError::AddrNotAvailable);
    assert_eq!(listen("[2001:db8::77]:82"), nowhere);
}
