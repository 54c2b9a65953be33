//! Listeners: bind, backlog and accept.

use std::future::poll_fn;
use std::net::SocketAddr;

use tidewire_integration_tests::{TestResult, Version, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::net::{TcpListener, TcpSocket};
use super::{Ends as _, code, give_up, reset, where_one_was};
use crate::World;

super::cases!(
    port_zero_is_a_free_one,
    a_port_is_listened_at_once,
    an_address_of_somebody_else,
    the_first_address_that_can_be_bound,
    a_port_is_free_after_the_listener,
    a_port_is_free_while_connections_end,
    all_addresses,
    a_peer_is_known_by_its_address,
    what_was_sent_before_accept,
    a_peer_that_has_closed_already,
    a_peer_that_has_reset_already,
    who_was_not_accepted_is_reset,
    accepting_can_be_given_up,
    accepting_can_be_given_up_too_late,
    every_waiter_gets_one,
    accepting_by_polling,
    a_backlog_fills_and_drains,
    a_listeners_ttl_is_inherited,
    nodelay_is_inherited,
);

async fn port_zero_is_a_free_one(world: World) -> TestResult {
    let (_first, one) = world.listener().await?;
    let (_second, other) = world.listener().await?;
    assert_eq!((one.ip(), other.ip()), (world.own, world.own));
    assert!(one.port() != 0 && other.port() != 0 && one != other);
    Ok(())
}

async fn a_port_is_listened_at_once(world: World) -> TestResult {
    let (_listener, address) = world.listener().await?;
    assert_eq!(code(TcpListener::bind(address).await), libc::EADDRINUSE);
    Ok(())
}

async fn an_address_of_somebody_else(world: World) -> TestResult {
    let foreign = TcpListener::bind((world.net.version().host(98), 0)).await;
    assert_eq!(code(foreign), libc::EADDRNOTAVAIL);
    Ok(())
}

async fn the_first_address_that_can_be_bound(world: World) -> TestResult {
    let foreign = SocketAddr::new(world.net.version().host(98), 80);
    let own = SocketAddr::new(world.own, 80);
    let listener = TcpListener::bind(&[foreign, own][..]).await?;
    assert_eq!(listener.local_addr()?, own);
    Ok(())
}

async fn a_port_is_free_after_the_listener(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    drop(listener);
    where_one_was(&world, async || TcpListener::bind(address).await).await?;
    Ok(())
}

async fn a_port_is_free_while_connections_end(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let mut peer = world.net.kernel_connect(address).await?;
    let (stream, _) = listener.accept().await?;
    // This end closes first and keeps TIME-WAIT.
    drop((stream, listener));
    assert_eq!(peer.read(&mut [0]).await?, 0);
    drop(peer);
    let again = where_one_was(&world, async || TcpListener::bind(address).await).await?;
    let peer = world.net.kernel_connect(address);
    let (accepted, peer) = tokio::join!(again.accept(), peer);
    assert_eq!(accepted?.1, peer?.local_addr()?);
    Ok(())
}

async fn all_addresses(world: World) -> TestResult {
    let any = match world.net.version() {
        Version::V4 => "0.0.0.0:0",
        Version::V6 => "[::]:0",
    };
    let listener = TcpListener::bind(any).await?;
    let local = listener.local_addr()?;
    assert!(local.ip().is_unspecified() && local.port() != 0);
    let at = SocketAddr::new(world.own, local.port());
    let peer = world.net.kernel_connect(at).await?;
    let (stream, from) = listener.accept().await?;
    assert_eq!((stream.local_addr()?, from), (at, peer.local_addr()?));
    Ok(())
}

async fn a_peer_is_known_by_its_address(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let peer = world.net.kernel_connect(address).await?;
    let (stream, from) = listener.accept().await?;
    assert_eq!((from, stream.peer_addr()?), (peer.local_addr()?, from));
    assert_eq!(stream.local_addr()?, address);
    Ok(())
}

async fn what_was_sent_before_accept(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let mut peer = world.net.kernel_connect(address).await?;
    peer.write_all(b"early").await?;
    let (mut stream, _) = listener.accept().await?;
    let mut text = [0; 5];
    stream.read_exact(&mut text).await?;
    assert_eq!(&text, b"early");
    Ok(())
}

async fn a_peer_that_has_closed_already(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let mut peer = world.net.kernel_connect(address).await?;
    peer.write_all(b"bye").await?;
    drop(peer);
    let (mut stream, _) = listener.accept().await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    assert_eq!(text, "bye");
    Ok(())
}

async fn a_peer_that_has_reset_already(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let first = world.net.kernel_connect(address).await?;
    reset(first)?;
    // A later connection on the same link arrives after the reset.
    let _second = world.net.kernel_connect(address).await?;
    let (mut stream, _) = listener.accept().await?;
    assert_eq!(code(stream.read(&mut [0]).await), libc::ECONNRESET);
    listener.accept().await?;
    Ok(())
}

async fn who_was_not_accepted_is_reset(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let mut peer = world.net.kernel_connect(address).await?;
    drop(listener);
    assert_eq!(code(peer.read(&mut [0]).await), libc::ECONNRESET);
    let refused = world.net.kernel_connect(address).await;
    assert_eq!(code(refused), libc::ECONNREFUSED);
    Ok(())
}

async fn accepting_can_be_given_up(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    give_up(listener.accept());
    let peer = world.net.kernel_connect(address).await?;
    assert_eq!(listener.accept().await?.1, peer.local_addr()?);
    Ok(())
}

async fn accepting_can_be_given_up_too_late(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let mut accept = Box::pin(listener.accept());
    let pending = poll_fn(|cx| std::task::Poll::Ready(accept.as_mut().poll(cx).is_pending()));
    assert!(pending.await);
    let peer = world.net.kernel_connect(address).await?;
    // The future may have been woken, and is never polled again.
    drop(accept);
    assert_eq!(listener.accept().await?.1, peer.local_addr()?);
    Ok(())
}

async fn every_waiter_gets_one(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let accept = || async { listener.accept().await.map(|(_, from)| from) };
    let connect = async {
        let mut peers = Vec::new();
        for _ in 0..3 {
            peers.push(world.net.kernel_connect(address).await?);
        }
        std::io::Result::Ok(peers)
    };
    let (a, b, c, peers) = tokio::join!(accept(), accept(), accept(), connect);
    let mut accepted = [a?, b?, c?];
    let peers = peers?;
    let mut expected: Vec<_> = peers
        .iter()
        .flat_map(tokio::net::TcpStream::local_addr)
        .collect();
    accepted.sort();
    expected.sort();
    assert_eq!(accepted[..], expected[..]);
    Ok(())
}

async fn accepting_by_polling(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let accept = poll_fn(|cx| listener.poll_accept(cx));
    let (accepted, peer) = tokio::join!(accept, world.net.kernel_connect(address));
    assert_eq!(accepted?.1, peer?.local_addr()?);
    Ok(())
}

async fn a_backlog_fills_and_drains(world: World) -> TestResult {
    let socket = match world.net.version() {
        Version::V4 => TcpSocket::new_v4()?,
        Version::V6 => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(world.own, 0))?;
    let listener = socket.listen(4)?;
    let address = listener.local_addr()?;
    let peers: Vec<_> = (0..12)
        .map(|_| {
            let connect = tokio::net::TcpStream::connect(address);
            world.net.spawn_right(async move {
                let mut stream = connect.await?;
                stream.write_all(b"x").await?;
                stream.read_u8().await
            })
        })
        .collect();
    // Clients beyond the backlog retransmit their SYN until there is room.
    for _ in 0..12 {
        let (mut stream, _) = listener.accept().await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
    }
    for peer in peers {
        assert_eq!(peer.await??, b'x');
    }
    Ok(())
}

async fn a_listeners_ttl_is_inherited(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    listener.set_ttl(7)?;
    assert_eq!(listener.ttl()?, 7);
    let _peer = world.net.kernel_connect(address).await?;
    assert_eq!(listener.accept().await?.0.ttl()?, 7);
    Ok(())
}

async fn nodelay_is_inherited(world: World) -> TestResult {
    let socket = match world.net.version() {
        Version::V4 => TcpSocket::new_v4()?,
        Version::V6 => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(world.own, 0))?;
    socket.set_nodelay(true)?;
    let listener = socket.listen(16)?;
    let peer = world.net.kernel_connect(listener.local_addr()?).await?;
    let (stream, _) = listener.accept().await?;
    assert!(stream.nodelay()?);
    drop(peer);
    until("the peer's end is seen", || {
        matches!(stream.try_read(&mut [0]), Ok(0))
    })
    .await?;
    Ok(())
}
