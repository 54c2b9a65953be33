//! An HTTP client: hyper over Tidewire. Several requests, one after the other, share a connection.
//!
//! ```text
//! cargo build -p tidewire-examples --examples
//! sudo TIDEWIRE_IFACE=eth0 TIDEWIRE_ADDR=192.168.1.77/24 \
//!     target/debug/examples/http_client 192.168.1.10:80 / /missing
//! ```

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tidewire::net::TcpStream; // `tokio::net` is all that changed

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let server: SocketAddr = match arguments.next() {
        Some(server) => server.parse()?,
        None => return Err("usage: http_client ADDRESS:PORT PATH...".into()),
    };

    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    for path in arguments {
        let request = Request::get(&path)
            .header(HOST, server.to_string())
            .body(Empty::<Bytes>::new())?;
        sender.ready().await?;
        let mut response = sender.send_request(request).await?;
        let mut length = 0;
        while let Some(frame) = response.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        println!("{path}: {}, {length} bytes", response.status());
    }
    drop(sender);
    connection.await??;
    Ok(())
}
