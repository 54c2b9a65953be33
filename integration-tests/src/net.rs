use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tidewire::{Stack, StackBuilder};
use tidewire_cli::lab::{HostHandle, INTERFACE, Lab, TIDEWIRE_ADDRESS};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// The kernel's address on the right.
pub const KERNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
/// The stack's address on the left, which the kernel there does not have.
pub const TIDEWIRE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

/// Both hosts, as a test sees them. The test itself runs on the left.
///
/// A kernel socket belongs to the host on which it was made, whoever uses it later: [`on_right`](Self::on_right) makes one,
/// and then the test can hold both ends of a connection.
#[derive(Debug, Clone)]
pub struct Net {
    left: HostHandle,
    right: HostHandle,
    kernel: Handle,
}

/// Which end opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opener {
    /// The stack, to a kernel listener.
    Tidewire,
    /// The kernel, to a listener of the stack.
    Kernel,
}

impl Opener {
    /// Both.
    pub const EACH: [Self; 2] = [Self::Tidewire, Self::Kernel];
}

impl Net {
    pub(crate) fn new(lab: &Lab, kernel: Handle) -> Self {
        Self {
            left: lab.left().clone(),
            right: lab.right().clone(),
            kernel,
        }
    }

    /// The host on the left.
    #[must_use]
    pub fn left(&self) -> &HostHandle {
        &self.left
    }

    /// The host on the right.
    #[must_use]
    pub fn right(&self) -> &HostHandle {
        &self.right
    }

    /// A stack to be started on the left with [`TIDEWIRE`].
    pub fn builder(&self) -> StackBuilder {
        Stack::on(INTERFACE).address(TIDEWIRE_ADDRESS)
    }

    /// A stack on the left with [`TIDEWIRE`] and the defaults of everything else.
    ///
    /// # Errors
    /// Those of the start.
    pub async fn stack(&self) -> io::Result<Stack> {
        Ok(self.builder().start().await?)
    }

    /// Runs `work` on the right and waits for it.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn on_right<T: Send + 'static>(
        &self,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        self.kernel.spawn(work).await?
    }

    /// Starts `work` on the right, on a thread of its own.
    pub fn spawn_right<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.kernel.spawn(work)
    }

    /// A kernel listener on the right, and its address.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn kernel_listener(&self) -> io::Result<(tokio::net::TcpListener, SocketAddr)> {
        let listener = self
            .on_right(async { tidewire_cli::kernel::listen(SocketAddr::new(KERNEL, 0)) })
            .await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// A kernel connection from the right, to a listener of the stack.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn kernel_connect(&self, address: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        self.on_right(tokio::net::TcpStream::connect(address)).await
    }

    /// Both ends of a new connection.
    ///
    /// # Errors
    /// Those of either end.
    pub async fn connection(
        &self,
        stack: &Stack,
        opener: Opener,
    ) -> io::Result<(tidewire::net::TcpStream, tokio::net::TcpStream)> {
        match opener {
            Opener::Tidewire => {
                let (listener, address) = self.kernel_listener().await?;
                let ours = stack.connect(address).await?;
                Ok((ours, listener.accept().await?.0))
            }
            Opener::Kernel => {
                let listener = stack.bind((TIDEWIRE, 0)).await?;
                let theirs = self.kernel_connect(listener.local_addr()?).await?;
                Ok((listener.accept().await?.0, theirs))
            }
        }
    }
}

/// Waits until `condition` holds, looking again every millisecond, for ten seconds at most.
///
/// # Errors
/// `TimedOut`, with `what` as its text.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) -> io::Result<()> {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = timeout(Duration::from_secs(10), holds).await;
    waited.map_err(|_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("waited in vain until {what}"),
        )
    })
}
