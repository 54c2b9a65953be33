//! Test harness: one stack in virtual time, whose peer is the test.

mod check;
mod frames;
mod host;
mod pair;
mod segment;
mod setup;

use std::collections::VecDeque;
use std::net::Ipv4Addr;

pub(crate) use frames::*;
pub(crate) use host::*;
pub(crate) use pair::*;
pub(crate) use segment::*;
use tidewire_core::wire::{
    ArpOperation, ArpPacket, MacAddr, SackBlock, SeqNum, TcpHeader, TcpOptions, TcpTimestamps,
};
use tidewire_core::{
    Algorithm, BufferSize, Conn, ConnId, DropReason, Duration, Event, Instant, IpCidr, LinkCaps,
    ListenerId, ReadError, RxMeta, Stack, StackConfig, State, segment,
};

pub(crate) const PORT: u16 = 80;
/// The peer's ISN: close enough to the wrap that every longer test crosses it.
pub(crate) const PEER_ISN: u32 = u32::MAX - 5_000;
/// What the peer's clock shows at time zero; its timestamps wrap early too.
pub(crate) const PEER_CLOCK: u32 = u32::MAX - 1_700;

/// The options that the peer's SYN carries.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) mss: Option<u16>,
    pub(crate) wscale: Option<u8>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

/// MSS alone: the protocol of RFC 9293 without extensions.
pub(crate) const PLAIN: Offer = Offer {
    mss: Some(1460),
    wscale: None,
    sack: false,
    timestamps: false,
};
pub(crate) const SACK: Offer = Offer {
    sack: true,
    ..PLAIN
};
pub(crate) const TIMESTAMPS: Offer = Offer {
    timestamps: true,
    ..PLAIN
};
pub(crate) const FULL: Offer = Offer {
    mss: Some(1460),
    wscale: Some(7),
    sack: true,
    timestamps: true,
};

/// One connection as the peer sees it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) ip: Ipv4Addr,
    /// The peer's port and the stack's.
    pub(crate) port: u16,
    pub(crate) stack_port: u16,
    pub(crate) isn: SeqNum,
    /// The stack's ISN, once its SYN was seen.
    pub(crate) stack_isn: SeqNum,
    /// What the peer sends next and expects next, relative.
    pub(crate) next: i64,
    pub(crate) expects: i64,
    pub(crate) window: u16,
    pub(crate) timestamps: bool,
    pub(crate) echo: u32,
}

pub(crate) struct Tester {
    pub(crate) stack: Stack,
    pub(crate) now: Instant,
    pub(crate) flow: Flow,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) id: Option<ConnId>,
    /// TCP segments sent and not yet checked.
    pub(crate) sent: VecDeque<Sent>,
    /// ARP packets, each with its Ethernet destination, and all other frames that left.
    pub(crate) arp: Vec<(ArpPacket, MacAddr)>,
    pub(crate) other: Vec<Vec<u8>>,
    /// Neighbours that answer ARP requests.
    pub(crate) neighbors: Vec<(Ipv4Addr, MacAddr)>,
    written: u64,
    read: u64,
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The configuration of a test's stack: as shipped, without offload, with the congestion control
/// whose numbers RFC 5681 gives, and a send buffer of 1 MiB.
pub(crate) fn config() -> StackConfig {
    let link = LinkCaps::ethernet(STACK_MAC, 1500);
    let mut config = StackConfig::new(IpCidr::new(STACK_IP.into(), 24), link);
    config.tcp.congestion = Algorithm::NewReno;
    // Takes all that a test writes at once.
    config.tcp.send_buffer = BufferSize::Fixed(1 << 20);
    config
}

impl Tester {
    // ---- The wire ----

    /// The peer sends a segment; then the stack sends all that it wants to.
    pub(crate) fn peer(&mut self, segment: Segment) {
        self.inject(segment);
        self.pump();
    }

    /// The peer sends a segment, and more come before the stack is polled.
    pub(crate) fn inject(&mut self, segment: Segment) {
        let frame = self.frame_of(&segment);
        let mut frame: &[u8] = &frame;
        self.stack
            .handle_frame(self.now, &mut frame, RxMeta::default());
    }

