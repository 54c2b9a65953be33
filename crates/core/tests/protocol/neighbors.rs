//! The link around the stack: ARP (RFC 826, RFC 1122 §2.3.2, RFC 5227), routes, and ICMP echo
//! (RFC 1122 §3.2.2.6).

use std::net::{Ipv4Addr, SocketAddr};

use tidewire_core::wire::{ArpOperation, Icmpv4Message, IpProtocol, MacAddr};
use tidewire_core::{
    ConnError, ConnectError, ConnectOptions, DropReason, IpCidr, ReadError, State,
};

use crate::common::*;

const THIEF: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x66]);

fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

#[test]
fn arp_requests_for_own_addresses_are_answered_and_no_others() {
    let other = host(77);
    let mut t = Tester::with(|config| {
        config.addresses.push(IpCidr::new(other.into(), 24));
    });
    for (target, answered) in [
        (STACK_IP, true),
        (other, true),
        (host(78), false),
        (PEER_IP, false),
    ] {
        t.arp.clear();
        t.frame(&arp_frame(
            ArpOperation::Request,
            (PEER_MAC, PEER_IP),
            target,
        ));
        assert_eq!(!t.arp.is_empty(), answered, "{target}");
        for (reply, to) in t.arp.drain(..) {
            assert_eq!((reply.operation, to), (ArpOperation::Reply, PEER_MAC));
            assert_eq!((reply.sender_mac, reply.sender_ip), (STACK_MAC, target));
            assert_eq!((reply.target_mac, reply.target_ip), (PEER_MAC, PEER_IP));
        }
    }
}

#[test]
fn arp_probes_are_answered_and_teach_nothing() {
    // RFC 5227 §1.1: a probe's sender has no address yet.
    let mut t = Tester::new();
    let nobody = Ipv4Addr::UNSPECIFIED;
    t.frame(&arp_frame(ArpOperation::Request, (THIEF, nobody), STACK_IP));
    assert_eq!(t.arp.len(), 1);
}

#[test]
fn an_address_that_is_being_probed_is_not_answered_for() {
    // RFC 5227 §2.1.1: the address may belong to another host, so requests for it are not answered
    // yet.
    let mut t = Tester::new();
    let now = t.now;
    t.stack.probe_address(now, STACK_IP.into());
    t.pump();
    t.arp.clear();
    let asks = arp_frame(ArpOperation::Request, (PEER_MAC, PEER_IP), STACK_IP);
    t.frame(&asks);
    assert!(t.arp.is_empty());
    assert_eq!(t.stack.address_conflict(), None);
    t.stack.announce_addresses(now);
    t.arp.clear();
    t.frame(&asks);
    assert!(
        t.arp
            .iter()
            .any(|(arp, _)| arp.operation == ArpOperation::Reply)
    );
}

#[test]
fn another_arp_probe_for_the_same_address_is_a_conflict_while_ours_goes_on() {
    // RFC 5227 §2.1.1.
    let mut t = Tester::new();
    let now = t.now;
    t.stack.probe_address(now, STACK_IP.into());
    t.pump();
    t.arp.clear();
    let nobody = Ipv4Addr::UNSPECIFIED;
    t.frame(&arp_frame(ArpOperation::Request, (THIEF, nobody), STACK_IP));
    assert!(t.arp.is_empty());
    let conflict = Some((STACK_IP.into(), THIEF));
    assert_eq!(t.stack.address_conflict(), conflict);
}

#[test]
fn frames_of_another_vlan_are_of_another_link() {
    let mut t = Tester::new();
    let plain = arp_frame(ArpOperation::Request, (PEER_MAC, PEER_IP), STACK_IP);
    for (tci, answers) in [(20_u16, 0), (0xe014, 0), (0, 1), (0xe000, 1)] {
        t.arp.clear();
        let mut tagged = plain[..12].to_vec();
        tagged.extend_from_slice(&[0x81, 0x00]);
        tagged.extend_from_slice(&tci.to_be_bytes());
        tagged.extend_from_slice(&plain[12..]);
        t.frame(&tagged);
        assert_eq!(t.arp.len(), answers, "{tci:#x}");
    }
}

#[test]
fn arp_packets_are_found_in_padded_frames() {
    let mut t = Tester::new();
    let mut frame = arp_frame(ArpOperation::Request, (PEER_MAC, PEER_IP), STACK_IP);
    frame.resize(60, 0);
    t.frame(&frame);
    assert_eq!(t.arp.len(), 1);
}

