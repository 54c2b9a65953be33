//! A TCP proxy: each accepted connection is joined to one to another server, both on Tidewire.
//!
//! ```text
//! cargo build -p tidewire-examples --examples
//! sudo target/debug/examples/split_proxy eth0 192.168.1.77/24 8080 192.168.1.10:80
//! ```
//!
//! Each direction has a task of its own: an owned half of one connection is copied to a half of the
//! other. The end of one direction goes on to the other side as the end of that direction alone, so
//! that protocols which half-close work through the proxy.

use std::env;
use std::io;
use std::net::SocketAddr;

use tidewire::Stack;
use tidewire::net::TcpStream;
use tidewire::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::io::AsyncWriteExt;

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [interface, address, port, target] = &arguments[..] else {
        return Err(io::Error::other(
            "usage: split_proxy INTERFACE ADDRESS/PREFIX PORT TARGET:PORT",
        ));
    };
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let target: SocketAddr = target.parse().map_err(io::Error::other)?;

    let stack = Stack::on(interface).address(address).start().await?;
    let listener = stack.bind((stack.addresses()[0], port)).await?;
    println!("listening at {}", listener.local_addr()?);
    loop {
        let (client, peer) = listener.accept().await?;
        let stack = stack.clone();
        tokio::spawn(async move {
            match proxy(client, &stack, target).await {
                Ok((there, back)) => println!("{peer}: {there} bytes there, {back} bytes back"),
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}

/// Joins a client to the target until both directions have ended.
async fn proxy(client: TcpStream, stack: &Stack, target: SocketAddr) -> io::Result<(u64, u64)> {
    let server = stack.connect(target).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        forward(from_client, to_server),
        forward(from_server, to_client)
    )
}

/// Copies one direction to its end, and ends it on the other side.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<u64> {
    let bytes = tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await?;
    Ok(bytes)
}
