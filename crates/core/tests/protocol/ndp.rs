//! Neighbor Discovery: RFC 4861 (resolution, reachability) and RFC 4862 (duplicate address
//! detection).

use tidewire_core::wire::{
    Icmpv6Message, IpProtocol, MacAddr, NeighborAdvert, NeighborSolicit, solicited_node,
    transport_checksum,
};
use tidewire_core::{ConnError, ConnId, ConnectOptions, DropReason, Stack};

use crate::common::*;

const A: &str = "2001:db8::a";
const B: &str = "2001:db8::b";
const THIEF: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x66]);

fn host() -> Host {
    Host::new(&["2001:db8::a/64"])
}

fn connect(host: &mut Host, to: &str) -> ConnId {
    let to = format!("[{to}]:80").parse().unwrap();
    let id = host.stack.connect(host.now, to, ConnectOptions::default());
    host.pump();
    id.unwrap()
}

/// The link address of the SYNs that the stack sends.
fn syns_to(host: &mut Host) -> Vec<MacAddr> {
    let frames = std::mem::take(&mut host.sent);
    let is_syn = |frame: &&Vec<u8>| frame[20] == 6;
    let to = |frame: &Vec<u8>| MacAddr(frame[..6].try_into().unwrap());
    frames.iter().filter(is_syn).map(to).collect()
}

#[test]
fn a_solicitation_is_answered_to_its_sender() {
    let mut host = host();
    host.frame(&solicit(B_MAC, B, A));
    let frame = host.sent.pop().expect("an answer");
    assert_eq!(frame[..6], B_MAC.0);
    assert_eq!(frame[21], 255, "hop limit");
    let wanted = NeighborAdvert {
        router: false,
        solicited: true,
        override_cache: true,
        target: v6(A),
        target_mac: Some(A_MAC),
    };
    assert_eq!(icmpv6_of(&frame), Icmpv6Message::NeighborAdvert(wanted));
    // It also taught the stack where the sender is (RFC 4861 §7.2.3).
    connect(&mut host, B);
    assert_eq!(syns_to(&mut host), [B_MAC]);
}

#[test]
fn solicitations_for_others_are_not_answered() {
    let mut host = host();
    host.frame(&solicit(B_MAC, B, "2001:db8::77"));
    // Another address with the same solicited-node group as ours.
    host.frame(&solicit(B_MAC, B, "2001:db8:0:0:1::a"));
    assert!(host.sent.is_empty());
}

#[test]
fn duplicate_address_detection_by_others_is_answered_to_all_and_teaches_nothing() {
    let mut host = host();
    host.frame(&solicit(B_MAC, "::", A));
    let frame = host.sent.pop().expect("an answer");
    assert_eq!(frame[..6], MacAddr::ipv6_multicast(ALL_NODES).0);
    let Icmpv6Message::NeighborAdvert(answer) = icmpv6_of(&frame) else {
        panic!("an advertisement");
    };
    assert!(!answer.solicited && answer.override_cache);
    assert_eq!(host.stack.address_conflict(), None);
}

#[test]
fn a_message_that_a_router_forwarded_is_dropped() {
    let mut host = host();
    let message = Icmpv6Message::NeighborSolicit(NeighborSolicit {
        target: v6(A),
        source_mac: Some(B_MAC),
    });
    let ends = (v6(B), solicited_node(v6(A)));
    for hop_limit in [0, 1, 64, 254] {
        host.frame(&icmpv6_frame(B_MAC, ends, hop_limit, &message));
    }
    assert!(host.sent.is_empty());
    assert_eq!(host.dropped(DropReason::Malformed), 4);
}

#[test]
fn options_of_length_zero_and_cut_ones_drop_the_message() {
    let mut host = host();
    let (src, dst) = (v6(B), solicited_node(v6(A)));
    for option in [
        &[1, 0, 0, 0, 0, 0, 0, 0][..],
        &[9, 0, 0, 0, 0, 0, 0, 0],
        &[1, 2, 0, 0, 0, 0, 0, 0],
        &[1],
        &[1, 1, 2, 0, 0],
    ] {
        let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
        body.extend(v6(A).octets());
        body.extend(option);
        let sum = transport_checksum(src.into(), dst.into(), IpProtocol::ICMPV6, &body);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        let macs = (B_MAC, MacAddr::ipv6_multicast(dst));
        host.frame(&ipv6_frame(
            macs,
            (src, dst),
            (IpProtocol::ICMPV6, 255),
            &body,
        ));
    }
    assert!(host.sent.is_empty());
    assert_eq!(host.dropped(DropReason::Malformed), 5);
}

