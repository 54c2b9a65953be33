//! Both IP versions: connections over IPv6, listeners that serve both, and a stack that talks to
//! itself.

mod common;

use std::net::SocketAddr;

use common::pair_with;
use tidewire::net::{TcpListener, TcpSocket, TcpStream};
use tidewire::{MemoryLink, Stack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_both_runtimes!(
    ipv6_is_listened_on_and_connected_to,
    a_listener_on_all_addresses_serves_both_versions,
    a_mapped_address_leads_to_an_ipv4_listener,
    a_listener_on_a_mapped_address_serves_ipv4,
    a_stack_connects_to_its_own_addresses,
);

/// Two stacks with an address of each version.
async fn both() -> (Stack, Stack) {
    pair_with(
        |server| server.address("2001:db8::1/64"),
        |client| client.address("2001:db8::2/64"),
    )
    .await
}

/// Both ends carry data, and know each other's address.
async fn talk(mut one: TcpStream, mut other: TcpStream) {
    let data = common::pattern_bytes(0, 200_000);
    let sent = async {
        one.write_all(&data).await.unwrap();
        one.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (read, ()) = tokio::join!(other.read_to_end(&mut received), sent);
    assert_eq!(read.unwrap(), data.len());
    assert!(received == data);
}

async fn ipv6_is_listened_on_and_connected_to() {
    let (server, client) = both().await;
    let listener = server.bind("[2001:db8::1]:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let connect = async {
        let socket = TcpSocket::new_v6().unwrap();
        socket.bind("[::]:0".parse().unwrap()).unwrap();
        socket.connect(to).await
    };
    let ours = client.scope(connect).await.unwrap();
    let (theirs, from) = listener.accept().await.unwrap();
    assert_eq!(from, ours.local_addr().unwrap());
    assert_eq!(from.ip().to_string(), "2001:db8::2");
    assert_eq!(ours.peer_addr().unwrap(), theirs.local_addr().unwrap());
    talk(ours, theirs).await;
}

async fn a_listener_on_all_addresses_serves_both_versions() {
    let (server, client) = both().await;
    let listener: TcpListener = server.bind("[::]:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (ip, seen_as) in [
        ("10.0.0.1", "::ffff:10.0.0.2"),
        ("2001:db8::1", "2001:db8::2"),
    ] {
        let to = SocketAddr::new(ip.parse().unwrap(), port);
        let ours = client.connect(to).await.unwrap();
        let (theirs, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip().to_string(), seen_as);
        assert_eq!(theirs.peer_addr().unwrap(), from);
        assert_eq!(ours.peer_addr().unwrap(), to);
        talk(ours, theirs).await;
    }
}

async fn a_mapped_address_leads_to_an_ipv4_listener() {
    let (server, client) = both().await;
    let listener = server.bind("0.0.0.0:80").await.unwrap();
    let ours = client.connect("[::ffff:10.0.0.1]:80").await.unwrap();
    let (theirs, from) = listener.accept().await.unwrap();
    assert_eq!(from.ip().to_string(), "10.0.0.2");
    let peer = ours.peer_addr().unwrap();
    assert_eq!(peer, "[::ffff:10.0.0.1]:80".parse().unwrap());
    talk(ours, theirs).await;
}

async fn a_listener_on_a_mapped_address_serves_ipv4() {
    let (server, client) = both().await;
    for ip in ["::ffff:10.0.0.1", "::ffff:0.0.0.0"] {
        let bound = SocketAddr::new(ip.parse().unwrap(), 80);
        let listener = server.bind(bound).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), bound);
        let in_use = server.bind("10.0.0.1:80").await.unwrap_err();
        assert_eq!(in_use.kind(), std::io::ErrorKind::AddrInUse);
        let ours = client.connect("10.0.0.1:80").await.unwrap();
        let (theirs, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip().to_string(), "::ffff:10.0.0.2");
        let local = theirs.local_addr().unwrap();
        assert_eq!(local, "[::ffff:10.0.0.1]:80".parse().unwrap());
        talk(ours, theirs).await;
        let refused = client.connect("[2001:db8::1]:80").await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    let foreign = server.bind("[::ffff:10.0.0.9]:80").await.unwrap_err();
    assert_eq!(foreign.kind(), std::io::ErrorKind::AddrNotAvailable);
}

async fn a_stack_connects_to_its_own_addresses() {
    // The other end of the link is dropped: nobody answers there.
    let (link, _) = MemoryLink::pair();
    let builder = Stack::in_memory(link).address("10.0.0.1/24");
    let stack = builder.address("2001:db8::1/64").start().await.unwrap();
    for at in ["10.0.0.1:80", "[2001:db8::1]:80"] {
        let listener = stack.bind(at).await.unwrap();
        let (ours, theirs) = tokio::join!(stack.connect(at), listener.accept());
        let (ours, (theirs, from)) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(from, ours.local_addr().unwrap());
        talk(ours, theirs).await;
    }
}
