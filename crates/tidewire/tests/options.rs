//! Socket options: what is set is what is there, on the stream that a socket or a listener makes,
//! and out of range is the kernel's `EINVAL`.

mod common;

use std::io;
use std::time::Duration;

use common::{SERVER, connected, pair};
use tidewire::KeepAlive;
use tidewire::net::TcpSocket;
use tokio::io::Interest;

const KEEPALIVE: KeepAlive = KeepAlive {
    idle: tidewire::time::Duration::from_secs(10),
    interval: tidewire::time::Duration::from_secs(3),
    count: 4,
};

fn code<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.expect_err("out of range").raw_os_error()
}

async fn options_of_a_stream() {
    let (server, client) = pair().await;
    let (stream, _peer) = connected(&server, &client).await;
    assert_eq!(stream.ttl().unwrap(), 64);
    stream.set_ttl(5).unwrap();
    assert_eq!(stream.ttl().unwrap(), 5);
    for bad in [0, 256] {
        assert_eq!(code(stream.set_ttl(bad)), Some(libc::EINVAL));
    }
    stream.set_quickack(true).unwrap();
    assert!(stream.quickack().unwrap());
    assert_eq!(stream.keepalive().unwrap(), None);
    stream.set_keepalive(Some(KEEPALIVE)).unwrap();
    assert_eq!(stream.keepalive().unwrap(), Some(KEEPALIVE));
    let none = KeepAlive {
        count: 0,
        ..KEEPALIVE
    };
    assert_eq!(code(stream.set_keepalive(Some(none))), Some(libc::EINVAL));
    let timeout = Some(Duration::from_secs(7));
    stream.set_user_timeout(timeout).unwrap();
    assert_eq!(stream.user_timeout().unwrap(), timeout);
    assert_eq!(stream.congestion().unwrap(), "cubic");
}

async fn options_of_a_socket_become_the_streams() {
    let (server, client) = pair().await;
    let listener = server.bind((SERVER, 0)).await.unwrap();
    let socket = TcpSocket::new_v4_on(&client).unwrap();
    assert!(!socket.keepalive().unwrap());
    socket.set_keepalive(true).unwrap();
    assert!(socket.keepalive().unwrap());
    socket.set_keepalive_params(KEEPALIVE).unwrap();
    socket.set_tos_v4(0xbb).unwrap();
    // The two ECN bits are the stack's.
    assert_eq!(socket.tos_v4().unwrap(), 0xb8);
    assert_eq!(code(socket.set_tos_v4(256)), Some(libc::EINVAL));
    let device = socket.device().unwrap().expect("the stack's interface");
    socket.bind_device(Some(&device)).unwrap();
    assert_eq!(code(socket.bind_device(Some(b"eth9"))), Some(libc::ENODEV));
    let stream = socket
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    assert_eq!(stream.keepalive().unwrap(), Some(KEEPALIVE));
}

async fn a_listeners_ttl_is_inherited() {
    let (server, client) = pair().await;
    let listener = server.bind((SERVER, 0)).await.unwrap();
    assert_eq!(listener.ttl().unwrap(), 64);
    listener.set_ttl(9).unwrap();
    assert_eq!(listener.ttl().unwrap(), 9);
    let _stream = client
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    assert_eq!(accepted.ttl().unwrap(), 9);
}

async fn a_port_can_be_shared() {
    let (server, _client) = pair().await;
    let bind = |reuseport| {
        let socket = TcpSocket::new_v4_on(&server).unwrap();
        socket.set_reuseport(reuseport).unwrap();
        socket.bind((SERVER.parse::<std::net::Ipv4Addr>().unwrap(), 80).into())?;
        socket.listen(8)
    };
    let _first = bind(true).unwrap();
    let _second = bind(true).unwrap();
    assert_eq!(code(bind(false)), Some(libc::EADDRINUSE));
}

async fn io_is_tried_only_when_ready() {
    let (server, client) = pair().await;
    let (stream, peer) = connected(&server, &client).await;
    let mut buf = [0; 8];
    let never = stream.try_io(Interest::READABLE, || -> io::Result<()> {
        panic!("nothing to read")
    });
    assert_eq!(never.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(stream.try_io(Interest::WRITABLE, || Ok(7)).unwrap(), 7);
    let read = stream.async_io(Interest::READABLE, || stream.try_read(&mut buf));
    let (read, ()) = tokio::join!(read, async {
        assert_eq!(peer.try_write(b"hello").unwrap(), 5);
    });
    assert_eq!(read.unwrap(), 5);
}

on_both_runtimes! {
    options_of_a_stream,
    options_of_a_socket_become_the_streams,
    a_listeners_ttl_is_inherited,
    a_port_can_be_shared,
    io_is_tried_only_when_ready,
}