#[test]
fn arp_claims_to_an_own_address_are_reported() {
    let mut t = Tester::new();
    assert_eq!(t.stack.address_conflict(), None);
    t.frame(&arp_frame(ArpOperation::Reply, (THIEF, STACK_IP), STACK_IP));
    assert_eq!(t.stack.address_conflict(), Some((STACK_IP.into(), THIEF)));
}

/// Every ARP packet with which an attacker may claim the peer's address, several times each.
fn forge(t: &mut Tester) {
    for _ in 0..3 {
        for (operation, target) in [
            (ArpOperation::Reply, STACK_IP),
            (ArpOperation::Reply, PEER_IP),
            (ArpOperation::Request, STACK_IP),
            (ArpOperation::Request, PEER_IP),
        ] {
            t.frame(&arp_frame(operation, (THIEF, PEER_IP), target));
        }
    }
}

#[test]
fn arp_that_nobody_asked_for_moves_no_neighbour() {
    // One that answered lately, and one that has not been used for long.
    for idle in [0, 31, 300] {
        let mut t = Tester::connected(PLAIN);
        t.advance(secs(idle));
        forge(&mut t);
        t.write(100);
        assert_eq!(t.expect(seg(ACK).len(100)).to, PEER_MAC, "idle {idle} s");
    }
}

#[test]
fn arp_replies_without_a_question_make_no_entry() {
    let mut t = Tester::new();
    t.neighbors.clear();
    t.flow.ip = host(50);
    t.frame(&arp_frame(ArpOperation::Reply, (THIEF, host(50)), STACK_IP));
    assert_eq!(t.dropped(DropReason::UnsolicitedNeighbor), 1);
    t.connect();
    t.silent();
    assert_eq!(t.arp.len(), 1, "it has to ask");
}

#[test]
fn a_neighbour_that_moved_is_found_again() {
    let mut t = Tester::connected(PLAIN);
    t.neighbors = vec![(PEER_IP, THIEF)];
    t.advance(secs(31));
    t.write(100);
    // Five seconds in which traffic may confirm the address, three unicast requests, one broadcast
    // request.
    t.advance(secs(20));
    assert_eq!(t.sent.pop_back().unwrap().to, THIEF);
}

/// An ACK of data sent before the neighbour moved does not confirm its present address.
#[test]
fn a_late_acknowledgement_of_old_data_does_not_keep_an_old_address() {
    let mut t = Tester::established(PLAIN);
    t.write(100);
    t.sent.clear();
    t.neighbors = vec![(PEER_IP, THIEF)];
    t.advance(ms(10));
    forge(&mut t);
    t.peer(seg(ACK).ack(101));
    t.write(100);
    t.advance(secs(20));
    assert_eq!(t.sent.pop_back().unwrap().to, THIEF);
}

#[test]
fn an_unresolved_neighbour_fails_the_connect_after_three_requests() {
    let mut t = Tester::new();
    t.flow.ip = host(99);
    t.connect();
    for request in 1..=3 {
        assert_eq!(t.arp.len(), request);
        let (asked, to) = t.arp[request - 1];
        assert_eq!(
            (asked.operation, to),
            (ArpOperation::Request, MacAddr::BROADCAST)
        );
        assert_eq!((asked.sender_ip, asked.target_ip), (STACK_IP, host(99)));
        assert_eq!(t.conn().connect_result(), None);
        t.advance(secs(1));
    }
    assert_eq!(
        t.conn().connect_result(),
        Some(Err(ConnError::HostUnreachable))
    );
    t.silent();
    assert_eq!(t.arp.len(), 3);
    assert_eq!(t.stack.stats().failed_attempts, 1);
}

