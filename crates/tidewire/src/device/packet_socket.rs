//! Packet socket (packet(7)) with virtio headers: super-frames both ways, one system call each.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Socket, Type};
use tidewire_core::wire::{GsoType, MacAddr, VnetFlags, VnetHeader};
use tidewire_core::{Duration, Instant, LinkCaps, RxChecksum, RxMeta, TxOffload, segment};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::interface::Interface;
use super::packet_tx::Sender;
use super::pool::{Pool, RxBuffer};
use super::{Device, Frame, LinkStats, Look, OwnedFrame, Sink, filter, sys};
use crate::error::StackError;
use crate::note::Note;
use crate::wakes::Wakes;

/// How a packet socket is to be opened.
#[derive(Clone, Debug)]
pub(crate) struct PacketOptions {
    /// The stack's own MAC address.
    pub(crate) mac: MacAddr,
    /// Groups whose frames the interface is to receive.
    pub(crate) groups: Vec<MacAddr>,
    /// Largest IP packet; `None` for the interface's MTU.
    pub(crate) ip_mtu: Option<u32>,
    /// Whether to leave segmentation and checksums to the interface.
    pub(crate) offload: bool,
}

/// A packet socket on one interface.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    /// Watched for frames that arrive.
    fd: AsyncFd<Socket>,
    interface: Interface,
    link: LinkCaps,
    rx: Receiver,
    tx: Sender,
    /// An offload was refused, which is to be logged.
    refused_offload: bool,
}

impl PacketSocket {
    /// Opens the socket. Must be called inside a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// No permission, or the kernel lacks packet sockets.
    pub(crate) fn open(interface: Interface, options: PacketOptions) -> Result<Self, StackError> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => StackError::NoCapability,
            Some(libc::ENETDOWN) => StackError::LinkDown {
                interface: interface.name.clone(),
            },
            _ => StackError::Device {
                interface: interface.name.clone(),
                error,
            },
        };
        let opened = open_socket(&interface, &options).map_err(failed)?;
        let mtu = match options.ip_mtu {
            Some(mtu) => mtu,
            None => sys::mtu(opened.socket.as_fd(), &interface.name).map_err(failed)?,
        };
        let plain = LinkCaps::ethernet(options.mac, mtu);
        let offload = options.offload && opened.vnet;
        let fd = sys::watch(opened.socket, Interest::READABLE).map_err(failed)?;
        Ok(Self {
            fd,
            interface,
            link: if offload { plain.with_offload() } else { plain },
            rx: Receiver {
                vnet: opened.vnet,
                pool: Pool::new(),
                buffer: None,
                waiting: None,
                ip_mtu: mtu,
                empty: 0,
                errors: 0,
                truncated: 0,
                overflows: 0,
            },
            tx: Sender::new(opened.vnet),
            refused_offload: false,
        })
    }

    /// Gives up an offload that the device has refused, and segments the frame in software.
    fn fall_back(&mut self, frame: Frame<'_>) {
        self.refused_offload = true;
        self.link.max_superframe = 0;
        self.link.tx_checksum = false;
        self.tx.resegmented += 1;
        let frame = frame.to_owned();
        segment(&frame.bytes, frame.offload, |piece| {
            self.tx.kept.push_back(OwnedFrame {
                bytes: piece.to_vec().into(),
                offload: TxOffload::None,
            });
        });
    }

    /// Deals with a frame that was not sent. What may be sent later goes to the front of the queue.
    fn handle_send_error(&mut self, now: Instant, error: &io::Error, frame: Frame<'_>) {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => {
                self.tx.blocked += 1;
                self.tx.kept.push_front(frame.to_owned());
            }
            // A queue below is full, and no event tells when it has room: try again soon, but only
            // a few times, because to TCP a full queue is congestion. Or a filter dropped the
            // frame: then the frames behind it need not wait.
            Some(libc::ENOBUFS) if self.tx.waits_for_room() => {
                self.tx.blocked += 1;
                self.tx.refused += 1;
                self.tx.retry_at = Some(now + RETRY_DELAY);
                self.tx.kept.push_front(frame.to_owned());
            }
            Some(libc::EIO | libc::EINVAL) if frame.offload != TxOffload::None => {
                self.fall_back(frame);
            }
            code => {
                self.tx.record_lost(error);
                if code == Some(libc::EMSGSIZE) {
                    // The interface's MTU was lowered meanwhile.
                    if let Ok(mtu) = sys::mtu(self.fd.as_fd(), &self.interface.name) {
                        self.link.ip_mtu = mtu.min(self.link.ip_mtu);
                    }
                }
            }
        }
    }

    /// The first of the kept frames was sent, or failed in another way than by having to wait.
    fn finish_kept(&mut self, now: Instant, result: io::Result<()>, frame: Frame<'_>) {
        self.tx.kept.pop_front();
        self.tx.retry_at = None;
        match result {
            Ok(()) => self.tx.record_sent(),
            Err(error) => self.handle_send_error(now, &error, frame),
        }
        if self.tx.kept.is_empty() {
            self.tx.room = None;
        }
    }

    fn may_send(&self, now: Instant) -> bool {
        self.tx.retry_at.is_none_or(|at| at <= now)
    }
}

