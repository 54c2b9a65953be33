//! Slow wire: a link that delays each frame and shows it to an observer.

use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind,
    recvfrom, send, socket,
};
use nix::sys::time::TimeSpec;

use super::direction::Direction;
use super::error::LabError;
use super::host::{HostHandle, Task};
use super::link::{LinkEnd, LinkOptions, configure, pair};

/// Sees each frame of a slow wire. Runs on the wire's thread: what it does delays the frames.
pub trait Observer: Send + 'static {
    /// A frame has left its sender.
    fn departed(&mut self, at: Instant, direction: Direction, frame: &[u8]);
    /// A frame has been handed to its receiver.
    fn arrived(&mut self, at: Instant, direction: Direction, frame: &[u8]);
    /// Some time has passed; comes at least every 250 µs.
    fn tick(&mut self, now: Instant);
}

/// The longest time between two calls of [`Observer::tick`].
const TICK: Duration = Duration::from_micros(250);

/// A link that takes time, as a long cable does.
#[derive(Debug)]
pub struct SlowWire<O> {
    /// The time from the departure of a frame to its arrival, the same both ways.
    pub delay: Duration,
    /// Sees each frame.
    pub observer: O,
}

/// A running slow wire; dropping it stops the wire.
#[derive(Debug)]
pub struct WireHandle<O> {
    stop: Arc<AtomicBool>,
    task: Option<Task<io::Result<O>>>,
}

impl<O> WireHandle<O> {
    /// Stops the wire and returns its observer. Frames still on the way are lost.
    ///
    /// # Errors
    /// What ended the wire early, if something did.
    pub fn stop(mut self) -> io::Result<O> {
        self.stop.store(true, Ordering::Relaxed);
        match self.task.take() {
            Some(task) => task.join(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl<O> Drop for WireHandle<O> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A slow wire that is in place and does not forward yet.
#[derive(Debug)]
pub struct IdleWire {
    middle: HostHandle,
    ports: (OwnedFd, OwnedFd),
}

impl IdleWire {
    /// Starts forwarding.
    #[must_use]
    pub fn start<O: Observer>(self, wire: SlowWire<O>) -> WireHandle<O> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let ports = self.ports;
        let task = self.middle.spawn(move || {
            let mut forwarder = Forwarder {
                delay: wire.delay,
                observer: wire.observer,
                in_flight: VecDeque::new(),
                ports,
            };
            forwarder.run(&stopped)?;
            Ok(forwarder.observer)
        });
        WireHandle {
            stop,
            task: Some(task),
        }
    }
}

/// Makes the third host with a link to each of the two.
pub(super) fn lay(
    left: &HostHandle,
    right: &HostHandle,
    options: &LinkOptions,
) -> Result<IdleWire, LabError> {
    let middle = HostHandle::start("wire")?;
    let plain = LinkEnd {
        offloads: false,
        ..LinkEnd::default()
    };
    for (host, port, end) in [
        (left, "left", &options.left),
        (right, "right", &options.right),
    ] {
        pair((host, &options.name), (&middle, port), options.mtu)?;
        configure(&middle, port, &plain)?;
        configure(
            host,
            &options.name,
            &LinkEnd {
                offloads: false,
                ..end.clone()
            },
        )?;
    }
    let ports = middle
        .run(|| Ok((packet_socket("left")?, packet_socket("right")?)))
        .map_err(|error: io::Error| {
            LabError::failed("cannot open the wire's packet sockets", error)
        })?;
    Ok(IdleWire { middle, ports })
}

struct InFlight {
    due: Instant,
    direction: Direction,
    frame: Vec<u8>,
}

struct Forwarder<O> {
    delay: Duration,
    observer: O,
    /// In order of arrival: the delay is the same for all.
    in_flight: VecDeque<InFlight>,
    ports: (OwnedFd, OwnedFd),
}

impl<O: Observer> Forwarder<O> {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut buffer = vec![0; MAX_FRAME_LEN];
        while !stop.load(Ordering::Relaxed) {
            self.deliver_due()?;
            self.wait()?;
            self.collect(Direction::ToRight, &mut buffer)?;
            self.collect(Direction::ToLeft, &mut buffer)?;
            self.observer.tick(Instant::now());
        }
        Ok(())
    }

    /// Sleeps until a frame comes, one is due, or a tick has passed.
    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let until_due = self
            .in_flight
            .front()
            .map_or(TICK, |next| next.due.saturating_duration_since(now));
        let mut ready = [
            PollFd::new(self.ports.0.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.ports.1.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(
            &mut ready,
            Some(TimeSpec::from_duration(until_due.min(TICK))),
            None,
        ) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn collect(&mut self, direction: Direction, buffer: &mut [u8]) -> io::Result<()> {
        let port = match direction {
            Direction::ToRight => &self.ports.0,
            Direction::ToLeft => &self.ports.1,
        };
        loop {
            let (length, from) = match recvfrom::<LinkAddr>(port.as_raw_fd(), buffer) {
                Ok(received) => received,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            // A packet socket also sees what is sent through its own interface.
            if from.is_some_and(|from| from.pkttype() == PACKET_OUTGOING) {
                continue;
            }
            let frame = buffer.get(..length).unwrap_or_default().to_vec();
            let now = Instant::now();
            self.observer.departed(now, direction, &frame);
            let due = now + self.delay;
            self.in_flight.push_back(InFlight {
                due,
                direction,
                frame,
            });
        }
    }

    fn deliver_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        while self.in_flight.front().is_some_and(|next| next.due <= now) {
            let Some(next) = self.in_flight.pop_front() else {
                break;
            };
            let port = match next.direction {
                Direction::ToRight => &self.ports.1,
                Direction::ToLeft => &self.ports.0,
            };
            match send(port.as_raw_fd(), &next.frame, MsgFlags::empty()) {
                Ok(_) => self
                    .observer
                    .arrived(Instant::now(), next.direction, &next.frame),
                // A full queue loses the frame, as a real wire would.
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// A packet socket bound to one interface of the calling thread's namespace.
fn packet_socket(interface: &str) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        Some(SockProtocol::EthAll),
    )?;
    let address = getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .filter_map(|entry| entry.address)
        .find(|address| address.family() == Some(AddressFamily::Packet))
        .ok_or(Errno::ENODEV)?;
    bind(fd.as_raw_fd(), &address)?;
    Ok(fd)
}

/// Above the largest frame that an interface can carry.
const MAX_FRAME_LEN: usize = 128 * 1024;
/// `PACKET_OUTGOING` of `linux/if_packet.h`.
const PACKET_OUTGOING: u8 = 4;
