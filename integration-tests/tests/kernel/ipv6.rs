//! Tidewire against the kernel over IPv6: solicitations both ways, connections opened by either end, and duplicate
//! address detection.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use libtest_mimic::Trial;
use tidewire::Stack;
use tidewire::net::TcpSocket;
use tidewire_cli::lab::{INTERFACE, LabOptions};
use tidewire_integration_tests::{Flavor, Net, TestResult, on_link};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const KERNEL: &str = "fd77::1";
const TIDEWIRE: &str = "fd77::2";

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for flavor in [Flavor::CurrentThread, Flavor::MultiThread] {
        let mut link = LabOptions::default().link;
        link.right.addresses.push(format!("{KERNEL}/64"));
        trials.push(on_link(
            flavor,
            "ipv6::connects_and_accepts",
            link.clone(),
            connects_and_accepts,
        ));
        trials.push(on_link(
            flavor,
            "ipv6::an_address_of_the_kernel_is_refused",
            link,
            a_taken_address,
        ));
    }
    trials
}

async fn echo(mut from: impl AsyncWrite + Unpin, mut to: impl AsyncRead + Unpin) -> TestResult {
    let sent: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    let mut received = vec![0; sent.len()];
    let (written, read) = tokio::join!(from.write_all(&sent), to.read_exact(&mut received));
    written?;
    read?;
    assert!(sent == received, "every byte is right");
    Ok(())
}

async fn connects_and_accepts(net: Net) -> TestResult {
    let builder = Stack::on(INTERFACE).address(format!("{TIDEWIRE}/64"));
    let stack = builder.start().await?;
    let kernel: IpAddr = KERNEL.parse()?;
    let own: IpAddr = TIDEWIRE.parse()?;

    let listener = net
        .on_right(async move { tidewire_cli::kernel::listen(SocketAddr::new(kernel, 0)) })
        .await?;
    let to = listener.local_addr()?;
    let connect = async { TcpSocket::new_v6()?.connect(to).await };
    let ours = stack.scope(connect).await?;
    let (theirs, from) = listener.accept().await?;
    assert_eq!((ours.local_addr()?, ours.peer_addr()?.ip()), (from, kernel));
    let (ours_read, ours_write) = ours.into_split();
    let (theirs_read, theirs_write) = theirs.into_split();
    echo(ours_write, theirs_read).await?;
    echo(theirs_write, ours_read).await?;

    let listener = stack.bind("[::]:0").await?;
    let to = SocketAddr::new(own, listener.local_addr()?.port());
    let theirs = net.kernel_connect(to).await?;
    let (ours, from) = listener.accept().await?;
    assert_eq!((from, ours.local_addr()?), (theirs.local_addr()?, to));
    let (ours_read, ours_write) = ours.into_split();
    let (theirs_read, theirs_write) = theirs.into_split();
    echo(ours_write, theirs_read).await?;
    echo(theirs_write, ours_read).await
}

async fn a_taken_address(net: Net) -> TestResult {
    // The kernel answers for an address from a while after its link came up on: a connection shows that it does.
    let first = Stack::on(INTERFACE).address(format!("{TIDEWIRE}/64"));
    let stack = first.start().await?;
    let kernel: IpAddr = KERNEL.parse()?;
    let listener = net
        .on_right(async move { tidewire_cli::kernel::listen(SocketAddr::new(kernel, 0)) })
        .await?;
    stack.connect(listener.local_addr()?).await?;

    let second = Stack::on(INTERFACE).address(format!("{KERNEL}/64"));
    let error = io::Error::from(second.start().await.expect_err("it is the kernel's"));
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(KERNEL), "{error}");
    Ok(())
}
