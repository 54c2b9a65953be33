//! ICMP errors about our segments (RFC 5461, RFC 5927), and those that this host sends.

use tidewire_core::wire::{
    Icmpv4Message, Icmpv6Message, IpProtocol, Ipv4Header, MacAddr, solicited_node,
};
use tidewire_core::{ConnError, ConnectOptions, DropReason, ReadError, State};

use crate::common::*;

/// The start of the stack's segment with this relative sequence number, in a packet of `len` bytes,
/// as a router quotes it.
fn quote(t: &Tester, seq: i64, len: u16) -> Vec<u8> {
    let mut quoted = vec![0; Ipv4Header::MIN_LEN];
    let ip = Ipv4Header {
        tos: 0,
        total_len: len,
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 1,
        protocol: IpProtocol::TCP,
        src: STACK_IP,
        dst: t.flow.ip,
        options_len: 0,
    };
    ip.emit(&mut quoted).unwrap();
    quoted.extend(t.flow.stack_port.to_be_bytes());
    quoted.extend(t.flow.port.to_be_bytes());
    quoted.extend(t.flow.stack_isn.add(seq as u32).raw().to_be_bytes());
    quoted
}

fn unreachable(t: &mut Tester, code: u8, quoted: &[u8]) {
    let message = Icmpv4Message::Unreachable {
        code,
        next_hop_mtu: 0,
        quoted,
    };
    t.frame(&icmp_frame(STACK_IP, &message));
}

#[test]
fn errors_end_an_attempt_to_connect() {
    // RFC 9293 §3.9.2.2, SHLD-26.
    for (code, wanted) in [
        (0, ConnError::NetworkUnreachable),
        (1, ConnError::HostUnreachable),
        (2, ConnError::Refused),
        (3, ConnError::Refused),
        (13, ConnError::HostUnreachable),
    ] {
        let mut t = Tester::connecting(|_| {});
        let quoted = quote(&t, 0, 60);
        unreachable(&mut t, code, &quoted);
        assert_eq!(t.conn().connect_result(), Some(Err(wanted)), "code {code}");
        assert_eq!(t.stack.stats().failed_attempts, 1);
    }
}

#[test]
fn an_error_about_another_segment_ends_nothing() {
    // RFC 5927 §4.1: an attacker off the path must guess the ports and a sequence number in flight.
    let mut t = Tester::connecting(|_| {});
    let right = quote(&t, 0, 60);
    for wrong in [-1, 1, 1 << 20] {
        let quoted = quote(&t, wrong, 60);
        unreachable(&mut t, 3, &quoted);
    }
    // Other ports, another peer, a foreign packet, another protocol, cut short.
    for (at, value) in [(21, 1), (23, 1), (19, 9), (15, 9), (9, 17)] {
        let mut quoted = right.clone();
        quoted[at] ^= value;
        unreachable(&mut t, 3, &quoted);
    }
    for len in 0..right.len() {
        unreachable(&mut t, 3, &right[..len]);
    }
    assert_eq!(t.conn().connect_result(), None);
    assert_eq!(t.dropped(DropReason::IcmpIgnored), 8 + right.len() as u64);
    assert_eq!(t.stack.stats().icmp_errors_in, 0);
    // The right one does.
    unreachable(&mut t, 3, &right);
    assert_eq!(t.conn().connect_result(), Some(Err(ConnError::Refused)));
}

#[test]
fn errors_do_not_end_a_connection_but_say_why_it_timed_out() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.data_retries = 3);
    t.write(100);
    for code in [0, 1, 2, 3] {
        let quoted = quote(&t, 1, 140);
        unreachable(&mut t, code, &quoted);
        assert_eq!(t.state(), State::Established, "code {code}");
    }
    let quoted = quote(&t, 1, 140);
    unreachable(&mut t, 1, &quoted);
    t.advance(secs(60));
    let now = t.now;
    let error = t.conn().read(now, &mut [0]);
    assert_eq!(error, Err(ReadError::Failed(ConnError::HostUnreachable)));
}

#[test]
fn progress_forgets_what_errors_said() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.data_retries = 3);
    t.write(100);
    let quoted = quote(&t, 1, 140);
    unreachable(&mut t, 1, &quoted);
    t.peer(seg(ACK).ack(101));
    t.write(100);
    t.advance(secs(60));
    let now = t.now;
    let error = t.conn().read(now, &mut [0]);
    assert_eq!(error, Err(ReadError::Failed(ConnError::TimedOut)));
}

