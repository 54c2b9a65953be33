//! Peer for `docker/run.sh`: an echo server on the kernel's TCP, and a client on either TCP that
//! checks an echo server.

use std::env;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidewire_cli::report::Progress;
use tidewire_cli::traffic::{receive, send};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const USAGE: &str = "usage: docker_peer serve ADDRESS:PORT
       docker_peer check kernel|tidewire ADDRESS:PORT";

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", address] => serve(parse(address)?).await,
        ["check", "kernel", server] => {
            let server = parse(server)?;
            bounded(check(|| tokio::net::TcpStream::connect(server))).await
        }
        // The stack is the one that the environment describes.
        ["check", "tidewire", server] => {
            let server = parse(server)?;
            bounded(check(|| tidewire::net::TcpStream::connect(server))).await
        }
        _ => Err(io::Error::other(USAGE)),
    }
}

fn parse(address: &str) -> io::Result<SocketAddr> {
    address.parse().map_err(io::Error::other)
}

async fn bounded(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(Duration::from_secs(60), work).await?
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening at port {}", address.port());
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.shutdown().await
        });
    }
}

async fn check<C, S>(connect: impl Fn() -> C) -> io::Result<()>
where
    C: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite,
{
    transfer(connect().await?).await?;
    half_close(connect().await?).await?;
    for round in 0..SHORT {
        half_close(connect().await?)
            .await
            .map_err(|error| io::Error::other(format!("connection {round}: {error}")))?;
    }
    println!("{SHORT} short connections");
    Ok(())
}

/// Everything comes back as it was sent, both directions at once.
async fn transfer(stream: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(stream);
    let progress = Progress::hidden();
    let (sent, received) = tokio::try_join!(send(writer, BULK, 1), receive(reader, &progress))?;
    if (sent.bytes, sent.hash) != (received.bytes, received.hash) {
        return Err(wrong(format!("sent {sent:?}, received {received:?}")));
    }
    let gigabits = (BULK * 8) as f64 / received.elapsed.as_secs_f64() / 1e9;
    println!(
        "{} MiB there and back, hash {:016x}, {gigabits:.2} Gbit/s",
        BULK >> 20,
        sent.hash
    );
    Ok(())
}

/// The answer is read only after this direction has ended.
async fn half_close(stream: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let question = [b'?'; 5000];
    writer.write_all(&question).await?;
    writer.shutdown().await?;
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await?;
    if answer != question {
        return Err(wrong(format!("{} bytes came back", answer.len())));
    }
    Ok(())
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const BULK: u64 = 128 << 20;
const SHORT: u32 = 1000;
