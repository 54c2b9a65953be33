//! An echo server (RFC 862) with an address of its own.
//!
//! ```text
//! cargo build -p tidewire-examples --examples
//! sudo target/debug/examples/echo_server eth0 192.168.1.77/24
//! ```
//!
//! The address is a free one of the interface's network. Talk to it from another host:
//! `nc 192.168.1.77 7`.

use std::env;
use std::io;

use tidewire::Stack;
use tidewire::net::{TcpListener, TcpStream}; // `tokio::net` is all that changed
use tokio::io::AsyncWriteExt;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(interface), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other(
            "usage: echo_server INTERFACE ADDRESS/PREFIX",
        ));
    };
    Stack::on(interface)
        .address(address)
        .start()
        .await?
        .set_default();

    let listener = TcpListener::bind("0.0.0.0:7").await?;
    println!("listening at port 7");
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            match echo(stream).await {
                Ok(bytes) => println!("{peer}: {bytes} bytes"),
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}

/// Sends everything back until the peer ends its direction, and then ends the other.
async fn echo(mut stream: TcpStream) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let bytes = tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    Ok(bytes)
}
