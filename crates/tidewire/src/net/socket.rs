//! Public socket before it connects or listens: [`TcpSocket`].

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tidewire_core::{BindOptions, BufferSize, ConnectOptions, KeepAlive, ListenOptions, TcpConfig};

use super::options::check_keepalive;
use super::{TcpListener, TcpStream};
use crate::error::os_error;
use crate::shard::Binding;
use crate::stack::Stack;

/// A TCP socket to be configured before it connects or listens, as [`tokio::net::TcpSocket`].
///
/// Options apply from the handshake on: a receive buffer size, for one, decides the window scale
/// that the SYN offers.
///
/// A socket belongs to the stack that is the ambient one where the socket is made, whatever scope
/// or default there is later. Only where there is none yet does it wait: for the default at its
/// first use, or for [`connect`](Self::connect), which starts the one that the environment asks
/// for.
///
/// ```no_run
/// use tidewire::net::TcpSocket;
///
/// # async fn example() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_nodelay(true)?;
/// socket.bind("10.0.0.2:4000".parse().unwrap())?;
/// let stream = socket.connect("10.0.0.1:80".parse().unwrap()).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpSocket {
    is_v6: bool,
    /// Empty while there was none to belong to.
    stack: OnceLock<Stack>,
    /// Setters take `&self`, as tokio's do.
    options: Mutex<Options>,
    local: Mutex<Local>,
}

/// Where the socket is bound.
#[derive(Debug, Default)]
enum Local {
    #[default]
    Unbound,
    /// There is no stack yet that could say whether it may.
    Wanted(SocketAddr),
    Bound(Binding),
}

impl Local {
    fn addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Unbound => None,
            Self::Wanted(addr) => Some(*addr),
            Self::Bound(binding) => Some(binding.addr()),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Options {
    reuseaddr: bool,
    reuseport: bool,
    nodelay: Option<bool>,
    send_buffer: Option<u32>,
    recv_buffer: Option<u32>,
    linger: Option<Duration>,
    keepalive: Option<Option<KeepAlive>>,
    traffic_class: Option<u8>,
}

impl TcpSocket {
    /// A socket for IPv4, on the stack that is the ambient one here.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn new_v4() -> io::Result<Self> {
        Ok(Self::new(false, Stack::current().ok()))
    }

