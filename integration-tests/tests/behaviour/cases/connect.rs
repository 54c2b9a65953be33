//! Connection establishment.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidewire_integration_tests::{TestResult, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::net::{TcpListener, TcpSocket, TcpStream};
use super::{Ends as _, code, give_up, kind, where_one_was};
use crate::World;

super::cases!(
    both_ends_are_known,
    a_closed_port_refuses,
    every_address_is_tried_in_turn,
    the_last_address_has_the_last_word,
    no_address_at_all,
    a_name_that_is_an_address,
    no_route,
    nobody_at_the_address,
    groups_are_no_peers,
    port_zero_refuses,
    a_local_end_of_ones_choice,
    a_local_address_of_somebody_else,
    a_socket_is_bound_once,
    a_bound_port_is_shown_and_kept,
    a_bound_address_is_taken,
    of_two_that_reuse_an_address_one_listens,
    the_unspecified_address_is_this_host,
    a_socket_of_the_other_version,
    a_pair_of_ends_is_used_once,
    an_attempt_can_be_given_up,
    ones_own_address,
    a_hundred_at_once,
);

fn socket(version: Version) -> std::io::Result<TcpSocket> {
    match version {
        Version::V4 => TcpSocket::new_v4(),
        Version::V6 => TcpSocket::new_v6(),
    }
}

async fn both_ends_are_known(world: World) -> TestResult {
    let (stream, peer) = world.outgoing().await?;
    assert_eq!(stream.local_addr()?, peer.peer_addr()?);
    assert_eq!(stream.peer_addr()?, peer.local_addr()?);
    assert_eq!(stream.local_addr()?.ip(), world.own);
    assert!(stream.take_error()?.is_none());
    Ok(())
}

async fn a_closed_port_refuses(world: World) -> TestResult {
    let refused = TcpStream::connect(world.closed_port().await?).await;
    let error = refused.expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(error.to_string(), "Connection refused (os error 111)");
    Ok(())
}

async fn every_address_is_tried_in_turn(world: World) -> TestResult {
    let (listener, open) = world.net.kernel_listener().await?;
    let addresses = [world.closed_port().await?, open];
    let stream = TcpStream::connect(&addresses[..]).await?;
    assert_eq!(stream.peer_addr()?, open);
    listener.accept().await?;
    Ok(())
}

async fn the_last_address_has_the_last_word(world: World) -> TestResult {
    let far = SocketAddr::new(world.net.version().far(), 9);
    let closed = world.closed_port().await?;
    let unreachable = TcpStream::connect(&[closed, far][..]).await;
    assert_eq!(code(unreachable), libc::ENETUNREACH);
    let refused = TcpStream::connect(&[far, closed][..]).await;
    assert_eq!(code(refused), libc::ECONNREFUSED);
    Ok(())
}

async fn no_address_at_all(_: World) -> TestResult {
    let none: &[SocketAddr] = &[];
    assert_eq!(
        kind(TcpStream::connect(none).await),
        ErrorKind::InvalidInput
    );
    assert_eq!(kind(TcpListener::bind(none).await), ErrorKind::InvalidInput);
    Ok(())
}

async fn a_name_that_is_an_address(world: World) -> TestResult {
    let (listener, address) = world.net.kernel_listener().await?;
    let stream = TcpStream::connect(address.to_string()).await?;
    assert_eq!(stream.peer_addr()?, address);
    listener.accept().await?;
    Ok(())
}

async fn no_route(world: World) -> TestResult {
    let connect = TcpStream::connect((world.net.version().far(), 9)).await;
    assert_eq!(code(connect), libc::ENETUNREACH);
    Ok(())
}

async fn nobody_at_the_address(world: World) -> TestResult {
    let connect = TcpStream::connect((world.net.version().host(99), 9)).await;
    assert_eq!(code(connect), libc::EHOSTUNREACH);
    Ok(())
}

async fn groups_are_no_peers(world: World) -> TestResult {
    let group: IpAddr = match world.net.version() {
        Version::V4 => Ipv4Addr::new(224, 0, 0, 1).into(),
        Version::V6 => "ff02::1".parse()?,
    };
    assert_eq!(
        code(TcpStream::connect((group, 9)).await),
        libc::ENETUNREACH
    );
    let broadcast = TcpStream::connect((Ipv4Addr::BROADCAST, 9)).await;
    assert_eq!(code(broadcast), libc::ENETUNREACH);
    Ok(())
}

async fn port_zero_refuses(world: World) -> TestResult {
    let connect = TcpStream::connect((world.net.kernel(), 0)).await;
    assert_eq!(code(connect), libc::ECONNREFUSED);
    Ok(())
}

async fn a_local_end_of_ones_choice(world: World) -> TestResult {
    let (listener, address) = world.net.kernel_listener().await?;
    let local = SocketAddr::new(world.own, 4711);
    let socket = socket(world.net.version())?;
    socket.bind(local)?;
    assert_eq!(socket.local_addr()?, local);
    let stream = socket.connect(address).await?;
    assert_eq!(stream.local_addr()?, local);
    assert_eq!(listener.accept().await?.1, local);
    Ok(())
}