impl Device for PacketSocket {
    fn link(&self) -> LinkCaps {
        self.link
    }

    fn receive(&mut self, _now: Instant, look: Look, sink: &mut Sink<'_>) -> bool {
        let fetched = match (self.rx.waiting.take(), look) {
            (Some(meta), _) => Ok(Some(meta)),
            (None, Look::Eagerly) => self.rx.fetch(self.fd.get_ref()),
            // An empty queue clears the runtime's readiness, and nothing else does: every frame
            // that comes later sets it again, whoever takes that frame.
            (None, Look::Lazily) => {
                let Self { fd, rx, .. } = self;
                fd.try_io(Interest::READABLE, |socket| rx.fetch(socket))
            }
        };
        let meta = match fetched {
            Ok(Some(meta)) => meta,
            Ok(None) => return true,
            Err(_) => return false,
        };
        if let Some(buffer) = &mut self.rx.buffer {
            sink(buffer, meta);
            if buffer.is_spent() {
                self.rx.buffer = None;
            }
        }
        true
    }

    fn flush(&mut self, now: Instant) -> bool {
        while let Some(frame) = self.tx.kept.front().cloned() {
            if !self.may_send(now) {
                return false;
            }
            match self.tx.transmit(self.fd.get_ref(), frame.as_frame()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The runtime tells when there is room, not the clock.
                    self.tx.retry_at = None;
                    return false;
                }
                result => self.finish_kept(now, result, frame.as_frame()),
            }
        }
        true
    }

    fn send(&mut self, now: Instant, frame: Frame<'_>) {
        match self.tx.transmit(self.fd.get_ref(), frame) {
            Ok(()) => self.tx.record_sent(),
            Err(error) => self.handle_send_error(now, &error, frame),
        }
    }

    fn is_blocked(&self) -> bool {
        !self.tx.kept.is_empty()
    }

    fn poll_receive(&mut self, _now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.rx.waiting.is_some() {
            return Poll::Ready(Ok(()));
        }
        let mut failures = 0;
        loop {
            // The guard comes before the attempt: readiness that arrives after it survives the
            // clearing.
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            match self.rx.fetch(self.fd.get_ref()) {
                Ok(Some(meta)) => {
                    self.rx.waiting = Some(meta);
                    return Poll::Ready(Ok(()));
                }
                Ok(None) => {}
                // The error of an interface that went down is reported once, and frames may follow
                // it.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock && failures < 8 => {
                    failures += 1;
                }
                Err(_) => guard.clear_ready(),
            }
        }
    }

    fn poll_send(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(frame) = self.tx.kept.front().cloned() {
            if !self.may_send(now) {
                return Poll::Pending; // `deadline` tells when
            }
            self.tx.watch_room(self.fd.get_ref());
            let Some(room) = &self.tx.room else {
                // The process has no descriptor left for that.
                self.tx.retry_at = Some(now + RETRY_DELAY);
                return Poll::Pending;
            };
            let mut guard = ready!(room.poll_write_ready(cx))?;
            match self.tx.transmit(self.fd.get_ref(), frame.as_frame()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                result => self.finish_kept(now, result, frame.as_frame()),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn deadline(&self) -> Option<Instant> {
        self.tx.retry_at
    }

    fn collect_wakes(&mut self, wakes: &mut Wakes) {
        let interface = || self.interface.name.clone();
        if std::mem::take(&mut self.refused_offload) {
            let interface = interface();
            wakes.note(Note::OffloadRefused { interface });
        }
        if let Some((count, error)) = self.tx.loss.take() {
            wakes.note(Note::FramesLost {
                interface: interface(),
                count,
                error,
            });
        }
    }

    fn stats(&mut self) -> LinkStats {
        if let Ok(drops) = sys::take_drops(self.fd.as_fd()) {
            self.rx.overflows += u64::from(drops);
        }
        LinkStats {
            rx_truncated: self.rx.truncated,
            rx_overflows: self.rx.overflows,
            rx_empty: self.rx.empty,
            rx_errors: self.rx.errors,
            tx_blocked: self.tx.blocked,
            tx_lost: self.tx.lost,
            tx_resegmented: self.tx.resegmented,
            impaired: 0,
        }
    }
}

/// The receiving half: buffers and what the kernel says of each frame.
#[derive(Debug)]
struct Receiver {
    vnet: bool,
    pool: Pool,
    /// Where the next frame goes, or the one that `waiting` speaks of.
    buffer: Option<RxBuffer>,
    /// A frame that was received to see whether there is one.
    waiting: Option<RxMeta>,
    ip_mtu: u32,
    empty: u64,
    errors: u64,
    truncated: u64,
    overflows: u64,
}

impl Receiver {
    /// Receives one frame to `self.buffer`; `None` when it had to be dropped.
    fn fetch(&mut self, socket: &Socket) -> io::Result<Option<RxMeta>> {
        let buffer = self.buffer.get_or_insert_with(|| self.pool.take());
        let mut vnet = [0; VnetHeader::LEN];
        let prefix = if self.vnet { &mut vnet[..] } else { &mut [] };
        let received = sys::receive(socket.as_fd(), prefix, buffer.space());
        let received = received.inspect_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => self.empty += 1,
            _ => self.errors += 1,
        })?;
        if received.len > buffer.space().len() {
            self.truncated += 1;
            self.pool.grow_to(received.len);
            self.buffer = None;
            return Ok(None);
        }
        buffer.set_len(received.len);
        Ok(if self.vnet {
            VnetHeader::parse(&vnet)
                .ok()
                .map(|header| meta_from_vnet(&header))
        } else {
            Some(meta_from_status(received.status, received.len, self.ip_mtu))
        })
    }
}