#[test]
fn errors_end_no_connection_and_are_told_when_it_is_asked() {
    // RFC 9293 §3.9.1.8 and §3.9.2.2: MUST-47, MUST-54, MUST-56, SHLD-25. Hard ones, too.
    for state in [State::Established, State::CloseWait] {
        for (code, error) in [
            (0, ConnError::NetworkUnreachable),
            (1, ConnError::HostUnreachable),
            (2, ConnError::Refused),
            (3, ConnError::Refused),
            (5, ConnError::HostUnreachable),
        ] {
            let mut t = Tester::in_state(state, PLAIN);
            t.write(100);
            t.sent.clear();
            let quoted = quote(&t, 1, 140);
            unreachable(&mut t, code, &quoted);
            t.silent();
            assert_eq!(
                (t.state(), t.conn().info().soft_error),
                (state, Some(error))
            );
            // Progress clears the error.
            t.peer(seg(ACK));
            assert_eq!(t.conn().info().soft_error, None);
        }
    }
}

#[test]
fn source_quench_is_ignored() {
    // MUST-55, RFC 6633.
    let mut t = Tester::established(PLAIN);
    t.write(100);
    t.sent.clear();
    let before = t.conn().info().cwnd;
    let rest = [vec![0; 4], quote(&t, 1, 140)].concat();
    let message = Icmpv4Message::Other {
        kind: 4,
        code: 0,
        rest: &rest,
    };
    t.frame(&icmp_frame(STACK_IP, &message));
    t.silent();
    let info = t.conn().info();
    assert_eq!((info.cwnd, info.soft_error), (before, None));
}

#[test]
fn icmpv6_errors_end_attempts_over_ipv6() {
    for (code, wanted) in [
        (0, ConnError::NetworkUnreachable),
        (3, ConnError::HostUnreachable),
        (4, ConnError::Refused),
    ] {
        let mut host = Host::new(&["2001:db8::a/64"]);
        host.frame(&solicit(B_MAC, "2001:db8::b", "2001:db8::a"));
        host.sent.clear();
        let to = "[2001:db8::b]:80".parse().unwrap();
        let options = ConnectOptions::default();
        let id = host.stack.connect(host.now, to, options).unwrap();
        host.pump();
        let syn = host.sent.pop().unwrap();
        let message = Icmpv6Message::Unreachable {
            code,
            quoted: &syn[14..],
        };
        let ends = (v6("2001:db8::1"), v6("2001:db8::a"));
        host.frame(&icmpv6_frame(B_MAC, ends, 64, &message));
        let result = host.stack.conn(id).unwrap().connect_result();
        assert_eq!(result, Some(Err(wanted)), "code {code}");
    }
}

// ---- What this host sends ----

#[test]
fn an_unknown_protocol_is_refused_with_the_packet_quoted_and_not_too_often() {
    let mut t = Tester::new();
    let frame = ip_frame(PEER_IP, STACK_IP, IpProtocol(17), &[7; 1000]);
    t.frame(&frame);
    let answer = t.other.pop().expect("an error");
    assert!(answer.len() <= 14 + 576);
    match icmp_of(&answer) {
        Icmpv4Message::Unreachable {
            code: 2, quoted, ..
        } => assert!(frame[14..].starts_with(quoted) && quoted.len() > 500),
        other => panic!("{other:?}"),
    }
    for _ in 0..1_000 {
        t.frame(&frame);
    }
    assert!(t.other.len() < 10);
    assert_eq!(t.dropped(DropReason::UnknownProtocol), 1_001);
}

#[test]
fn no_error_answers_a_fragment_or_a_broadcast() {
    // RFC 1122 §3.2.2.
    let mut t = Tester::new();
    let mut fragment = ip_frame(PEER_IP, STACK_IP, IpProtocol(17), &[7; 64]);
    fragment[20] = 0x20;
    fragment[24..26].fill(0);
    let sum = !fragment[14..34]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .fold(0_u32, |sum, word| (sum + word) % 0xffff);
    fragment[24..26].copy_from_slice(&(sum as u16).to_be_bytes());
    t.frame(&fragment);
    assert_eq!(t.dropped(DropReason::Fragment), 1);
    let mut broadcast = ip_frame(PEER_IP, STACK_IP, IpProtocol(17), &[7; 64]);
    broadcast[..6].fill(0xff);
    t.frame(&broadcast);
    t.frame(&ip_frame(
        PEER_IP,
        "10.0.0.255".parse().unwrap(),
        IpProtocol(17),
        &[7; 64],
    ));
    assert!(t.other.is_empty());
}

