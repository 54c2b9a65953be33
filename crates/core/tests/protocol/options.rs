//! Connection options: what the application sets, and its effect on the wire.

use tidewire_core::{ConfigError, KeepAlive, Secret, Stack};

use crate::common::*;

#[test]
fn hop_limit_and_traffic_class_go_into_every_packet() {
    // MUST-48, MUST-49, SHLD-21, SHLD-22.
    let mut t = Tester::established(PLAIN);
    t.write(10);
    let sent = t.expect(seg(ACK));
    assert_eq!((sent.hop_limit, sent.traffic_class), (64, 0));
    for code_point in 0..64 {
        t.conn().set_traffic_class(code_point << 2);
        t.conn().set_hop_limit(code_point + 2);
        t.write(10);
        t.peer(seg(ACK).len(1));
        for sent in std::mem::take(&mut t.sent) {
            assert_eq!(
                (sent.hop_limit, sent.traffic_class),
                (code_point + 2, code_point << 2)
            );
        }
    }
    assert_eq!((t.conn().hop_limit(), t.conn().traffic_class()), (65, 252));
}

#[test]
fn the_ecn_bits_are_not_the_applications() {
    let mut t = Tester::established_with(PLAIN, |config| config.tcp.traffic_class = 0xff);
    t.write(10);
    assert_eq!(t.expect(seg(ACK)).traffic_class, 0xfc);
    t.conn().set_traffic_class(0x2b);
    assert_eq!(t.conn().traffic_class(), 0x28);
}

#[test]
fn a_syn_ack_takes_the_listeners_fields_and_the_last_ack_the_connections() {
    let mut t = Tester::listening(16, |config| {
        config.tcp.hop_limit = 9;
        config.tcp.traffic_class = 0xb8;
    });
    t.syn(PLAIN);
    let sent = t.expect(seg(SYN_ACK));
    assert_eq!((sent.hop_limit, sent.traffic_class), (9, 0xb8));
    t.peer(seg(ACK));
    t.accept();
    t.conn().set_hop_limit(7);
    t.shutdown_write();
    t.expect(seg(FIN_ACK));
    t.peer(seg(FIN_ACK));
    assert_eq!(t.expect(seg(ACK)).hop_limit, 7, "from TIME-WAIT");
}

#[test]
fn a_connections_settings_are_not_its_siblings() {
    let mut t = Tester::established(PLAIN);
    let (first, now) = (t.id, t.now);
    t.conn().set_hop_limit(5);
    t.conn().set_keepalive(now, Some(KeepAlive::default()));
    t.flow = flow(1_002, PORT);
    t.handshake(PLAIN);
    assert_eq!((t.conn().hop_limit(), t.conn().keepalive()), (64, None));
    t.id = first;
    assert_eq!(t.conn().hop_limit(), 5);
}

#[test]
fn settings_that_cannot_work_are_raised_to_the_least_that_can() {
    let mut t = Tester::established(PLAIN);
    let now = t.now;
    t.conn().set_hop_limit(0);
    t.conn()
        .set_user_timeout(now, Some(tidewire_core::Duration::ZERO));
    assert_eq!((t.conn().hop_limit(), t.conn().user_timeout()), (1, None));
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_name() {
    type Change = fn(&mut tidewire_core::TcpConfig);
    let cases: [(Change, &str); 3] = [
        (|tcp| tcp.hop_limit = 0, "tcp.hop_limit"),
        (
            |tcp| tcp.user_timeout = Some(tidewire_core::Duration::ZERO),
            "tcp.user_timeout",
        ),
        (
            |tcp| {
                tcp.keepalive = Some(KeepAlive {
                    count: 0,
                    ..KeepAlive::default()
                });
            },
            "tcp.keepalive",
        ),
    ];
    for (change, field) in cases {
        let mut config = config();
        change(&mut config.tcp);
        let refused = Stack::new(config, Secret::new([0; 16]), tidewire_core::Instant::ZERO);
        assert_eq!(refused.err(), Some(ConfigError::BadLimit(field)));
    }
}

#[test]
fn quickack_acknowledges_at_once_for_a_while() {
    let mut t = Tester::established(PLAIN);
    t.end_quick_start(100);
    assert!(!t.conn().quickack());
    t.peer(seg(ACK).len(10));
    t.silent();
    let now = t.now;
    t.conn().set_quickack(now, true);
    t.pump();
    t.expect(seg(ACK).ack(1_611));
    for n in 1..=16 {
        assert!(t.conn().quickack());
        t.peer(seg(ACK).len(10));
        t.expect(seg(ACK).ack(1_611 + 10 * n));
    }
    t.peer(seg(ACK).len(10));
    t.silent();
}

#[test]
fn quickack_off_ends_the_quick_start() {
    let mut t = Tester::established(PLAIN);
    let now = t.now;
    t.conn().set_quickack(now, false);
    t.peer(seg(ACK).len(10));
    t.expect_after(ms(40), seg(ACK).ack(11));
}
