//! A bulk transfer to a server, with its speed and retransmissions.
//!
//! ```text
//! nc -l -p 9000 > /dev/null      # on another host, 192.168.1.10
//!
//! cargo build -p tidewire-examples --examples
//! sudo TIDEWIRE_IFACE=eth0 TIDEWIRE_ADDR=192.168.1.77/24 \
//!     target/debug/examples/bulk_transfer 192.168.1.10:9000
//! ```
//!
//! The first `connect` starts the stack that the environment describes. The server may discard the
//! data, or send it back like the example `echo_server`.

use std::env;
use std::io;
use std::time::Instant;

use bytes::Bytes;
use tidewire::net::TcpStream;
use tokio::io::AsyncWriteExt;

const MIB: usize = 1 << 20;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let Some(server) = arguments.next() else {
        return Err(io::Error::other(
            "usage: bulk_transfer ADDRESS:PORT [MEBIBYTES]",
        ));
    };
    let mebibytes = match arguments.next() {
        Some(number) => number.parse().map_err(io::Error::other)?,
        None => 1024,
    };

    let stream = TcpStream::connect(server).await?;
    let (reader, mut writer) = stream.into_split();
    let start = Instant::now();

    // One task reads what comes back until the server has had everything and closes, the other
    // sends.
    let reading = tokio::spawn(async move {
        let mut received = 0;
        loop {
            let piece = reader.as_ref().read_chunk().await?;
            if piece.is_empty() {
                return io::Result::Ok(received);
            }
            received += piece.len();
        }
    });
    let block = Bytes::from(vec![b'~'; MIB]);
    for _ in 0..mebibytes {
        // The stack keeps a reference to the block until the peer has acknowledged it; nothing is
        // copied.
        writer.as_ref().write_bytes(block.clone()).await?;
    }
    writer.shutdown().await?;
    let received = reading.await??;

    let seconds = start.elapsed().as_secs_f64();
    let info = writer.as_ref().info();
    println!("sent {mebibytes} MiB, received {} MiB", received / MIB);
    println!(
        "{seconds:.3} s, {:.2} Gbit/s",
        (mebibytes * MIB * 8) as f64 / seconds / 1e9
    );
    println!(
        "smoothed round trip {:?}, {} bytes sent twice",
        info.srtt.unwrap_or_default(),
        info.bytes_retransmitted
    );
    Ok(())
}
