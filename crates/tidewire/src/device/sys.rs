//! System calls of a packet socket that no safe crate offers. The only file with `unsafe`.
#![allow(
    unsafe_code,
    reason = "packet(7) options and ancillary data exist in libc alone"
)]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One received frame.
#[derive(Copy, Clone, Debug)]
pub(super) struct Received {
    /// Bytes of the frame as it was; more than the buffer holds when it was cut.
    pub(super) len: usize,
    /// `tp_status` of `PACKET_AUXDATA`, where that option is on.
    pub(super) status: Option<u32>,
}

/// Sets an integer option.
pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: the kernel copies `size_of::<c_int>()` bytes from `value`, which lives on this
    // stack frame for the whole call; the descriptor is open while it is borrowed.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    check(result)
}

/// Lets the current tokio runtime, whose I/O driver has to be enabled, watch the socket.
pub(super) fn watch(socket: Socket, interest: Interest) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns one open descriptor and closes it when it is dropped, which the
    // `AsyncFd` does after its registration; nothing else gets hold of it mutably.
    let registered = unsafe { AsyncFd::register_with_interest(socket, interest) };
    registered.map_err(io::Error::from)
}

/// Binds a packet socket to one interface and starts reception of `protocol` (host byte order).
pub(super) fn bind(fd: BorrowedFd<'_>, interface: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain integers and byte arrays: all zeros is a value of it.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index(interface)?;
    // SAFETY: the address is initialised and its exact size is given; the kernel only reads it.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast::<libc::sockaddr>(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    check(result)
}

/// Lets the interface receive frames for one more MAC address: a host's (`PACKET_MR_UNICAST`) or a
/// group's (`PACKET_MR_MULTICAST`).
pub(super) fn join(fd: BorrowedFd<'_>, interface: u32, mac: [u8; 6]) -> io::Result<()> {
    let kind = if mac[0] & 1 == 0 {
        libc::PACKET_MR_UNICAST
    } else {
        libc::PACKET_MR_MULTICAST
    };
    let mut request = libc::packet_mreq {
        mr_ifindex: index(interface)?,
        mr_type: kind as libc::c_ushort,
        mr_alen: mac.len() as libc::c_ushort,
        mr_address: [0; 8],
    };
    request.mr_address[..mac.len()].copy_from_slice(&mac);
    // SAFETY: the request is initialised, its exact size is given, the kernel only reads it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast::<c_void>(),
            size_of::<libc::packet_mreq>() as libc::socklen_t,
        )
    };
    check(result)
}

/// Receives one frame without blocking: `prefix` takes the first bytes (the vnet header, if that
/// is on), `buffer` the rest. Call with an empty `prefix` where there is no such header.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    prefix: &mut [u8],
    buffer: &mut [u8],
) -> io::Result<Received> {
    let mut pieces = [
        libc::iovec {
            iov_base: prefix.as_mut_ptr().cast(),
            iov_len: prefix.len(),
        },
        libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        },
    ];
    let mut control = Control {
        bytes: [0; CONTROL_LEN],
    };
    // SAFETY: `msghdr` is plain integers and pointers: all zeros (null) is a value of it.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = pieces.as_mut_ptr();
    message.msg_iovlen = pieces.len();
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_LEN;
    // SAFETY: every pointer in `message` is to live memory that is mutably borrowed here, of the
    // length stated beside it, so that the kernel writes nowhere else.
    let result = unsafe {
        libc::recvmsg(
            fd.as_raw_fd(),
            &raw mut message,
            libc::MSG_DONTWAIT | libc::MSG_TRUNC,
        )
    };
    let total = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
    Ok(Received {
        len: total.saturating_sub(prefix.len()),
        status: auxiliary_status(&message),
    })
}

/// The interface's MTU in bytes.
pub(super) fn mtu(fd: BorrowedFd<'_>, interface: &str) -> io::Result<u32> {
    // SAFETY: `ifreq` is byte arrays, integers and a union of such: all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // One byte stays zero: the name is a C string.
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    // SAFETY: SIOCGIFMTU reads the name from and writes the MTU to the `ifreq` it is given.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    check(result)?;
    // SAFETY: the call succeeded, so that `ifru_mtu` is the member of the union it has written;
    // and every member is valid for any bits.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Frames dropped for want of buffer space since the last call.
pub(super) fn take_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `stats`, which is that large.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast::<c_void>(),
            &raw mut len,
        )
    };
    check(result)?;
    Ok(stats.tp_drops)
}

/// Room for one `PACKET_AUXDATA` message, with some to spare.
const CONTROL_LEN: usize = 64;

/// Ancillary data, aligned as `cmsghdr` has to be.
#[repr(C, align(8))]
struct Control {
    bytes: [u8; CONTROL_LEN],
}

fn auxiliary_status(message: &libc::msghdr) -> Option<u32> {
    if message.msg_controllen == 0 {
        return None;
    }
    // SAFETY: `message` is the header that `recvmsg` has filled in, its control buffer is alive
    // and aligned; the CMSG functions stay within `msg_controllen`.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: not null, so it points to a whole, aligned `cmsghdr` in the control buffer.
        let fields = unsafe { *header };
        if fields.cmsg_level == libc::SOL_PACKET && fields.cmsg_type == libc::PACKET_AUXDATA {
            let mut data = MaybeUninit::<libc::tpacket_auxdata>::zeroed();
            let len = fields.cmsg_len.min(CONTROL_LEN);
            let payload = len.saturating_sub(size_of::<libc::cmsghdr>());
            // SAFETY: at least `payload` bytes follow the header in the control buffer, and no
            // more than the destination holds are copied; the two do not overlap.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    libc::CMSG_DATA(header),
                    data.as_mut_ptr().cast::<u8>(),
                    payload.min(size_of::<libc::tpacket_auxdata>()),
                );
            }
            // SAFETY: plain integers, all of them zeroed before and valid for any bits.
            return Some(unsafe { data.assume_init() }.tp_status);
        }
        // SAFETY: as for CMSG_FIRSTHDR, and `header` came from it.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

fn index(interface: u32) -> io::Result<c_int> {
    c_int::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
