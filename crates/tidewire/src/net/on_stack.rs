//! Connecting and binding on a given stack: `Stack::connect` and `Stack::bind`.

use std::io;

use super::{TcpListener, TcpStream, ToSocketAddrs};
use crate::stack::Stack;

impl Stack {
    /// [`TcpStream::connect`] on this stack.
    ///
    /// # Errors
    /// As there.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        TcpStream::connect_on(self, addr).await
    }

    /// [`TcpListener::bind`] on this stack.
    ///
    /// # Errors
    /// As there.
    pub async fn bind<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpListener> {
        TcpListener::bind_on(self, addr).await
    }
}