#[test]
fn groups_that_we_are_not_in_are_not_listened_to() {
    let mut host = host();
    let mut frame = solicit(B_MAC, B, A);
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, 1, 2, 3]);
    host.frame(&frame);
    frame[..6].fill(0xff);
    host.frame(&frame);
    let echo = Icmpv6Message::EchoRequest {
        id: 1,
        seq: 1,
        data: b"x",
    };
    host.frame(&icmpv6_frame(B_MAC, (v6(B), v6("ff02::2")), 64, &echo));
    assert!(host.sent.is_empty());
    assert_eq!(host.dropped(DropReason::NotForUs), 3);
    // The all-nodes address is ours too; the answer comes from an own address.
    host.frame(&icmpv6_frame(B_MAC, (v6(B), ALL_NODES), 64, &echo));
    host.frame(&solicit(B_MAC, B, A));
    assert!(
        host.lines()
            .iter()
            .any(|line| line.contains("who has 2001:db8::b"))
    );
}

#[test]
fn resolution_asks_the_group_three_times_and_then_fails_the_connect() {
    let mut host = host();
    let id = connect(&mut host, B);
    host.advance(ms(2_999));
    let group = MacAddr::ipv6_multicast(solicited_node(v6(B)));
    assert_eq!(host.sent.len(), 3);
    for frame in host.sent.drain(..) {
        assert_eq!(frame[..6], group.0);
        let Icmpv6Message::NeighborSolicit(asked) = icmpv6_of(&frame) else {
            panic!("a solicitation");
        };
        assert_eq!((asked.target, asked.source_mac), (v6(B), Some(A_MAC)));
    }
    host.advance(ms(1));
    let result = host.stack.conn(id).unwrap().connect_result();
    assert_eq!(result, Some(Err(ConnError::HostUnreachable)));
}

#[test]
fn advertisements_that_nobody_asked_for_make_no_entry() {
    let mut host = host();
    host.frame(&advert(THIEF, B, ALL_NODES, (false, true)));
    host.frame(&advert(THIEF, B, v6(A), (true, true)));
    assert_eq!(host.dropped(DropReason::UnsolicitedNeighbor), 2);
    connect(&mut host, B);
    assert!(host.lines()[0].contains("who has"));
}

#[test]
fn a_solicited_flag_to_a_group_is_a_contradiction() {
    let mut host = host();
    connect(&mut host, B);
    host.frame(&advert(B_MAC, B, ALL_NODES, (true, true)));
    assert_eq!(host.dropped(DropReason::Malformed), 1);
}

#[test]
fn without_the_override_flag_a_known_neighbour_does_not_move() {
    let mut host = host();
    connect(&mut host, B);
    host.frame(&advert(B_MAC, B, v6(A), (true, true)));
    host.frame(&advert(THIEF, B, v6(A), (true, false)));
    host.sent.clear();
    connect(&mut host, B);
    assert_eq!(syns_to(&mut host), [B_MAC]);
    // With the override flag it is replaced (RFC 4861 §7.2.5): a host may change its network card.
    host.frame(&advert(THIEF, B, ALL_NODES, (false, true)));
    connect(&mut host, B);
    assert_eq!(syns_to(&mut host), [THIEF]);
}

#[test]
fn a_stale_neighbour_is_asked_only_where_nothing_confirms_it() {
    let mut pair = Pair::new(&["2001:db8::a/64"], &["2001:db8::b/64"]);
    let (client, server) = pair.connect("[2001:db8::b]:80", "[::]:80");
    // Two minutes of requests and answers: no solicitation is needed.
    let asked = pair.lines("neighbor solicitation").len();
    for _ in 0..120 {
        let now = pair.now;
        pair.a.conn(client).unwrap().write(now, b"ping").unwrap();
        pair.run();
        let mut bytes = [0; 8];
        assert_eq!(pair.b.conn(server).unwrap().read(now, &mut bytes), Ok(4));
        pair.b.conn(server).unwrap().write(now, b"pong").unwrap();
        pair.run();
        assert_eq!(pair.a.conn(client).unwrap().read(now, &mut bytes), Ok(4));
        pair.advance(secs(1));
    }
    assert_eq!(pair.lines("neighbor solicitation").len(), asked);
    // Idle for a minute, then a single segment without a following answer: after five seconds the
    // neighbour is probed by unicast.
    pair.advance(secs(60));
    let now = pair.now;
    pair.a.conn(client).unwrap().write(now, b"ping").unwrap();
    pair.advance(ms(4_900));
    assert_eq!(pair.lines("neighbor solicitation").len(), asked);
    pair.advance(secs(2));
    let to_b = |frame: &&Vec<u8>| frame[..6] == B_MAC.0 && frame[20] == 58 && frame[54] == 135;
    assert_eq!(pair.frames.iter().filter(to_b).count(), 1);
}