/// The stack's answer to a packet with these extension headers, the first of type `next`: code and
/// pointer.
fn answer_to(next: u8, headers: &[u8], to_group: bool) -> Option<(u8, u32)> {
    let mut host = Host::new(&["2001:db8::a/64"]);
    host.frame(&solicit(B_MAC, "2001:db8::b", "2001:db8::a"));
    host.sent.clear();
    let own = v6("2001:db8::a");
    let dst = if to_group { solicited_node(own) } else { own };
    let to = if to_group {
        MacAddr::ipv6_multicast(dst)
    } else {
        A_MAC
    };
    let ends = (v6("2001:db8::b"), dst);
    host.frame(&ipv6_frame(
        (B_MAC, to),
        ends,
        (IpProtocol(next), 64),
        headers,
    ));
    let frame = host.sent.pop()?;
    match icmpv6_of(&frame) {
        Icmpv6Message::ParameterProblem { code, pointer, .. } => Some((code, pointer)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn headers_that_are_not_understood_are_pointed_at() {
    let options = |kind: u8, next: u8| vec![next, 0, kind, 2, 0, 0, 1, 0];
    // RFC 8200 §4: an unknown next header, here and behind an extension header.
    assert_eq!(answer_to(17, &[0; 8], false), Some((1, 6)));
    assert_eq!(answer_to(60, &options(0x1e, 17), false), Some((1, 40)));
    assert_eq!(answer_to(17, &[0; 8], true), None, "never to a group");
    assert_eq!(answer_to(59, &[0; 8], false), None, "nothing follows");
    // RFC 8200 §4.2: the action in the two high bits of an option. 00 is skipped, and the next
    // header is unknown.
    assert_eq!(answer_to(60, &options(0x5e, 6), false), None);
    assert_eq!(answer_to(60, &options(0x9e, 6), false), Some((2, 42)));
    assert_eq!(answer_to(60, &options(0x9e, 6), true), Some((2, 42)));
    assert_eq!(answer_to(60, &options(0xde, 6), false), Some((2, 42)));
    assert_eq!(answer_to(60, &options(0xde, 6), true), None);
    // Routing headers with segments left, of type 0 and of an unknown type; and hop-by-hop options
    // that are not first.
    assert_eq!(
        answer_to(43, &[6, 0, 0, 1, 0, 0, 0, 0], false),
        Some((0, 42))
    );
    assert_eq!(
        answer_to(43, &[6, 0, 9, 1, 0, 0, 0, 0], false),
        Some((0, 42))
    );
    let mut chain = options(0x1e, 0);
    chain.extend(options(0x1e, 6));
    assert_eq!(answer_to(60, &chain, false), Some((1, 40)));
}

#[test]
fn chains_without_end_are_dropped_in_silence() {
    for headers in [
        [60, 0, 1, 4, 0, 0, 0, 0].repeat(170),
        vec![60, 255, 1, 4, 0, 0, 0, 0],
        [44, 0, 0, 0, 0, 0, 0, 0].repeat(2),
        vec![60],
        vec![],
    ] {
        assert_eq!(answer_to(60, &headers, false), None, "{headers:02x?}");
    }
}

#[test]
fn tcp_is_found_behind_extension_headers_and_in_an_atomic_fragment() {
    let mut pair = Pair::new(&["2001:db8::a/64"], &["2001:db8::b/64"]);
    pair.connect("[2001:db8::b]:80", "[::]:80");
    let syn = pair.frames.iter().find(|frame| frame[20] == 6).unwrap();
    for (next, header) in [
        (60, [6, 0, 1, 4, 0, 0, 0, 0]),
        (0, [6, 0, 1, 4, 0, 0, 0, 0]),
        (44, [6, 0, 0, 0, 0, 0, 0, 7]),
    ] {
        let mut host = Host::new(&["2001:db8::b/64"]);
        let mut body = header.to_vec();
        body.extend(&syn[54..]);
        let ends = (v6("2001:db8::a"), v6("2001:db8::b"));
        host.frame(&ipv6_frame(
            (B_MAC, A_MAC),
            ends,
            (IpProtocol(next), 64),
            &body,
        ));
        assert_eq!(host.dropped(DropReason::NoConnection), 1, "{next}");
        // A piece of a packet is not reassembled.
        body[3] |= 1;
        if next == 44 {
            host.frame(&ipv6_frame(
                (B_MAC, A_MAC),
                ends,
                (IpProtocol(next), 64),
                &body,
            ));
            assert_eq!(host.dropped(DropReason::Fragment), 1);
        }
    }
}

#[test]
fn impossible_ipv6_sources_are_not_answered() {
    let mut host = Host::new(&["2001:db8::a/64"]);
    let segment = [0; 20];
    for source in ["::", "::1", "ff02::1", "::ffff:10.0.0.1", "2001:db8::a"] {
        let ends = (v6(source), v6("2001:db8::a"));
        host.frame(&ipv6_frame(
            (B_MAC, A_MAC),
            ends,
            (IpProtocol::TCP, 64),
            &segment,
        ));
    }
    assert!(host.sent.is_empty());
    assert_eq!(host.dropped(DropReason::BadSource), 5);
}
