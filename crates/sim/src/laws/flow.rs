//! Laws checked on the frames on the wire: `WithinPeerWindow`, `EdgeMonotone`, `WellFormed`.

use std::collections::HashMap;
use std::net::SocketAddr;

use tidewire_wire::{Frame, SeqNum, TcpFlags, TcpHeader, TcpOptions, Transport};

use super::{Breach, Law};

/// One direction of a connection: who sends, who receives.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub(crate) struct Ends {
    pub(crate) src: SocketAddr,
    pub(crate) dst: SocketAddr,
}

impl Ends {
    fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
        }
    }
}

/// A TCP segment as the laws see it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) ends: Ends,
    header: TcpHeader,
    options: TcpOptions,
    options_len: usize,
    payload_len: usize,
}

impl Segment {
    pub(crate) fn of(frame: &Frame<'_>) -> Option<Self> {
        let (src, dst) = frame.addresses()?;
        let Some(&Transport::Tcp {
            header,
            options: option_bytes,
            payload,
            ..
        }) = frame.transport()
        else {
            return None;
        };
        let ends = Ends {
            src: (src, header.src_port).into(),
            dst: (dst, header.dst_port).into(),
        };
        let options = TcpOptions::parse(option_bytes).ok()?;
        Some(Self {
            ends,
            header,
            options,
            options_len: option_bytes.len(),
            payload_len: payload.len(),
        })
    }

    fn has(&self, flag: TcpFlags) -> bool {
        self.header.flags.intersects(flag)
    }

    /// Whether it does nothing but acknowledge.
    pub(crate) fn is_bare_ack(&self) -> bool {
        self.payload_len == 0 && !self.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST)
    }

    /// The sequence number behind its last byte, SYN and FIN counted.
    fn end(&self) -> SeqNum {
        let controls = u32::from(self.has(TcpFlags::SYN)) + u32::from(self.has(TcpFlags::FIN));
        self.header.seq.add(self.payload_len as u32 + controls)
    }
}

/// What one end of a connection has put on the wire, and how far the other one lets it.
#[derive(Debug)]
struct Half {
    /// Its initial sequence number.
    iss: SeqNum,
    /// How much sequence space it has sent; from half of the whole on the initial number tells
    /// nothing.
    sent: u64,
    /// The sequence number behind everything it has sent.
    end: SeqNum,
    mss: u16,
    window_scale: Option<u8>,
    /// Behind its FIN, once sent.
    fin: Option<SeqNum>,
    /// The greatest right edge it has advertised.
    advertised: Option<SeqNum>,
    /// The greatest right edge that has reached it.
    allowed: Option<SeqNum>,
}

impl Half {
    /// It has sent everything up to `end`.
    fn advance(&mut self, end: SeqNum) {
        if let Ok(more) = u64::try_from(end.distance(self.end)) {
            self.sent += more;
            self.end = end;
        }
    }

    /// Whether an acknowledgement is of something that it has sent, and not of another incarnation.
    fn has_sent(&self, ack: SeqNum) -> bool {
        let is_before = self.sent < 1 << 31 && ack.lt(self.iss);
        !is_before && ack.le(self.end)
    }

    /// [`Law::WithinPeerWindow`]: right behind what was sent before, and inside the peer's window.
    fn check_place(&self, segment: &Segment, complete: bool) -> Result<(), (Law, String)> {
        if complete && segment.header.seq.gt(self.end) {
            return Err((
                Law::WithinPeerWindow,
                format!("a hole: everything up to {} was sent", self.end),
            ));
        }
        if let Some(allowed) = self.allowed
            && segment.payload_len > 0
        {
            let end = segment.header.seq.add(segment.payload_len as u32);
            let beyond = end.distance(allowed);
            // RFC 9293 §3.8.6.1: a probe of a closed window is one byte.
            if beyond > i32::from(segment.payload_len == 1) {
                return Err((
                    Law::WithinPeerWindow,
                    format!("{beyond} bytes beyond the right edge {allowed}"),
                ));
            }
        }
        Ok(())
    }
}

/// All connections seen so far.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    halves: HashMap<Ends, Half>,
}

impl Flows {
    /// A host sends `frame`, cut to the link's MTU already. `complete`: everything it has sent was
    /// seen here, since its stack lost nothing by itself.
    pub(crate) fn sent(
        &mut self,
        frame: &Frame<'_>,
        frame_len: usize,
        ip_mtu: u32,
        complete: bool,
    ) -> Result<Option<Segment>, Breach> {
        if frame_len > frame.ethernet.len() + ip_mtu as usize {
            return Err(Breach::new(
                Law::WellFormed,
                format!("a frame of {frame_len} bytes on a link with MTU {ip_mtu}"),
            ));
        }
        if frame.tcp_checksum_is_valid() == Some(false) {
            return Err(Breach::new(
                Law::WellFormed,
                format!("wrong checksum: {frame}"),
            ));
        }
        let Some(segment) = Segment::of(frame) else {
            return match frame.transport() {
                Some(Transport::Tcp { .. }) => Err(Breach::new(
                    Law::WellFormed,
                    format!("malformed options: {frame}"),
                )),
                _ => Ok(None),
            };
        };
        if !segment.has(TcpFlags::RST) {
            self.sent_segment(&segment, complete)
                .map_err(|(law, what)| Breach::new(law, format!("{what}: {frame}")))?;
        }
        Ok(Some(segment))
    }

