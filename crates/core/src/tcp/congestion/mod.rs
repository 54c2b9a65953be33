//! Congestion control (RFC 9293 §3.8.2, MUST-19): bytes in flight, and pacing rate.
//!
//! The trait uses bytes and instants, never sequence numbers. [`recovery`](crate::tcp) detects lost
//! ranges, and output plans segments. A program may bring a controller of its own
//! ([`Algorithm::Custom`]).
//!
//! A new built-in controller needs a file beside this one, a variant of [`Algorithm`] and of
//! [`Controller`] here with the arms that the compiler asks for, an entry in
//! [`Algorithm::BUILT_IN`], and a name in the README. Programs that list or parse names use
//! [`Algorithm`].

mod cubic;
mod newreno;
mod window;

use alloc::boxed::Box;
use core::fmt;
use core::ops::{Deref, DerefMut};

pub use cubic::Cubic;
pub use newreno::NewReno;
pub use window::initial_window;

use crate::time::{Duration, Instant};

/// Result of one acknowledgement for the sender.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct AckSample {
    /// When the ACK arrived.
    pub now: Instant,
    /// Bytes newly acknowledged, cumulatively or selectively.
    pub newly_acked: u64,
    /// Whether SND.UNA advanced. An ACK that only reports out-of-order data is a first sign of
    /// loss, on which the window must not grow (RFC 5681 §3.2, step 1).
    pub advanced: bool,
    /// Bytes in flight before this ACK.
    pub prior_in_flight: u64,
    /// Bytes in flight after it.
    pub in_flight: u64,
    /// The RTT sample of this ACK, if any (RFC 6298 §3, Karn's rule).
    pub rtt: Option<Duration>,
    /// The smoothed round trip, once there is one (RFC 6298 §2).
    pub srtt: Option<Duration>,
    /// The least round trip seen on this connection.
    pub min_rtt: Option<Duration>,
    /// Whether the window, and not the application or the receiver, limited the sender since the
    /// last ACK; a window that was not used must not grow (RFC 7661 §4).
    pub cwnd_limited: bool,
    /// Whether loss recovery is going on, in which the window must not grow.
    pub in_recovery: bool,
}

/// Loss was detected; reported once per window of data (RFC 5681 §4.3).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct CongestionEvent {
    /// When.
    pub now: Instant,
    /// FlightSize: bytes sent and not yet cumulatively acknowledged (RFC 5681 §2).
    pub flight_size: u64,
    /// Whether this is another timeout of data that timed out before: the threshold is not lowered
    /// again (RFC 5681 §3.1).
    pub repeated: bool,
}

/// A congestion controller. All sizes in bytes.
///
/// # Example
///
/// A window that never changes:
///
/// ```
/// use tidewire_core::{AckSample, CongestionControl, CongestionEvent, Instant};
///
/// #[derive(Debug)]
/// struct Fixed(u64);
///
/// impl CongestionControl for Fixed {
///     fn name(&self) -> &'static str { "fixed" }
///     fn on_ack(&mut self, _: &AckSample) {}
///     fn on_congestion(&mut self, _: &CongestionEvent) {}
///     fn on_rto(&mut self, _: &CongestionEvent) {}
///     fn set_mss(&mut self, _: u32) {}
///     fn cwnd(&self) -> u64 { self.0 }
///     fn ssthresh(&self) -> u64 { self.0 }
/// }
/// ```
pub trait CongestionControl: Send + Sync + fmt::Debug {
    /// A short lower-case name, as `ss` prints it.
    fn name(&self) -> &'static str;

    /// Data was acknowledged.
    fn on_ack(&mut self, sample: &AckSample);

    /// Loss was detected by SACK or duplicate ACKs: recovery begins.
    fn on_congestion(&mut self, event: &CongestionEvent);

    /// The retransmission timer expired (RFC 5681 §3.1): everything in flight counts as lost.
    fn on_rto(&mut self, event: &CongestionEvent);

