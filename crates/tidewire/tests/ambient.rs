//! Which stack the static constructors find. One test, because the default is the process'.

mod common;

use common::pair;
use tidewire::net::{TcpListener, TcpSocket, TcpStream};
use tidewire::{Stack, StackError};

#[test]
fn the_explicit_stack_then_the_scope_then_the_default() {
    common::on_multi_thread(async {
        // Nothing at all: the error says what to do. The environment of this test names no stack.
        let error = TcpListener::bind("10.0.0.1:80").await.unwrap_err();
        assert!(error.to_string().contains("set_default()"), "{error}");
        assert!(TcpStream::connect("10.0.0.1:80").await.is_err());
        assert!(matches!(Stack::current(), Err(StackError::NoStack)));
        assert!(TcpSocket::new_v4().unwrap().listen(1).is_err());
        let early = TcpSocket::new_v4().unwrap();

        let (server, client) = pair().await;
        server.set_default();
        let listener = TcpListener::bind("10.0.0.1:80").await.unwrap();

        // The scope is stronger than the default, and a spawned task is outside of it.
        let stream = client.scope(async {
            let spawned = tokio::spawn(async { Stack::current().unwrap().addresses().to_vec() });
            assert_eq!(
                spawned.await.unwrap(),
                ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]
            );
            TcpStream::connect("10.0.0.1:80").await.unwrap()
        });
        let stream = stream.await;
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "10.0.0.2");
        listener.accept().await.unwrap();

        // The explicit one is stronger than both.
        let explicit = server.scope(async { TcpStream::connect_on(&client, "10.0.0.1:80").await });
        assert_eq!(
            explicit
                .await
                .unwrap()
                .local_addr()
                .unwrap()
                .ip()
                .to_string(),
            "10.0.0.2"
        );

        // A later default replaces the earlier one.
        client.set_default();
        let stream = TcpStream::connect("10.0.0.1:80").await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "10.0.0.2");
        let socket = TcpSocket::new_v4().unwrap();
        let bound = socket.bind("10.0.0.1:1000".parse().unwrap());
        assert!(bound.is_err(), "that is the other stack's address");

        // A socket stays with the stack of the place where it was made, or else with the first one
        // that it was used on.
        let server_address = "10.0.0.1:0".parse().unwrap();
        let socket = server.scope(async { TcpSocket::new_v4().unwrap() }).await;
        socket.bind(server_address).unwrap();
        let second = socket.listen(8).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        early.bind("10.0.0.2:1001".parse().unwrap()).unwrap();
        server.set_default();
        let connect = socket.connect(second.local_addr().unwrap());
        let stream = server.scope(connect).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip().to_string(), "10.0.0.2");
        let early = early.connect(second.local_addr().unwrap()).await.unwrap();
        assert_eq!(early.local_addr().unwrap().to_string(), "10.0.0.2:1001");
    });
}
