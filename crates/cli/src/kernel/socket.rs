//! Kernel sockets on CUBIC.

use core::net::SocketAddr;
use std::io;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::states::KernelStates;
use crate::traffic::{Stream, StreamInfo, Transport};

/// The kernel's TCP through `tokio::net`, each socket on CUBIC whatever the host's default is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel {
    /// Bytes of each socket buffer; `None` for the kernel's auto-tuning.
    pub buffer: Option<usize>,
    /// The largest segment in bytes; `None` for that of the route's MTU.
    pub mss: Option<u32>,
}

impl Transport for Kernel {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        self.listen(address)
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.socket(address)?;
        socket.set_tcp_nodelay(true)?;
        let socket = TcpSocket::from_std_stream(socket.into());
        socket.connect(address).await
    }
}

impl Kernel {
    /// Listens at `address` with `SO_REUSEADDR`; accepted connections inherit the settings, CUBIC
    /// (RFC 9438) among them.
    fn listen(self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = self.socket(address)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }

    fn socket(self, address: SocketAddr) -> io::Result<Socket> {
        let kind = Type::STREAM.nonblocking();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        socket.set_tcp_congestion(CUBIC)?;
        if let Some(buffer) = self.buffer {
            socket.set_send_buffer_size(buffer)?;
            socket.set_recv_buffer_size(buffer)?;
        }
        if let Some(mss) = self.mss {
            socket.set_tcp_mss(mss)?;
        }
        Ok(socket)
    }
}

impl Stream for TcpStream {
    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.local_addr()?, self.peer_addr()?))
    }

    fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Self::set_nodelay(self, nodelay)
    }

    fn info(&self) -> io::Result<StreamInfo> {
        let (local, remote) = self.addresses()?;
        KernelStates::open()?.info(local, remote)
    }
}

/// Listens at `address` on CUBIC with `SO_REUSEADDR`. Needs a tokio runtime.
///
/// # Errors
/// Those of the socket calls; `ENOENT` where the kernel has no CUBIC.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    Kernel::default().listen(address)
}

/// Connects to `address` with CUBIC and `TCP_NODELAY`.
///
/// # Errors
/// As [`listen`], and those of connecting.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    Kernel::default().connect(address).await
}

const CUBIC: &[u8] = b"cubic";
const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    async fn pair(kernel: Kernel) -> (TcpStream, TcpStream) {
        let any = "127.0.0.1:0".parse().expect("an address");
        let mut listener = kernel.bind(any).await.expect("a listener");
        let address = listener.local_addr().expect("a local address");
        tokio::try_join!(kernel.connect(address), kernel.accept(&mut listener))
            .expect("a connection")
    }

    #[tokio::test]
    async fn both_ends_run_cubic() {
        let (near, far) = pair(Kernel::default()).await;
        for stream in [&near, &far] {
            let algorithm = SockRef::from(stream)
                .tcp_congestion()
                .expect("the algorithm");
            // The kernel pads the name with zeros.
            assert_eq!(algorithm.split(|&byte| byte == 0).next(), Some(CUBIC));
            assert!(stream.nodelay().expect("the option"));
        }
    }

    #[tokio::test]
    async fn the_kernel_tells_what_it_was_told() {
        let (near, far) = pair(Kernel {
            buffer: Some(100_000),
            mss: Some(1000),
        })
        .await;
        for stream in [&near, &far] {
            let info = stream.info().expect("sock_diag");
            assert!((500..=1000).contains(&info.snd_mss), "{info:?}");
            assert!(info.snd_cwnd >= u64::from(info.snd_mss), "{info:?}");
            assert_eq!(info.retransmits, 0);
            // The kernel doubles what it is asked for.
            let buffer = SockRef::from(stream).recv_buffer_size().expect("a size");
            assert_eq!(buffer, 200_000);
        }
    }
}
