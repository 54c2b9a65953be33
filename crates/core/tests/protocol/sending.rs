//! Departure of segments: paced retransmissions, the retransmission timer at SND.UNA, limited
//! transmit, and growing frames on links with offload.

use tidewire_core::{
    AckSample, Algorithm, BufferSize, CongestionControl, CongestionEvent, Direction, Duration,
    Instant, LinkCaps, SendLimit, StackConfig,
};

use crate::common::*;

const MSS: i64 = 1_460;

/// Position of the n-th full segment.
fn at(n: i64) -> i64 {
    1 + n * MSS
}

fn with_offload(config: &mut StackConfig) {
    config.link = LinkCaps::ethernet(config.link.mac, 1500).with_offload();
}

/// An accepted connection over a link with offload, after a handshake that took `rtt_us`
/// microseconds.
fn over_offload(rtt_us: u64) -> Tester {
    let mut t = Tester::listening(16, with_offload);
    t.syn(Offer {
        wscale: Some(7),
        ..SACK
    });
    t.expect(seg(SYN_ACK));
    t.advance(Duration::from_micros(rtt_us));
    t.peer(seg(ACK));
    t.accept();
    t
}

/// Acknowledges all that has left after `rtt_us`, a full segment at a time, until `segments` leave
/// in one go.
fn grow(t: &mut Tester, segments: usize, rtt_us: u64) {
    t.write(1_000_000);
    for _ in 0..50 {
        let flight = t.drain();
        if flight.len() >= segments {
            return t.sent.clear();
        }
        t.advance(Duration::from_micros(rtt_us));
        for (seq, len) in flight {
            t.inject(seg(ACK).ack(seq + len as i64));
        }
        t.pump();
    }
    panic!("the window does not grow");
}

/// Halves as Reno does and paces, at a rate that lets one segment leave each 10 ms.
#[derive(Debug)]
struct PacedReno(u64);

impl CongestionControl for PacedReno {
    fn name(&self) -> &'static str {
        "paced-reno"
    }
    fn on_ack(&mut self, _: &AckSample) {}
    fn on_congestion(&mut self, event: &CongestionEvent) {
        self.0 = event.flight_size / 2;
    }
    fn on_rto(&mut self, _: &CongestionEvent) {
        self.0 = MSS as u64;
    }
    fn set_mss(&mut self, _: u32) {}
    fn cwnd(&self) -> u64 {
        self.0
    }
    fn ssthresh(&self) -> u64 {
        self.0
    }
    fn pacing_rate(&self) -> Option<u64> {
        Some(100 * MSS as u64)
    }
    fn send_quantum(&self) -> u32 {
        MSS as u32
    }
}

/// Twenty paced segments. The first is lost, three are SACKed `after` milliseconds after the first
/// was sent, and the others stay unacknowledged.
fn paced_loss(after: u64) -> Tester {
    let mut t = Tester::with_rtt(SACK);
    t.stack.set_trace(1_000);
    t.conn()
        .set_congestion(Algorithm::Custom(|_| Box::new(PacedReno(20 * MSS as u64))));
    t.write(20 * MSS as usize);
    t.advance(ms(after));
    assert_eq!(t.drain().len(), 20);
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(4))]));
    assert!(t.conn().info().in_recovery);
    t
}

/// The retransmissions in the stack's own trace: milliseconds after `start`, and how many bytes.
fn traced_retransmissions(t: &mut Tester, start: Instant) -> Vec<(u64, usize)> {
    let mut found = Vec::new();
    while let Some(entry) = t.stack.poll_trace() {
        if entry.direction == Direction::Out && entry.retransmission {
            let after = entry.at.duration_since(start).as_millis();
            found.push((after, entry.payload_len));
        }
    }
    found
}

/// RFC 6675 §5 (4.3): the first retransmission of a recovery is sent at any cwnd. Pacing may delay
/// it, and does not end its exemption.
#[test]
fn a_paced_fast_retransmission_leaves_when_its_time_has_come() {
    let mut t = paced_loss(195);
    let start = t.now;
    assert!(t.drain().is_empty(), "the pace holds it back");
    assert_eq!(t.conn().info().limited_by, SendLimit::Pacing);
    t.advance(ms(50));
    assert_eq!(t.conn().info().timeouts, 0);
    assert_eq!(t.drain(), [(1, 1_460)]);
    assert_eq!(traced_retransmissions(&mut t, start), [(5, 1_460)]);
}

