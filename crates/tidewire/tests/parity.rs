//! The same programs over the kernel's sockets and over Tidewire's, with the same outcome: error
//! kinds, codes and texts.

mod common;

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tidewire::Stack;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What both kinds of streams offer.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    fn set_zero_linger(&self) -> io::Result<()>;
    fn peer_addr(&self) -> io::Result<SocketAddr>;
    fn take_error(&self) -> io::Result<Option<io::Error>>;
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

/// A place to run a scenario in: a listener's side and a connecting side.
trait World {
    type Stream: Stream;
    type Listener;
    /// An address of the listening side, and one of nobody.
    fn server(&self) -> SocketAddr;
    fn foreign(&self) -> SocketAddr;
    async fn bind(&self, addr: SocketAddr) -> io::Result<Self::Listener>;
    fn local_addr(&self, listener: &Self::Listener) -> SocketAddr;
    async fn accept(&self, listener: &Self::Listener) -> Self::Stream;
    async fn connect(&self, addr: SocketAddr) -> io::Result<Self::Stream>;
}

macro_rules! impl_stream {
    ($stream:ty) => {
        impl Stream for $stream {
            fn set_zero_linger(&self) -> io::Result<()> {
                self.set_zero_linger()
            }
            fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.peer_addr()
            }
            fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }
            fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.try_read(buf)
            }
            fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
                self.readable()
            }
        }
    };
}

impl_stream!(tokio::net::TcpStream);
impl_stream!(tidewire::net::TcpStream);

struct Kernel;

impl World for Kernel {
    type Stream = tokio::net::TcpStream;
    type Listener = tokio::net::TcpListener;

    fn server(&self) -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }
    fn foreign(&self) -> SocketAddr {
        "192.0.2.1:4000".parse().unwrap()
    }
    async fn bind(&self, addr: SocketAddr) -> io::Result<Self::Listener> {
        tokio::net::TcpListener::bind(addr).await
    }
    fn local_addr(&self, listener: &Self::Listener) -> SocketAddr {
        listener.local_addr().unwrap()
    }
    async fn accept(&self, listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.unwrap().0
    }
    async fn connect(&self, addr: SocketAddr) -> io::Result<Self::Stream> {
        tokio::net::TcpStream::connect(addr).await
    }
}

struct Tidewire {
    server: Stack,
    client: Stack,
}

impl World for Tidewire {
    type Stream = tidewire::net::TcpStream;
    type Listener = tidewire::net::TcpListener;

    fn server(&self) -> SocketAddr {
        SocketAddr::new(self.server.addresses()[0], 0)
    }
    fn foreign(&self) -> SocketAddr {
        "192.0.2.1:4000".parse().unwrap()
    }
    async fn bind(&self, addr: SocketAddr) -> io::Result<Self::Listener> {
        self.server.bind(addr).await
    }
    fn local_addr(&self, listener: &Self::Listener) -> SocketAddr {
        listener.local_addr().unwrap()
    }
    async fn accept(&self, listener: &Self::Listener) -> Self::Stream {
        listener.accept().await.unwrap().0
    }
    async fn connect(&self, addr: SocketAddr) -> io::Result<Self::Stream> {
        self.client.connect(addr).await
    }
}

/// One step's outcome, comparable between worlds.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done(usize),
    Failed(io::ErrorKind, Option<i32>, String),
}

fn outcome(result: io::Result<usize>) -> Outcome {
    match result {
        Ok(n) => Outcome::Done(n),
        Err(error) => Outcome::Failed(error.kind(), error.raw_os_error(), error.to_string()),
    }
}

/// The kind alone, where tokio makes the error up itself and has no code.
fn kind(result: io::Result<usize>) -> Outcome {
    match result {
        Ok(n) => Outcome::Done(n),
        Err(error) => Outcome::Failed(error.kind(), None, String::new()),
    }
}

async fn pair<W: World>(world: &W) -> (W::Stream, W::Stream) {
    let listener = world.bind(world.server()).await.unwrap();
    let connected = world.connect(world.local_addr(&listener)).await.unwrap();
    (world.accept(&listener).await, connected)
}

