//! Connection information (RFC 9293 §3.10.6, STATUS): the fields of `ss -ti`.
//!
//! Fields have their RFC names where there are any.

use super::recovery::Phase;
use super::state::State;
use super::tcb::Connection;
use crate::error::ConnError;
use crate::time::{Duration, Instant};

/// A snapshot of one connection. Sizes in bytes.
#[derive(Copy, Clone, Debug, Default)]
#[non_exhaustive]
pub struct TcpInfo {
    /// The state.
    pub state: State,
    /// Smoothed round trip (RFC 6298), once measured.
    pub srtt: Option<Duration>,
    /// Round trip variation (RFC 6298).
    pub rttvar: Duration,
    /// Least round trip seen.
    pub min_rtt: Option<Duration>,
    /// Retransmission timeout in force, back-off included.
    pub rto: Duration,
    /// Congestion controller's name.
    pub congestion: &'static str,
    /// Congestion window.
    pub cwnd: u64,
    /// Slow start threshold; `u64::MAX` before the first loss.
    pub ssthresh: u64,
    /// Bytes in flight as recovery counts them ("pipe", RFC 6675).
    pub in_flight: u64,
    /// Bytes sent and not cumulatively acknowledged.
    pub unacked: u64,
    /// Of these, bytes that the peer has selectively acknowledged.
    pub sacked: u64,
    /// Of these, bytes that are lost and were not sent again yet.
    pub lost: u64,
    /// Of these, bytes that were sent again and are neither acknowledged nor lost since.
    pub retransmitted: u64,
    /// Whether loss recovery is going on.
    pub in_recovery: bool,
    /// Retransmission timeouts in a row; past the limit the connection ends (RFC 9293 §3.8.3).
    pub retries: u8,
    /// Unanswered keep-alive probes in a row.
    pub keep_alive_probes: u8,
    /// Effective send MSS, timestamps deducted.
    pub snd_mss: u32,
    /// Payload of the largest segment received.
    pub rcv_mss: u32,
    /// The MSS that our SYN offered.
    pub advertised_mss: u32,
    /// The largest IP packet that fits the path, as far as it is known.
    pub path_mtu: u32,
    /// The peer's window.
    pub snd_wnd: u32,
    /// The window we offer.
    pub rcv_wnd: u32,
    /// Shift of the peer's window field, when scaling was negotiated.
    pub snd_wscale: Option<u8>,
    /// Shift of our window field, when scaling was negotiated.
    pub rcv_wscale: Option<u8>,
    /// Whether timestamps are in use (RFC 7323).
    pub timestamps: bool,
    /// Whether SACK is in use (RFC 2018).
    pub sack: bool,
    /// Bytes queued for sending, unacknowledged ones included.
    pub send_queue: usize,
    /// Bytes that may be queued for sending, as tuned so far.
    pub send_buffer: usize,
    /// Bytes never sent yet.
    pub unsent: usize,
    /// Bytes waiting for the application.
    pub recv_queue: usize,
    /// Bytes that may wait for the application, as tuned so far.
    pub recv_buffer: usize,
    /// Bytes received out of order.
    pub out_of_order: usize,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload bytes sent again.
    pub bytes_retransmitted: u64,
    /// Payload bytes acknowledged.
    pub bytes_acked: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
    /// Segments sent again.
    pub segs_retransmitted: u64,
    /// Segments received with data that had arrived before.
    pub duplicates_received: u32,
    /// Reports of the peer that it received data of ours twice (RFC 2883).
    pub duplicates_reported: u32,
    /// Times that data was acknowledged later than data sent after it, without having been sent
    /// again.
    pub reordered: u32,
    /// Payload bytes known to have arrived: `bytes_acked`, and those selectively acknowledged.
    pub bytes_delivered: u64,
    /// Delivery rate of the last full round trip, in bytes per second; 0 before the first. An
    /// application that sends less than the path can carry lowers it.
    pub delivery_rate: u64,
    /// Pacing rate of the congestion controller, in bytes per second; `None` without pacing.
    pub pacing_rate: Option<u64>,
    /// Segments sent on the wire (a super-frame counts as many).
    pub segs_out: u64,
    /// Segments received, counted alike.
    pub segs_in: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Times loss recovery was entered.
    pub recoveries: u64,
    /// What limits the sender now.
    pub limited_by: SendLimit,
    /// Last ICMP error about a segment of ours since the last progress. Not final, and perhaps over
    /// already (RFC 9293 §3.9.1.8, MUST-47, SHLD-25).
    pub soft_error: Option<ConnError>,
    /// Total time with data to send or to be acknowledged.
    pub busy: Duration,
    /// Part of `busy` in which the peer's window limited the sender.
    pub receive_window_limited: Duration,
    /// Part of `busy` in which the congestion window limited the sender.
    pub congestion_limited: Duration,
    /// Time since data was sent last; `None` if never.
    pub since_data_sent: Option<Duration>,
    /// Time since data was received last; `None` if never.
    pub since_data_received: Option<Duration>,
    /// Time since any acceptable segment was received.
    pub since_heard: Duration,
}

