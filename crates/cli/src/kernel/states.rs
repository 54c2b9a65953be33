//! Connection states and `TCP_INFO` from the kernel, by `sock_diag`.

use core::net::{IpAddr, SocketAddr};
use std::io;

use nix::errno::Errno;

use crate::netlink::{self, Netlink, Reply, find_attribute, u32_at};
use crate::state::{State, StateSource};
use crate::traffic::StreamInfo;

/// Asks the kernel for the state of one of its connections (`sock_diag`, the source of `ss`).
///
/// It reports on the namespace of the thread that opened it, on any thread, and also on connections
/// without a process: FIN-WAIT-2, LAST-ACK and TIME-WAIT.
#[derive(Debug)]
pub struct KernelStates {
    netlink: Netlink,
}

impl KernelStates {
    /// Opens the netlink socket in the calling thread's namespace.
    ///
    /// # Errors
    /// When the kernel has no `sock_diag`.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            netlink: Netlink::open(netlink::SOCK_DIAG)?,
        })
    }

    /// The state of the connection from `local` to `remote`: LISTEN when there is only a listening
    /// socket at `local`, CLOSED when there is nothing.
    ///
    /// # Errors
    /// When the kernel answers with something else than a state.
    pub fn state(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<State> {
        match self.ask(local, remote, NOTHING_MORE) {
            Ok(answer) => answer
                .get(1)
                .and_then(|&code| state_from_code(code))
                .ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "an unknown connection state")
                }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::Closed),
            Err(error) => Err(error),
        }
    }

    /// `TCP_INFO` of the connection from `local` to `remote`.
    ///
    /// # Errors
    /// `ENOENT` without such a connection, `ENODATA` when it is over.
    pub fn info(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<StreamInfo> {
        let answer = self.ask(local, remote, WITH_TCP_INFO)?;
        answer
            .get(DIAG_MESSAGE_LEN..)
            .and_then(|attributes| find_attribute(attributes, INET_DIAG_INFO))
            .and_then(stream_info)
            .ok_or_else(|| Errno::ENODATA.into())
    }

    fn ask(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        extensions: u8,
    ) -> io::Result<Vec<u8>> {
        let request = diag_request(local, remote, extensions);
        self.netlink
            .request(SOCK_DIAG_BY_FAMILY, &request, Reply::Message)
    }
}

impl StateSource for KernelStates {
    fn state(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<State> {
        Self::state(self, local, remote)
    }
}

/// `struct inet_diag_req_v2` of `linux/inet_diag.h`.
fn diag_request(local: SocketAddr, remote: SocketAddr, extensions: u8) -> Vec<u8> {
    let mut request = Vec::with_capacity(56);
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    request.extend_from_slice(&[family, IPPROTO_TCP, extensions, 0]);
    request.extend_from_slice(&ALL_STATES.to_ne_bytes());
    request.extend_from_slice(&local.port().to_be_bytes());
    request.extend_from_slice(&remote.port().to_be_bytes());
    for address in [local.ip(), remote.ip()] {
        let mut field = [0; 16];
        match address {
            IpAddr::V4(address) => field[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => field = address.octets(),
        }
        request.extend_from_slice(&field);
    }
    request.extend_from_slice(&ANY_INTERFACE.to_ne_bytes());
    request.extend_from_slice(&NO_COOKIE.to_ne_bytes());
    request
}

/// Reads `struct tcp_info` of `linux/tcp.h`, whose fields stay where they are.
fn stream_info(info: &[u8]) -> Option<StreamInfo> {
    let field = |offset| u32_at(info, offset);
    let snd_mss = field(16)?;
    Some(StreamInfo {
        retransmits: field(100)?.into(),
        // Counted in segments there.
        snd_cwnd: u64::from(field(80)?) * u64::from(snd_mss),
        // Since Linux 5.4.
        snd_wnd: field(228).unwrap_or_default().into(),
        rtt: field(68)?.into(),
        rttvar: field(72)?.into(),
        snd_mss,
    })
}

/// The codes of `enum` in `net/tcp_states.h`, which `TCP_INFO` and `/proc/net/tcp` use too.
fn state_from_code(code: u8) -> Option<State> {
    Some(match code {
        1 => State::Established,
        2 => State::SynSent,
        // 12 is a half-open connection that has no socket yet.
        3 | 12 => State::SynReceived,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        7 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    })
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_INFO: u16 = 2;
const NOTHING_MORE: u8 = 0;
const WITH_TCP_INFO: u8 = 1 << (INET_DIAG_INFO - 1);
/// `struct inet_diag_msg`; attributes follow.
const DIAG_MESSAGE_LEN: usize = 72;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const ALL_STATES: u32 = u32::MAX;
const ANY_INTERFACE: u32 = 0;
const NO_COOKIE: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_states_of_a_loopback_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let server = listener.local_addr().expect("an address");
        let mut states = KernelStates::open().expect("sock_diag");
        let stream = TcpStream::connect(server).expect("a connection");
        let (accepted, client) = listener.accept().expect("an accepted connection");
        // Awaited: a child that another test forks holds copies of these sockets until it executes.
        let mut reaches = |local, remote, wanted: &[State]| {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let state = states.state(local, remote).expect("a state");
                if wanted.contains(&state) {
                    return;
                }
                assert!(Instant::now() < deadline, "{state:?}, not {wanted:?}");
                std::thread::yield_now();
            }
        };
        reaches(client, server, &[State::Established]);
        reaches(server, client, &[State::Established]);

        drop(stream);
        // The acknowledgement of the FIN may be delayed (RFC 9293 §3.8.6.3).
        reaches(client, server, &[State::FinWait1, State::FinWait2]);
        reaches(server, client, &[State::CloseWait]);

        drop(accepted);
        reaches(client, server, &[State::TimeWait]);
        reaches(server, client, &[State::Listen]);

        drop(listener);
        reaches(server, client, &[State::Closed]);
    }

    #[test]
    fn a_request_has_the_size_of_the_kernel_struct() {
        let v6 = "[fd77::1]:80".parse().expect("an address");
        assert_eq!(diag_request(v6, v6, NOTHING_MORE).len(), 56);
    }
}
