//! CLOSED (RFC 9293 §3.10.7.1): resets for everything but resets.

use tidewire_core::DropReason;

use crate::common::*;

#[test]
fn closed_ack_is_reset_at_its_acknowledgement() {
    for flags in [ACK, SYN_ACK, FIN_ACK, ACK | PSH | URG] {
        let mut t = Tester::new();
        t.peer(seg(flags).seq(10).ack(500).len(3));
        let sent = t.expect(seg(RST).seq(500).len(0).no_ts());
        assert_eq!((sent.header.window, sent.header.ack.raw()), (0, 0));
        t.silent();
    }
}

#[test]
fn closed_without_ack_is_reset_from_zero_and_acknowledged_whole() {
    for (flags, len, occupies) in [
        (SYN, 0, 1),
        (FIN, 0, 1),
        (NONE, 7, 7),
        (SYN | FIN, 0, 2),
        (SYN | FIN | PSH, 40, 42),
        (NONE, 0, 0),
    ] {
        let mut t = Tester::new();
        t.peer(seg(flags).seq(9_990).len(len));
        let sent = t.expect(seg(RST_ACK).ack(9_990 + occupies));
        assert_eq!(sent.header.seq.raw(), 0, "{flags}");
        t.silent();
    }
}

#[test]
fn closed_rst_is_never_answered() {
    for flags in [RST, RST_ACK, RST | SYN, RST | FIN, RST_ACK | SYN | FIN] {
        let mut t = Tester::new();
        t.peer(seg(flags).seq(5).ack(5).len(5));
        t.silent();
        assert_eq!(t.dropped(DropReason::NoConnection), 1);
    }
}

#[test]
fn closed_reset_echoes_the_timestamp() {
    // RFC 7323 §5.2: SEG.TSval in TSecr, and a TSval of zero.
    let mut t = Tester::new();
    t.peer(seg(SYN).seq(0).ts(77, 0));
    t.expect(seg(RST_ACK).ack(1).ts(0, 77));
}
