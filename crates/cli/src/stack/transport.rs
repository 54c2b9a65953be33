//! Tidewire streams as a transport.

use core::net::SocketAddr;
use std::io;

use tidewire::Stack;
use tidewire::net::{TcpListener, TcpStream};
use tidewire::time::Duration;

use crate::traffic::{Stream, StreamInfo, Transport};

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

impl Stream for TcpStream {
    fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.local_addr()?, self.peer_addr()?))
    }

    fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        Self::set_nodelay(self, nodelay)
    }

    fn info(&self) -> io::Result<StreamInfo> {
        let info = Self::info(self);
        Ok(StreamInfo {
            retransmits: info.segs_retransmitted,
            snd_cwnd: info.cwnd,
            snd_wnd: info.snd_wnd.into(),
            rtt: info.srtt.map(Duration::as_micros).unwrap_or_default(),
            rttvar: info.rttvar.as_micros(),
            snd_mss: info.snd_mss,
        })
    }
}
