//! One connection between two sides: transport, runtime and tasks of each.

use core::future::Future;
use core::net::SocketAddr;
use std::io;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::stream::Stream;

/// A TCP implementation.
pub trait Transport: Clone + Send + Sync + 'static {
    /// A connection.
    type Stream: Stream;
    /// A listening socket.
    type Listener: Send + 'static;

    /// Listens at an address.
    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;
    /// Takes the next connection, with `TCP_NODELAY` set.
    fn accept(
        &self,
        listener: &mut Self::Listener,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// Connects to an address, with `TCP_NODELAY` set.
    fn connect(&self, address: SocketAddr)
    -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A TCP implementation and the runtime that drives it.
#[derive(Debug, Clone)]
pub struct Side<T> {
    /// Where this side's tasks run.
    pub runtime: Handle,
    /// The implementation.
    pub transport: T,
}

/// Which way the bulk of the bytes goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// From the side that connected to the side that accepted.
    ClientToServer,
    /// From the side that accepted to the side that connected.
    ServerToClient,
}

/// Makes one connection from `client` to `server` at `address`, runs `serve` and `call` on its
/// ends, each on its own runtime, and returns the results of both. When either end fails, the other
/// is aborted.
pub(super) async fn run<C, S, ServeFn, CallFn, Served, Called, SF, CF>(
    client: &Side<C>,
    server: &Side<S>,
    address: SocketAddr,
    call: CallFn,
    serve: ServeFn,
) -> io::Result<(Called, Served)>
where
    C: Transport,
    S: Transport,
    CallFn: FnOnce(C::Stream) -> CF + Send + 'static,
    ServeFn: FnOnce(S::Stream) -> SF + Send + 'static,
    CF: Future<Output = io::Result<Called>> + Send + 'static,
    SF: Future<Output = io::Result<Served>> + Send + 'static,
    Called: Send + 'static,
    Served: Send + 'static,
{
    let (listening, ready) = oneshot::channel();
    let transport = server.transport.clone();
    let serving = Aborting(server.runtime.spawn(async move {
        let mut listener = transport.bind(address).await?;
        // Fails only when the whole run has been dropped.
        let _ = listening.send(());
        let stream = transport.accept(&mut listener).await?;
        serve(stream).await
    }));
    if ready.await.is_err() {
        return Err(match serving.finish().await {
            Err(error) => error,
            Ok(_) => io::Error::other("the server ended before it listened"),
        });
    }
    let transport = client.transport.clone();
    let calling = Aborting(
        client
            .runtime
            .spawn(async move { call(transport.connect(address).await?).await }),
    );
    tokio::try_join!(calling.finish(), serving.finish())
}

/// A task that is aborted when nobody waits for it any more.
struct Aborting<T>(JoinHandle<io::Result<T>>);

impl<T> Aborting<T> {
    async fn finish(mut self) -> io::Result<T> {
        (&mut self.0).await.map_err(io::Error::other)?
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