async fn a_local_address_of_somebody_else(world: World) -> TestResult {
    let socket = socket(world.net.version())?;
    let foreign = SocketAddr::new(world.net.version().host(98), 0);
    assert_eq!(code(socket.bind(foreign)), libc::EADDRNOTAVAIL);
    Ok(())
}

async fn a_socket_is_bound_once(world: World) -> TestResult {
    let socket = socket(world.net.version())?;
    socket.bind(SocketAddr::new(world.own, 4712))?;
    let again = socket.bind(SocketAddr::new(world.own, 4713));
    assert_eq!(code(again), libc::EINVAL);
    Ok(())
}

async fn a_socket_of_the_other_version(_: World) -> TestResult {
    let v6: SocketAddr = "[fd77::1]:9".parse()?;
    assert_eq!(
        code(TcpSocket::new_v4()?.connect(v6).await),
        libc::EAFNOSUPPORT
    );
    assert_eq!(code(TcpSocket::new_v4()?.bind(v6)), libc::EAFNOSUPPORT);
    Ok(())
}

async fn a_bound_port_is_shown_and_kept(world: World) -> TestResult {
    let (listener, address) = world.net.kernel_listener().await?;
    let socket = socket(world.net.version())?;
    socket.bind(SocketAddr::new(world.own, 0))?;
    let bound = socket.local_addr()?;
    assert!(bound.ip() == world.own && bound.port() != 0);
    let stream = socket.connect(address).await?;
    assert_eq!(stream.local_addr()?, bound);
    assert_eq!(listener.accept().await?.1, bound);
    Ok(())
}

async fn a_bound_address_is_taken(world: World) -> TestResult {
    let local = SocketAddr::new(world.own, 4716);
    let bind = || {
        let socket = socket(world.net.version())?;
        socket.bind(local).map(|()| socket)
    };
    let first = bind()?;
    assert_eq!(code(bind()), libc::EADDRINUSE);
    assert_eq!(code(TcpListener::bind(local).await), libc::EADDRINUSE);
    drop(first);
    let listener = TcpListener::bind(local).await?;
    assert_eq!(code(bind()), libc::EADDRINUSE);
    drop(listener);
    bind()?.listen(1)?;
    Ok(())
}

async fn of_two_that_reuse_an_address_one_listens(world: World) -> TestResult {
    let local = SocketAddr::new(world.own, 4717);
    let bind = || {
        let socket = socket(world.net.version())?;
        socket.set_reuseaddr(true)?;
        socket.bind(local).map(|()| socket)
    };
    let (first, second) = (bind()?, bind()?);
    let _listener = first.listen(1)?;
    assert_eq!(code(second.listen(1)), libc::EADDRINUSE);
    Ok(())
}

async fn the_unspecified_address_is_this_host(world: World) -> TestResult {
    let any: IpAddr = match world.net.version() {
        Version::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Version::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = TcpListener::bind(SocketAddr::new(any, 0)).await?;
    let address = SocketAddr::new(any, listener.local_addr()?.port());
    let stream = TcpStream::connect(address).await?;
    let (accepted, from) = listener.accept().await?;
    assert_eq!(from, stream.local_addr()?);
    let peer = stream.peer_addr()?;
    assert!(!peer.ip().is_unspecified() && peer == accepted.local_addr()?);
    Ok(())
}

async fn a_pair_of_ends_is_used_once(world: World) -> TestResult {
    let (listener, address) = world.net.kernel_listener().await?;
    let local = SocketAddr::new(world.own, 4714);
    let connect = async || {
        let socket = socket(world.net.version())?;
        socket.set_reuseaddr(true)?;
        socket.bind(local)?;
        socket.connect(address).await
    };
    let _first = connect().await?;
    let _peer = listener.accept().await?;
    assert_eq!(code(connect().await), libc::EADDRNOTAVAIL);
    Ok(())
}

async fn an_attempt_can_be_given_up(world: World) -> TestResult {
    let nobody = SocketAddr::new(world.net.version().host(97), 9);
    let local = SocketAddr::new(world.own, 4715);
    for _ in 0..2 {
        // The port is free again at once.
        let bind = async || {
            let socket = socket(world.net.version())?;
            socket.bind(local).map(|()| socket)
        };
        let socket = where_one_was(&world, bind).await?;
        give_up(socket.connect(nobody));
    }
    Ok(())
}

async fn ones_own_address(world: World) -> TestResult {
    let (listener, address) = world.listener().await?;
    let mut stream = TcpStream::connect(address).await?;
    let (mut accepted, from) = listener.accept().await?;
    assert_eq!(from, stream.local_addr()?);
    assert_eq!(from.ip(), world.own);
    stream.write_all(b"to myself").await?;
    stream.shutdown().await?;
    let mut text = String::new();
    accepted.read_to_string(&mut text).await?;
    assert_eq!(text, "to myself");
    Ok(())
}

async fn a_hundred_at_once(world: World) -> TestResult {
    let address = world.net.kernel_echo().await?;
    let mut ends = std::collections::BTreeSet::new();
    let mut streams = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(address).await?;
        assert!(ends.insert(stream.local_addr()?), "a port was given twice");
        streams.push(stream);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let byte = number as u8;
        stream.write_all(&[byte]).await?;
        assert_eq!(stream.read_u8().await?, byte);
    }
    Ok(())
}
