//! Path MTU discovery (RFC 1191, RFC 8201): a router with a link smaller than ours.

use std::net::IpAddr;

use tidewire_core::wire::{
    EtherType, Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, transport_checksum,
};
use tidewire_core::{
    ConnId, ConnectOptions, LinkCaps, ReadError, RxMeta, StackConfig, WriteError, segment,
};

use crate::common::*;

/// A's way to B has a router with a smaller link behind it.
struct Narrow {
    pair: Pair,
    mtu: usize,
    /// What the router says; 0 for one that does not know.
    says: u32,
    /// Errors that it sent.
    errors: usize,
    /// Lengths of the IP packets that passed.
    passed: Vec<usize>,
}

impl Narrow {
    fn new(v6: bool, mtu: usize, change: impl Fn(&mut StackConfig)) -> Self {
        let addresses = if v6 {
            ["2001:db8::a/64", "2001:db8::b/64"]
        } else {
            ["10.0.0.10/24", "10.0.0.11/24"]
        };
        let mut a = host_config(A_MAC, &addresses[..1]);
        let mut b = host_config(B_MAC, &addresses[1..]);
        change(&mut a);
        change(&mut b);
        Self {
            pair: Pair::with(a, b),
            mtu,
            says: mtu as u32,
            errors: 0,
            passed: Vec::new(),
        }
    }