#[test]
fn one_that_does_not_answer_holds_up_nobody_else() {
    let mut host = host();
    connect(&mut host, "2001:db8::99");
    connect(&mut host, B);
    host.frame(&advert(B_MAC, B, v6(A), (true, true)));
    assert_eq!(syns_to(&mut host), [B_MAC]);
}

#[test]
fn a_flood_of_solicitations_and_misses_stays_within_the_cache() {
    let mut config = host_config(A_MAC, &["2001:db8::a/64"]);
    config.max_neighbors = 16;
    let mut host = Host::with(config);
    connect(&mut host, B);
    host.frame(&advert(B_MAC, B, v6(A), (true, true)));
    for n in 0..3_000_u32 {
        let mac = MacAddr([2, 7, 0, 0, (n >> 8) as u8, n as u8]);
        host.frame(&solicit(mac, &format!("2001:db8::1:{n:x}"), A));
        // A segment that has to be answered with a reset, from a host that does not exist.
        let (src, dst) = (v6(&format!("2001:db8::2:{n:x}")), v6(A));
        let mut segment = vec![
            0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0,
        ];
        let sum = transport_checksum(src.into(), dst.into(), IpProtocol::TCP, &segment);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        host.frame(&ipv6_frame(
            (mac, A_MAC),
            (src, dst),
            (IpProtocol::TCP, 64),
            &segment,
        ));
    }
    host.sent.clear();
    connect(&mut host, B);
    assert_eq!(syns_to(&mut host), [B_MAC], "who answers stays known");
    host.advance(secs(10));
    let asked = host.lines();
    let asked = asked.iter().filter(|line| line.contains("solicitation"));
    assert!(asked.count() <= 16 * 3);
}

// ---- Duplicate address detection ----

fn probing() -> Host {
    let mut host = host();
    let now = host.now;
    host.stack.probe_address(now, v6(A).into());
    host.pump();
    host
}

fn conflict(stack: &Stack) -> Option<MacAddr> {
    stack.address_conflict().map(|(address, mac)| {
        assert_eq!(address, v6(A));
        mac
    })
}

#[test]
fn a_probe_comes_from_nobody_and_says_nothing_of_its_sender() {
    let mut host = probing();
    let frame = host.sent.pop().unwrap();
    assert_eq!(frame[..6], MacAddr::ipv6_multicast(solicited_node(v6(A))).0);
    assert_eq!(frame[22..38], [0; 16]);
    let Icmpv6Message::NeighborSolicit(asked) = icmpv6_of(&frame) else {
        panic!("a solicitation");
    };
    assert_eq!((asked.target, asked.source_mac), (v6(A), None));
}

#[test]
fn an_answer_to_a_probe_is_a_conflict() {
    let mut host = probing();
    host.frame(&advert(B_MAC, A, ALL_NODES, (false, true)));
    assert_eq!(conflict(&host.stack), Some(B_MAC));
}

#[test]
fn another_probe_for_the_same_address_is_a_conflict_while_ours_goes_on() {
    // RFC 4862 §5.4.3.
    let mut host = probing();
    host.sent.clear();
    host.frame(&solicit(B_MAC, "::", A));
    assert_eq!(conflict(&host.stack), Some(B_MAC));
    assert!(
        host.sent.is_empty(),
        "a tentative address is not answered for"
    );
    host.frame(&solicit(B_MAC, B, A));
    assert!(host.sent.is_empty());
}

#[test]
fn a_probe_that_the_link_brings_back_is_no_conflict() {
    // RFC 4862 §5.4.3: the node's own, looped back.
    let mut host = probing();
    host.frame(&solicit(A_MAC, "::", A));
    assert_eq!(conflict(&host.stack), None);
}

#[test]
fn own_addresses_are_announced_twice_and_defended_from_then_on() {
    let mut host = probing();
    host.sent.clear();
    let now = host.now;
    host.stack.announce_addresses(now);
    host.advance(secs(60));
    assert_eq!(host.sent.len(), 2);
    for frame in host.sent.drain(..) {
        assert_eq!(frame[..6], MacAddr::ipv6_multicast(ALL_NODES).0);
        let Icmpv6Message::NeighborAdvert(said) = icmpv6_of(&frame) else {
            panic!("an advertisement");
        };
        assert!(!said.solicited && said.override_cache);
    }
    host.frame(&solicit(B_MAC, "::", A));
    assert_eq!((host.sent.len(), conflict(&host.stack)), (1, None));
}
