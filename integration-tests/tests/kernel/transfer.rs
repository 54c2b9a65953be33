//! Data transfer, hashed at both ends.

use std::io;

use libtest_mimic::Trial;
use tidewire_cli::report::Progress;
use tidewire_cli::traffic::{Transfer, receive, send};
use tidewire_integration_tests::{Net, Opener, Setting, TestResult, everywhere};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

const MIB: u64 = 1 << 20;

crate::trials!(
    sends_and_receives_at_once,
    single_bytes_with_nagle,
    single_bytes_without_nagle,
    single_bytes_from_the_kernel,
);

const GIB: u64 = 1 << 30;

/// One direction at a time.
pub(crate) fn trials_of_bulk() -> Vec<Trial> {
    let trials = [
        everywhere("transfer::sends_a_gibibyte", |net| sends(net, GIB)),
        everywhere("transfer::receives_a_gibibyte", |net| receives(net, GIB)),
    ];
    trials.into_iter().flatten().collect()
}

async fn sends(net: Net, total: u64) -> TestResult {
    let stack = net.stack().await?;
    let (ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    let receiving = net.spawn_right(receive_all(theirs));
    let sent = send(ours, total, 1).await?;
    agree(sent, receiving.await??, total);
    Ok(())
}

async fn receives(net: Net, total: u64) -> TestResult {
    let stack = net.stack().await?;
    let (ours, theirs) = net.connection(&stack, Opener::Kernel).await?;
    let sending = net.spawn_right(send(theirs, total, 2));
    let received = receive_all(ours).await?;
    agree(sending.await??, received, total);
    Ok(())
}

async fn sends_and_receives_at_once(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (ours, theirs) = net.connection(&stack, opener).await?;
        exchange(&net, ours, theirs, 64 * MIB).await?;
    }
    Ok(())
}

/// Both directions of one connection at once.
async fn exchange(
    net: &Net,
    ours: tidewire::net::TcpStream,
    theirs: tokio::net::TcpStream,
    total: u64,
) -> TestResult {
    let (our_reader, our_writer) = ours.into_split();
    let (their_reader, their_writer) = theirs.into_split();
    let there: JoinHandle<io::Result<_>> = net.spawn_right(async move {
        tokio::try_join!(send(their_writer, total, 3), receive_all(their_reader))
    });
    let (sending, receiving) = (
        tokio::spawn(send(our_writer, total, 4)),
        tokio::spawn(receive_all(our_reader)),
    );
    let (they_sent, they_received) = there.await??;
    agree(sending.await??, they_received, total);
    agree(they_sent, receiving.await??, total);
    Ok(())
}

async fn receive_all(reader: impl AsyncRead + Unpin) -> io::Result<Transfer> {
    receive(reader, &Progress::hidden()).await
}

fn agree(sent: Transfer, received: Transfer, total: u64) {
    assert_eq!((sent.bytes, received.bytes), (total, total));
    assert_eq!(sent.hash, received.hash);
}

async fn single_bytes_with_nagle(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    assert!(!ours.nodelay()?);
    single_bytes(ours, theirs).await
}

async fn single_bytes_without_nagle(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    ours.set_nodelay(true)?;
    single_bytes(ours, theirs).await
}

async fn single_bytes_from_the_kernel(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for nodelay in [false, true] {
        let (ours, theirs) = net.connection(&stack, Opener::Kernel).await?;
        theirs.set_nodelay(nodelay)?;
        single_bytes(theirs, ours).await?;
    }
    Ok(())
}

/// Writes byte by byte at one end; all of them arrive in order at the other.
async fn single_bytes<W, R>(mut writer: W, mut reader: R) -> TestResult
where
    W: AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
{
    let bytes: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
    let mut received = Vec::new();
    let writing = async {
        for &byte in &bytes {
            writer.write_u8(byte).await?;
        }
        writer.shutdown().await
    };
    tokio::try_join!(writing, reader.read_to_end(&mut received))?;
    assert!(received == bytes, "{} bytes arrived", received.len());
    Ok(())
}

/// Offloads of the stack, and of the interface at each end.
#[derive(Clone, Copy)]
struct Offloads {
    name: &'static str,
    stack: bool,
    left_interface: bool,
    right_interface: bool,
}

const OFFLOADS: [Offloads; 5] = [
    Offloads {
        name: "all_offloads",
        stack: true,
        left_interface: true,
        right_interface: true,
    },
    Offloads {
        name: "no_offloads_at_the_peer",
        stack: true,
        left_interface: true,
        right_interface: false,
    },
    Offloads {
        name: "no_offloads_by_the_stack",
        stack: false,
        left_interface: true,
        right_interface: true,
    },
    Offloads {
        name: "offloads_done_by_the_kernel_in_software",
        stack: true,
        left_interface: false,
        right_interface: true,
    },
    Offloads {
        name: "no_offloads",
        stack: false,
        left_interface: false,
        right_interface: false,
    },
];

/// Both directions at once over links with and without offloads, with two MTUs, whoever opened the
/// connection.
pub(crate) fn trials_of_links() -> Vec<Trial> {
    let mut trials = Vec::new();
    for setting in Setting::each() {
        for offloads in OFFLOADS {
            trials.extend([1500, 9000].map(|mtu| trial_of_link(setting.clone(), offloads, mtu)));
        }
    }
    trials
}

fn trial_of_link(mut setting: Setting, offloads: Offloads, mtu: u32) -> Trial {
    let headers = setting.version.headers();
    setting.link.mtu = mtu;
    setting.link.left.offloads = offloads.left_interface;
    setting.link.right.offloads = offloads.right_interface;
    let name = format!("transfer::{}_mtu_{mtu}", offloads.name);
    setting.trial(&name, async move |net: Net| {
        let stack = net.builder().offload(offloads.stack).start().await?;
        for opener in Opener::EACH {
            let (ours, theirs) = net.connection(&stack, opener).await?;
            assert_eq!(ours.info().snd_mss, mtu - headers);
            exchange(&net, ours, theirs, 16 * MIB).await?;
        }
        assert_eq!(stack.link_stats().tx_lost, 0);
        Ok(())
    })
}
