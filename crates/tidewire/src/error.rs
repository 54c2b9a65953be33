//! Errors: why a stack cannot start, and the kernel's error code for each error of the core.

use std::fmt;
use std::io;
use std::net::IpAddr;

use tidewire_core::wire::MacAddr;
use tidewire_core::{ConfigError, ConnError, ConnectError, ListenError, ReadError, WriteError};

/// Why a stack could not be started. The text says what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum StackError {
    /// The process may not open packet sockets.
    NoCapability,
    /// There is no interface of this name.
    NoSuchInterface {
        /// The name that was asked for.
        interface: String,
        /// The interfaces there are, the loopback excepted.
        available: Vec<String>,
    },
    /// The interface is down.
    LinkDown {
        /// Its name.
        interface: String,
    },
    /// The interface is up, but nothing is at its other end.
    NoCarrier {
        /// Its name.
        interface: String,
    },
    /// The loopback interface has no link to take part in.
    Loopback {
        /// Its name.
        interface: String,
    },
    /// The kernel has this address itself, and would answer every segment to it with a reset.
    AddressOfKernel {
        /// The address.
        address: IpAddr,
        /// The interface that has it.
        interface: String,
    },
    /// Another host on the link has this address.
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// The MAC address that answered for it.
        mac: MacAddr,
    },
    /// The text is not an address with a prefix length.
    BadAddress(
        /// The text.
        String,
    ),
    /// The text is not an address.
    BadGateway(
        /// The text.
        String,
    ),
    /// The text is not a unicast MAC address.
    BadMac(
        /// The text.
        String,
    ),
    /// No address was given.
    NoAddress,
    /// The configuration contradicts itself.
    Config(ConfigError),
    /// Not called from within a tokio runtime.
    NoRuntime,
    /// No stack was given, none is the default, and the environment names none.
    NoStack,
    /// The capture file cannot be created.
    Capture {
        /// Its path.
        path: std::path::PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The system has no random numbers.
    NoEntropy,
    /// Opening the device failed in another way.
    Device {
        /// The interface.
        interface: String,
        /// What the system says.
        error: io::Error,
    },
}

impl StackError {
    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NoCapability => io::ErrorKind::PermissionDenied,
            Self::NoSuchInterface { .. } => io::ErrorKind::NotFound,
            Self::LinkDown { .. } | Self::NoCarrier { .. } => io::ErrorKind::NetworkDown,
            Self::AddressOfKernel { .. } | Self::AddressInUse { .. } => io::ErrorKind::AddrInUse,
            Self::BadAddress(_)
            | Self::BadGateway(_)
            | Self::BadMac(_)
            | Self::NoAddress
            | Self::Config(_)
            | Self::Loopback { .. } => io::ErrorKind::InvalidInput,
            Self::NoRuntime | Self::NoStack | Self::NoEntropy => io::ErrorKind::Other,
            Self::Capture { error, .. } | Self::Device { error, .. } => error.kind(),
        }
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCapability => f.write_str(
                "packet sockets need CAP_NET_RAW: run `sudo setcap cap_net_raw+ep` on the program, \
                 run it with `sudo`, or try it in a network of its own with `unshare -Urn`",
            ),
            Self::NoSuchInterface {
                interface,
                available,
            } => fmt_no_such_interface(f, interface, available),
            Self::LinkDown { interface } => write!(
                f,
                "interface {interface} is down: `ip link set {interface} up`"
            ),
            Self::NoCarrier { interface } => write!(
                f,
                "interface {interface} has no carrier: plug the cable in, or, for a veth, set its \
                 peer up too (`ip link set PEER up`)"
            ),
            Self::Loopback { interface } => write!(
                f,
                "{interface} is the loopback, which has no link layer: use another interface, or \
                 `Stack::in_memory`"
            ),
            Self::AddressOfKernel { address, interface } => write!(
                f,
                "the kernel has {address} on {interface} and would reset the stack's connections: \
                 give the stack a free address of the same network, or take it from the kernel \
                 with `ip address del {address} dev {interface}`"
            ),
            Self::AddressInUse { address, mac } => {
                write!(
                    f,
                    "the host with the MAC address {mac} has {address}: choose a free address"
                )
            }
            Self::BadAddress(text) => {
                write!(
                    f,
                    "`{text}` is not an address with its prefix length, like `10.0.0.2/24`"
                )
            }
            Self::BadGateway(text) => {
                write!(f, "gateway `{text}` is not an address, like `10.0.0.1`")
            }
            Self::BadMac(text) => write!(
                f,
                "`{text}` is not a unicast MAC address, like `02:00:00:00:00:01`"
            ),
            Self::NoAddress => {
                f.write_str("the stack needs an address: `.address(\"10.0.0.2/24\")`")
            }
            Self::Config(error) => error.fmt(f),
            Self::NoRuntime => f.write_str(
                "a stack is started within a tokio runtime, with its I/O and time drivers enabled: \
                 call this from `#[tokio::main]` or from a spawned task",
            ),
            Self::NoStack => f.write_str(
                "there is no stack to use: start one and call `set_default()`, run this within \
                 `stack.scope(..)`, or set TIDEWIRE_IFACE and TIDEWIRE_ADDR",
            ),
            Self::Capture { path, error } => {
                write!(
                    f,
                    "cannot write the capture file {}: {error}",
                    path.display()
                )
            }
            Self::NoEntropy => f.write_str("the system's random number generator failed"),
            Self::Device { interface, error } => {
                write!(f, "cannot open a packet socket on {interface}: {error}")
            }
        }
    }
}

