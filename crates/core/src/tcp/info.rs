//! A connection seen from outside: the fields of `ss -ti`, by RFC names where they have one.

use super::recovery::Phase;
use super::state::State;
use super::tcb::Connection;
use crate::time::Duration;

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
    /// Whether loss recovery is going on.
    pub in_recovery: bool,
    /// Effective send MSS, timestamps deducted.
    pub snd_mss: u32,
    /// The peer's window.
    pub snd_wnd: u32,
    /// The window we offer.
    pub rcv_wnd: u32,
    /// Shift of the peer's window field, when scaling was negotiated.
    pub snd_wscale: Option<u8>,
    /// Shift of ours.
    pub rcv_wscale: Option<u8>,
    /// Whether timestamps are in use (RFC 7323).
    pub timestamps: bool,
    /// Whether SACK is in use (RFC 2018).
    pub sack: bool,
    /// Bytes queued for sending, unacknowledged ones included.
    pub send_queue: usize,
    /// Bytes never sent yet.
    pub unsent: usize,
    /// Bytes waiting for the application.
    pub recv_queue: usize,
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
    /// Segments sent as the wire counts them (a super-frame is many).
    pub segs_out: u64,
    /// Segments received, likewise.
    pub segs_in: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Times loss recovery was entered.
    pub recoveries: u64,
    /// What holds the sender back now.
    pub limited_by: SendLimit,
}

/// Why a sender is not sending more.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
#[non_exhaustive]
pub enum SendLimit {
    /// Nothing more to send.
    #[default]
    Application,
    /// The congestion window.
    Congestion,
    /// The peer's window.
    ReceiveWindow,
    /// A small segment is held back to grow (Nagle, sender SWS avoidance, corking).
    Coalescing,
    /// The next hop's address is not resolved, or the link is down.
    Link,
}

impl Connection {
    pub(crate) fn info(&self) -> TcpInfo {
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
            in_recovery: self.recovery.phase() != Phase::Open,
            snd_mss: self.eff_snd_mss(),
            snd_wnd: self.snd.wnd,
            rcv_wnd: u32::try_from(self.rcv.wnd()).unwrap_or(u32::MAX),
            snd_wscale: self.negotiated.wscale.map(|(peer, _)| peer),
            rcv_wscale: self.negotiated.wscale.map(|(_, own)| own),
            timestamps: self.negotiated.timestamps,
            sack: self.negotiated.sack,
            send_queue: self.snd.buffer.len(),
            unsent: usize::try_from(unsent).unwrap_or(usize::MAX),
            recv_queue: self.rcv.buffer.len(),
            out_of_order: self.rcv.buffer.out_of_order(),
            bytes_sent: self.counters.bytes_sent,
            bytes_retransmitted: self.counters.bytes_retransmitted,
            bytes_acked: self.snd.buffer.start().saturating_sub(1),
            bytes_received: self
                .rcv
                .nxt
                .saturating_sub(1 + u64::from(self.rcv.finished())),
            segs_out: self.counters.segs_out,
            segs_in: self.counters.segs_in,
            timeouts: u64::from(self.counters.timeouts),
            recoveries: u64::from(self.counters.recoveries),
            limited_by: if self.in_neighbor_queue {
                SendLimit::Link
            } else {
                self.snd.limit
            },
        }
    }
}
