//! `tidewire nc`: standard input and output over a connection of a stack of its own.

use core::cell::Cell;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, IsTerminal};

use clap::Args;
use tidewire::net::{TcpListener, TcpStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::Failure;
use super::place::{Place, resolve};
use crate::interrupt::Interrupt;

/// Connects standard input and output with a TCP peer. The end of the input closes that direction
/// alone; the command is done when both have ended, or when the peer has ended and the input is a
/// terminal.
#[derive(Debug, Args)]
pub(super) struct Nc {
    /// Wait for a connection instead of making one
    #[arg(short, long)]
    listen: bool,
    /// After a connection, wait for the next one
    #[arg(short, long, requires = "listen")]
    keep_open: bool,
    /// Tell on standard error what happens
    #[arg(short, long)]
    verbose: bool,
    /// Give up when connecting takes longer, or when nothing has moved for so long
    #[arg(short, long, value_name = "SECS", value_parser = clap::value_parser!(u32).range(1..))]
    wait: Option<u32>,
    #[command(flatten)]
    place: Place,
    /// The peer; with --listen the own address, which may be left out
    #[arg(value_names = ["HOST", "PORT"], num_args = 1..=2, required = true)]
    target: Vec<String>,
}

impl Nc {
    pub(super) fn run(self) -> Result<(), Failure> {
        let interrupt = Interrupt::install()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(self.until(&interrupt));
        // A thread may be blocked in reading standard input: do not wait for it.
        runtime.shutdown_background();
        outcome
    }

    /// Runs until it is done or a signal comes, and ends the stack in order.
    async fn until(&self, interrupt: &Interrupt) -> Result<(), Failure> {
        let (host, port) = self.target()?;
        let address = match host {
            Some(host) => resolve(host, port).await?,
            None => SocketAddr::from(([0, 0, 0, 0], port)),
        };
        let stack = self.place.start().await?;
        let work = async {
            if self.listen {
                let listener = stack.bind(address).await;
                let listener = listener.map_err(|error| {
                    Failure::failed(format!("cannot listen on {address}"), error)
                })?;
                self.serve(&listener).await
            } else {
                let failed = |error| Failure::failed(format!("cannot connect to {address}"), error);
                let stream = self.limit(stack.connect(address)).await.map_err(failed)?;
                let local = stream.local_addr()?;
                self.tell(format_args!("connected to {address} from {local}"));
                self.exchange(stream).await
            }
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = interrupt.raised() => Err(Failure::Interrupted),
        };
        // Data of the closed streams may still be in flight.
        let drained = stack.shutdown(DRAIN_TIME).await;
        outcome?;
        drained.map_err(|error| Failure::failed("the peer did not take all of it", error))
    }

    async fn serve(&self, listener: &TcpListener) -> Result<(), Failure> {
        self.tell(format_args!("listening on {}", listener.local_addr()?));
        loop {
            let (stream, peer) = listener.accept().await?;
            self.tell(format_args!("connection from {peer}"));
            let outcome = self.exchange(stream).await;
            if !self.keep_open {
                return outcome;
            }
            // One client's failure does not end the server.
            if let Err(failure) = outcome {
                eprintln!("tidewire: {peer}: {failure}");
            }
        }
    }

    /// Copies both ways until both are done.
    async fn exchange(&self, mut stream: TcpStream) -> Result<(), Failure> {
        // Whole buffers are written: Nagle's algorithm would only delay them.
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.split();
        let moved = Moved::new();
        let upload = copy(tokio::io::stdin(), writer, &moved.sent, &moved.last);
        let download = copy(reader, tokio::io::stdout(), &moved.received, &moved.last);
        let both = async {
            if io::stdin().is_terminal() {
                // The input from a terminal does not end by itself when the peer has closed.
                tokio::pin!(upload, download);
                tokio::select! {
                    outcome = &mut download => outcome,
                    outcome = &mut upload => {
                        outcome?;
                        download.await
                    }
                }
            } else {
                tokio::try_join!(upload, download).map(drop)
            }
        };
        tokio::select! {
            outcome = both => outcome?,
            () = moved.idle_for(self.patience()) => {
                let seconds = self.wait.unwrap_or_default();
                return Err(Failure::Failed(format!("nothing moved for {seconds} s")));
            }
        }
        let (sent, received) = (moved.sent.get(), moved.received.get());
        self.tell(format_args!(
            "closed: {sent} bytes sent, {received} received"
        ));
        Ok(())
    }

    /// Host and port.
    fn target(&self) -> Result<(Option<&str>, u16), Failure> {
        let (host, port) = match self.target.as_slice() {
            [host, port] => (Some(host.as_str()), port),
            [port] if self.listen => (None, port),
            _ => return Err(Failure::Usage("nc needs a host and a port".into())),
        };
        let port = port
            .parse()
            .map_err(|_| Failure::Usage(format!("'{port}' is not a port: 0 to 65535")))?;
        Ok((host, port))
    }

    fn patience(&self) -> Option<Duration> {
        self.wait.map(|seconds| Duration::from_secs(seconds.into()))
    }

    async fn limit<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        match self.patience() {
            Some(patience) => timeout(patience, work)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            None => work.await,
        }
    }

    fn tell(&self, what: fmt::Arguments<'_>) {
        if self.verbose {
            eprintln!("tidewire: {what}");
        }
    }
}

