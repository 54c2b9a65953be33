//! Option negotiation: the options of our SYN, and those that both SYNs agree on.

use tidewire_wire::{TcpOptions, TcpTimestamps};

use super::config::TcpConfig;

/// Default MSS where the SYN carries no option (RFC 9293 §3.7.1, MUST-15).
pub(crate) const DEFAULT_MSS: u32 = 536;
/// Smallest MSS in use: below it the headers are longer than the payload (CVE-2019-11479).
pub(crate) const MIN_MSS: u32 = 88;
/// Largest shift of a window field; greater ones are taken as this one (RFC 7323 §2.3).
const MAX_SHIFT: u8 = 14;

/// The options that our SYN offers.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) mss: u16,
    wscale: Option<u8>,
    sack: bool,
    timestamps: bool,
}

impl Offer {
    /// `link_mss` is the largest segment that the link can deliver to us: its MTU without the fixed
    /// headers (RFC 9293 §3.7.1, MUST-67).
    pub(crate) fn new(config: &TcpConfig, link_mss: u16) -> Self {
        let shift = (0..MAX_SHIFT)
            .find(|&shift| config.recv_buffer.max() >> shift <= usize::from(u16::MAX))
            .unwrap_or(MAX_SHIFT);
        Self {
            mss: link_mss,
            wscale: config.window_scaling.then_some(shift),
            sack: config.sack,
            timestamps: config.timestamps,
        }
    }

    /// The options of our SYN; `value` is its TSval. The MSS option is always in the SYN, and never
    /// in another segment (RFC 9293 §3.7.1, MUST-14, MUST-65, SHLD-5, MAY-3).
    pub(crate) fn options(&self, value: u32) -> TcpOptions {
        TcpOptions {
            mss: Some(self.mss),
            window_scale: self.wscale,
            sack_permitted: self.sack,
            timestamps: self.timestamps.then_some(TcpTimestamps { value, echo: 0 }),
            ..TcpOptions::default()
        }
    }

    /// The options of our SYN-ACK: those of our offer that the peer's SYN offers too
    /// (RFC 7323 §2.5, RFC 2018 §2).
    pub(crate) fn answer(&self, agreed: &Negotiated, timestamps: TcpTimestamps) -> TcpOptions {
        TcpOptions {
            mss: Some(self.mss),
            window_scale: agreed.shift.map(|shift| shift.own),
            sack_permitted: agreed.sack,
            timestamps: agreed.timestamps.then_some(timestamps),
            ..TcpOptions::default()
        }
    }
}

/// The options that both SYNs agreed on.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Negotiated {
    /// Largest payload with options of a segment to the peer: the smaller of its MSS option and the
    /// MSS of the link.
    pub(crate) mss: u32,
    /// `None` where window scaling is off.
    pub(crate) shift: Option<WindowShift>,
    pub(crate) sack: bool,
    pub(crate) timestamps: bool,
}

/// Shifts of the window fields (RFC 7323 §2.2).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct WindowShift {
    /// Shift of the window fields that the peer sends.
    pub(crate) peer: u8,
    /// Shift of the window fields that we send.
    pub(crate) own: u8,
}

impl Negotiated {
    /// Before the peer's SYN: no options, and the MSS of the link.
    pub(crate) fn nothing(link_mss: u16) -> Self {
        Self {
            mss: u32::from(link_mss).max(MIN_MSS),
            shift: None,
            sack: false,
            timestamps: false,
        }
    }

    /// The options that are in our offer and in the peer's SYN.
    pub(crate) fn new(offer: &Offer, peer: &TcpOptions) -> Self {
        let link = u32::from(offer.mss).max(MIN_MSS);
        let peer_mss = peer.mss.map_or(DEFAULT_MSS, u32::from);
        let shifts = peer.window_scale.zip(offer.wscale);
        Self {
            mss: peer_mss.max(MIN_MSS).min(link),
            shift: shifts.map(|(peer, own)| WindowShift {
                peer: peer.min(MAX_SHIFT),
                own,
            }),
            sack: offer.sack && peer.sack_permitted,
            timestamps: offer.timestamps && peer.timestamps.is_some(),
        }
    }

    /// Shift of the window fields that the peer sends.
    pub(crate) fn peer_shift(&self) -> u8 {
        self.shift.map_or(0, |shift| shift.peer)
    }

    /// Shift of the window fields that we send.
    pub(crate) fn own_shift(&self) -> u8 {
        self.shift.map_or(0, |shift| shift.own)
    }
}

/// The window of a SYN, which is never scaled (RFC 7323 §2.2).
pub(crate) fn syn_window(config: &TcpConfig) -> u16 {
    u16::try_from(config.recv_buffer.max()).unwrap_or(u16::MAX)
}
