//! Timestamps and PAWS (RFC 7323).

use tidewire_core::{DropReason, ReadError, State};

use crate::common::*;

/// Established with all extensions; the second value is the peer's clock when it sent last.
fn with_timestamps() -> (Tester, u32) {
    let t = Tester::established(FULL);
    let clock = t.peer_clock();
    (t, clock)
}

#[test]
fn every_segment_carries_the_negotiated_timestamps() {
    let (mut t, clock) = with_timestamps();
    t.write(10);
    let sent = t.expect(seg(ACK).len(10));
    assert_eq!(
        sent.options.timestamps.map(|ts| ts.echo),
        Some(clock),
        "TSecr is TS.Recent"
    );
    t.advance(ms(25));
    t.peer(seg(FIN_ACK));
    let later = t.expect(seg(ACK));
    let (a, b) = (sent.options.timestamps, later.options.timestamps);
    assert_eq!(b.unwrap().value.wrapping_sub(a.unwrap().value), 25);
}

#[test]
fn timestamps_that_were_not_negotiated_are_ignored() {
    let mut t = Tester::established(PLAIN);
    t.peer(seg(ACK).len(10).ts(5, 0));
    t.expect(seg(ACK).ack(11).no_ts());
    t.peer(seg(ACK).len(10).ts(1, 0));
    t.expect(seg(ACK).ack(21).no_ts());
}

#[test]
fn an_old_timestamp_is_acknowledged_and_dropped() {
    let (mut t, clock) = with_timestamps();
    t.peer(seg(ACK).len(10).ts(clock.wrapping_sub(1), t.flow.echo));
    t.expect(seg(ACK).seq(1).ack(1));
    t.silent();
    assert_eq!(t.read(100), Err(ReadError::Blocked));
    assert_eq!(t.dropped(DropReason::Paws), 1);
}

#[test]
fn an_equal_timestamp_is_accepted() {
    let (mut t, clock) = with_timestamps();
    t.peer(seg(ACK).len(10).ts(clock, t.flow.echo));
    assert_eq!(t.read(100), Ok(10));
}

#[test]
fn timestamps_wrap() {
    let (mut t, clock) = with_timestamps();
    t.peer(seg(ACK).len(10).ts(clock.wrapping_add(1 << 30), 0));
    t.peer(seg(ACK).len(10).ts(clock.wrapping_add(2 << 30), 0));
    t.peer(seg(ACK).len(10).ts(clock.wrapping_add(3 << 30), 0));
    t.peer(seg(ACK).len(10).ts(clock, 0));
    assert_eq!(t.read(100), Ok(40));
}

#[test]
fn a_missing_timestamp_is_dropped_silently() {
    let (mut t, _) = with_timestamps();
    t.peer(seg(ACK).len(10).no_ts());
    t.peer(seg(FIN_ACK).seq(1).no_ts());
    t.silent();
    assert_eq!(t.state(), State::Established);
    assert_eq!(t.dropped(DropReason::MissingTimestamp), 2);
}

/// The peer lost the connection and opens it again, without the option: it must get a challenge ACK
/// (RFC 5961 §4.2).
#[test]
fn a_syn_without_timestamp_is_challenged() {
    let (mut t, _) = with_timestamps();
    t.peer(seg(SYN).seq(70_000).no_ts());
    t.expect(seg(ACK));
    assert_eq!(t.state(), State::Established);
}

#[test]
fn a_reset_needs_no_timestamp() {
    for timestamp in [None, Some((0, 0)), Some((1 << 31, 5))] {
        let (mut t, _) = with_timestamps();
        t.peer(match timestamp {
            Some((value, echo)) => seg(RST).ts(value, echo),
            None => seg(RST).no_ts(),
        });
        assert_eq!(t.state(), State::Closed);
    }
}

#[test]
fn only_a_genuine_segment_sets_the_recent_timestamp() {
    // CVE-2005-0356: a forged segment with a timestamp from the future must not lock the peer out.
    let far = 1 << 30;
    let forged = [
        seg(ACK).seq(1).ack(5_000).len(1),
        seg(ACK).seq(1 + 70_000_000).len(1),
        seg(NONE).seq(1).len(1),
        seg(SYN).seq(1),
        seg(RST).seq(2),
        seg(ACK).seq(500).len(1),
    ];
    for segment in forged {
        let (mut t, clock) = with_timestamps();
        let echo = t.flow.echo;
        t.peer(segment.clone().ts(clock.wrapping_add(far), echo));
        t.sent.clear();
        t.peer(seg(ACK).seq(1).len(10));
        assert_eq!(t.read(100), Ok(10), "after {segment:?}");
    }
}

#[test]
fn a_delayed_ack_echoes_the_earliest_segment() {
    // RFC 7323 §4.3, example A.
    let (mut t, clock) = with_timestamps();
    for n in 1..=3 {
        t.inject(seg(ACK).len(100).ts(clock + n, 0));
    }
    t.pump();
    let sent = t.expect(seg(ACK).ack(301));
    assert_eq!(sent.options.timestamps.unwrap().echo, clock + 1);
    t.silent();
}

#[test]
fn a_filled_hole_echoes_the_segment_that_filled_it() {
    // RFC 7323 §4.3, example B.
    let (mut t, clock) = with_timestamps();
    for (segment, ack, echo) in [(0, 1, 1), (2, 1, 1), (1, 3, 2), (4, 3, 2), (3, 5, 4)] {
        let seq = 1 + segment * 100;
        let value = clock + segment as u32 + 1;
        t.peer(seg(ACK).seq(seq).len(100).ts(value, 0));
        let sent = t.expect(seg(ACK).ack(1 + ack * 100));
        assert_eq!(
            sent.options.timestamps.unwrap().echo,
            clock + echo,
            "segment {segment}"
        );
    }
}

#[test]
fn a_recent_timestamp_of_25_days_ago_is_forgotten() {
    // RFC 7323 §5.5: the peer's clock may have wrapped half way since.
    let (mut t, clock) = with_timestamps();
    t.advance(secs(25 * 24 * 3_600));
    t.sent.clear();
    t.peer(seg(ACK).len(10).ts(clock.wrapping_sub(5), 0));
    assert_eq!(t.read(100), Ok(10));
    let sent = t.expect(seg(ACK).ack(11));
    assert_eq!(sent.options.timestamps.unwrap().echo, clock.wrapping_sub(5));
}

/// Some hosts echo zero: after a retransmission it must not give an RTT sample of days.
#[test]
fn an_echo_from_long_ago_measures_nothing() {
    for ago in [1 << 30, 121_000] {
        let mut t = Tester::established(FULL);
        t.write(100);
        t.advance(ms(300));
        let echo = t.sent.pop_back().expect("sent again").options.timestamps;
        let clock = t.peer_clock();
        let echo = echo.unwrap().value.wrapping_sub(ago);
        t.peer(seg(ACK).ack(101).ts(clock, echo));
        let info = t.conn().info();
        assert!(
            info.srtt.is_none_or(|srtt| srtt < secs(1)),
            "{:?}",
            info.srtt
        );
        assert!(info.rto < secs(2), "{:?}", info.rto);
    }
}