#[test]
fn a_paced_fast_retransmission_whose_time_has_come_leaves_at_once() {
    let mut t = paced_loss(215);
    assert_eq!(t.drain(), [(1, 1_460)]);
}

#[test]
fn only_the_first_retransmission_of_a_recovery_is_exempt_from_the_window() {
    let mut t = Tester::with_rtt(SACK);
    t.write(20 * MSS as usize);
    assert_eq!(t.drain().len(), 10);
    // Three segments at SND.UNA are lost, and so much is in flight that the halved window is full.
    t.peer(seg(ACK).ack(1).sack(&[(at(3), at(6))]));
    assert_eq!(t.drain(), [(1, 1_460)]);
    assert_eq!(t.conn().info().limited_by, SendLimit::Congestion);
}

/// A retransmission at SND.UNA gets a whole timeout, as in Linux (RFC 6675 §6 permits it): the
/// timer does not count from the cumulative ACK before it.
#[test]
fn the_timer_counts_from_the_retransmission_of_the_head() {
    let mut t = Tester::with_rtt(SACK);
    t.write(6 * MSS as usize);
    assert_eq!(t.drain().len(), 6);
    t.advance(ms(250));
    t.peer(seg(ACK).ack(1).sack(&[(at(1), at(4))]));
    assert_eq!(t.drain(), [(1, 1_460)]);
    let rto = t.conn().info().rto;
    t.advance(rto - ms(1));
    assert_eq!(
        t.conn().info().timeouts,
        0,
        "sent again less than {rto:?} ago"
    );
    t.advance(ms(2));
    assert_eq!(t.conn().info().timeouts, 1);
}

/// RFC 3042: the first two duplicate ACKs release a new segment each, on links with offload as
/// well, where a frame could be larger.
#[test]
fn limited_transmit_is_not_held_back_for_a_larger_frame() {
    for rtt_us in [100, 50_000] {
        let mut t = over_offload(rtt_us);
        grow(&mut t, 40, rtt_us);
        t.stack.set_trace(100);
        let first = t.flow.expects;
        let una = first - t.conn().info().unacked as i64;
        for n in 1..=2 {
            t.peer(seg(ACK).ack(una).sack(&[(una + MSS, una + (n + 1) * MSS)]));
            assert_eq!(
                t.drain(),
                [(first + (n - 1) * MSS, 1_460)],
                "RTT {rtt_us} us"
            );
        }
        let info = t.conn().info();
        assert!(!info.in_recovery && info.limited_by == SendLimit::Congestion);
        let mut sent = 0;
        while let Some(entry) = t.stack.poll_trace() {
            sent += usize::from(entry.direction == Direction::Out && !entry.retransmission);
        }
        assert_eq!(sent, 2, "as the trace has it");
    }
}

/// ACKs of a whole window on a long path: each ACK releases data at once.
#[test]
fn no_frame_waits_to_grow_where_the_round_trip_is_long() {
    let mut t = over_offload(50_000);
    grow(&mut t, 40, 50_000);
    for _ in 0..10 {
        let una = t.flow.expects - t.conn().info().unacked as i64;
        t.peer(seg(ACK).ack(una + 2 * MSS));
        assert!(t.drain().len() >= 2);
    }
}

/// Where the round trip is short a frame waits for the ACKs of its predecessors, and no longer than
/// a short round trip.
#[test]
fn a_frame_that_waits_to_grow_waits_for_a_millisecond_at_most() {
    let mut t = over_offload(100);
    grow(&mut t, 40, 100);
    let una = t.flow.expects - t.conn().info().unacked as i64;
    t.peer(seg(ACK).ack(una + 2 * MSS));
    assert!(t.drain().is_empty(), "it may grow");
    assert_eq!(
        t.conn().info().limited_by,
        SendLimit::Congestion,
        "and it is the window that it waits for"
    );
    t.advance(ms(1));
    assert!(t.drain().len() >= 2, "no ACK came");
}

