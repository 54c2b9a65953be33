//! Transmission control block: the state of one connection.
//!
//! Inside the stack both directions are counted by `u64` positions, which do not wrap. Position 0
//! is the SYN, 1 the first byte of data; the FIN follows the last byte of data.
//!
//! ```text
//!  send:     SND.UNA         SND.NXT              SND.UNA + SND.WND
//!   acknowledged | in flight    | may be sent now          | must wait
//!
//!  receive:  RCV.NXT         RCV.NXT + RCV.WND (the right edge, which never moves left)
//!   received     | acceptable   | not acceptable
//! ```
//!
//! [`SeqNum`] is used only in segments; [`SendSide::seq`] and [`SendSide::position`] convert, as do
//! those of [`RecvSide`].

use alloc::sync::Arc;
use core::net::SocketAddr;
use core::ops::Range;

use tidewire_wire::{SeqNum, TcpOptions};

use super::ack_policy::AckPolicy;
use super::autotune::RecvTuning;
use super::challenge::ChallengeLimit;
use super::congestion::Controller;
use super::negotiation::{DEFAULT_MSS, MIN_MSS, Negotiated, Offer, syn_window};
use super::path::Path;
use super::pool::Pool;
use super::pressure::Pressure;
use super::progress::{DeliveryRate, LimitClock};
use super::recovery::{Recovery, RttEstimator};
use super::recv_buffer::RecvBuffer;
use super::send_buffer::SendBuffer;
use super::state::{State, Transition};
use super::timer::TimerTable;
use super::timestamps::TimestampState;
use crate::error::ConnError;
use crate::tcp::SendLimit;
use crate::tcp::config::TcpConfig;
use crate::time::{Duration, Instant};
use crate::types::{ConnEvents, FourTuple, ipv4_mapped};

/// Send half of the connection: the send sequence variables of RFC 9293 §3.3.1.
#[derive(Debug)]
pub(crate) struct SendSide {
    pub(crate) iss: SeqNum,
    /// SND.UNA.
    pub(crate) una: u64,
    /// SND.NXT. It never moves back: a retransmission is a range below it.
    pub(crate) nxt: u64,
    /// SND.WND in bytes, scaled; unsigned, 32 bits (MUST-1, REC-1).
    pub(crate) wnd: u32,
    /// Largest SND.WND seen, for sender SWS avoidance and RFC 5961 §5.
    pub(crate) max_wnd: u32,
    /// SND.WL1 as a position of the receive half, and SND.WL2 as one of this half.
    pub(crate) wl1: u64,
    pub(crate) wl2: u64,
    pub(crate) buffer: SendBuffer,
    /// The application closed its write side: a FIN follows the data in the buffer.
    pub(crate) fin_queued: bool,
    /// End of the last segment sent below the MSS: while it is unacknowledged, Nagle holds back
    /// further small segments.
    pub(crate) small_segment_to: u64,
    /// Position up to which cwnd held data back: acknowledgements below it may widen cwnd.
    pub(crate) cwnd_limited_to: u64,
    /// The persist timer fired: a window probe is due, one byte beyond the window.
    pub(crate) persist_due: bool,
    /// Exponent of the window probes' back-off: the probes sent since the window closed.
    pub(crate) persist_backoff: u8,
    pub(crate) last_sent: Instant,
    /// Earliest departure of the next segment at the congestion controller's pacing rate.
    pub(crate) pace_at: Instant,
    /// Start of the user timeout: when SND.UNA last advanced, or when data last began to wait for
    /// an acknowledgement.
    pub(crate) progress_at: Instant,
    /// Keep-alive probes since the last segment of the peer, and whether one is due now.
    pub(crate) keep_alive_probes: u8,
    pub(crate) keep_alive_due: bool,
    /// Departure time of the newest acknowledged data: at that time the path to the peer worked
    /// (RFC 4861 §7.3.1). The arrival of the ACK proves less, since the next hop may have changed
    /// in between.
    pub(crate) proven_at: Option<Instant>,
    /// The limit found by the last attempt to send.
    pub(crate) limited_by: SendLimit,
    pub(crate) limit_clock: LimitClock,
    pub(crate) delivery: DeliveryRate,
}

