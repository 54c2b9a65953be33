//! What a listener does, between two stacks joined by memory.

mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{SERVER, connect_to, is_pending, listen, pair};
use tidewire::net::{TcpListener, TcpSocket, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_both_runtimes!(
    port_zero_is_chosen,
    a_port_is_taken_once,
    a_foreign_address_is_refused,
    dropping_accept_loses_no_connection,
    a_woken_and_dropped_accept_leaves_the_connection_to_another,
    many_tasks_accept,
    accepts_by_polling,
    accepts_what_the_peer_already_closed,
    dropping_the_listener_resets_what_waits,
    connects_to_the_address_that_answers,
    a_socket_is_bound_before_it_connects,
    a_socket_listens,
    a_socket_refuses_what_makes_no_sense,
);

async fn port_zero_is_chosen() {
    let (server, _client) = pair().await;
    let listener = listen(&server).await;
    assert_ne!(listener.local_addr().unwrap().port(), 0);
    assert_eq!(listener.local_addr().unwrap().ip().to_string(), SERVER);
}

async fn a_port_is_taken_once() {
    let (server, _client) = pair().await;
    let listener = listen(&server).await;
    let addr = listener.local_addr().unwrap();
    let error = server.bind(addr).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    drop(listener);
    server.bind(addr).await.unwrap();
}

async fn a_foreign_address_is_refused() {
    let (server, _client) = pair().await;
    let error = server.bind("10.0.0.77:80").await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
    let nothing: &[SocketAddr] = &[];
    let error = server.bind(nothing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = server.connect(nothing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn dropping_accept_loses_no_connection() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    for _ in 0..10 {
        {
            let mut accept = pin!(listener.accept());
            assert!(is_pending(accept.as_mut()));
        }
        let (accepted, stream) = connect_to(&listener, &client).await;
        assert_eq!(accepted.peer_addr().unwrap(), stream.local_addr().unwrap());
    }
}

async fn a_woken_and_dropped_accept_leaves_the_connection_to_another() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let other = async {
        let (accepted, peer) = listener.accept().await.unwrap();
        drop(accepted);
        peer
    };
    let mut first = Box::pin(listener.accept());
    assert!(is_pending(first.as_mut()));
    let connect = async {
        let stream = client
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        // The first waiter has been woken by now, and never polls again.
        drop(first);
        stream.local_addr().unwrap()
    };
    let (peer, local) = tokio::join!(other, connect);
    assert_eq!(peer, local);
}

async fn many_tasks_accept() {
    let (server, client) = pair().await;
    let listener = Arc::new(listen(&server).await);
    let acceptors: Vec<_> = (0..16)
        .map(|_| {
            let listener = Arc::clone(&listener);
            tokio::spawn(async move { listener.accept().await.unwrap().1 })
        })
        .collect();
    tokio::task::yield_now().await;
    let mut streams = Vec::new();
    for _ in 0..acceptors.len() {
        streams.push(
            client
                .connect(listener.local_addr().unwrap())
                .await
                .unwrap(),
        );
    }
    let mut expected: Vec<_> = streams.iter().map(|s| s.local_addr().unwrap()).collect();
    let mut accepted = Vec::new();
    for acceptor in acceptors {
        accepted.push(acceptor.await.unwrap());
    }
    expected.sort();
    accepted.sort();
    assert_eq!(accepted, expected);
}

async fn accepts_by_polling() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let accept = std::future::poll_fn(|cx| listener.poll_accept(cx));
    let (accepted, stream) = tokio::join!(accept, client.connect(listener.local_addr().unwrap()));
    assert_eq!(accepted.unwrap().1, stream.unwrap().local_addr().unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(listener.poll_accept(&mut cx), Poll::Pending));
}

async fn accepts_what_the_peer_already_closed() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let mut stream = client
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    stream.write_all(b"bye").await.unwrap();
    drop(stream);
    let (mut accepted, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "bye");
}

async fn dropping_the_listener_resets_what_waits() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let mut stream = client
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    // Its SYN-ACK was answered, and the answer is with the server once it says so.
    while server.stats().passive_opens == 0 {
        tokio::task::yield_now().await;
    }
    drop(listener);
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

async fn connects_to_the_address_that_answers() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let good = listener.local_addr().unwrap();
    let refused = SocketAddr::new(good.ip(), 1);
    let stream = client.connect(&[refused, good][..]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), good);
    let error = client.connect(&[refused, refused][..]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

async fn a_socket_is_bound_before_it_connects() {
    let (server, client) = pair().await;
    let listener = listen(&server).await;
    let socket = TcpSocket::new_v4_on(&client).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket
        .set_linger(Some(std::time::Duration::from_secs(3)))
        .unwrap();
    let local: SocketAddr = "10.0.0.2:4000".parse().unwrap();
    socket.bind(local).unwrap();
    assert_eq!(socket.local_addr().unwrap(), local);
    let stream = socket
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    assert_eq!((peer, stream.local_addr().unwrap()), (local, local));
    assert!(stream.nodelay().unwrap());
    assert_eq!(
        stream.linger().unwrap(),
        Some(std::time::Duration::from_secs(3))
    );
    assert!(accepted.info().snd_wnd <= 64 << 10);
    let again = TcpSocket::new_v4_on(&client).unwrap();
    again.bind(local).unwrap();
    let error = again
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
}

async fn a_socket_listens() {
    let (server, client) = pair().await;
    let socket = TcpSocket::new_v4_on(&server).unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_send_buffer_size(100_000).unwrap();
    socket.bind("0.0.0.0:8080".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(16).unwrap();
    let (accepted, stream): (_, Result<TcpStream, _>) =
        tokio::join!(listener.accept(), client.connect("10.0.0.1:8080"));
    assert_eq!(accepted.unwrap().1, stream.unwrap().local_addr().unwrap());
}

async fn a_socket_refuses_what_makes_no_sense() {
    let (server, _client) = pair().await;
    let socket = TcpSocket::new_v4_on(&server).unwrap();
    let code = |result: Result<(), std::io::Error>| result.unwrap_err().raw_os_error().unwrap();
    assert_eq!(
        code(socket.bind("[::1]:80".parse().unwrap())),
        libc::EAFNOSUPPORT
    );
    assert_eq!(
        code(socket.bind("10.0.0.77:80".parse().unwrap())),
        libc::EADDRNOTAVAIL
    );
    assert_eq!(code(socket.set_send_buffer_size(0)), libc::EINVAL);
    assert_eq!(code(socket.set_recv_buffer_size(u32::MAX)), libc::EINVAL);
    socket.bind("10.0.0.1:80".parse().unwrap()).unwrap();
    assert_eq!(
        code(socket.bind("10.0.0.1:81".parse().unwrap())),
        libc::EINVAL
    );
    assert!(socket.take_error().unwrap().is_none());
    let error = socket
        .connect("[2001:db8::1]:80".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT));
}
