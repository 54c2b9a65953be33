//! Socket options.

use std::time::Duration;

use tidewire_integration_tests::{TestResult, Version};

use super::super::net::TcpSocket;
use super::{Ends as _, code};
use crate::World;

super::cases!(
    nodelay_is_off_until_set,
    ttl_is_64_until_set,
    ttl_has_a_range,
    linger_is_off_until_set,
    keepalive_is_off_until_set,
    addresses_are_not_reused_until_set,
    ports_are_not_shared_until_set,
    buffers_are_at_least_what_was_asked_for,
    the_type_of_service,
    options_of_a_socket_reach_the_stream,
    a_socket_without_error,
    quickack_can_be_set,
);

fn socket(world: &World) -> std::io::Result<TcpSocket> {
    match world.net.version() {
        Version::V4 => TcpSocket::new_v4(),
        Version::V6 => TcpSocket::new_v6(),
    }
}

async fn nodelay_is_off_until_set(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    assert!(!stream.nodelay()?);
    for on in [true, false] {
        stream.set_nodelay(on)?;
        assert_eq!(stream.nodelay()?, on);
    }
    Ok(())
}

async fn ttl_is_64_until_set(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    assert_eq!(stream.ttl()?, 64);
    stream.set_ttl(33)?;
    assert_eq!(stream.ttl()?, 33);
    Ok(())
}

async fn ttl_has_a_range(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    for bad in [0, 256, 1 << 20] {
        assert_eq!(code(stream.set_ttl(bad)), libc::EINVAL);
    }
    assert_eq!(stream.ttl()?, 64);
    Ok(())
}

async fn linger_is_off_until_set(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    assert_eq!(stream.linger()?, None);
    stream.set_zero_linger()?;
    assert_eq!(stream.linger()?, Some(Duration::ZERO));
    let socket = socket(&world)?;
    assert_eq!(socket.linger()?, None);
    socket.set_zero_linger()?;
    assert_eq!(socket.linger()?, Some(Duration::ZERO));
    Ok(())
}

async fn keepalive_is_off_until_set(world: World) -> TestResult {
    let socket = socket(&world)?;
    assert!(!socket.keepalive()?);
    for on in [true, false] {
        socket.set_keepalive(on)?;
        assert_eq!(socket.keepalive()?, on);
    }
    Ok(())
}

async fn addresses_are_not_reused_until_set(world: World) -> TestResult {
    let socket = socket(&world)?;
    assert!(!socket.reuseaddr()?);
    socket.set_reuseaddr(true)?;
    assert!(socket.reuseaddr()?);
    Ok(())
}

async fn ports_are_not_shared_until_set(world: World) -> TestResult {
    let listen = |share| {
        let socket = socket(&world)?;
        socket.set_reuseport(share)?;
        assert_eq!(socket.reuseport()?, share);
        socket.bind((world.own, 4720).into())?;
        socket.listen(8)
    };
    let _first = listen(true)?;
    let _second = listen(true)?;
    assert_eq!(code(listen(false)), libc::EADDRINUSE);
    Ok(())
}

async fn buffers_are_at_least_what_was_asked_for(world: World) -> TestResult {
    let socket = socket(&world)?;
    socket.set_send_buffer_size(50_000)?;
    socket.set_recv_buffer_size(60_000)?;
    // The kernel doubles what it is asked for, to have room for its own overhead.
    assert!((50_000..=100_000).contains(&socket.send_buffer_size()?));
    assert!((60_000..=120_000).contains(&socket.recv_buffer_size()?));
    Ok(())
}

async fn the_type_of_service(world: World) -> TestResult {
    let socket = socket(&world)?;
    match world.net.version() {
        Version::V4 => {
            assert_eq!(socket.tos_v4()?, 0);
            socket.set_tos_v4(0xb8)?;
            assert_eq!(socket.tos_v4()?, 0xb8);
        }
        Version::V6 => {
            assert_eq!(socket.tclass_v6()?, 0);
            socket.set_tclass_v6(0xb8)?;
            assert_eq!(socket.tclass_v6()?, 0xb8);
        }
    }
    Ok(())
}

async fn options_of_a_socket_reach_the_stream(world: World) -> TestResult {
    let (listener, address) = world.net.kernel_listener().await?;
    let socket = socket(&world)?;
    socket.set_nodelay(true)?;
    socket.set_zero_linger()?;
    assert!(socket.nodelay()?);
    let stream = socket.connect(address).await?;
    assert!(stream.nodelay()?);
    assert_eq!(stream.linger()?, Some(Duration::ZERO));
    listener.accept().await?;
    Ok(())
}

async fn a_socket_without_error(world: World) -> TestResult {
    let socket = socket(&world)?;
    assert!(socket.take_error()?.is_none());
    let local = socket.local_addr()?;
    assert!(local.ip().is_unspecified() && local.port() == 0);
    Ok(())
}

async fn quickack_can_be_set(world: World) -> TestResult {
    let (stream, _peer) = world.outgoing().await?;
    stream.set_quickack(true)?;
    assert!(stream.quickack()?);
    Ok(())
}
