//! ICMP errors about a connection's segments (RFC 9293 3.9.2.2, RFC 5461, RFC 5927).

use tidewire_core::wire::{Icmpv4Message, IpProtocol, Ipv4Header};
use tidewire_core::{ConnError, DropReason, State};

use crate::common::*;

/// What routers quote of a segment with this sequence number: the IP header and eight bytes.
fn quoted(t: &Tester, seq: i64) -> Vec<u8> {
    let mut packet = vec![0; Ipv4Header::MIN_LEN + 8];
    let ip = Ipv4Header {
        tos: 0,
        total_len: 140,
        id: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 1,
        protocol: IpProtocol::TCP,
        src: STACK_IP,
        dst: PEER_IP,
        options_len: 0,
    };
    let at = ip.emit(&mut packet).unwrap();
    let flow = &t.flow;
    packet[at..at + 2].copy_from_slice(&flow.stack_port.to_be_bytes());
    packet[at + 2..at + 4].copy_from_slice(&flow.port.to_be_bytes());
    let seq = flow.stack_isn.add(seq as u32).raw();
    packet[at + 4..].copy_from_slice(&seq.to_be_bytes());
    packet
}

fn unreachable(t: &mut Tester, code: u8, seq: i64) {
    let quoted = quoted(t, seq);
    let message = Icmpv4Message::Unreachable {
        code,
        next_hop_mtu: 0,
        quoted: &quoted,
    };
    t.frame(&icmp_frame(STACK_IP, &message));
}

#[test]
fn errors_end_no_connection_and_are_told_when_it_is_asked() {
    // MUST-47, MUST-54, MUST-56, SHLD-25, SHLD-26: hard ones, too.
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
            unreachable(&mut t, code, 1);
            t.silent();
            assert_eq!(
                (t.state(), t.conn().info().soft_error),
                (state, Some(error))
            );
            // Progress proves it wrong.
            t.peer(seg(ACK));
            assert_eq!(t.conn().info().soft_error, None);
        }
    }
}

#[test]
fn a_connection_that_times_out_says_what_the_network_said() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.data_retries = 2);
    t.write(100);
    unreachable(&mut t, 1, 1);
    t.advance(secs(60));
    assert_eq!(t.conn().take_error(), Some(ConnError::HostUnreachable));
}

#[test]
fn errors_about_nothing_in_flight_are_ignored() {
    // RFC 5927 4.1: whoever forges one has to guess a sequence number.
    let mut t = Tester::established(PLAIN);
    t.write(100);
    for seq in [0, 101, -5_000] {
        unreachable(&mut t, 1, seq);
    }
    assert_eq!(t.conn().info().soft_error, None);
    assert_eq!(t.dropped(DropReason::IcmpIgnored), 3);
}

#[test]
fn source_quench_is_ignored() {
    // MUST-55, RFC 6633.
    let mut t = Tester::established(PLAIN);
    t.write(100);
    t.sent.clear();
    let before = t.conn().info().cwnd;
    let rest = [vec![0; 4], quoted(&t, 1)].concat();
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
fn an_unreachable_port_refuses_an_attempt_at_once() {
    // SHLD-26.
    let mut t = Tester::connecting(|_| {});
    t.expect(seg(SYN));
    unreachable(&mut t, 3, 0);
    assert_eq!(t.state(), State::Closed);
    assert_eq!(t.conn().take_error(), Some(ConnError::Refused));
}