/// Byte counts of an exchange, and the time of the last movement.
struct Moved {
    sent: Cell<u64>,
    received: Cell<u64>,
    last: Cell<Instant>,
}

impl Moved {
    fn new() -> Self {
        Self {
            sent: Cell::new(0),
            received: Cell::new(0),
            last: Cell::new(Instant::now()),
        }
    }

    /// Ends when nothing has moved for `patience`; never without one.
    async fn idle_for(&self, patience: Option<Duration>) {
        let Some(patience) = patience else {
            return core::future::pending().await;
        };
        loop {
            let end = self.last.get() + patience;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// Copies to the end of `from`, which it passes on to `to`.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Cell<u64>,
    last: &Cell<Instant>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        last.set(Instant::now());
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..length).unwrap_or_default())
            .await?;
        // Standard output hands its data to another thread.
        to.flush().await?;
        moved.set(moved.get() + length as u64);
        last.set(Instant::now());
    }
}

const BUFFER: usize = 64 * 1024;
/// How long what was sent may take to arrive after both directions have ended.
const DRAIN_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const PLACE: [&str; 4] = ["--iface", "tw0", "--address", "10.77.0.2/24"];

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        nc: Nc,
    }

    fn parse(arguments: &[&str]) -> Result<Nc, clap::Error> {
        Line::try_parse_from([&["nc"], arguments].concat()).map(|line| line.nc)
    }

    #[test]
    fn a_client_needs_host_and_port_and_a_listener_the_port() {
        let target = |arguments: &[&str]| {
            let nc = parse(&[&PLACE[..], arguments].concat()).expect("sound arguments");
            nc.target()
                .map(|(host, port)| (host.map(str::to_owned), port))
        };
        let host = Some("10.77.0.1".to_owned());
        assert_eq!(target(&["10.77.0.1", "80"]).ok(), Some((host.clone(), 80)));
        assert_eq!(target(&["-l", "10.77.0.1", "80"]).ok(), Some((host, 80)));
        assert_eq!(target(&["-l", "80"]).ok(), Some((None, 80)));
        for wrong in [&["80"][..], &["-l", "http"], &["10.77.0.1", "65536"]] {
            assert!(matches!(target(wrong), Err(Failure::Usage(_))), "{wrong:?}");
        }
    }

    #[test]
    fn options_in_the_style_of_nc() {
        let nc = parse(&[&["-lkv", "-w", "3"], &PLACE[..], &["80"]].concat()).expect("options");
        assert!(nc.listen && nc.keep_open && nc.verbose);
        assert_eq!(nc.patience(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn wrong_usage_is_refused() {
        for wrong in [
            &["-k", "10.77.0.1", "80"][..],
            &["-w", "0", "10.77.0.1", "80"],
            &["a", "b", "c"],
            &[],
        ] {
            let error = parse(&[&PLACE[..], wrong].concat()).expect_err("wrong usage");
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn copying_ends_with_the_end_of_the_input() {
        let (moved, mut output) = (Moved::new(), Vec::new());
        copy(&b"abc"[..], &mut output, &moved.sent, &moved.last)
            .await
            .expect("a copy");
        assert_eq!((output.as_slice(), moved.sent.get()), (&b"abc"[..], 3));
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_counts_from_the_last_movement() {
        let moved = Moved::new();
        let begin = Instant::now();
        moved.last.set(begin + Duration::from_secs(1));
        moved.idle_for(Some(Duration::from_secs(2))).await;
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
    }
}
