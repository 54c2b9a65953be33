//! Zero window: a slow reader closes the window and opens it again.

use std::sync::Arc;

use socket2::SockRef;
use tidewire::SendLimit;
use tidewire_integration_tests::{Net, Opener, TestResult, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

crate::trials!(
    a_slow_reader_stops_the_kernel,
    a_slow_kernel_stops_the_writer,
);

/// More than both ends' buffers hold together.
const BYTES: usize = 32 << 20;

fn pattern() -> Vec<u8> {
    (0..BYTES).map(|at| (at % 251) as u8).collect()
}

async fn a_slow_reader_stops_the_kernel(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (mut ours, mut theirs) = net.connection(&stack, Opener::Kernel).await?;
    let writing = net.spawn_right(async move {
        theirs.write_all(&pattern()).await?;
        theirs.shutdown().await
    });
    let mut received = Vec::new();
    for _ in 0..3 {
        // The kernel sends only into a window of a segment or more.
        until("the window is closed", || ours.info().rcv_wnd < 1448).await?;
        assert!(!writing.is_finished());
        (&mut ours).take(4 << 20).read_to_end(&mut received).await?;
    }
    ours.read_to_end(&mut received).await?;
    writing.await??;
    assert!(received == pattern(), "{} bytes arrived", received.len());
    Ok(())
}

async fn a_slow_kernel_stops_the_writer(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (ours, mut theirs) = net.connection(&stack, Opener::Tidewire).await?;
    // A buffer that tunes itself grows to tcp_rmem's maximum, which newer kernels have at all of
    // these bytes.
    SockRef::from(&theirs).set_recv_buffer_size(256 << 10)?;
    let ours = Arc::new(ours);
    let writer = Arc::clone(&ours);
    let writing = tokio::spawn(async move { writer.write_bytes(pattern().into()).await });
    let mut received = Vec::new();
    for _ in 0..3 {
        until("the window is closed", || {
            let info = ours.info();
            info.limited_by == SendLimit::ReceiveWindow
        })
        .await?;
        assert!(!writing.is_finished());
        (&mut theirs)
            .take(4 << 20)
            .read_to_end(&mut received)
            .await?;
    }
    let rest = (BYTES - received.len()) as u64;
    theirs.take(rest).read_to_end(&mut received).await?;
    writing.await??;
    assert!(received == pattern(), "{} bytes arrived", received.len());
    Ok(())
}