    /// Bytes were sent. Most window-based controllers do not need it.
    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64) {
        let _ = (now, bytes, in_flight);
    }

    /// The connection sends again after having been idle for longer than one RTO (RFC 5681 §4.1,
    /// RFC 6928 §2).
    fn on_idle_restart(&mut self, now: Instant) {
        let _ = now;
    }

    /// The handshake needed more than one retransmission of the SYN: the path is congested, and the
    /// connection begins with one segment (RFC 5681 §3.1, RFC 6928 §2).
    fn on_syn_loss(&mut self) {}

    /// Recovery ended: everything sent before it began is acknowledged.
    fn on_recovery_exit(&mut self, now: Instant) {
        let _ = now;
    }

    /// The effective send MSS is known or changed.
    fn set_mss(&mut self, mss: u32);

    /// The congestion window. The sender keeps at least one segment in flight, even below that.
    fn cwnd(&self) -> u64;

    /// The slow start threshold, `u64::MAX` where there is none yet.
    fn ssthresh(&self) -> u64;

    /// Pacing rate in payload bytes per second; `None` or zero for no pacing. After a late timer
    /// the sender catches up with at most the bytes of two milliseconds, and it begins with as
    /// many.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    /// The largest burst handed to the link in one super-frame.
    fn send_quantum(&self) -> u32 {
        u32::MAX
    }
}

/// Which controller a connection uses.
#[derive(Copy, Clone, Debug)]
#[non_exhaustive]
pub enum Algorithm {
    /// RFC 5681 with RFC 6582 and byte counting (RFC 3465).
    NewReno,
    /// RFC 9438, the default of Linux (RFC 9293 §3.8.2, MAY-18).
    Cubic,
    /// A controller of the application's own, made by this function from the MSS in bytes. It is
    /// made twice: when the connection begins, from the default MSS of RFC 9293, and when the
    /// handshake has found the peer's MSS.
    Custom(fn(mss: u32) -> Box<dyn CongestionControl>),
}

impl Algorithm {
    /// The built-in controllers.
    pub const BUILT_IN: &'static [Self] = &[Self::NewReno, Self::Cubic];

    /// The built-in controller of this name, as [`CongestionControl::name`] returns it.
    ///
    /// ```
    /// use tidewire_core::Algorithm;
    ///
    /// assert!(matches!(Algorithm::from_name("cubic"), Some(Algorithm::Cubic)));
    /// assert!(Algorithm::from_name("vegas").is_none());
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut built_in = Self::BUILT_IN.iter().copied();
        built_in.find(|algorithm| algorithm.name() == Some(name))
    }

    /// The name of a built-in controller; `None` for an application's own, whose name only its
    /// controller knows.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::NewReno => Some(NewReno::NAME),
            Self::Cubic => Some(Cubic::NAME),
            Self::Custom(_) => None,
        }
    }

    /// Makes a controller for a connection with this effective send MSS.
    #[must_use]
    pub fn build(self, mss: u32) -> Box<dyn CongestionControl> {
        match self {
            Self::NewReno => Box::new(NewReno::new(mss)),
            Self::Cubic => Box::new(Cubic::new(mss)),
            Self::Custom(make) => make(mss),
        }
    }
}

/// A connection's controller. The built-in ones live in the control block; one of the application's
/// own is boxed.
#[derive(Debug)]
pub(crate) enum Controller {
    NewReno(NewReno),
    Cubic(Cubic),
    Custom {
        make: fn(u32) -> Box<dyn CongestionControl>,
        made: Box<dyn CongestionControl>,
    },
}

impl Controller {
    /// The controller of a connection with this effective send MSS.
    pub(crate) fn new(algorithm: Algorithm, mss: u32) -> Self {
        match algorithm {
            Algorithm::NewReno => Self::NewReno(NewReno::new(mss)),
            Algorithm::Cubic => Self::Cubic(Cubic::new(mss)),
            Algorithm::Custom(make) => Self::Custom {
                make,
                made: make(mss),
            },
        }
    }

    /// The handshake found the MSS; no data was sent yet.
    pub(crate) fn begin(&mut self, mss: u32) {
        match self {
            Self::Custom { make, made } => *made = make(mss),
            builtin => builtin.set_mss(mss),
        }
    }
}

impl Deref for Controller {
    type Target = dyn CongestionControl;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::NewReno(controller) => controller,
            Self::Cubic(controller) => controller,
            Self::Custom { made, .. } => &**made,
        }
    }
}

impl DerefMut for Controller {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::NewReno(controller) => controller,
            Self::Cubic(controller) => controller,
            Self::Custom { made, .. } => &mut **made,
        }
    }
}