fn meta_from_vnet(header: &VnetHeader) -> RxMeta {
    let checksum = if header.flags.contains(VnetFlags::NEEDS_CSUM) {
        RxChecksum::Partial
    } else if header.flags.contains(VnetFlags::DATA_VALID) {
        RxChecksum::Verified
    } else {
        RxChecksum::Unverified
    };
    let is_tcp = matches!(header.gso, GsoType::TcpV4 | GsoType::TcpV6);
    RxMeta {
        checksum,
        segment_len: (is_tcp && header.gso_size > 0).then_some(header.gso_size),
    }
}

/// Without a virtio header the kernel still hands over super-frames, but not their segments'
/// length: it is guessed from the MTU, with room for timestamps.
fn meta_from_status(status: Option<u32>, len: usize, ip_mtu: u32) -> RxMeta {
    let status = status.unwrap_or(0);
    let checksum = if status & libc::TP_STATUS_CSUMNOTREADY != 0 {
        RxChecksum::Partial
    } else if status & libc::TP_STATUS_CSUM_VALID != 0 {
        RxChecksum::Verified
    } else {
        RxChecksum::Unverified
    };
    let is_super = len > ip_mtu as usize + ETHERNET_LEN;
    let guess = u16::try_from(ip_mtu.saturating_sub(IP_TCP_TIMESTAMPS_LEN)).unwrap_or(u16::MAX);
    RxMeta {
        checksum,
        segment_len: is_super.then_some(guess),
    }
}

