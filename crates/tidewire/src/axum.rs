//! `axum::serve` over Tidewire, with the feature `axum`.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};

use crate::net::{TcpListener, TcpStream};

/// `axum::serve(listener, app)` with a [`TcpListener`] of Tidewire.
///
/// After an error of one connection it accepts the next one at once; after any other error, which
/// would only repeat itself, it waits for a second, as axum does for the kernel's.
impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match Self::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// The peer's address for handlers, in the place of the `SocketAddr` of
/// `axum::extract::ConnectInfo`, which only axum itself can offer for a listener.
///
/// ```no_run
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use tidewire::axum::PeerAddr;
///
/// # async fn serve(listener: tidewire::net::TcpListener) -> std::io::Result<()> {
/// async fn hello(ConnectInfo(PeerAddr(peer)): ConnectInfo<PeerAddr>) -> String {
///     format!("hello {peer}\n")
/// }
/// let app = Router::new().route("/", get(hello));
/// axum::serve(listener, app.into_make_service_with_connect_info::<PeerAddr>()).await
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for PeerAddr {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

const RETRY: Duration = Duration::from_secs(1);
