use core::net::SocketAddr;
use std::io;

use tidewire::Stack;
use tidewire::net::{TcpListener, TcpStream};

use crate::traffic::Transport;

/// A Tidewire stack through `tidewire::net`.
#[derive(Debug, Clone)]
pub struct Tidewire(pub Stack);

impl Transport for Tidewire {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        self.0.bind(address).await
    }

    async fn accept(&self, listener: &mut TcpListener) -> io::Result<TcpStream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.0.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
