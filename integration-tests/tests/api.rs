//! Public API: every public name as a program uses it, against the kernel's TCP.
//!
//! Other tests cover what each of them does. This one checks that the names exist where tokio has
//! them, and fit together.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tidewire::net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
use tidewire::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use tidewire::{Stack, StackError};
use tidewire_integration_tests::{Net, TestResult, Version, main as run, on_both_runtimes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The stack's address.
const TIDEWIRE: IpAddr = Version::V4.tidewire();

fn main() -> ExitCode {
    run([
        on_both_runtimes("a_stack_is_started_and_shut_down", start_and_shut_down),
        on_both_runtimes("a_handle_connects_and_binds", handle),
        on_both_runtimes("a_scope_names_the_stack", scope),
        on_both_runtimes("a_socket_is_configured_first", socket),
        on_both_runtimes("borrowed_halves", borrowed_halves),
        on_both_runtimes("owned_halves", owned_halves),
        on_both_runtimes("addresses_of_all_kinds", addresses),
        on_both_runtimes("errors_become_io_errors", errors),
    ]
    .into_iter()
    .flatten()
    // The default belongs to the whole process, so that only one trial may set it.
    .chain(
        on_both_runtimes("the_default_stack", default_stack)
            .into_iter()
            .take(1),
    ))
}

async fn echoes(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"hello").await?;
    stream.shutdown().await?;
    let mut echo = String::new();
    stream.read_to_string(&mut echo).await?;
    assert_eq!(echo, "hello");
    Ok(())
}

/// The line of the quick start.
async fn start_and_shut_down(net: Net) -> TestResult {
    let server = net.kernel_echo().await?;
    let stack = Stack::on("tw0")
        .address("10.77.0.2/24")
        .gateway("10.77.0.1")
        .start()
        .await?;
    let same = stack.clone();
    echoes(same.connect(server).await?).await?;
    stack.shutdown(Duration::from_secs(5)).await?;
    assert!(same.connect(server).await.is_err());
    Ok(())
}

async fn handle(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let server = net.kernel_echo().await?;
    echoes(stack.connect(server).await?).await?;
    echoes(TcpStream::connect_on(&stack, server).await?).await?;

    for listener in [
        stack.bind((TIDEWIRE, 0)).await?,
        TcpListener::bind_on(&stack, "0.0.0.0:0").await?,
    ] {
        let port = listener.local_addr()?.port();
        let mut theirs = net.kernel_connect((TIDEWIRE, port).into()).await?;
        let (stream, peer) = listener.accept().await?;
        assert_eq!(peer, theirs.local_addr()?);
        let echo = net.spawn_right(async move {
            let (mut reader, mut writer) = theirs.split();
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.shutdown().await
        });
        echoes(stream).await?;
        echo.await??;
    }
    Ok(())
}

/// Code that names no stack, as it was written for `tokio::net`.
async fn ported(net: &Net, server: SocketAddr) -> TestResult {
    echoes(TcpStream::connect(server).await?).await?;
    let listener = TcpListener::bind("10.77.0.2:0").await?;
    let mut theirs = net.kernel_connect(listener.local_addr()?).await?;
    let (mut ours, _) = listener.accept().await?;
    theirs.write_all(b"ported").await?;
    theirs.shutdown().await?;
    let mut word = String::new();
    ours.read_to_string(&mut word).await?;
    assert_eq!(word, "ported");
    echoes(TcpSocket::new_v4()?.connect(server).await?).await?;
    Ok(())
}

async fn scope(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let server = net.kernel_echo().await?;
    stack.scope(ported(&net, server)).await
}

async fn default_stack(net: Net) -> TestResult {
    let server = net.kernel_echo().await?;
    let error = TcpStream::connect(server).await.unwrap_err();
    assert!(
        matches!(source(&error), Some(StackError::NoStack)),
        "{error}"
    );

    net.stack().await?.set_default();
    ported(&net, server).await?;
    // Spawned tasks have it, too.
    tokio::spawn(async move { echoes(TcpStream::connect(server).await?).await }).await??;
    Ok(())
}

async fn socket(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let server = net.kernel_echo().await?;
    stack
        .scope(async {
            let socket = TcpSocket::new_v4()?;
            socket.set_nodelay(true)?;
            socket.set_reuseaddr(true)?;
            socket.set_recv_buffer_size(100_000)?;
            socket.bind((TIDEWIRE, 4000).into())?;
            let stream = socket.connect(server).await?;
            assert_eq!(stream.local_addr()?, (TIDEWIRE, 4000).into());
            assert!(stream.nodelay()?);
            echoes(stream).await?;

            let socket = TcpSocket::new_v4()?;
            socket.bind((TIDEWIRE, 4001).into())?;
            let listener = socket.listen(16)?;
            let theirs = net.kernel_connect((TIDEWIRE, 4001).into()).await?;
            assert_eq!(listener.accept().await?.1, theirs.local_addr()?);
            Ok(())
        })
        .await
}

async fn borrowed_halves(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let server = net.kernel_echo().await?;
    let mut stream = stack.connect(server).await?;
    let (mut reader, mut writer): (ReadHalf<'_>, WriteHalf<'_>) = stream.split();
    writer.write_all(b"half").await?;
    writer.shutdown().await?;
    let mut echo = String::new();
    reader.read_to_string(&mut echo).await?;
    assert_eq!(echo, "half");
    Ok(())
}

async fn owned_halves(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let server = net.kernel_echo().await?;
    let (reader, writer): (OwnedReadHalf, OwnedWriteHalf) =
        stack.connect(server).await?.into_split();
    let (_, foreign) = stack.connect(server).await?.into_split();
    let ReuniteError(reader, _foreign) = reader.reunite(foreign).unwrap_err();
    echoes(reader.reunite(writer)?).await?;

    let (mut reader, mut writer) = stack.connect(server).await?.into_split();
    let reading = tokio::spawn(async move {
        let mut echo = String::new();
        reader.read_to_string(&mut echo).await?;
        io::Result::Ok(echo)
    });
    writer.write_all(b"half").await?;
    drop(writer);
    assert_eq!(reading.await??, "half");
    Ok(())
}

/// Every address form of tokio: texts, pairs, slices. The first address that answers is used.
async fn addresses(net: Net) -> TestResult {
    async fn connect_to(stack: &Stack, address: impl ToSocketAddrs) -> io::Result<()> {
        echoes(stack.connect(address).await?).await
    }
    let stack = net.stack().await?;
    let server = net.kernel_echo().await?;
    connect_to(&stack, server).await?;
    connect_to(&stack, server.to_string()).await?;
    connect_to(&stack, ("10.77.0.1", server.port())).await?;
    let (closed, closed_address) = net.kernel_listener().await?;
    drop(closed);
    connect_to(&stack, &[closed_address, server][..]).await?;

    let found: Vec<SocketAddr> = lookup_host(server.to_string()).await?.collect();
    assert_eq!(found, [server]);
    Ok(())
}

async fn errors(_: Net) -> TestResult {
    async fn main_of_a_program() -> io::Result<()> {
        Stack::on("tw0")
            .address("10.77.0.300/24")
            .start()
            .await?
            .set_default();
        Ok(())
    }
    let error = main_of_a_program().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`10.77.0.300/24`"), "{error}");
    assert!(matches!(source(&error), Some(StackError::BadAddress(_))));
    Ok(())
}

/// The stack's own error inside.
fn source(error: &io::Error) -> Option<&StackError> {
    error.get_ref()?.downcast_ref()
}