impl SendSide {
    fn new(iss: SeqNum, now: Instant) -> Self {
        Self {
            iss,
            una: 0,
            nxt: 0,
            wnd: 0,
            max_wnd: 0,
            wl1: 0,
            wl2: 0,
            buffer: SendBuffer::new(1),
            fin_queued: false,
            small_segment_to: 0,
            cwnd_limited_to: 0,
            persist_due: false,
            persist_backoff: 0,
            last_sent: now,
            pace_at: now,
            progress_at: now,
            keep_alive_probes: 0,
            keep_alive_due: false,
            proven_at: None,
            limited_by: SendLimit::Application,
            limit_clock: LimitClock::default(),
            delivery: DeliveryRate::default(),
        }
    }

    /// The sequence number of a position.
    pub(crate) fn seq(&self, position: u64) -> SeqNum {
        // Truncation is the arithmetic of sequence space.
        self.iss.add(position as u32)
    }

    /// The position of a sequence number: of all candidates, the nearest to SND.UNA. `None` before
    /// the ISS.
    pub(crate) fn position(&self, seq: SeqNum) -> Option<u64> {
        self.una
            .checked_add_signed(i64::from(seq.distance(self.seq(self.una))))
    }

    /// Right edge of the peer's window.
    pub(crate) fn window_edge(&self) -> u64 {
        self.una + u64::from(self.wnd)
    }

    /// Position after the last byte to send, FIN included once it is queued.
    pub(crate) fn end(&self) -> u64 {
        self.buffer.end() + u64::from(self.fin_queued)
    }

    /// Whether the FIN has left.
    pub(crate) fn fin_sent(&self) -> bool {
        self.fin_queued && self.nxt > self.buffer.end()
    }

    /// Bytes sent and not acknowledged (FlightSize, RFC 5681 §2).
    pub(crate) fn flight_size(&self) -> u64 {
        self.nxt - self.una
    }
}

/// Receive half of the connection: the receive sequence variables of RFC 9293 §3.3.1.
#[derive(Debug)]
pub(crate) struct RecvSide {
    pub(crate) irs: SeqNum,
    /// RCV.NXT.
    pub(crate) nxt: u64,
    /// The right edge of the largest window ever advertised: RCV.NXT + RCV.WND.
    pub(crate) edge: u64,
    /// RCV.NXT of the last segment sent (Last.ACK.sent, RFC 7323 §4.3).
    pub(crate) last_ack: u64,
    pub(crate) buffer: RecvBuffer,
    pub(crate) tuning: RecvTuning,
    /// Position of the peer's FIN, once seen.
    pub(crate) fin: Option<u64>,
    /// Payload of the largest segment seen on the wire: the full size for delayed ACKs.
    pub(crate) mss_seen: u32,
    /// When the last acceptable segment arrived, and the last one with data.
    pub(crate) heard_at: Instant,
    pub(crate) data_at: Option<Instant>,
    /// Duplicate data to report in the next segment (RFC 2883): position and number of bytes.
    duplicate: (u64, u32),
}

impl RecvSide {
    fn new(config: &TcpConfig, now: Instant) -> Self {
        Self {
            irs: SeqNum::new(0),
            nxt: 0,
            edge: 0,
            last_ack: 0,
            buffer: RecvBuffer::default(),
            tuning: RecvTuning::new(config, now),
            fin: None,
            mss_seen: DEFAULT_MSS,
            heard_at: now,
            data_at: None,
            duplicate: (0, 0),
        }
    }

    pub(crate) fn seq(&self, position: u64) -> SeqNum {
        self.irs.add(position as u32)
    }

    /// The position of a sequence number: of all candidates, the nearest to RCV.NXT. `None` before
    /// the IRS.
    pub(crate) fn position(&self, seq: SeqNum) -> Option<u64> {
        self.nxt
            .checked_add_signed(i64::from(seq.distance(self.seq(self.nxt))))
    }

    /// Remembers a duplicate range for the next report.
    pub(crate) fn note_duplicate(&mut self, range: &Range<u64>) {
        let len = u32::try_from(range.end.saturating_sub(range.start)).unwrap_or(u32::MAX);
        self.duplicate = (range.start, len);
    }

