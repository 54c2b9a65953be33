//! Test network: two hosts, their addresses, and connections between them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tidewire::{Stack, StackBuilder};
use tidewire_cli::lab::{HostHandle, INTERFACE, Lab};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// The IP version of a test's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// IPv4, 10.77.0.0/24.
    V4,
    /// IPv6, fd77::/64.
    V6,
}

impl Version {
    /// Both.
    pub const EACH: [Self; 2] = [Self::V4, Self::V6];

    /// The address of a host of the network.
    #[must_use]
    pub const fn host(self, number: u8) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(10, 77, 0, number)),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number as u16)),
        }
    }

    /// The kernel's address on the right.
    #[must_use]
    pub const fn kernel(self) -> IpAddr {
        self.host(1)
    }

    /// The stack's address on the left, which the kernel there does not have.
    #[must_use]
    pub const fn tidewire(self) -> IpAddr {
        self.host(2)
    }

    /// An address on another network.
    #[must_use]
    pub const fn far(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(10, 88, 0, 1)),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1)),
        }
    }

    /// An address with the length of its prefix, as stacks and `ip address` take it.
    #[must_use]
    pub fn with_prefix(self, address: IpAddr) -> String {
        let length = match self {
            Self::V4 => 24,
            Self::V6 => 64,
        };
        format!("{address}/{length}")
    }

    /// The headers of a data segment with timestamps, in bytes.
    #[must_use]
    pub const fn headers(self) -> u32 {
        match self {
            Self::V4 => 20 + 32,
            Self::V6 => 40 + 32,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// Both hosts, as a test sees them. The test itself runs on the left.
///
/// A kernel socket belongs to the host on which it was made, whoever uses it later:
/// [`on_right`](Self::on_right) makes one, and then the test can hold both ends of a connection.
#[derive(Debug, Clone)]
pub struct Net {
    left: HostHandle,
    right: HostHandle,
    version: Version,
    runtime: Handle,
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
    pub(crate) fn new(lab: &Lab, version: Version, runtime: Handle) -> Self {
        Self {
            left: lab.left().clone(),
            right: lab.right().clone(),
            version,
            runtime,
        }
    }

    /// The IP version of the link.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The kernel's address on the right.
    #[must_use]
    pub fn kernel(&self) -> IpAddr {
        self.version.kernel()
    }

    /// The stack's address on the left.
    #[must_use]
    pub fn tidewire(&self) -> IpAddr {
        self.version.tidewire()
    }

    /// [`tidewire`](Self::tidewire) with its prefix.
    #[must_use]
    pub fn tidewire_address(&self) -> String {
        self.version.with_prefix(self.tidewire())
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

    /// A stack to be started on the left with its address.
    pub fn builder(&self) -> StackBuilder {
        Stack::on(INTERFACE).address(self.tidewire_address())
    }

    /// A stack on the left with its address and the defaults of everything else.
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
        self.runtime.spawn(work).await?
    }

    /// Starts `work` on the right, on a thread of its own.
    pub fn spawn_right<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(work)
    }

    /// A kernel listener on the right, and its address.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn kernel_listener(&self) -> io::Result<(tokio::net::TcpListener, SocketAddr)> {
        self.kernel_listener_at(self.kernel()).await
    }

    /// Gives the right host an address, usable at once, where it does not have it already.
    ///
    /// # Errors
    /// Those of `ip address replace`.
    pub fn add_address(&self, address: &str, interface: &str) -> io::Result<()> {
        let command = ["address", "replace", address, "dev", interface];
        let detection: &[&str] = match self.version {
            Version::V4 => &[],
            Version::V6 => &["nodad"],
        };
        let added = self.right.ip(&[&command, detection].concat());
        added.map(drop).map_err(io::Error::other)
    }

    /// A kernel listener at an address of the right host.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn kernel_listener_at(
        &self,
        address: IpAddr,
    ) -> io::Result<(tokio::net::TcpListener, SocketAddr)> {
        let listener = self
            .on_right(async move { tidewire_cli::kernel::listen(SocketAddr::new(address, 0)) })
            .await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// A kernel server on the right that sends everything back, as long as the test runs.
    ///
    /// # Errors
    /// Those of the kernel.
    pub async fn kernel_echo(&self) -> io::Result<SocketAddr> {
        let (listener, address) = self.kernel_listener().await?;
        self.spawn_right(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await?;
                    writer.shutdown().await
                });
            }
        });
        Ok(address)
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
                let listener = stack.bind((self.tidewire(), 0)).await?;
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