/// The same for new writes of the application with much data in flight.
#[test]
fn a_short_write_behind_a_long_flight_waits_for_a_millisecond_at_most() {
    let mut t = over_offload(100);
    t.conn()
        .set_congestion(Algorithm::Custom(|_| Box::new(Wide)));
    t.write(60 * MSS as usize);
    assert_eq!(t.drain().len(), 60);
    let now = t.now;
    t.conn().set_nodelay(now, true);
    t.write(100);
    assert!(t.drain().is_empty(), "it may grow");
    assert_eq!(t.conn().info().limited_by, SendLimit::Coalescing);
    t.advance(ms(1));
    assert_eq!(t.drain(), [(at(60), 100)]);
}

#[derive(Debug)]
struct Wide;

impl CongestionControl for Wide {
    fn name(&self) -> &'static str {
        "wide"
    }
    fn on_ack(&mut self, _: &AckSample) {}
    fn on_congestion(&mut self, _: &CongestionEvent) {}
    fn on_rto(&mut self, _: &CongestionEvent) {}
    fn set_mss(&mut self, _: u32) {}
    fn cwnd(&self) -> u64 {
        1 << 30
    }
    fn ssthresh(&self) -> u64 {
        u64::MAX
    }
}

/// A peer that cuts its reports to pieces is not followed for ever (CVE-2019-11478), but what
/// lengthens a run, and every run of whole segments, counts.
#[test]
fn blocks_that_join_runs_count_however_many_runs_there_are() {
    let mut t = Tester::established_with(
        Offer {
            wscale: Some(10),
            ..SACK
        },
        |config| {
            config.tcp.send_buffer = BufferSize::Fixed(16 << 20);
            config.tcp.congestion = Algorithm::Custom(|_| Box::new(Wide));
        },
    );
    t.flow.window = 16_000;
    t.peer(seg(ACK).ack(1));
    for _ in 0..4 {
        t.write(1_000 * MSS as usize);
    }
    t.drain();
    // Every second segment of the first 3,000 arrives: 1,500 runs.
    for n in 0..1_500 {
        t.inject(seg(ACK).ack(1).sack(&[(at(2 * n + 1), at(2 * n + 2))]));
    }
    assert_eq!(t.conn().info().sacked, 1_500 * 1_460);
    // Single bytes of the gaps make runs of their own as long as the window has so many segments.
    for n in 0..1_500 {
        for part in 1..4 {
            let byte = at(2 * n) + part * 400;
            t.inject(seg(ACK).ack(1).sack(&[(byte, byte + 1)]));
        }
    }
    let cut = t.conn().info().sacked;
    assert_eq!(
        cut,
        1_500 * 1_460 + 2_500,
        "4,000 runs, as there are segments"
    );
    // What lies right behind the last run lengthens it.
    t.inject(seg(ACK).ack(1).sack(&[(at(3_000), at(3_990))]));
    assert_eq!(t.conn().info().sacked, cut + 990 * 1_460);
}

/// The whole segments of a write wait to grow, and its tail waits for Nagle: no window is in the
/// way.
#[test]
fn a_frame_that_nagle_cut_is_not_limited_by_a_window() {
    let mut t = Tester::listening(16, with_offload);
    t.syn(Offer {
        wscale: Some(7),
        ..SACK
    });
    t.expect(seg(SYN_ACK));
    t.advance(Duration::from_micros(100));
    t.peer(seg(ACK).win(800));
    t.accept();
    t.conn()
        .set_congestion(Algorithm::Custom(|_| Box::new(Wide)));
    t.write(45 * MSS as usize + 100);
    assert_eq!(t.drain().len(), 46);
    t.write(2 * MSS as usize + 500);
    let info = t.conn().info();
    assert!(u64::from(info.snd_wnd) - info.unacked > info.unsent as u64);
    assert!(t.sent.is_empty());
    assert_eq!(info.limited_by, SendLimit::Coalescing);
    t.advance(ms(1));
    assert_eq!(t.drain().len(), 2, "the whole segments");
}