type Steps = Vec<(&'static str, Outcome)>;

async fn addresses<W: World>(world: &W) -> Steps {
    let listener = world.bind(world.server()).await.unwrap();
    let addr = world.local_addr(&listener);
    let twice = world.bind(addr).await.map(|_| 0);
    let foreign = world.bind(world.foreign()).await.map(|_| 0);
    drop(listener);
    let again = world.bind(addr).await;
    let rebound = again
        .as_ref()
        .map(|_| 0)
        .map_err(|e| io::Error::from(e.kind()));
    drop(again);
    let refused = world.connect(addr).await.map(|_| 0);
    vec![
        ("bind twice", outcome(twice)),
        ("bind to a foreign address", outcome(foreign)),
        ("bind again after drop", outcome(rebound)),
        ("connect to a closed port", outcome(refused)),
    ]
}

async fn reset_then_read<W: World>(world: &W) -> Steps {
    let (accepted, mut stream) = pair(world).await;
    accepted.set_zero_linger().unwrap();
    drop(accepted);
    let read = stream.read(&mut [0; 8]).await;
    vec![
        ("read after a reset", outcome(read)),
        ("write after that", outcome(stream.write(b"x").await)),
        ("write again", outcome(stream.write(b"x").await)),
        ("peer_addr", outcome(stream.peer_addr().map(|_| 0))),
        ("shutdown", outcome(stream.shutdown().await.map(|()| 0))),
        (
            "take_error",
            outcome(
                stream
                    .take_error()
                    .map(|error| usize::from(error.is_some())),
            ),
        ),
    ]
}

async fn reset_then_write<W: World>(world: &W) -> Steps {
    let (accepted, mut stream) = pair(world).await;
    accepted.set_zero_linger().unwrap();
    drop(accepted);
    stream.readable().await.unwrap();
    vec![
        ("write after a reset", outcome(stream.write(b"x").await)),
        ("write again", outcome(stream.write(b"x").await)),
    ]
}

async fn reset_then_take_error<W: World>(world: &W) -> Steps {
    let (accepted, mut stream) = pair(world).await;
    accepted.set_zero_linger().unwrap();
    drop(accepted);
    stream.readable().await.unwrap();
    let taken = stream.take_error().unwrap().expect("an error is pending");
    vec![
        ("the error taken", outcome(Err(taken))),
        (
            "taken again",
            outcome(
                stream
                    .take_error()
                    .map(|error| usize::from(error.is_some())),
            ),
        ),
        (
            "write after it was taken",
            outcome(stream.write(b"x").await),
        ),
    ]
}

async fn unread_data_resets<W: World>(world: &W) -> Steps {
    let (accepted, mut stream) = pair(world).await;
    stream.write_all(b"never read").await.unwrap();
    accepted.readable().await.unwrap();
    drop(accepted);
    vec![(
        "read after the peer dropped unread data",
        outcome(stream.read(&mut [0; 8]).await),
    )]
}

async fn own_shutdown<W: World>(world: &W) -> Steps {
    let (mut accepted, mut stream) = pair(world).await;
    let blocked = stream.try_read(&mut [0; 8]);
    stream.shutdown().await.unwrap();
    let again = stream.shutdown().await;
    let write = stream.write(b"x").await;
    let at_peer = accepted.read(&mut [0; 8]).await;
    let nothing = accepted.write(b"").await;
    accepted.write_all(b"reply").await.unwrap();
    let reply = stream.read(&mut [0; 8]).await;
    vec![
        ("try_read of nothing", kind(blocked)),
        ("shutdown twice", outcome(again.map(|()| 0))),
        ("write after shutdown", outcome(write)),
        ("read at the peer", outcome(at_peer)),
        ("write nothing", outcome(nothing)),
        ("read the reply", outcome(reply)),
        ("peer_addr", outcome(stream.peer_addr().map(|_| 0))),
    ]
}

async fn orderly_end<W: World>(world: &W) -> Steps {
    let (mut accepted, mut stream) = pair(world).await;
    stream.write_all(b"request").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut request = Vec::new();
    let all = accepted.read_to_end(&mut request).await;
    accepted.write_all(b"reply").await.unwrap();
    drop(accepted);
    let mut reply = Vec::new();
    let end = stream.read_to_end(&mut reply).await;
    vec![
        ("the whole request", outcome(all)),
        ("the whole reply", outcome(end)),
        (
            "read after the end",
            outcome(stream.read(&mut [0; 8]).await),
        ),
        ("write after the end", outcome(stream.write(b"x").await)),
        (
            "take_error",
            outcome(
                stream
                    .take_error()
                    .map(|error| usize::from(error.is_some())),
            ),
        ),
    ]
}

macro_rules! same_outcome {
    ($($scenario:ident),+ $(,)?) => { $(
        mod $scenario {
            #[test]
            fn is_the_kernels() {
                crate::common::on_current_thread(async {
                    let (server, client) = crate::common::pair().await;
                    let tidewire = crate::Tidewire { server, client };
                    let limit = std::time::Duration::from_secs(20);
                    let kernel = tokio::time::timeout(limit, super::$scenario(&super::Kernel)).await;
                    let ours = tokio::time::timeout(limit, super::$scenario(&tidewire)).await;
                    assert_eq!(ours.expect("over Tidewire"), kernel.expect("over the kernel"));
                });
            }
        }
    )+ };
}

same_outcome!(
    addresses,
    reset_then_read,
    reset_then_write,
    reset_then_take_error,
    unread_data_resets,
    own_shutdown,
    orderly_end,
);
