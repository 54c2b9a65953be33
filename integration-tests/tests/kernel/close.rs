//! Close of a connection: one direction, both directions, reset.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tidewire::State;
use tidewire_integration_tests::{Net, Opener, TestResult, until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

crate::trials!(
    half_closes_first,
    is_half_closed_first,
    both_close_at_once,
    a_reset_is_never_an_end_of_file,
    a_reset_is_reported_as_the_kernel_reports_it,
    an_abort_resets,
    zero_linger_resets,
    unread_data_on_drop_resets,
    unread_data_on_the_kernels_close_is_a_reset,
    what_was_written_arrives_after_a_drop,
    a_shutdown_of_the_stack_ends_its_connections,
);

async fn half_closes_first(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (ours, theirs) = net.connection(&stack, opener).await?;
        half_close(ours, theirs).await?;
    }
    Ok(())
}

async fn is_half_closed_first(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (ours, theirs) = net.connection(&stack, opener).await?;
        half_close(theirs, ours).await?;
    }
    Ok(())
}

/// `first` closes its direction, and a megabyte still arrives from the other.
async fn half_close<A, B>(mut first: A, mut second: B) -> TestResult
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    first.write_all(b"request").await?;
    first.shutdown().await?;
    let mut request = String::new();
    second.read_to_string(&mut request).await?;
    assert_eq!(request, "request");
    let error = first.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);

    let reply: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut received = Vec::new();
    let replying = async {
        second.write_all(&reply).await?;
        second.shutdown().await
    };
    tokio::try_join!(replying, first.read_to_end(&mut received))?;
    assert!(received == reply, "{} bytes arrived", received.len());
    assert_eq!(first.read(&mut [0]).await?, 0, "the end stays the end");
    Ok(())
}

/// The FINs cross on a link with a delay (RFC 9293 §3.6, figure 13): FIN-WAIT-1, CLOSING,
/// TIME-WAIT.
async fn both_close_at_once(net: Net) -> TestResult {
    let delay = Duration::from_millis(100);
    let stack = net.builder().delay(delay).trace(1000).start().await?;
    for opener in Opener::EACH {
        let (mut ours, mut theirs) = net.connection(&stack, opener).await?;
        // Segments of the handshake still in flight would otherwise count as the acknowledgement of
        // the data.
        ours.write_all(b"?").await?;
        theirs.read_exact(&mut [0]).await?;
        theirs.write_all(b"!").await?;
        ours.read_exact(&mut [0]).await?;
        drop(stack.take_trace());
        tokio::try_join!(ours.shutdown(), theirs.shutdown())?;
        assert_eq!(ours.read(&mut [0]).await?, 0);
        assert_eq!(theirs.read(&mut [0]).await?, 0);
        let remote = theirs.local_addr()?;
        drop((ours, theirs));

        let mut states = Vec::new();
        until("both FINs are acknowledged", || {
            let trace = stack.take_trace().into_iter();
            states.extend(
                trace
                    .filter(|entry| entry.remote == remote)
                    .map(|entry| entry.after),
            );
            states.dedup();
            states.last() == Some(&State::TimeWait)
        })
        .await?;
        assert!(
            states.ends_with(&[State::FinWait1, State::Closing, State::TimeWait]),
            "{states:?}"
        );
    }
    Ok(())
}

/// Data before a reset may be lost; the reset itself is always reported, whenever the application
/// reads.
async fn a_reset_is_never_an_end_of_file(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (mut ours, theirs) = net.connection(&stack, opener).await?;
        let waiting = tokio::spawn(async move {
            let first = ours.read(&mut [0]).await;
            (first, ours.read(&mut [0]).await)
        });
        reset(theirs)?;
        let (first, second) = waiting.await?;
        assert_eq!(first.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_ne!(second.map_err(|error| error.kind()), Ok(0));

        // The reset is there before anyone reads.
        let (mut ours, theirs) = net.connection(&stack, opener).await?;
        reset(theirs)?;
        until("the reset has arrived", || ours.state() == State::Closed).await?;
        let error = ours.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    Ok(())
}

/// Closes a kernel socket so that it sends a reset.
fn reset(stream: tokio::net::TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

/// The first call returns the error of the connection; a write after that returns `EPIPE`.
async fn a_reset_is_reported_as_the_kernel_reports_it(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    reset(theirs)?;
    let reported_by_tidewire = read_then_write(ours).await;

    let (ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    ours.abort();
    let reported_by_the_kernel = read_then_write(theirs).await;
    assert_eq!(reported_by_tidewire, reported_by_the_kernel);
    Ok(())
}

/// The error numbers of both.
async fn read_then_write<T>(mut stream: T) -> [Option<i32>; 2]
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let read = stream.read(&mut [0]).await.unwrap_err();
    let write = stream.write(b"into the void").await.unwrap_err();
    [read.raw_os_error(), write.raw_os_error()]
}

async fn an_abort_resets(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (ours, theirs) = net.connection(&stack, opener).await?;
        ours.abort();
        is_reset(theirs).await;
    }
    Ok(())
}

async fn zero_linger_resets(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    ours.set_zero_linger()?;
    drop(ours);
    is_reset(theirs).await;
    Ok(())
}

/// RFC 2525 §2.17: the peer must learn that its data was not read.
async fn unread_data_on_drop_resets(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (ours, mut theirs) = net.connection(&stack, opener).await?;
        theirs.write_all(b"nobody reads this").await?;
        ours.readable().await?;
        drop(ours);
        is_reset(theirs).await;
    }
    Ok(())
}

async fn is_reset(mut theirs: tokio::net::TcpStream) {
    let error = theirs.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

async fn unread_data_on_the_kernels_close_is_a_reset(net: Net) -> TestResult {
    let stack = net.builder().trace(32).start().await?;
    let (mut ours, theirs) = net.connection(&stack, Opener::Tidewire).await?;
    ours.write_all(b"nobody reads this").await?;
    // A peek, as `readable` may be spurious: without data the close would be an orderly one.
    theirs.peek(&mut [0]).await?;
    drop(theirs);
    let error = ours.read(&mut [0]).await.err().map(|error| error.kind());
    let reset = Some(ErrorKind::ConnectionReset);
    assert_eq!(error, reset, "{:#?}", stack.take_trace());
    Ok(())
}

async fn what_was_written_arrives_after_a_drop(net: Net) -> TestResult {
    let stack = net.stack().await?;
    for opener in Opener::EACH {
        let (mut ours, mut theirs) = net.connection(&stack, opener).await?;
        let parting = vec![7; 500_000];
        ours.write_all(&parting).await?;
        drop(ours);
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await?;
        assert!(received == parting, "{} bytes arrived", received.len());
    }
    Ok(())
}

async fn a_shutdown_of_the_stack_ends_its_connections(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (mut ours, mut theirs) = net.connection(&stack, Opener::Tidewire).await?;
    ours.write_all(b"farewell").await?;
    let peer = net.spawn_right(async move {
        let mut word = String::new();
        theirs.read_to_string(&mut word).await?;
        io::Result::Ok(word)
    });
    stack.shutdown(Duration::from_secs(5)).await?;
    assert_eq!(peer.await??, "farewell");
    assert!(!stack.is_running());
    assert!(ours.write(b"more").await.is_err());
    Ok(())
}
