//! An echo server (RFC 862) at IPv6 addresses of its own, several if you like.
//!
//! ```text
//! cargo build -p tidewire-examples --examples
//! sudo target/debug/examples/ipv6_echo eth0 2001:db8:1::77/64 fe80::77/64
//! ```
//!
//! Talk to it from another host: `nc 2001:db8:1::77 7`, or `nc fe80::77%eth0 7`. Neighbours find it
//! by Neighbor Discovery (RFC 4861); before it uses an address, it checks for duplicates (RFC 4862
//! §5.4).

use std::env;
use std::io;

use tidewire::Stack;
use tidewire::net::{TcpListener, TcpStream};
use tokio::io::AsyncWriteExt;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(interface) = arguments.next() else {
        return Err(io::Error::other(
            "usage: ipv6_echo INTERFACE ADDRESS/PREFIX...",
        ));
    };
    let mut builder = Stack::on(interface);
    for address in arguments {
        builder = builder.address(address);
    }
    builder.start().await?.set_default();

    let listener = TcpListener::bind("[::]:7").await?;
    println!("listening at {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let own = stream.local_addr()?;
        tokio::spawn(async move {
            match echo(stream).await {
                Ok(bytes) => println!("{peer} to {own}: {bytes} bytes"),
                Err(error) => println!("{peer} to {own}: {error}"),
            }
        });
    }
}

/// Sends everything back until the peer ends its direction, and then ends the other.
async fn echo(mut stream: TcpStream) -> io::Result<u64> {
    let (mut reader, mut writer) = stream.split();
    let bytes = tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    Ok(bytes)
}
