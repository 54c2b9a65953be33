//! SYN cookies: handshakes without a record, while there is no room for one (RFC 4987 §3.6).

use tidewire_wire::{TcpFlags, TcpOptions, TcpTimestamps};

use super::Stack;
use super::flow::Target;
use super::passive_open::Serving;
use crate::tcp::half_open::HalfOpen;
use crate::tcp::segment::SegmentIn;
use crate::tcp::syn_cookies::{Cookie, decode_options, encode_options};
use crate::tcp::{Payload, Pressure, State};
use crate::time::Instant;
use crate::types::{DropReason, FourTuple, ListenerId};

/// SYN-ACKs sent for a record made from a cookie: their number and times are unknown. With more
/// than one, no round trip is measured (RFC 6298 §3).
const UNKNOWN_SENDS: u8 = 2;

impl Stack {
    /// Answers a SYN with a cookie, in place of a record; says whether it did.
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        tuple: FourTuple,
        segment: &SegmentIn,
    ) -> bool {
        let Some(serving) = self.may_answer_with_cookie(&tuple) else {
            return false;
        };
        let config = &serving.config;
        let mut peer = segment.options;
        if !config.timestamps || peer.timestamps.is_none() {
            // Only a timestamp could carry these through the handshake.
            peer.timestamps = None;
            peer.window_scale = None;
            peer.sack_permitted = false;
        }
        let mut record = self.half_open_record(now, &serving, tuple, segment, peer);
        record.iss = self
            .handshakes
            .cookies
            .make(now, &tuple, record.irs, &record.peer);
        let mut plan = record.syn_ack(now, config);
        if let Some(ts) = &mut plan.options.timestamps {
            ts.value = encode_options(ts.value, &record.peer);
        }
        self.net.stats.syn_cookies_sent += 1;
        self.send_control_segment(now, &tuple, &plan, State::SynReceived);
        true
    }

    /// The listener that answers a SYN of this tuple with a cookie, if one may.
    fn may_answer_with_cookie(&self, tuple: &FourTuple) -> Option<Serving> {
        let id = self.listener_for(tuple)?;
        let listener = self.locals.listener(id)?;
        let may = self.config.syn_cookies
            && self.handshakes.is_flooded()
            && !listener.queue_is_full()
            && self.pressure() != Pressure::Full;
        may.then(|| Serving::new(id, listener))
    }

    /// Takes a segment to a listener that brings a cookie back: it completes a handshake without a
    /// record, and the connection begins. Says whether it brought one.
    pub(super) fn accept_cookie(
        &mut self,
        now: Instant,
        id: ListenerId,
        tuple: FourTuple,
        segment: &SegmentIn,
        payload: &mut Payload<'_>,
    ) -> bool {
        let header = &segment.header;
        let flags = header.flags;
        if !flags.contains(TcpFlags::ACK) || flags.intersects(TcpFlags::SYN | TcpFlags::RST) {
            return false;
        }
        let (irs, iss) = (header.seq.sub(1), header.ack.sub(1));
        let (mss, has_timestamps) = match self.handshakes.cookies.check(now, &tuple, irs, iss) {
            Cookie::Good { mss, timestamps } => (mss, timestamps),
            Cookie::Foreign => return false,
            // The segments before it were lost and will be sent again: a reset would end a
            // connection that can go on.
            Cookie::OutOfOrder => {
                self.drop_frame(DropReason::OutOfWindow);
                return true;
            }
        };
        let timestamps = segment.options.timestamps.filter(|_| has_timestamps);
        if timestamps.is_some() != has_timestamps {
            self.drop_frame(DropReason::MissingTimestamp);
            return true;
        }
        let serving = match self.has_room_for_cookie(id) {
            Ok(serving) => serving,
            Err(reason) => {
                self.drop_frame(reason);
                return true;
            }
        };
        let (window_scale, sack_permitted) =
            timestamps.map_or((None, false), |ts| decode_options(ts.echo));
        let peer = TcpOptions {
            mss: Some(mss),
            window_scale,
            sack_permitted,
            timestamps: timestamps.map(|ts| TcpTimestamps { echo: 0, ..ts }),
            ..TcpOptions::default()
        };
        let record = self.half_open_record(now, &serving, tuple, segment, peer);
        if let Some(Target::HalfOpen(key)) = self.find_flow(&tuple) {
            self.forget_half_open(key);
        }
        let key = self.remember(HalfOpen {
            iss,
            irs,
            sends: UNKNOWN_SENDS,
            answered: true,
            ..record
        });
        self.handshakes
            .arm_at(key, now + self.tcp_defaults.initial_rto);
        self.net.stats.syn_cookies_accepted += 1;
        // Where the accept queue is full the record stays. The peer believes to be connected and
        // may have nothing to send, but the SYN-ACK that the timer repeats makes it answer.
        self.complete_handshake(now, key, segment, payload);
        if self.handshakes.is_overfull() {
            self.forget_half_open(key);
        }
        true
    }

    /// Whether a peer that brought a cookie can be accepted, or at least get a record.
    fn has_room_for_cookie(&self, id: ListenerId) -> Result<Serving, DropReason> {
        let listener = self.locals.listener(id).ok_or(DropReason::NoConnection)?;
        if listener.queue_is_full() && self.handshakes.is_full() {
            return Err(DropReason::BacklogFull);
        }
        if self.pressure() == Pressure::Full {
            return Err(DropReason::NoMemory);
        }
        Ok(Serving::new(id, listener))
    }
}
