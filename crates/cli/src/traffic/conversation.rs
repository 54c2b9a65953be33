//! Short conversation through the states of an orderly close.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::session::{self, Side, Transport};

/// A short conversation that passes through the states of an orderly close: a request, an answer, a
/// half-close by the client, a last message from the server, and its close. `think` is the time
/// that each end takes before it acts.
///
/// # Errors
/// Those of the connection, and [`io::ErrorKind::InvalidData`] when other bytes arrive than were
/// sent.
pub async fn converse<C: Transport, S: Transport>(
    client: &Side<C>,
    server: &Side<S>,
    address: SocketAddr,
    think: Duration,
) -> io::Result<()> {
    session::run(
        client,
        server,
        address,
        move |stream| ask(stream, think),
        move |stream| answer(stream, think),
    )
    .await
    .map(drop)
}

async fn ask<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, think: Duration) -> io::Result<()> {
    sleep(think).await;
    stream.write_all(REQUEST).await?;
    let mut reply = vec![0; REPLY.len()];
    stream.read_exact(&mut reply).await?;
    expect(&reply, REPLY)?;
    sleep(think).await;
    stream.shutdown().await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    expect(&rest, LAST_MESSAGE)
}

async fn answer<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    think: Duration,
) -> io::Result<()> {
    let mut request = vec![0; REQUEST.len()];
    stream.read_exact(&mut request).await?;
    expect(&request, REQUEST)?;
    sleep(think).await;
    stream.write_all(REPLY).await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    expect(&rest, b"")?;
    sleep(think).await;
    stream.write_all(LAST_MESSAGE).await?;
    sleep(think).await;
    stream.shutdown().await
}

fn expect(actual: &[u8], expected: &[u8]) -> io::Result<()> {
    if actual == expected {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "other bytes arrived than were sent",
    ))
}

const REQUEST: &[u8] = b"GET /tide HTTP/1.0\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\nhigh water at 16:40\n";
const LAST_MESSAGE: &[u8] = b"and low water at 22:55\n";