    /// The frame that [`peer`](Self::peer) would send.
    pub(crate) fn frame_of(&mut self, segment: &Segment) -> Vec<u8> {
        let clock = self.peer_clock();
        let flow = &mut self.flow;
        let seq = segment.seq.unwrap_or(flow.next);
        let len = segment.len.unwrap_or(0);
        let flags = segment.flags;
        let payload: Vec<u8> = (0..len as i64)
            .map(|i| segment.fill.unwrap_or_else(|| pattern((seq + i) as u64)))
            .collect();
        let occupies = len as i64 + i64::from(flags.contains(SYN)) + i64::from(flags.contains(FIN));
        flow.next = flow.next.max(seq + occupies);
        let timestamps = match segment.timestamps {
            Some(given) => given,
            None if flow.timestamps && !flags.contains(RST) => Some((clock, flow.echo)),
            None => None,
        };
        let header = TcpHeader {
            src_port: flow.port,
            dst_port: flow.stack_port,
            seq: flow.isn.add(seq as u32),
            ack: if flags.contains(ACK) {
                flow.stack_isn
                    .add(segment.ack.unwrap_or(flow.expects) as u32)
            } else {
                SeqNum::new(0)
            },
            flags,
            window: segment.window.unwrap_or(flow.window),
            checksum: 0,
            urgent: u16::from(flags.contains(URG)),
        };
        let stack_isn = flow.stack_isn;
        let options = TcpOptions {
            mss: segment.mss,
            window_scale: segment.wscale,
            sack_permitted: segment.sack_permitted.unwrap_or(false),
            timestamps: timestamps.map(|(value, echo)| TcpTimestamps { value, echo }),
            sack: segment
                .sack
                .iter()
                .flatten()
                .map(|&(left, right)| SackBlock {
                    left: stack_isn.add(left as u32),
                    right: stack_isn.add(right as u32),
                })
                .collect(),
        };
        tcp_frame(flow.ip, header, &options, &payload)
    }

    /// A frame arrives; then the stack sends all that it wants to.
    pub(crate) fn frame(&mut self, mut frame: &[u8]) {
        self.stack
            .handle_frame(self.now, &mut frame, RxMeta::default());
        self.pump();
    }

    /// The peer's clock, in milliseconds.
    pub(crate) fn peer_clock(&self) -> u32 {
        PEER_CLOCK.wrapping_add((self.now.as_nanos() / 1_000_000) as u32)
    }

    /// Fetches everything that the stack wants to send now.
    pub(crate) fn pump(&mut self) {
        let mtu = self.stack.link().ip_mtu as usize;
        for _ in 0..100_000 {
            let Some(transmit) = self.stack.poll_transmit(self.now) else {
                return;
            };
            let (offload, len) = (transmit.offload(), transmit.len());
            let mut frame = vec![0; len];
            transmit.copy_to(&mut frame).expect("as long as it says");
            // A super-frame as its segments on the wire.
            let mut wire = Vec::new();
            segment(&frame, offload, |piece| wire.push(piece.to_vec()));
            for piece in wire {
                match dissect(self.now, &piece, mtu) {
                    Left::Tcp(sent) => self.note(sent),
                    Left::Arp(packet, to) => self.note_arp(packet, to),
                    Left::Other(bytes) => self.other.push(bytes),
                }
            }
        }
        panic!("the stack never stops sending");
    }

    fn note(&mut self, sent: Sent) {
        let flow = &mut self.flow;
        let ours = sent.header.dst_port == flow.port
            && (sent.header.src_port == flow.stack_port || sent.header.flags == SYN);
        if ours {
            if sent.header.flags.contains(SYN) {
                flow.stack_isn = sent.header.seq;
                flow.stack_port = sent.header.src_port;
            }
            let end = i64::from(sent.header.seq.distance(flow.stack_isn))
                + sent.payload.len() as i64
                + i64::from(sent.header.flags.contains(SYN))
                + i64::from(sent.header.flags.contains(FIN));
            flow.expects = flow.expects.max(end);
            if let Some(ts) = sent.options.timestamps {
                flow.echo = ts.value;
            }
        }
        self.sent.push_back(sent);
    }

