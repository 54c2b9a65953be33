//! Cases of the suite, and their helpers.

mod cancel;
mod close;
mod connect;
mod listen;
mod options;
mod ready;
mod split;
mod transfer;

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Waker};

use libtest_mimic::Trial;
use tokio::net::TcpStream as PeerStream;

use super::net::{TcpListener, TcpStream};
use crate::{Implementation, World};

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        connect::trials(),
        listen::trials(),
        transfer::trials(),
        ready::trials(),
        close::trials(),
        split::trials(),
        options::trials(),
        cancel::trials(),
    ];
    trials.into_iter().flatten().collect()
}

/// The trials of a module: each of these functions, by its name.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        pub(super) fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            let name = |case: &str| format!("{module}::{case}");
            let trials = [$( crate::trials(super::super::OVER, &name(stringify!($case)), $case) ),+];
            trials.into_iter().flatten().collect()
        }
    };
}
use cases;

/// Connections and listeners for a case, over the implementation of this module.
trait Ends {
    /// A listener at a port of its own choice.
    async fn listener(&self) -> io::Result<(TcpListener, SocketAddr)>;

    /// A connection that we opened: our end and the peer's.
    async fn outgoing(&self) -> io::Result<(TcpStream, PeerStream)>;

    /// A connection that the peer opened: our end and the peer's.
    async fn incoming(&self) -> io::Result<(TcpStream, PeerStream)>;

    /// An address of the peer at which nobody listens.
    async fn closed_port(&self) -> io::Result<SocketAddr>;
}

impl Ends for World {
    async fn listener(&self) -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((self.own, 0)).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    async fn outgoing(&self) -> io::Result<(TcpStream, PeerStream)> {
        let (listener, address) = self.net.kernel_listener().await?;
        let stream = TcpStream::connect(address).await?;
        Ok((stream, listener.accept().await?.0))
    }

    async fn incoming(&self) -> io::Result<(TcpStream, PeerStream)> {
        let (listener, address) = self.listener().await?;
        let peer = self.net.kernel_connect(address).await?;
        Ok((listener.accept().await?.0, peer))
    }

    async fn closed_port(&self) -> io::Result<SocketAddr> {
        let (listener, address) = self.net.kernel_listener().await?;
        drop(listener);
        Ok(address)
    }
}

/// The error's code; its kind and text follow from it.
#[track_caller]
fn code<T: Debug>(result: io::Result<T>) -> i32 {
    let error = result.expect_err("an error");
    let code = error.raw_os_error();
    code.unwrap_or_else(|| panic!("no code of the system: {error:?}"))
}

/// The error's kind, for errors that tokio itself makes.
#[track_caller]
fn kind<T: Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.expect_err("an error").kind()
}

/// Polls a future once and drops it; it must not be ready.
#[track_caller]
fn give_up<F: Future>(future: F) {
    let mut future = std::pin::pin!(future);
    let poll = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending(), "it did not have to wait");
}

/// Binds to the address of a closed socket. The kernel's socket lives as long as its last copy, and
/// a program that another test is starting may hold one for a moment; Tidewire's ends at once.
async fn where_one_was<T>(
    world: &World,
    mut bind: impl AsyncFnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match bind().await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && world.over == Implementation::Kernel =>
            {
                tokio::task::yield_now().await;
            }
            result => return result,
        }
    }
}

/// Resets a connection of the peer.
fn reset(peer: PeerStream) -> io::Result<()> {
    peer.set_zero_linger()?;
    drop(peer);
    Ok(())
}
