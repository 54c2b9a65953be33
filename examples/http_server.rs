//! An HTTP server: axum over Tidewire.
//!
//! ```text
//! cargo build -p tidewire-examples --examples
//! sudo target/debug/examples/http_server eth0 192.168.1.77/24
//! ```
//!
//! The address is a free one of the interface's network. From another host:
//!
//! ```text
//! curl http://192.168.1.77/
//! curl http://192.168.1.77/bytes/1073741824 | wc -c
//! curl -T some-file http://192.168.1.77/length
//! ```

use std::convert::Infallible;
use std::env;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path};
use axum::http::StatusCode;
use axum::routing::{get, put};
use futures_util::stream;
use http_body_util::BodyExt;
use tidewire::Stack;
use tidewire::axum::PeerAddr;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(interface), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other(
            "usage: http_server INTERFACE ADDRESS/PREFIX",
        ));
    };
    let stack = Stack::on(interface).address(address).start().await?;

    let listener = stack.bind((stack.addresses()[0], 80)).await?;
    println!("listening at {}", listener.local_addr()?);
    let app = app().into_make_service_with_connect_info::<PeerAddr>();
    axum::serve(listener, app).await
}

/// The routes of the server.
pub(crate) fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello from user space\n" }))
        .route("/peer", get(peer))
        .route("/bytes/{length}", get(bytes))
        .route("/length", put(length).post(length))
}

/// The client's address and port.
async fn peer(ConnectInfo(PeerAddr(peer)): ConnectInfo<PeerAddr>) -> String {
    format!("{} {}\n", peer.ip(), peer.port())
}

/// A body of the requested length: the bytes 0 to 250, repeated.
async fn bytes(Path(length): Path<usize>) -> Body {
    const BLOCK: usize = 251 * 256;
    let block: Bytes = (0..BLOCK).map(|at| (at % 251) as u8).collect();
    let pieces = (0..length)
        .step_by(BLOCK)
        .map(move |at| block.slice(..BLOCK.min(length - at)));
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
}

/// The length of the request's body in bytes.
async fn length(mut body: Body) -> Result<String, StatusCode> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(format!("{length}\n"))
}
