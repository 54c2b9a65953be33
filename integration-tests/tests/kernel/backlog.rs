//! Full backlog: more clients than a listener has room for.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tidewire::DropReason;
use tidewire::net::TcpSocket;
use tidewire_integration_tests::{Net, TestResult, until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

crate::trials!(
    serves_the_clients_beyond_its_backlog_later,
    is_served_later_beyond_the_kernels_backlog,
);

const BACKLOG: u8 = 4;
const CLIENTS: u8 = 12;

/// Clients without room retransmit their SYN, and get in once the server accepts.
async fn serves_the_clients_beyond_its_backlog_later(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let address = SocketAddr::new(net.tidewire(), 7);
    let listening = async {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(address)?;
        socket.listen(BACKLOG.into())
    };
    let listener = stack.scope(listening).await?;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| net.spawn_right(ask(tokio::net::TcpStream::connect(address), number)))
        .collect();
    until("SYNs were dropped for want of room", || {
        stack.stats().dropped(DropReason::BacklogFull) >= (CLIENTS - BACKLOG).into()
    })
    .await?;
    for _ in 0..CLIENTS {
        tokio::spawn(echo(listener.accept().await?.0));
    }
    for client in clients {
        client.await??;
    }
    Ok(())
}

/// The kernel drops SYNs and the third segments of handshakes: some clients are in ESTABLISHED
/// without a server socket.
async fn is_served_later_beyond_the_kernels_backlog(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let address = SocketAddr::new(net.kernel(), 7);
    let listener = net.on_right(async move { listen(address) }).await?;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let stack = stack.clone();
            tokio::spawn(async move { ask(stack.connect(address), number).await })
        })
        .collect();
    until("SYNs were sent again", || stack.stats().retransmitted >= 1).await?;
    net.spawn_right(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    for client in clients {
        client.await??;
    }
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    tokio::net::TcpListener::from_std(socket.into())
}

async fn echo<T: AsyncRead + AsyncWrite>(stream: T) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

/// Connects, sends a message of its own, and expects it back.
///
/// The message is one segment: a listener of the kernel that is out of room answers with SYN
/// cookies, keeps nothing of a handshake that it drops, and would reset whatever comes after the
/// first segment.
async fn ask<T>(connect: impl Future<Output = io::Result<T>>, number: u8) -> io::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = connect.await?;
    let message = [number; 1000];
    stream.write_all(&message).await?;
    let mut answer = [0; 1000];
    stream.read_exact(&mut answer).await?;
    assert!(answer == message, "client {number}");
    Ok(())
}