#[test]
fn an_unresolved_neighbour_holds_up_nobody_else() {
    let mut t = Tester::new();
    t.flow.ip = host(99);
    t.connect();
    let stuck = t.id;
    t.flow = flow(80, 0);
    t.connect();
    t.expect(seg(SYN).seq(0));
    t.peer(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    t.expect(seg(ACK));
    t.write(100);
    t.expect(seg(ACK).len(100));
    assert_eq!(t.state(), State::Established);
    t.id = stuck;
    assert_eq!(t.state(), State::SynSent);
}

#[test]
fn a_late_answer_lets_the_syn_go() {
    let mut t = Tester::new();
    t.flow.ip = host(99);
    t.connect();
    t.advance(ms(1_500));
    t.silent();
    t.frame(&arp_frame(ArpOperation::Reply, (THIEF, host(99)), STACK_IP));
    assert_eq!(t.expect(seg(SYN).seq(0)).to, THIEF);
    t.expect_after(secs(1), seg(SYN).seq(0));
}

#[test]
fn a_neighbour_that_vanished_is_why_the_data_times_out() {
    // RFC 9293 §3.8.3: R2 ends the connection. The application gets the reason, which is known
    // after three seconds, as in Linux.
    let mut t = Tester::connecting(|config| config.tcp.data_retries = 6);
    t.peer(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    t.neighbors.clear();
    // Long enough for the neighbour to be probed and dropped.
    t.advance(secs(31));
    let now = t.now;
    t.conn().write(now, b"x").unwrap();
    t.pump();
    t.advance(secs(60));
    assert_eq!(t.state(), State::Closed);
    let now = t.now;
    let error = t.conn().read(now, &mut [0]);
    assert_eq!(error, Err(ReadError::Failed(ConnError::HostUnreachable)));
}

#[test]
fn a_write_to_a_neighbour_that_vanished_long_ago_times_out_too() {
    let mut t = Tester::connecting(|config| config.tcp.data_retries = 3);
    t.peer(seg(SYN_ACK).seq(0).ack(1).mss(1460));
    t.neighbors.clear();
    t.advance(secs(31));
    // A window update starts address resolution, which fails: the next write has no next hop.
    t.peer(seg(ACK).seq(-5));
    t.advance(secs(10));
    let now = t.now;
    t.conn().write(now, b"x").unwrap();
    t.pump();
    t.advance(secs(300));
    assert_eq!(t.state(), State::Closed);
}

#[test]
fn the_neighbour_cache_is_bounded() {
    let mut t = Tester::with(|config| {
        config.max_neighbors = 8;
        config.addresses[0].prefix_len = 8;
    });
    for n in 0..2_000_u32 {
        let ip = Ipv4Addr::from(0x0a01_0000 + n);
        let mac = MacAddr([2, 1, 0, 0, (n >> 8) as u8, n as u8]);
        t.frame(&arp_frame(ArpOperation::Request, (mac, ip), STACK_IP));
    }
    // Some that do not answer either, though not as many as half of the cache.
    for n in 0..3_u8 {
        let to = SocketAddr::new(Ipv4Addr::new(10, 2, 0, n).into(), 80);
        let now = t.now;
        t.stack.connect(now, to, ConnectOptions::default()).unwrap();
        t.pump();
    }
    t.connect();
    t.advance(secs(10));
    t.sent.retain(|sent| sent.to == PEER_MAC);
    assert!(
        !t.sent.is_empty(),
        "a neighbour that answers is still reached"
    );
}

#[test]
fn the_gateway_carries_what_is_off_the_link() {
    let gateway = host(254);
    let mut t = Tester::with(|config| config.gateways.v4 = Some(gateway));
    t.neighbors.push((gateway, THIEF));
    t.flow.ip = Ipv4Addr::new(198, 51, 100, 7);
    t.connect();
    assert_eq!(t.expect(seg(SYN).seq(0)).to, THIEF);
    let asked: Vec<_> = t.arp.iter().map(|(packet, _)| packet.target_ip).collect();
    assert_eq!(asked, [gateway]);
}

#[test]
fn destinations_that_cannot_be_are_refused() {
    // RFC 9293: MUST-46.
    let mut t = Tester::new();
    for (to, wanted) in [
        ("198.51.100.7:80", ConnectError::NoRoute),
        ("[::]:80", ConnectError::NoRoute),
        ("224.0.0.1:80", ConnectError::InvalidDestination),
        ("255.255.255.255:80", ConnectError::InvalidDestination),
        ("10.0.0.255:80", ConnectError::InvalidDestination),
        ("10.0.0.2:0", ConnectError::InvalidDestination),
    ] {
        let now = t.now;
        let result = t
            .stack
            .connect(now, to.parse().unwrap(), ConnectOptions::default());
        assert_eq!(result, Err(wanted), "{to}");
    }
}

#[test]
fn ports_run_out_with_an_error() {
    let mut t = Tester::with(|config| config.ephemeral_ports = 50_000..=50_003);
    let to = SocketAddr::new(PEER_IP.into(), 80);
    let now = t.now;
    let ids: Vec<_> = (0..5)
        .map(|_| t.stack.connect(now, to, ConnectOptions::default()))
        .collect();
    assert_eq!(ids.iter().filter(|id| id.is_ok()).count(), 4);
    assert_eq!(ids[4], Err(ConnectError::PortsExhausted));
    // Other destinations have ports of their own.
    let other = SocketAddr::new(PEER_IP.into(), 81);
    assert!(
        t.stack
            .connect(now, other, ConnectOptions::default())
            .is_ok()
    );
}

#[test]
fn echo_is_answered_with_its_data() {
    for len in [0, 1, 8, 33, 57, 1_471, 1_472] {
        let data: Vec<u8> = (0..len).map(pattern).collect();
        let mut t = Tester::new();
        let request = Icmpv4Message::EchoRequest {
            id: 77,
            seq: 5,
            data: &data,
        };
        t.frame(&icmp_frame(STACK_IP, &request));
        let reply = t.other.pop().expect("a reply");
        let wanted = Icmpv4Message::EchoReply {
            id: 77,
            seq: 5,
            data: &data,
        };
        assert_eq!(icmp_of(&reply), wanted, "{len}");
    }
}

#[test]
fn echo_to_broadcast_and_multicast_is_not_answered() {
    let request = Icmpv4Message::EchoRequest {
        id: 1,
        seq: 1,
        data: &[],
    };
    let mut t = Tester::new();
    for dst in [
        host(255),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        host(9),
    ] {
        let mut frame = icmp_frame(dst, &request);
        t.frame(&frame);
        frame[..6].fill(0xff);
        t.frame(&frame);
    }
    let mut to_everybody = icmp_frame(STACK_IP, &request);
    to_everybody[..6].fill(0xff);
    t.frame(&to_everybody);
    assert!(t.other.is_empty());
}

#[test]
fn echo_replies_and_errors_are_not_answered() {
    let mut t = Tester::new();
    let quoted = [0x45; 28];
    for message in [
        Icmpv4Message::EchoReply {
            id: 1,
            seq: 1,
            data: &[1],
        },
        Icmpv4Message::Unreachable {
            code: 3,
            next_hop_mtu: 0,
            quoted: &quoted,
        },
        Icmpv4Message::TimeExceeded {
            code: 0,
            quoted: &quoted,
        },
    ] {
        t.frame(&icmp_frame(STACK_IP, &message));
    }
    assert!(t.other.is_empty());
    t.silent();
}

#[test]
fn tcp_from_impossible_sources_is_not_answered() {
    // RFC 9293: MUST-63.
    let mut t = Tester::listening(16, |_| {});
    for source in [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(239, 1, 1, 1),
        host(255),
        STACK_IP,
    ] {
        t.flow.ip = source;
        t.peer(seg(SYN).seq(0));
        t.peer(seg(ACK).seq(0));
    }
    t.silent();
    assert_eq!(
        (t.counts(), t.dropped(DropReason::BadSource)),
        ((0, 0, 0), 12)
    );
}

#[test]
fn tcp_to_everybody_is_not_answered() {
    // RFC 9293 §3.9.2.3, MUST-57; RFC 1122 §3.3.6.
    let mut t = Tester::listening(16, |_| {});
    let mut frame = t.frame_of(&seg(SYN).seq(0));
    frame[..6].fill(0xff);
    t.frame(&frame);
    let segment = frame.split_off(34);
    for dst in [host(255), Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        t.frame(&ip_frame(PEER_IP, dst, IpProtocol::TCP, &segment));
    }
    t.silent();
    assert_eq!(t.counts(), (0, 0, 0));
}

/// RFC 5227 §2.3: two announcements, two seconds apart, so that no host keeps an old MAC address.
#[test]
fn own_addresses_are_announced_twice() {
    let mut t = Tester::new();
    let now = t.now;
    t.stack.announce_addresses(now);
    t.pump();
    let announced = |t: &mut Tester| {
        let packets: Vec<_> = t.arp.drain(..).collect();
        packets
            .iter()
            .filter(|(arp, _)| arp.sender_ip == STACK_IP && arp.target_ip == STACK_IP)
            .count()
    };
    assert_eq!(announced(&mut t), 1);
    t.advance(ms(1_999));
    assert_eq!(announced(&mut t), 0);
    t.advance(ms(1));
    assert_eq!(announced(&mut t), 1);
    t.advance(secs(60));
    assert_eq!(announced(&mut t), 0);
}