/// What limits the sender.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum SendLimit {
    /// Nothing more to send.
    #[default]
    Application,
    /// The congestion window.
    Congestion,
    /// The congestion controller's pacing rate.
    Pacing,
    /// The peer's window.
    ReceiveWindow,
    /// A small segment is held back to grow (Nagle, sender SWS avoidance, corking).
    Coalescing,
    /// The next hop's address is not resolved, or the link is down.
    Link,
}

impl Connection {
    /// A snapshot at `now`.
    pub(crate) fn info(&self, now: Instant) -> TcpInfo {
        let outstanding = self.recovery.outstanding();
        let limits = self.snd.limit_clock.totals(now);
        let headers = if self.tuple.local.is_ipv4() { 40 } else { 60 };
        let since = |at| now.duration_since(at);
        let unsent = self
            .snd
            .buffer
            .end()
            .saturating_sub(self.snd.nxt.max(self.snd.buffer.start()));
        TcpInfo {
            state: self.state,
            srtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            min_rtt: self.rtt.min_rtt(),
            rto: self.rto(),
            congestion: self.congestion.name(),
            cwnd: self.congestion.cwnd(),
            ssthresh: self.congestion.ssthresh(),
            in_flight: self.in_flight(),
            unacked: self.snd.flight_size(),
            sacked: outstanding.sacked,
            lost: outstanding.lost,
            retransmitted: outstanding.retransmitted,
            in_recovery: self.recovery.phase() != Phase::Open,
            retries: self.recovery.retries,
            keep_alive_probes: self.snd.keep_alive_probes,
            snd_mss: self.eff_snd_mss(),
            rcv_mss: self.rcv.mss_seen,
            advertised_mss: u32::from(self.offer.mss),
            path_mtu: u32::from(self.offer.mss).min(self.path.mss) + headers,
            snd_wnd: self.snd.wnd,
            rcv_wnd: u32::try_from(self.rcv.wnd()).unwrap_or(u32::MAX),
            snd_wscale: self.negotiated.shift.map(|shift| shift.peer),
            rcv_wscale: self.negotiated.shift.map(|shift| shift.own),
            timestamps: self.negotiated.timestamps,
            sack: self.negotiated.sack,
            send_queue: self.snd.buffer.len(),
            unsent: usize::try_from(unsent).unwrap_or(usize::MAX),
            send_buffer: self.send_capacity(),
            recv_buffer: self.rcv.tuning.size() as usize,
            recv_queue: self.rcv.buffer.len(),
            out_of_order: self.rcv.buffer.out_of_order(),
            bytes_sent: self.counters.bytes_sent,
            bytes_retransmitted: self.counters.bytes_retransmitted,
            bytes_acked: self.snd.buffer.start().saturating_sub(1),
            bytes_received: self
                .rcv
                .nxt
                .saturating_sub(1 + u64::from(self.rcv.finished())),
            segs_retransmitted: self.counters.segs_retransmitted,
            duplicates_received: self.counters.duplicates_in,
            duplicates_reported: self.counters.duplicates_out,
            reordered: self.recovery.reordered(),
            bytes_delivered: self.snd.delivery.delivered,
            delivery_rate: self.snd.delivery.rate,
            pacing_rate: self.pacing_rate(),
            segs_out: self.counters.segs_out,
            segs_in: self.counters.segs_in,
            timeouts: u64::from(self.counters.timeouts),
            recoveries: u64::from(self.counters.recoveries),
            limited_by: self.limited_by(),
            soft_error: self.app.soft_error,
            busy: limits.busy,
            receive_window_limited: limits.receive_window,
            congestion_limited: limits.congestion,
            since_data_sent: (self.counters.bytes_sent > 0).then(|| since(self.snd.last_sent)),
            since_data_received: self.rcv.data_at.map(since),
            since_heard: since(self.rcv.heard_at),
        }
    }
}