    /// A socket for IPv6, on the stack that is the ambient one here.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn new_v6() -> io::Result<Self> {
        Ok(Self::new(true, Stack::current().ok()))
    }

    /// A socket for IPv4, on the given stack.
    ///
    /// # Errors
    /// None; as [`new_v4`](Self::new_v4).
    pub fn new_v4_on(stack: &Stack) -> io::Result<Self> {
        Ok(Self::new(false, Some(stack.clone())))
    }

    /// A socket for IPv6, on the given stack.
    ///
    /// # Errors
    /// None; as [`new_v6`](Self::new_v6).
    pub fn new_v6_on(stack: &Stack) -> io::Result<Self> {
        Ok(Self::new(true, Some(stack.clone())))
    }

    fn new(is_v6: bool, stack: Option<Stack>) -> Self {
        Self {
            is_v6,
            stack: stack.map_or_else(OnceLock::new, OnceLock::from),
            options: Mutex::default(),
            local: Mutex::default(),
        }
    }

    /// Takes the local address and port until the socket is dropped; port 0 is one that the stack
    /// chooses. Where a stack has yet to be started from the environment, what is wrong with the
    /// address shows when the socket connects.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` when the stack has no such address, `EADDRINUSE` when another socket has
    /// bound it or listens on it, `EAFNOSUPPORT` when it is of the other IP version, `EINVAL` when
    /// the socket is bound already.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.check_family(addr)?;
        let mut local = self.local();
        if local.addr().is_some() {
            return Err(os_error(libc::EINVAL));
        }
        *local = match self.stack_now() {
            Ok(stack) => {
                let options = self.options();
                let sharing = BindOptions {
                    reuse_addr: options.reuseaddr,
                    reuse_port: options.reuseport,
                };
                Local::Bound(Binding::new(stack.shard(), addr, sharing)?)
            }
            Err(_) => Local::Wanted(addr),
        };
        Ok(())
    }

    /// Connects. Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// As [`TcpStream::connect`]; `EAFNOSUPPORT` for an address of the other IP version.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        self.check_family(addr)?;
        let stack = match self.stack.get() {
            Some(stack) => stack.clone(),
            None => Stack::ambient().await?,
        };
        let options = self.options().clone();
        let connect = ConnectOptions {
            local: self.local().addr(),
            tcp: options.tcp(&stack),
        };
        let stream = TcpStream::connect_with(&stack, addr, connect).await?;
        if options.linger.is_some() {
            stream.set_linger(options.linger)?;
        }
        Ok(stream)
    }

    /// Listens, with at most `backlog` connections waiting to be accepted.
    ///
    /// # Errors
    /// As [`TcpListener::bind`]. The environment alone does not do here, because starting a stack
    /// takes an `await`: what was awaited before, such as [`TcpListener::bind`], must have started
    /// it.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let stack = self.stack_now()?;
        let options = self.options().clone();
        let listen = ListenOptions {
            // The kernel makes 0 one, too.
            backlog: usize::try_from(backlog).unwrap_or(usize::MAX).max(1),
            tcp: options.tcp(stack),
            reuse_port: options.reuseport,
        };
        let local = std::mem::take(&mut *self.local());
        match local {
            Local::Bound(binding) => TcpListener::on_bound(binding, listen, options.linger),
            unbound => {
                let local = unbound.addr().unwrap_or_else(|| self.unspecified());
                TcpListener::bind_with(stack, local, listen, options.linger)
            }
        }
    }

    /// The local address, once bound.
    ///
    /// # Errors
    /// None; an unbound socket has the unspecified address, as in the kernel.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let local = self.local().addr();
        Ok(local.unwrap_or_else(|| self.unspecified()))
    }

    /// Always `None`: nothing has happened yet.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// Lets other sockets that set this before they bind have the same address, as long as none of
    /// them listens.
    ///
    /// Unlike the kernel's, a port whose last connections are open or in TIME-WAIT can be bound
    /// without it (RFC 9293 §3.9.1.1, MUST-42).
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.options().reuseaddr = reuseaddr;
        Ok(())
    }

    /// What [`set_reuseaddr`](Self::set_reuseaddr) was given.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        Ok(self.options().reuseaddr)
    }

    /// Sends small segments at once, or lets them wait to grow while data is in flight.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.options().nodelay = Some(nodelay);
        Ok(())
    }

    /// Whether small segments are sent at once.
    ///
    /// # Errors
    /// There is no stack whose default it could be.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option(|options| options.nodelay, |tcp| tcp.nodelay)
    }

    /// Sets the size of the send buffer, in bytes. It does not follow the connection's speed then.
    ///
    /// # Errors
    /// `EINVAL` for zero.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.options().send_buffer = Some(nonzero(size)?);
        Ok(())
    }

    /// The size of the send buffer, in bytes: as it was set, or what it may grow to.
    ///
    /// # Errors
    /// There is no stack whose default it could be.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.option(
            |options| options.send_buffer,
            |tcp| bytes(tcp.send_buffer.max()),
        )
    }

    /// Sets the size of the receive buffer, in bytes: the largest window that is ever offered. It
    /// does not follow the connection's speed then.
    ///
    /// # Errors
    /// `EINVAL` for zero, and for more than 2^30, where windows end (RFC 7323 §2.3).
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        if size > 1 << 30 {
            return Err(os_error(libc::EINVAL));
        }
        self.options().recv_buffer = Some(nonzero(size)?);
        Ok(())
    }

    /// The size of the receive buffer, in bytes: as it was set, or what it may grow to.
    ///
    /// # Errors
    /// There is no stack whose default it could be.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.option(
            |options| options.recv_buffer,
            |tcp| bytes(tcp.recv_buffer.max()),
        )
    }

    /// See [`TcpStream::set_linger`].
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.options().linger = linger;
        Ok(())
    }

    /// See [`TcpStream::set_zero_linger`].
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// See [`TcpStream::linger`].
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.options().linger)
    }

    /// Lets several listeners of the stack share an address and port, where all of them set this:
    /// connections are spread over them.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.options().reuseport = reuseport;
        Ok(())
    }

    /// The last [`set_reuseport`](Self::set_reuseport).
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn reuseport(&self) -> io::Result<bool> {
        Ok(self.options().reuseport)
    }

    /// Sets `SO_KEEPALIVE`, with the kernel's times: two hours, then nine probes 75 s apart.
    ///
    /// # Errors
    /// None; tokio's signature.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        let mut options = self.options();
        let times = options.keepalive.flatten().unwrap_or_default();
        options.keepalive = Some(keepalive.then_some(times));
        Ok(())
    }

    /// Whether the connection is probed while it is idle.
    ///
    /// # Errors
    /// There is no stack to ask for its default.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.option(
            |options| options.keepalive.map(|own| own.is_some()),
            |tcp| tcp.keepalive.is_some(),
        )
    }

    /// Turns keep-alive on with times of one's own (`TCP_KEEPIDLE`, `TCP_KEEPINTVL`,
    /// `TCP_KEEPCNT`).
    ///
    /// # Errors
    /// `EINVAL` for times or a count of zero.
    pub fn set_keepalive_params(&self, keepalive: KeepAlive) -> io::Result<()> {
        check_keepalive(Some(keepalive))?;
        self.options().keepalive = Some(Some(keepalive));
        Ok(())
    }

    /// Sets the TOS byte of IPv4 packets (`IP_TOS`). The two ECN bits belong to the stack and stay
    /// 0.
    ///
    /// # Errors
    /// `EINVAL` above 255.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.set_traffic_class(tos)
    }

    /// The TOS byte of IPv4 packets.
    ///
    /// # Errors
    /// There is no stack to ask for its default.
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.traffic_class()
    }

    /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`). The two ECN bits belong to the stack
    /// and stay 0.
    ///
    /// # Errors
    /// `EINVAL` above 255.
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.set_traffic_class(tclass)
    }

    /// The traffic class of IPv6 packets.
    ///
    /// # Errors
    /// There is no stack to ask for its default.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.traffic_class()
    }

    fn set_traffic_class(&self, class: u32) -> io::Result<()> {
        let class = u8::try_from(class).map_err(|_| os_error(libc::EINVAL))?;
        self.options().traffic_class = Some(class & !ECN_BITS);
        Ok(())
    }

    fn traffic_class(&self) -> io::Result<u32> {
        self.option(
            |options| options.traffic_class.map(u32::from),
            |tcp| u32::from(tcp.traffic_class),
        )
    }

    /// The interface that the socket is bound to: always its stack's.
    ///
    /// # Errors
    /// There is no stack.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(self.stack_now()?.interface().as_bytes().to_vec()))
    }

    /// Binds the socket to an interface, which can only be its stack's; `None` changes nothing.
    ///
    /// # Errors
    /// `ENODEV` for another interface; there is no stack.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        let stack = self.stack_now()?;
        let is_own = interface.is_none_or(|name| name == stack.interface().as_bytes());
        if !is_own {
            return Err(os_error(libc::ENODEV));
        }
        Ok(())
    }

    fn check_family(&self, addr: SocketAddr) -> io::Result<()> {
        if addr.is_ipv6() != self.is_v6 {
            return Err(os_error(libc::EAFNOSUPPORT));
        }
        Ok(())
    }

    fn unspecified(&self) -> SocketAddr {
        let ip: IpAddr = if self.is_v6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        SocketAddr::new(ip, 0)
    }

    /// The stack, where none has to be started for it; the socket keeps to it.
    fn stack_now(&self) -> io::Result<&Stack> {
        match self.stack.get() {
            Some(stack) => Ok(stack),
            None => {
                let stack = Stack::current()?;
                Ok(self.stack.get_or_init(|| stack))
            }
        }
    }

    fn option<T>(
        &self,
        own: impl FnOnce(&Options) -> Option<T>,
        default: impl FnOnce(&TcpConfig) -> T,
    ) -> io::Result<T> {
        let own = own(&self.options());
        match own {
            Some(value) => Ok(value),
            None => Ok(default(&self.stack_now()?.tcp_config())),
        }
    }

    fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Options {
    /// The stack's defaults with what was set here; `None` where nothing was.
    fn tcp(&self, stack: &Stack) -> Option<TcpConfig> {
        let Self {
            nodelay,
            send_buffer,
            recv_buffer,
            keepalive,
            traffic_class,
            ..
        } = *self;
        let sizes = send_buffer.or(recv_buffer);
        if nodelay.is_none() && sizes.is_none() && keepalive.is_none() && traffic_class.is_none() {
            return None;
        }
        let mut tcp = stack.tcp_config();
        let size = |own: Option<u32>, default| {
            own.map_or(default, |size| BufferSize::Fixed(size as usize))
        };
        tcp.nodelay = nodelay.unwrap_or(tcp.nodelay);
        tcp.keepalive = keepalive.unwrap_or(tcp.keepalive);
        tcp.traffic_class = traffic_class.unwrap_or(tcp.traffic_class);
        tcp.send_buffer = size(send_buffer, tcp.send_buffer);
        tcp.recv_buffer = size(recv_buffer, tcp.recv_buffer);
        Some(tcp)
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("is_v6", &self.is_v6)
            .field("local", &*self.local())
            .field("options", &*self.options())
            .finish_non_exhaustive()
    }
}

fn nonzero(size: u32) -> io::Result<u32> {
    if size == 0 {
        return Err(os_error(libc::EINVAL));
    }
    Ok(size)
}

fn bytes(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// The bits of the traffic class that are ECN's (RFC 3168 §5).
const ECN_BITS: u8 = 3;