    fn sent_segment(&mut self, segment: &Segment, complete: bool) -> Result<(), (Law, String)> {
        let peer = self.halves.get(&segment.ends.reversed());
        let (peer_mss, peer_scales) = peer.map_or((None, false), |peer| {
            (Some(peer.mss), peer.window_scale.is_some())
        });
        let peer_end = peer.map(|peer| peer.end);
        let peer_finished = peer
            .and_then(|peer| peer.fin)
            .is_some_and(|fin| segment.header.ack.ge(fin));
        let Some(half) = self.opened(segment) else {
            // An answer without a connection, of which no SYN was seen: nothing is known.
            return Ok(());
        };
        if let Some(mss) = peer_mss
            && segment.payload_len + segment.options_len > usize::from(mss)
        {
            return Err((
                Law::WellFormed,
                format!(
                    "{} bytes and options above an MSS of {mss}",
                    segment.payload_len
                ),
            ));
        }
        half.check_place(segment, complete)?;
        half.advance(segment.end());
        if segment.has(TcpFlags::FIN) {
            half.fin = Some(segment.end());
        }
        if !segment.has(TcpFlags::ACK) {
            return Ok(());
        }
        if let Some(peer_end) = peer_end
            && segment.header.ack.gt(peer_end)
        {
            return Err((
                Law::WithinPeerWindow,
                format!("acknowledges what was never sent: {peer_end} is the end"),
            ));
        }
        // Behind the peer's FIN a window means nothing, and a TIME-WAIT record keeps none.
        if !peer_finished {
            let scale = half.window_scale.filter(|_| peer_scales);
            let edge = right_edge(segment, scale);
            // RFC 7323 §2.4: what does not fit the field's units may be cut off, so that rounding
            // up cannot keep a window open for ever.
            let unit = 1_i32 << scale.unwrap_or(0).min(14);
            if let Some(advertised) = half.advertised
                && advertised.distance(edge) >= unit
            {
                return Err((
                    Law::EdgeMonotone,
                    format!("the right edge moves back from {advertised} to {edge}"),
                ));
            }
            half.advertised = Some(
                half.advertised
                    .map_or(edge, |advertised| advertised.max(edge)),
            );
        }
        Ok(())
    }

    /// The sender's half; a SYN with another sequence number begins a new one.
    fn opened(&mut self, segment: &Segment) -> Option<&mut Half> {
        let known = self.halves.get(&segment.ends);
        if segment.has(TcpFlags::SYN) && known.is_none_or(|half| half.iss != segment.header.seq) {
            let default = if segment.ends.src.is_ipv6() {
                1_220
            } else {
                536
            };
            let half = Half {
                iss: segment.header.seq,
                sent: 0,
                end: segment.header.seq,
                mss: segment.options.mss.unwrap_or(default),
                window_scale: segment.options.window_scale,
                fin: None,
                advertised: None,
                allowed: None,
            };
            self.halves.insert(segment.ends, half);
        }
        self.halves.get_mut(&segment.ends)
    }

    /// A stack is handed `frame`, as it was sent.
    pub(crate) fn received(&mut self, frame: &Frame<'_>) {
        let Some(segment) = Segment::of(frame) else {
            return;
        };
        if segment.has(TcpFlags::RST) {
            return;
        }
        let sender_scale = self
            .halves
            .get(&segment.ends)
            .and_then(|sender| sender.window_scale);
        let Some(receiver) = self.halves.get_mut(&segment.ends.reversed()) else {
            return;
        };
        let edge = if segment.has(TcpFlags::ACK) {
            // One of another incarnation says nothing about this one.
            if !receiver.has_sent(segment.header.ack) {
                return;
            }
            right_edge(
                &segment,
                sender_scale.filter(|_| receiver.window_scale.is_some()),
            )
        } else {
            // A SYN that crosses ours: the window begins behind our SYN.
            receiver.iss.add(1 + u32::from(segment.header.window))
        };
        receiver.allowed = Some(receiver.allowed.map_or(edge, |allowed| allowed.max(edge)));
    }
}

/// ACK + window, scaled (RFC 7323 §2.2: never that of a SYN).
fn right_edge(segment: &Segment, scale: Option<u8>) -> SeqNum {
    let shift = if segment.has(TcpFlags::SYN) {
        0
    } else {
        scale.unwrap_or(0).min(14)
    };
    segment
        .header
        .ack
        .add(u32::from(segment.header.window) << shift)
}

#[cfg(test)]
mod tests;