fn fmt_no_such_interface(
    f: &mut fmt::Formatter<'_>,
    interface: &str,
    available: &[String],
) -> fmt::Result {
    if available.is_empty() {
        return write!(
            f,
            "there is no interface `{interface}`, nor any other but the loopback; \
             make a pair with `ip link add veth0 type veth peer name veth1`"
        );
    }
    let available = available.join(", ");
    write!(
        f,
        "there is no interface `{interface}`; there are: {available}"
    )
}

impl std::error::Error for StackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Capture { error, .. } | Self::Device { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<StackError> for io::Error {
    fn from(error: StackError) -> Self {
        Self::new(error.kind(), error)
    }
}

impl From<ConfigError> for StackError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// The system's error of this number: kind, code and text are those that a kernel socket gives.
pub(crate) fn os_error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// What the kernel reports for the same thing.
pub(crate) trait ToOsError {
    /// The `errno`.
    fn errno(&self) -> i32;

    /// The error as an [`io::Error`].
    fn to_io(&self) -> io::Error {
        os_error(self.errno())
    }
}

impl ToOsError for ConnError {
    fn errno(&self) -> i32 {
        match self {
            Self::Refused => libc::ECONNREFUSED,
            Self::Reset => libc::ECONNRESET,
            Self::BrokenPipe => libc::EPIPE,
            Self::TimedOut => libc::ETIMEDOUT,
            Self::HostUnreachable => libc::EHOSTUNREACH,
            Self::NetworkUnreachable => libc::ENETUNREACH,
            _ => libc::ECONNABORTED,
        }
    }
}

impl ToOsError for ReadError {
    fn errno(&self) -> i32 {
        match self {
            Self::Failed(error) => error.errno(),
            _ => libc::EAGAIN,
        }
    }
}

impl ToOsError for WriteError {
    fn errno(&self) -> i32 {
        match self {
            Self::Closed => libc::EPIPE,
            Self::Failed(error) => error.errno(),
            _ => libc::EAGAIN,
        }
    }
}

impl ToOsError for ConnectError {
    fn errno(&self) -> i32 {
        match self {
            Self::PortsExhausted | Self::AddrNotAvailable | Self::AddrInUse => libc::EADDRNOTAVAIL,
            Self::NoRoute | Self::InvalidDestination => libc::ENETUNREACH,
            Self::TooManyConnections | Self::NoMemory => libc::ENOBUFS,
            _ => libc::EINVAL,
        }
    }
}

impl ToOsError for ListenError {
    fn errno(&self) -> i32 {
        match self {
            Self::AddrNotAvailable => libc::EADDRNOTAVAIL,
            Self::InvalidOptions => libc::EINVAL,
            _ => libc::EADDRINUSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn core_errors_become_the_kernels() {
        let cases: [(&dyn ToOsError, i32, ErrorKind); 10] = [
            (
                &ConnError::Refused,
                libc::ECONNREFUSED,
                ErrorKind::ConnectionRefused,
            ),
            (
                &ConnError::Reset,
                libc::ECONNRESET,
                ErrorKind::ConnectionReset,
            ),
            (&ConnError::TimedOut, libc::ETIMEDOUT, ErrorKind::TimedOut),
            (
                &ConnError::HostUnreachable,
                libc::EHOSTUNREACH,
                ErrorKind::HostUnreachable,
            ),
            (
                &ReadError::Failed(ConnError::Reset),
                libc::ECONNRESET,
                ErrorKind::ConnectionReset,
            ),
            (&WriteError::Closed, libc::EPIPE, ErrorKind::BrokenPipe),
            (&WriteError::Blocked, libc::EAGAIN, ErrorKind::WouldBlock),
            (
                &ConnectError::NoRoute,
                libc::ENETUNREACH,
                ErrorKind::NetworkUnreachable,
            ),
            (
                &ConnectError::PortsExhausted,
                libc::EADDRNOTAVAIL,
                ErrorKind::AddrNotAvailable,
            ),
            (
                &ListenError::AddrInUse,
                libc::EADDRINUSE,
                ErrorKind::AddrInUse,
            ),
        ];
        for (error, code, kind) in cases {
            let io = error.to_io();
            assert_eq!((io.raw_os_error(), io.kind()), (Some(code), kind));
        }
    }

    #[test]
    fn start_errors_keep_their_text_as_io_errors() {
        let error = StackError::NoSuchInterface {
            interface: "eth7".into(),
            available: vec!["eth0".into(), "veth0".into()],
        };
        let text = error.to_string();
        assert!(
            text.contains("`eth7`") && text.contains("eth0, veth0"),
            "{text}"
        );
        let io = io::Error::from(error);
        assert_eq!((io.kind(), io.to_string()), (ErrorKind::NotFound, text));
    }
}
