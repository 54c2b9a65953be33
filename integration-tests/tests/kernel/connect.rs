//! Connection establishment, and its failures.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tidewire::{Stack, TcpConfig};
use tidewire_cli::lab::INTERFACE;
use tidewire_integration_tests::{Net, Opener, TestResult};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Barrier;

crate::trials!(
    connects_and_accepts,
    accepts_at_any_address,
    connects_ten_thousand_times_in_a_row,
    is_connected_to_ten_thousand_times_in_a_row,
    a_thousand_clients_at_once,
    a_thousand_connections_to_a_server,
    a_refusal_is_the_kernels,
    refuses,
    nobody_at_the_address,
    no_answer_from_behind_the_gateway,
    a_host_behind_the_gateway,
);

async fn connects_and_accepts(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (mut ours, mut theirs) = net.connection(&stack, opener).await?;
        assert_eq!(ours.local_addr()?, theirs.peer_addr()?);
        assert_eq!(ours.peer_addr()?, theirs.local_addr()?);
        assert_eq!(
            (ours.local_addr()?.ip(), theirs.local_addr()?.ip()),
            (net.tidewire(), net.kernel())
        );
        let mut word = [0; 4];
        ours.write_all(b"ping").await?;
        theirs.read_exact(&mut word).await?;
        assert_eq!(&word, b"ping");
        theirs.write_all(b"pong").await?;
        ours.read_exact(&mut word).await?;
        assert_eq!(&word, b"pong");
    }
    Ok(())
}

async fn accepts_at_any_address(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let any: IpAddr = match net.tidewire() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = stack.bind((any, 0)).await?;
    let address = SocketAddr::new(net.tidewire(), listener.local_addr()?.port());
    let theirs = net.kernel_connect(address).await?;
    let (ours, peer) = listener.accept().await?;
    assert_eq!(peer, theirs.local_addr()?);
    assert_eq!(ours.local_addr()?, address);
    Ok(())
}

async fn connects_ten_thousand_times_in_a_row(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (listener, address) = net.kernel_listener().await?;
    for round in 0..10_000_u32 {
        let mut ours = stack.connect(address).await?;
        let (mut theirs, _) = listener.accept().await?;
        // The ends take turns in closing first.
        if round % 2 == 0 {
            ours.shutdown().await?;
            assert_eq!(theirs.read(&mut [0]).await?, 0);
        } else {
            theirs.shutdown().await?;
            assert_eq!(ours.read(&mut [0]).await?, 0);
        }
    }
    Ok(())
}

async fn is_connected_to_ten_thousand_times_in_a_row(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let listener = stack.bind((net.tidewire(), 0)).await?;
    let address = listener.local_addr()?;
    for round in 0..10_000_u32 {
        let mut theirs = net.kernel_connect(address).await?;
        let (mut ours, _) = listener.accept().await?;
        if round % 2 == 0 {
            ours.shutdown().await?;
            assert_eq!(theirs.read(&mut [0]).await?, 0);
        } else {
            theirs.shutdown().await?;
            assert_eq!(ours.read(&mut [0]).await?, 0);
        }
    }
    Ok(())
}

const CLIENTS: usize = 1000;

async fn a_thousand_clients_at_once(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let listener = stack.bind((net.tidewire(), 0)).await?;
    let address = listener.local_addr()?;
    let all = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let connect = tokio::net::TcpStream::connect(address);
            net.spawn_right(converse(connect, number, Arc::clone(&all)))
        })
        .collect();
    for _ in 0..CLIENTS {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await
        });
    }
    for client in clients {
        client.await??;
    }
    Ok(())
}

async fn a_thousand_connections_to_a_server(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let address = net.kernel_echo().await?;
    let all = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (stack, all) = (stack.clone(), Arc::clone(&all));
            tokio::spawn(async move { converse(stack.connect(address), number, all).await })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    Ok(())
}

/// Once all are connected, sends messages unique to each connection, and expects each of them back.
async fn converse<T>(
    connect: impl Future<Output = io::Result<T>>,
    number: usize,
    all: Arc<Barrier>,
) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = connect.await?;
    all.wait().await;
    for round in 0..5 {
        let message = [number.to_be_bytes(), usize::to_be_bytes(round)]
            .concat()
            .repeat(100);
        stream.write_all(&message).await?;
        let mut echo = vec![0; message.len()];
        stream.read_exact(&mut echo).await?;
        assert!(echo == message, "connection {number}, round {round}");
    }
    Ok(())
}

/// Kind, code and text of a refused connection are those that the kernel's own socket gives.
async fn a_refusal_is_the_kernels(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (listener, address) = net.kernel_listener().await?;
    drop(listener);
    let ours = stack.connect(address).await.unwrap_err();
    let theirs = net.kernel_connect(address).await.unwrap_err();
    assert_eq!(ours.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(ours.raw_os_error(), theirs.raw_os_error());
    assert_eq!(ours.to_string(), theirs.to_string());
    Ok(())
}

async fn refuses(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let listener = stack.bind((net.tidewire(), 0)).await?;
    let address = listener.local_addr()?;
    drop(net.kernel_connect(address).await?);
    drop(listener);
    let error = net.kernel_connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    Ok(())
}

/// No host answers for the address: after three requests, a second apart, both stacks give the same
/// error.
async fn nobody_at_the_address(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let nobody = SocketAddr::new(net.version().host(99), 80);
    let (ours, theirs) = tokio::join!(stack.connect(nobody), net.kernel_connect(nobody));
    let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
    assert_eq!(ours.kind(), ErrorKind::HostUnreachable);
    assert_eq!(ours.raw_os_error(), theirs.raw_os_error());
    Ok(())
}

/// The gateway drops the SYNs silently: a black hole.
async fn no_answer_from_behind_the_gateway(net: Net) -> TestResult {
    let far = net.version().far();
    net.right()
        .ip(&["route", "add", "blackhole", &far.to_string()])?;
    let tcp = TcpConfig {
        syn_retries: 2,
        initial_rto: Duration::from_millis(200).into(),
        ..TcpConfig::default()
    };
    let stack = net
        .builder()
        .gateway(net.kernel().to_string())
        .tcp(tcp)
        .start()
        .await?;
    let error = stack.connect((far, 80)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    Ok(())
}

async fn a_host_behind_the_gateway(net: Net) -> TestResult {
    let far = net.version().far();
    net.add_address(&far.to_string(), "lo")?;
    let (listener, address) = net.kernel_listener_at(far).await?;

    let stack = net
        .builder()
        .gateway(net.kernel().to_string())
        .start()
        .await?;
    let mut ours = stack.connect(address).await?;
    let (mut theirs, peer) = listener.accept().await?;
    assert_eq!(peer.ip(), net.tidewire());
    ours.write_all(b"far").await?;
    ours.shutdown().await?;
    let mut word = String::new();
    theirs.read_to_string(&mut word).await?;
    assert_eq!(word, "far");

    let other = net.version().with_prefix(net.version().host(3));
    let without = Stack::on(INTERFACE).address(other).start().await?;
    let error = without.connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    Ok(())
}
