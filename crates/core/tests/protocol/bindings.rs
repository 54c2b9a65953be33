//! Bound addresses: binding before listen or connect.

use tidewire_core::{BindOptions, ConnectError, ConnectOptions, ListenError, ListenOptions};

use crate::common::*;

const PLAIN: BindOptions = BindOptions {
    reuse_addr: false,
    reuse_port: false,
};
const REUSE: BindOptions = BindOptions {
    reuse_addr: true,
    reuse_port: false,
};
const SHARE: BindOptions = BindOptions {
    reuse_addr: false,
    reuse_port: true,
};

fn host() -> Host {
    Host::new(&["10.0.0.1/24", "10.0.1.1/24", "2001:db8::1/64"])
}

#[test]
fn port_zero_is_chosen_at_once_and_shown() {
    let mut host = host();
    let mut ports = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let local = "0.0.0.0:0".parse().unwrap();
        let id = host.stack.bind(local, PLAIN).unwrap();
        let shown = host.stack.bound_addr(id).unwrap();
        assert_eq!(shown.ip(), local.ip());
        assert!(shown.port() >= 32_768 && ports.insert(shown.port()));
    }
}

#[test]
fn an_ipv4_mapped_address_is_shown_as_it_was_asked_for() {
    let mut host = host();
    let mapped = "[::ffff:10.0.0.1]:80".parse().unwrap();
    let id = host.stack.bind(mapped, PLAIN).unwrap();
    assert_eq!(host.stack.bound_addr(id), Some(mapped));
    let plain = "10.0.0.1:80".parse().unwrap();
    let second = host.stack.bind(plain, PLAIN);
    assert_eq!(second, Err(ListenError::AddrInUse));
}

#[test]
fn an_address_is_bound_once_unless_both_agree_to_share() {
    let mut host = host();
    let (any, one, other) = ("0.0.0.0:80", "10.0.0.1:80", "10.0.1.1:80");
    for (first, second, options, shares) in [
        (one, one, [PLAIN, PLAIN], false),
        (one, any, [PLAIN, PLAIN], false),
        (any, one, [PLAIN, PLAIN], false),
        (one, other, [PLAIN, PLAIN], true),
        (one, "[2001:db8::1]:80", [PLAIN, PLAIN], true),
        (one, "[::]:80", [PLAIN, PLAIN], false),
        (one, one, [REUSE, PLAIN], false),
        (one, one, [REUSE, REUSE], true),
        (one, one, [SHARE, REUSE], false),
        (one, any, [SHARE, SHARE], true),
    ] {
        let id = host.stack.bind(first.parse().unwrap(), options[0]).unwrap();
        let again = host.stack.bind(second.parse().unwrap(), options[1]);
        assert_eq!(again.is_ok(), shares, "{first} {second} {options:?}");
        host.stack.unbind(id);
        again.into_iter().for_each(|id| host.stack.unbind(id));
    }
    let foreign = host.stack.bind("10.0.0.9:80".parse().unwrap(), PLAIN);
    assert_eq!(foreign, Err(ListenError::AddrNotAvailable));
}

#[test]
fn nobody_listens_where_somebody_else_has_bound() {
    let mut host = host();
    let at = "10.0.0.1:80".parse().unwrap();
    let id = host.stack.bind(at, PLAIN).unwrap();
    let refused = host.stack.listen(at, ListenOptions::default());
    assert_eq!(refused, Err(ListenError::AddrInUse));
    let listener = host.stack.listen_bound(id, ListenOptions::default());
    assert_eq!(host.stack.listener_addr(listener.unwrap()), Some(at));
    assert_eq!(host.stack.bound_addr(id), None);
    for options in [PLAIN, REUSE, SHARE] {
        assert_eq!(host.stack.bind(at, options), Err(ListenError::AddrInUse));
    }
}

#[test]
fn of_two_that_reuse_an_address_one_may_listen() {
    // As Linux has it.
    let mut host = host();
    let at = "10.0.0.1:80".parse().unwrap();
    let [first, second] = [0, 1].map(|_| host.stack.bind(at, REUSE).unwrap());
    let listens = host.stack.listen_bound(first, ListenOptions::default());
    assert!(listens.is_ok());
    let refused = host.stack.listen_bound(second, ListenOptions::default());
    assert_eq!(refused, Err(ListenError::AddrInUse));
}

#[test]
fn a_port_that_is_chosen_has_no_connections_while_there_are_others() {
    let mut config = host_config(A_MAC, &["10.0.0.1/24"]);
    config.ephemeral_ports = 50_000..=50_099;
    let mut host = Host::with(config);
    let to = "10.0.0.2:80".parse().unwrap();
    let any = "10.0.0.1:0".parse().unwrap();
    // To one destination, each from the port that was bound for it.
    for n in 0..100 {
        let id = host.stack.bind(any, PLAIN).unwrap();
        let local = host.stack.bound_addr(id);
        let options = ConnectOptions { local, tcp: None };
        let connected = host.stack.connect(host.now, to, options);
        assert!(connected.is_ok(), "{n}: {connected:?}");
        host.stack.unbind(id);
    }
    // Then any ephemeral port is allowed: the other connection may be to another destination.
    let id = host.stack.bind(any, PLAIN).unwrap();
    let local = host.stack.bound_addr(id);
    let elsewhere = "10.0.0.3:80".parse().unwrap();
    let options = ConnectOptions { local, tcp: None };
    assert!(host.stack.connect(host.now, elsewhere, options).is_ok());
}

#[test]
fn no_connection_gets_a_bound_port_by_itself() {
    let mut config = host_config(A_MAC, &["10.0.0.1/24"]);
    config.ephemeral_ports = 50_000..=50_001;
    let mut host = Host::with(config);
    let now = host.now;
    let to = "10.0.0.2:80".parse().unwrap();
    let bound = ["10.0.0.1:50000", "0.0.0.0:0"].map(|local| {
        let id = host.stack.bind(local.parse().unwrap(), PLAIN).unwrap();
        (id, host.stack.bound_addr(id).unwrap())
    });
    assert_eq!(bound[1].1.port(), 50_001);
    let mut connect = |local| {
        let options = ConnectOptions { local, tcp: None };
        host.stack.connect(now, to, options)
    };
    assert_eq!(connect(None), Err(ConnectError::PortsExhausted));
    // The binding's owner connects from it.
    assert!(connect(Some(bound[0].1)).is_ok());
    host.stack.unbind(bound[1].0);
    let options = ConnectOptions::default();
    assert!(host.stack.connect(now, to, options).is_ok());
}