    fn run(&mut self) {
        loop {
            let now = self.pair.now;
            let mut bytes = vec![0; 70_000];
            let mut pieces: Vec<Vec<u8>> = Vec::new();
            if let Some(transmit) = self.pair.a.poll_transmit(now) {
                let (offload, len) = (transmit.offload(), transmit.copy_to(&mut bytes).unwrap());
                segment(&bytes[..len], offload, |piece| pieces.push(piece.to_vec()));
            }
            let mut moved = !pieces.is_empty();
            for frame in pieces {
                if frame.len() - 14 > self.mtu {
                    self.errors += 1;
                    let error = too_big(&frame, self.says);
                    self.report(&error);
                } else {
                    self.passed.push(frame.len() - 14);
                    self.pair
                        .b
                        .handle_frame(now, &mut &frame[..], Default::default());
                }
            }
            if let Some(transmit) = self.pair.b.poll_transmit(now) {
                let (offload, len) = (transmit.offload(), transmit.copy_to(&mut bytes).unwrap());
                let a = &mut self.pair.a;
                a.handle_frame(now, &mut &bytes[..len], RxMeta::from(offload));
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn connect(&mut self) -> (ConnId, ConnId) {
        let to = self.pair.b.config().addresses[0].address;
        let port = 80 + self.passed.len() as u16 % 1000;
        let now = self.pair.now;
        let at = std::net::SocketAddr::new(to, port);
        let listener = self.pair.b.listen(at, Default::default()).unwrap();
        let options = ConnectOptions::default();
        let client = self.pair.a.connect(now, at, options).unwrap();
        self.run();
        let (server, _) = self.pair.b.accept(listener).expect("it is accepted");
        (client, server)
    }

    fn transfer(&mut self, (client, server): (ConnId, ConnId), len: usize) {
        let data: Vec<u8> = (0..len as u64).map(pattern).collect();
        let (mut written, mut read) = (0, Vec::new());
        let started = self.pair.now;
        while read.len() < len {
            let now = self.pair.now;
            match self
                .pair
                .a
                .conn(client)
                .unwrap()
                .write(now, &data[written..])
            {
                Ok(n) => written += n,
                Err(WriteError::Blocked) => {}
                Err(error) => panic!("{error}"),
            }
            self.run();
            let mut bytes = vec![0; 65_536];
            loop {
                match self.pair.b.conn(server).unwrap().read(now, &mut bytes) {
                    Ok(n) => read.extend_from_slice(&bytes[..n]),
                    Err(ReadError::Blocked) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            self.run();
            self.pair.now += ms(50);
            let now = self.pair.now;
            self.pair.a.handle_timeout(now);
            self.pair.b.handle_timeout(now);
            self.run();
            assert!(
                now.duration_since(started) < secs(60),
                "{} bytes",
                read.len()
            );
        }
        assert!(read == data, "every byte is right");
    }

    /// A has data to send: the first segment of it, which is lost.
    fn first_segment(&mut self, conn: ConnId) -> Vec<u8> {
        let (now, a) = (self.pair.now, &mut self.pair.a);
        a.conn(conn).unwrap().write(now, &[1; 20_000]).unwrap();
        let mut bytes = vec![0; 2_000];
        let len = a.poll_transmit(now).unwrap().copy_to(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }

    /// An error of the router arrives at A.
    fn report(&mut self, mut error: &[u8]) {
        let now = self.pair.now;
        self.pair
            .a
            .handle_frame(now, &mut error, Default::default());
    }

    fn mss(&mut self, conn: ConnId) -> usize {
        self.pair.a.conn(conn).unwrap().info().snd_mss as usize
    }
}

/// The error that the router answers a frame with.
fn too_big(frame: &[u8], mtu: u32) -> Vec<u8> {
    let packet = &frame[14..];
    if frame[12..14] == EtherType::IPV6.0.to_be_bytes() {
        let message = Icmpv6Message::PacketTooBig {
            mtu,
            quoted: &packet[..packet.len().min(1232)],
        };
        let ends = (v6("2001:db8::1"), v6("2001:db8::a"));
        return icmpv6_frame(B_MAC, ends, 64, &message);
    }
    let message = Icmpv4Message::Unreachable {
        code: Icmpv4Message::CODE_FRAGMENTATION_NEEDED,
        next_hop_mtu: mtu as u16,
        quoted: &packet[..Ipv4Header::MIN_LEN + 8],
    };
    let mut body = vec![0; message.buffer_len()];
    message.emit(&mut body).unwrap();
    let router = "10.0.0.254".parse().unwrap();
    let mut error = ip_frame(
        router,
        "10.0.0.10".parse().unwrap(),
        IpProtocol::ICMP,
        &body,
    );
    error[..6].copy_from_slice(&A_MAC.0);
    error
}

const OFFLOAD: fn(&mut StackConfig) =
    |config| config.link = LinkCaps::ethernet(config.link.mac, 1500).with_offload();

#[test]
fn a_smaller_link_on_the_way_is_found_and_costs_neither_time_nor_window() {
    for v6 in [false, true] {
        for change in [(|_| {}) as fn(&mut StackConfig), OFFLOAD] {
            let mut net = Narrow::new(v6, 1400, change);
            let conns = net.connect();
            net.transfer(conns, 500_000);
            let headers = if v6 { 60 } else { 40 };
            assert_eq!(net.mss(conns.0), 1400 - headers - 12);
            assert_eq!(net.passed.iter().max(), Some(&1400));
            assert!((1..=20).contains(&net.errors), "{} errors", net.errors);
            let info = net.pair.a.conn(conns.0).unwrap().info();
            assert_eq!((info.timeouts, info.recoveries), (0, 0), "no congestion");
            assert_eq!(net.pair.a.stats().path_mtu_lowered, 1);
            // Segments that were too large were sent twice, all others once.
            let sent: usize = net.passed.iter().sum();
            assert!(sent < 560_000, "{sent} bytes passed");
        }
    }
}

#[test]
fn connections_old_and_new_to_the_same_destination_know_it_too() {
    let mut net = Narrow::new(false, 1300, |_| {});
    let first = net.connect();
    let second = net.connect();
    net.transfer(first, 100_000);
    let errors = net.errors;
    net.transfer(second, 100_000);
    let third = net.connect();
    net.transfer(third, 100_000);
    assert_eq!(net.errors, errors, "one report is enough for all");
    for (conn, _) in [first, second, third] {
        assert_eq!(net.mss(conn), 1300 - 52);
    }
}

#[test]
fn after_ten_minutes_the_full_size_is_tried_again() {
    let mut net = Narrow::new(true, 1400, |_| {});
    let conns = net.connect();
    net.transfer(conns, 100_000);
    net.mtu = 1500;
    net.passed.clear();
    net.pair.now += secs(9 * 60);
    net.transfer(conns, 100_000);
    assert_eq!(net.passed.iter().max(), Some(&1400), "not yet");
    net.pair.now += secs(2 * 60);
    net.transfer(conns, 100_000);
    assert_eq!(net.passed.iter().max(), Some(&1500));
}

#[test]
fn a_router_that_does_not_say_its_mtu_is_found_out_by_plateaus() {
    let mut net = Narrow::new(false, 1300, |_| {});
    net.says = 0;
    let conns = net.connect();
    net.transfer(conns, 100_000);
    // 1492 was too large as well, 1006 was not.
    assert_eq!(net.mss(conns.0), 1006 - 52);
}

#[test]
fn reports_below_the_floor_and_above_the_known_change_no_more_than_they_may() {
    for (v6, says, wanted) in [
        (true, 600, 1280),
        (true, 0, 1280),
        (true, 1500, 1500),
        (true, 9000, 1500),
        (false, 20, 128),
        (false, 1500, 1500),
    ] {
        let mut net = Narrow::new(v6, 1500, |_| {});
        let conns = net.connect();
        let segment = net.first_segment(conns.0);
        let error = too_big(&segment, says);
        net.report(&error);
        let headers = if v6 { 72 } else { 52 };
        net.run();
        assert_eq!(net.mss(conns.0), wanted - headers, "v6 {v6} says {says}");
    }
}

#[test]
fn forged_reports_change_nothing() {
    // RFC 5927 §7: a sequence number that is not in flight, or ports that are not ours.
    let mut net = Narrow::new(false, 1500, |_| {});
    let conns = net.connect();
    let segment = net.first_segment(conns.0);
    for at in [14 + 19, 14 + 21, 14 + 23, 14 + 24] {
        let mut frame = segment.clone();
        frame[at] ^= 0x55;
        let error = too_big(&frame, 600);
        net.report(&error);
    }
    // Nor an error about data acknowledged since.
    let now = net.pair.now;
    net.pair
        .b
        .handle_frame(now, &mut &segment[..], Default::default());
    net.run();
    let error = too_big(&segment, 600);
    net.report(&error);
    assert_eq!(net.mss(conns.0), 1448);
    assert_eq!(net.pair.a.stats().icmp_errors_in, 0);
}

#[test]
fn the_checksum_of_an_error_is_verified() {
    let mut net = Narrow::new(true, 1500, |_| {});
    let conns = net.connect();
    let segment = net.first_segment(conns.0);
    let mut error = too_big(&segment, 1300);
    error[60] ^= 1;
    net.report(&error);
    assert_eq!(net.mss(conns.0), 1428);
    let ends: [IpAddr; 2] = [v6("2001:db8::1").into(), v6("2001:db8::a").into()];
    error[56..58].fill(0);
    let sum = transport_checksum(ends[0], ends[1], IpProtocol::ICMPV6, &error[54..]);
    error[56..58].copy_from_slice(&sum.to_be_bytes());
    net.report(&error);
    net.run();
    assert_eq!(net.pair.a.stats().icmp_errors_in, 1);
}
