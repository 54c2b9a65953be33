//! What the example `http_server` serves, in this process: on a runtime that the example does not have.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path};
use axum::http::StatusCode;
use axum::routing::{get, put};
use futures_util::stream;
use http_body_util::BodyExt;
use tidewire::axum::PeerAddr;
use tidewire_integration_tests::Net;
use tokio::task::JoinHandle;

/// The server, on the runtime of the caller.
pub(crate) async fn start(net: &Net) -> io::Result<(JoinHandle<io::Result<()>>, SocketAddr)> {
    let listener = net.stack().await?.bind((net.tidewire(), 80)).await?;
    let address = listener.local_addr()?;
    let app = Router::new()
        .route("/", get(|| async { "hello from user space\n" }))
        .route("/peer", get(peer))
        .route("/bytes/{length}", get(bytes))
        .route("/length", put(length))
        .into_make_service_with_connect_info::<PeerAddr>();
    let serving = tokio::spawn(axum::serve(listener, app).into_future());
    Ok((serving, address))
}

async fn peer(ConnectInfo(PeerAddr(peer)): ConnectInfo<PeerAddr>) -> String {
    format!("{} {}\n", peer.ip(), peer.port())
}

/// 0 to 250, again and again.
async fn bytes(Path(length): Path<usize>) -> Body {
    const BLOCK: usize = 251 * 256;
    let block: Bytes = (0..BLOCK).map(|at| (at % 251) as u8).collect();
    let pieces = (0..length)
        .step_by(BLOCK)
        .map(move |at| block.slice(..BLOCK.min(length - at)));
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
}

async fn length(mut body: Body) -> Result<String, StatusCode> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(format!("{length}\n"))
}
