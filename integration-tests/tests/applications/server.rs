//! The service of the example `http_server`, on the runtime of a test.

use std::io;
use std::net::SocketAddr;

use tidewire::axum::PeerAddr;
use tidewire_integration_tests::Net;
use tokio::task::JoinHandle;

#[path = "../../../examples/http_server.rs"]
#[allow(dead_code, reason = "its `main` is a program's")]
mod example;

/// The server, on the runtime of the caller.
pub(crate) async fn start(net: &Net) -> io::Result<(JoinHandle<io::Result<()>>, SocketAddr)> {
    let listener = net.stack().await?.bind((net.tidewire(), 80)).await?;
    let address = listener.local_addr()?;
    let app = example::app().into_make_service_with_connect_info::<PeerAddr>();
    let serving = tokio::spawn(axum::serve(listener, app).into_future());
    Ok((serving, address))
}