    /// The duplicate range to report in the next segment.
    pub(crate) fn duplicate(&self) -> Option<Range<u64>> {
        let (start, len) = self.duplicate;
        (len > 0).then(|| start..start + u64::from(len))
    }

    /// The duplicate was reported; it is reported only once.
    pub(crate) fn forget_duplicate(&mut self) {
        self.duplicate = (0, 0);
    }

    /// RCV.WND.
    pub(crate) fn wnd(&self) -> u64 {
        self.edge.saturating_sub(self.nxt)
    }

    /// Whether the peer's FIN has been received in order.
    pub(crate) fn finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.nxt > fin)
    }
}

/// State towards the application: options, errors and pending events.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct AppSide {
    /// The application released its handle: received data cannot be delivered any more.
    pub(crate) orphaned: bool,
    /// The error that ended the connection.
    pub(crate) error: Option<ConnError>,
    /// The application has received the error: later writes fail with EPIPE.
    pub(crate) error_taken: bool,
    /// Events that the driver has not fetched yet.
    pub(crate) events: ConnEvents,
    /// The send buffer was full: `WRITABLE` is reported once there is enough room again.
    pub(crate) write_blocked: bool,
    /// The application uses IPv6 addresses and the peer is IPv4: addresses are shown as IPv4-mapped
    /// ones (RFC 4291 §2.5.5.2).
    pub(crate) mapped: bool,
    /// Last ICMP error about a segment of ours.
    pub(crate) soft_error: Option<ConnError>,
    pub(crate) nodelay: bool,
    pub(crate) linger: Option<Duration>,
}

/// Statistics for [`TcpInfo`](super::TcpInfo).
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) segs_retransmitted: u64,
    pub(crate) segs_out: u64,
    pub(crate) segs_in: u64,
    pub(crate) timeouts: u32,
    pub(crate) recoveries: u32,
    /// Received segments with duplicate data, and the peer's reports of duplicates (RFC 2883).
    pub(crate) duplicates_in: u32,
    pub(crate) duplicates_out: u32,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) tuple: FourTuple,
    pub(crate) state: State,
    pub(crate) config: Arc<TcpConfig>,
    /// The options that our SYN offers.
    pub(crate) offer: Offer,
    pub(crate) negotiated: Negotiated,
    pub(crate) path: Path,
    pub(crate) snd: SendSide,
    pub(crate) rcv: RecvSide,
    pub(crate) ts: TimestampState,
    pub(crate) rtt: RttEstimator,
    pub(crate) recovery: Recovery,
    pub(crate) congestion: Controller,
    pub(crate) ack: AckPolicy,
    pub(crate) timers: TimerTable,
    pub(crate) app: AppSide,
    pub(crate) counters: Counters,
    pub(crate) challenges: ChallengeLimit,
    /// Memory pressure at the last check.
    pub(crate) pressure: Pressure,
}

impl Connection {
    /// A connection in SYN-SENT whose SYN has not left yet (RFC 9293 §3.10.1, active).
    pub(crate) fn active(
        tuple: FourTuple,
        config: Arc<TcpConfig>,
        link_mss: u16,
        iss: SeqNum,
        ts_offset: u32,
        now: Instant,
    ) -> Self {
        let offer = Offer::new(&config, link_mss);
        let app = AppSide {
            nodelay: config.nodelay,
            ..AppSide::default()
        };
        Self {
            tuple,
            state: State::SynSent,
            offer,
            negotiated: Negotiated::nothing(link_mss),
            path: Path::UNKNOWN,
            snd: SendSide::new(iss, now),
            rcv: RecvSide::new(&config, now),
            ts: TimestampState {
                offset: ts_offset,
                recent: 0,
                recent_at: now,
            },
            rtt: RttEstimator::default(),
            recovery: Recovery::default(),
            congestion: Controller::new(config.congestion, DEFAULT_MSS),
            ack: AckPolicy::default(),
            timers: TimerTable::default(),
            app,
            counters: Counters::default(),
            challenges: ChallengeLimit::default(),
            pressure: Pressure::None,
            config,
        }
    }