    fn note_arp(&mut self, packet: ArpPacket, to: MacAddr) {
        self.arp.push((packet, to));
        let asked = packet.operation == ArpOperation::Request;
        let answer = self.neighbors.iter().find(|&&(ip, mac)| {
            asked && ip == packet.target_ip && (to == mac || to.is_broadcast())
        });
        if let Some(&(ip, mac)) = answer {
            let reply = arp_frame(ArpOperation::Reply, (mac, ip), STACK_IP);
            let mut reply: &[u8] = &reply;
            self.stack
                .handle_frame(self.now, &mut reply, RxMeta::default());
        }
    }

    // ---- Time ----

    /// Lets time pass, firing each timer when it is due, and sending in between.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(at) = self.stack.poll_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.stack.handle_timeout(self.now);
            self.pump();
            assert!(
                self.stack.poll_timeout().is_none_or(|next| next > self.now),
                "a timer that fired is due at once again: the driver would spin"
            );
        }
        self.now = until;
    }

    /// The next segment, letting up to `within` pass for it.
    pub(crate) fn wait_sent(&mut self, within: Duration) -> Option<&Sent> {
        let until = self.now + within;
        while self.sent.is_empty() {
            let at = self.stack.poll_timeout().filter(|&at| at <= until)?;
            self.advance(at.duration_since(self.now));
        }
        self.sent.front()
    }

    // ---- The application ----

    pub(crate) fn conn(&mut self) -> Conn<'_> {
        let id = self.id.expect("a connection");
        self.stack.conn(id).expect("the connection is there")
    }

    pub(crate) fn state(&mut self) -> State {
        self.id
            .and_then(|id| self.stack.conn(id).map(|conn| conn.state()))
            .unwrap_or(State::Closed)
    }

    /// Writes the next `len` bytes of the test pattern, and sends.
    pub(crate) fn write(&mut self, len: usize) {
        let start = self.written + 1;
        let data: Vec<u8> = (start..start + len as u64).map(pattern).collect();
        let now = self.now;
        let written = self.conn().write(now, &data);
        assert_eq!(written, Ok(len), "all of it is taken");
        self.written += len as u64;
        self.pump();
    }

    /// Reads up to `max` bytes, which must continue the peer's test pattern, and sends. 0 at the
    /// end of the stream.
    pub(crate) fn read(&mut self, max: usize) -> Result<usize, ReadError> {
        let mut bytes = vec![0; max];
        let now = self.now;
        let n = self.conn().read(now, &mut bytes)?;
        for byte in &bytes[..n] {
            self.read += 1;
            assert_eq!(*byte, pattern(self.read), "byte {} is wrong", self.read);
        }
        self.pump();
        Ok(n)
    }

    pub(crate) fn shutdown_write(&mut self) {
        let now = self.now;
        self.conn()
            .shutdown_write(now)
            .expect("the connection is open");
        self.pump();
    }

    /// Gives the handle back.
    pub(crate) fn close(&mut self) {
        let now = self.now;
        self.conn().close(now);
        self.pump();
    }

    pub(crate) fn abort(&mut self) {
        let now = self.now;
        self.conn().abort(now);
        self.pump();
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stack.poll_event()).collect()
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.stack.stats().dropped(reason)
    }

    /// Connections, half-open ones and TIME-WAIT records.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let counts = self.stack.connection_counts();
        (counts.connections, counts.half_open, counts.time_wait)
    }

    /// Uses up the ACKs that a connection sends at once when it starts: 16 segments of `len` bytes,
    /// all of them read.
    pub(crate) fn end_quick_start(&mut self, len: usize) {
        for _ in 0..16 {
            self.peer(seg(ACK).len(len));
            self.expect(seg(ACK));
            assert_eq!(self.read(len), Ok(len));
        }
        self.sent.clear();
    }
}

pub(crate) fn flow(port: u16, stack_port: u16) -> Flow {
    Flow {
        ip: PEER_IP,
        port,
        stack_port,
        isn: SeqNum::new(PEER_ISN),
        stack_isn: SeqNum::new(0),
        next: 0,
        expects: 0,
        window: u16::MAX,
        timestamps: false,
        echo: 0,
    }
}

/// Adds a peer's SYN options to a segment.
pub(crate) fn offer_as(segment: Segment, offer: Offer) -> Segment {
    Segment {
        mss: offer.mss,
        wscale: offer.wscale,
        sack_permitted: Some(offer.sack),
        ..segment
    }
}

/// The states in which both ends know each other's sequence numbers, TIME-WAIT excepted.
pub(crate) const SYNCHRONIZED: [State; 6] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
];
