//! Many hosts and connections; hosts that restart or change their MAC address.

use std::net::SocketAddr;

use tidewire_core::{ConnError, ConnEvents, ConnectOptions, Duration, Event, Instant, IpCidr};
use tidewire_sim::{HostConfig, HostId, LinkConfig, Peer, Plan, Server, World};
use tidewire_wire::MacAddr;

use crate::pair::{DELAY, Pair};

const PORT: u16 = 7_000;

fn v6(last: u16) -> std::net::IpAddr {
    std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into()
}

/// 20 stacks on a switch that loses, duplicates and reorders; a thousand connections to all of
/// them, half of each IP version.
#[test]
fn a_thousand_connections_between_twenty_stacks() {
    let mut world = World::new(1);
    let hosts: Vec<HostId> = (1..=20_u8)
        .map(|last| {
            let mut config = HostConfig::new(IpCidr::new([10, 0, 0, last].into(), 24));
            let own = IpCidr::new(v6(last.into()), 64);
            config.stack.addresses.push(own);
            world.add_host(config).unwrap()
        })
        .collect();
    let faulty = LinkConfig {
        loss_ppm: 5_000,
        duplicate_ppm: 2_000,
        reorder_ppm: 5_000,
        reorder_delay: Duration::from_millis(3),
        ..LinkConfig::with_delay(DELAY)
    };
    world.switch(&hosts, faulty);
    let bytes = 3_000;
    for server in 0..20_u8 {
        for v6_too in [false, true] {
            let ip = if v6_too {
                v6(u16::from(server) + 1)
            } else {
                [10, 0, 0, server + 1].into()
            };
            let to = SocketAddr::from((ip, PORT));
            let app = Server::new(to, 25, move |_| Plan::bulk(bytes));
            world.add_app(hosts[usize::from(server)], app).unwrap();
        }
    }
    let mut opened = 0;
    for server in 0..20_u8 {
        for nth in 0..50_u8 {
            let client = (server + 1 + nth % 19) % 20;
            let ip = if nth % 2 == 0 {
                v6(u16::from(server) + 1)
            } else {
                [10, 0, 0, server + 1].into()
            };
            let peer = Peer::connecting((ip, PORT).into(), Plan::bulk(bytes));
            world.add_app(hosts[usize::from(client)], peer).unwrap();
            opened += 1;
        }
    }
    let done = world.run_until_done(Instant::ZERO + Duration::from_secs(300));
    assert!(done.unwrap(), "{:?}", world.incomplete_streams());
    assert_eq!(world.incomplete_streams(), Vec::<String>::new());
    assert_eq!((opened, world.bytes_read()), (1_000, 2 * 1_000 * bytes));
}

/// RFC 9293 §3.5.1: the end with a half-open connection gets a reset, and may connect again at
/// once.
#[test]
fn a_peer_that_restarted_resets_the_old_connection_and_takes_a_new_one() {
    let Pair {
        mut world, a, b, ..
    } = Pair::new();
    let to = SocketAddr::from(([10, 0, 0, 2], PORT));
    let listen = |world: &mut World| {
        let listener = world.on(b, |stack, _| stack.listen(to, Default::default()));
        listener.unwrap().unwrap()
    };
    let connect = |world: &mut World| {
        let id = world.on(a, |stack, now| {
            let options = ConnectOptions {
                local: Some(([10, 0, 0, 1], 4_000).into()),
                ..ConnectOptions::default()
            };
            stack.connect(now, to, options)
        });
        let id = id.unwrap().unwrap();
        let until = world.now() + Duration::from_secs(2);
        world.run_until(until).unwrap();
        id
    };
    let connected = |world: &mut World, id| {
        let result = world.on(a, |stack, _| stack.conn(id).unwrap().connect_result());
        result.unwrap()
    };
    listen(&mut world);
    let old = connect(&mut world);
    assert_eq!(connected(&mut world, old), Some(Ok(())));
    world.reboot(b).unwrap();
    listen(&mut world);
    world.take_events(a);
    let written = world.on(a, |stack, now| {
        stack.conn(old).unwrap().write(now, b"still there?")
    });
    assert_eq!(written.unwrap(), Ok(12));
    world
        .run_until(world.now() + Duration::from_secs(2))
        .unwrap();
    let told = world.take_events(a).into_iter().any(
        |event| matches!(event, Event::Conn(id, events) if id == old && events.intersects(ConnEvents::READABLE)),
    );
    assert!(told);
    let error = world.on(a, |stack, now| {
        let mut conn = stack.conn(old).unwrap();
        let error = conn.take_error();
        conn.close(now);
        error
    });
    assert_eq!(error.unwrap(), Some(ConnError::Reset));
    let new = connect(&mut world);
    assert_eq!(connected(&mut world, new), Some(Ok(())));
}

/// The announcement, or in its absence the unanswered requests, bring the peer to the new address.
#[test]
fn a_transfer_goes_on_when_the_peer_changes_its_mac_address() {
    for heard in [true, false] {
        let Pair {
            mut world,
            a,
            b,
            link,
            ..
        } = Pair::new();
        let to = SocketAddr::from(([10, 0, 0, 2], PORT));
        let slow = LinkConfig {
            rate: Some(100_000),
            ..LinkConfig::with_delay(DELAY)
        };
        world.configure_at(Instant::ZERO, link, slow.clone());
        world
            .add_app(b, Server::new(to, 1, |_| Plan::bulk(300_000)))
            .unwrap();
        world
            .add_app(a, Peer::connecting(to, Plan::bulk(300_000)))
            .unwrap();
        let change = Instant::ZERO + Duration::from_secs(1);
        world.readdress_at(change, b, MacAddr([2, 9, 9, 9, 9, 9]));
        if !heard {
            // The link comes back after both announcements.
            let down = LinkConfig {
                loss_ppm: 1_000_000,
                ..slow.clone()
            };
            world.configure_at(change, link, down);
            world.configure_at(change + Duration::from_secs(5), link, slow);
        }
        let done = world.run_until_done(Instant::ZERO + Duration::from_secs(120));
        assert!(done.unwrap(), "{:?}", world.incomplete_streams());
        assert_eq!(world.bytes_read(), 600_000);
    }
}