    /// Both SYNs are known: sets the negotiated options.
    pub(crate) fn negotiate(&mut self, peer: &TcpOptions, irs: SeqNum, now: Instant) {
        self.negotiated = Negotiated::new(&self.offer, peer);
        self.rcv.irs = irs;
        self.rcv.nxt = 1;
        self.rcv.last_ack = 1;
        self.rcv.edge = 1 + u64::from(syn_window(&self.config));
        if let Some(ts) = peer.timestamps {
            self.ts.recent = ts.value;
            self.ts.recent_at = now;
        }
        let mss = self.eff_snd_mss();
        self.congestion.begin(mss);
        self.rcv.mss_seen = DEFAULT_MSS.min(u32::from(self.offer.mss));
    }

    /// Bytes of options in every segment after the handshake.
    pub(crate) fn fixed_options_len(&self) -> u32 {
        if self.negotiated.timestamps { 12 } else { 0 }
    }

    /// Eff.snd.MSS (RFC 9293 §3.7.1): payload of a full segment.
    pub(crate) fn eff_snd_mss(&self) -> u32 {
        self.snd_mss() - self.fixed_options_len()
    }

    /// Payload and options of a full segment: the negotiated MSS, or less where the path is
    /// smaller.
    pub(crate) fn snd_mss(&self) -> u32 {
        self.negotiated.mss.min(self.path.mss.max(MIN_MSS))
    }

    /// The local address, in the form that the application uses.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.shown(self.tuple.local_addr())
    }

    /// The remote address, in the same form.
    pub(crate) fn remote_addr(&self) -> SocketAddr {
        self.shown(self.tuple.remote_addr())
    }

    fn shown(&self, addr: SocketAddr) -> SocketAddr {
        if self.app.mapped {
            ipv4_mapped(addr)
        } else {
            addr
        }
    }

    /// Shift of the window fields we send.
    pub(crate) fn rcv_shift(&self) -> u8 {
        self.negotiated.own_shift()
    }

    /// RTO in force.
    pub(crate) fn rto(&self) -> Duration {
        self.rtt.rto(&self.config)
    }

    /// Bytes in flight as loss recovery counts them ("pipe").
    pub(crate) fn in_flight(&self) -> u64 {
        self.recovery.in_flight(self.snd.una, self.snd.nxt)
    }

    /// Applies a transition of RFC 9293 figure 5; a pair that cannot occur does not change the
    /// state.
    pub(crate) fn transition(&mut self, transition: Transition) {
        debug_assert!(
            self.state.after(transition).is_some(),
            "{} after {transition:?}",
            self.state
        );
        self.state = self.state.after(transition).unwrap_or(self.state);
    }

    /// The connection failed: reports the error to the application, and drops unsent and
    /// out-of-order data.
    pub(crate) fn fail(&mut self, error: ConnError) {
        self.transition(Transition::Abort);
        self.app.error.get_or_insert(error);
        self.release_send_side();
        self.rcv.buffer.clear_out_of_order();
        self.app.events |= ConnEvents::CONNECTED
            | ConnEvents::READABLE
            | ConnEvents::WRITABLE
            | ConnEvents::CLOSED;
    }

    /// The connection was closed normally.
    pub(crate) fn finish(&mut self) {
        self.release_send_side();
        self.app.events |= ConnEvents::CLOSED | ConnEvents::WRITABLE;
    }

    /// Bytes of memory held, without the control block itself.
    pub(crate) fn memory_held(&self) -> usize {
        self.snd.buffer.memory_held() + self.rcv.buffer.memory_held() + self.recovery.memory_held()
    }

    /// Gives unused memory back to the pool: an idle connection holds none.
    pub(crate) fn reclaim(&mut self, pool: &mut Pool) {
        self.snd.buffer.reclaim(pool);
        self.rcv.buffer.reclaim(pool);
        self.recovery.reclaim(pool);
    }

    fn release_send_side(&mut self) {
        self.timers.disarm_all();
        self.snd.buffer.clear();
        self.recovery = Recovery::default();
    }
}