struct Opened {
    socket: Socket,
    /// Whether each frame is preceded by a virtio header.
    vnet: bool,
}

/// Opens and binds the socket. The order matters: protocol 0 receives nothing before the bind, so
/// that no frame arrives that the filter did not see or whose header has another length.
fn open_socket(interface: &Interface, options: &PacketOptions) -> io::Result<Opened> {
    let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), None)?;
    let fd = socket.as_fd();
    let vnet = sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1).is_ok();
    if !vnet {
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    }
    socket.attach_filter(&filter::program(options.mac))?;
    sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    // Beyond the system's limit with CAP_NET_ADMIN, up to it without.
    if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER_BYTES).is_err() {
        sys::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER_BYTES)?;
    }
    if sys::set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, BUFFER_BYTES).is_err() {
        sys::set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, BUFFER_BYTES)?;
    }
    // A card that filters addresses must let ours pass; that needs no promiscuous mode.
    sys::join(fd, interface.index, options.mac.0)?;
    for group in &options.groups {
        sys::join(fd, interface.index, group.0)?;
    }
    // All protocols: such sockets are served before the kernel's own IP layer.
    sys::bind(fd, interface.index, libc::ETH_P_ALL as u16)?;
    Ok(Opened { socket, vnet })
}

/// Each way. The windows of all connections share it, and a 64 KiB frame is charged about 70 KiB.
const BUFFER_BYTES: libc::c_int = 8 << 20;

/// Until a frame is tried again that was refused for want of buffers.
const RETRY_DELAY: Duration = Duration::from_millis(1);

const ETHERNET_LEN: usize = 14;
/// IPv4 and TCP headers with the timestamps option.
const IP_TCP_TIMESTAMPS_LEN: u32 = 52;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_a_checksum() {
        let vnet = |flags| {
            meta_from_vnet(&VnetHeader {
                flags,
                ..VnetHeader::default()
            })
        };
        assert_eq!(vnet(VnetFlags::NEEDS_CSUM).checksum, RxChecksum::Partial);
        assert_eq!(vnet(VnetFlags::DATA_VALID).checksum, RxChecksum::Verified);
        assert_eq!(vnet(VnetFlags::EMPTY), RxMeta::default());

        let aux = |status, len| meta_from_status(Some(status), len, 1500);
        assert_eq!(
            aux(libc::TP_STATUS_CSUMNOTREADY, 60).checksum,
            RxChecksum::Partial
        );
        assert_eq!(
            aux(libc::TP_STATUS_CSUM_VALID, 60).checksum,
            RxChecksum::Verified
        );
        assert_eq!(aux(0, 1514), RxMeta::default());
        assert_eq!(aux(0, 64_294).segment_len, Some(1448));
    }

    #[test]
    fn a_super_frame_of_tcp_keeps_its_segment_length() {
        let header = |gso| VnetHeader {
            flags: VnetFlags::NEEDS_CSUM,
            gso,
            ecn: true,
            gso_size: 1448,
            ..VnetHeader::default()
        };
        assert_eq!(
            meta_from_vnet(&header(GsoType::TcpV4)).segment_len,
            Some(1448)
        );
        assert_eq!(
            meta_from_vnet(&header(GsoType::TcpV6)).segment_len,
            Some(1448)
        );
        assert_eq!(meta_from_vnet(&header(GsoType::UdpL4)).segment_len, None);
    }
}
