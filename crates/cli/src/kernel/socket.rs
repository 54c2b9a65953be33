use core::net::SocketAddr;
use std::io;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::traffic::Transport;

/// The kernel's TCP through `tokio::net`, each socket on CUBIC whatever the host's default is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel;

impl Transport for Kernel {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        listen(address)
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        connect(address).await
    }
}

/// Listens at `address` with `SO_REUSEADDR`; accepted connections inherit CUBIC (RFC 9438). Needs a tokio runtime.
///
/// # Errors
/// Those of the socket calls; `ENOENT` where the kernel has no CUBIC.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_congestion(CUBIC)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Connects to `address` with CUBIC and `TCP_NODELAY`.
///
/// # Errors
/// As [`listen`], and those of connecting.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    SockRef::from(&socket).set_tcp_congestion(CUBIC)?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

const CUBIC: &[u8] = b"cubic";
const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends_run_cubic() {
        let mut listener = listen("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        let address = listener.local_addr().expect("a local address");
        let (near, far) =
            tokio::try_join!(connect(address), Kernel.accept(&mut listener)).expect("a connection");
        for stream in [&near, &far] {
            let algorithm = SockRef::from(stream)
                .tcp_congestion()
                .expect("the algorithm");
            // The kernel pads the name with zeros.
            assert_eq!(algorithm.split(|&byte| byte == 0).next(), Some(CUBIC));
            assert!(stream.nodelay().expect("the option"));
        }
    }
}
