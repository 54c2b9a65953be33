//! Timestamp check: PAWS and TS.Recent (RFC 7323 §4.3 and §5).

use core::ops::ControlFlow;

use tidewire_wire::TcpFlags;

use super::{Check, drop_for, stop};
use crate::tcp::segment::SegmentIn;
use crate::tcp::tcb::Connection;
use crate::time::{Duration, Instant};
use crate::types::DropReason;

/// Age at which TS.Recent is invalid: the peer's clock may have wrapped (RFC 7323 §5.5).
const RECENT_EXPIRES: Duration = Duration::from_secs(24 * 24 * 3600);

/// `a < b` for timestamps, which wrap like sequence numbers.
const fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

impl Connection {
    /// PAWS: drops segments that are older than the last wrap of the sequence space.
    pub(super) fn check_timestamps(&mut self, now: Instant, segment: &SegmentIn) -> Check {
        // Resets are exempt (RFC 7323 §5.2).
        if !self.negotiated.timestamps || segment.has(TcpFlags::RST) {
            return ControlFlow::Continue(());
        }
        let Some(ts) = segment.options.timestamps else {
            // A SYN without the option is a new connection attempt of a host that has lost this
            // connection. The later checks answer it with a challenge ACK (RFC 5961 §4.2).
            if segment.has(TcpFlags::SYN) {
                return ControlFlow::Continue(());
            }
            // RFC 7323 §3.2: a segment without the negotiated option is dropped and must not end
            // the connection.
            return drop_for(DropReason::MissingTimestamp);
        };
        let valid = now.duration_since(self.ts.recent_at) < RECENT_EXPIRES;
        if valid && before(ts.value, self.ts.recent) {
            return stop(self.acknowledge_unacceptable(now, segment, DropReason::Paws));
        }
        ControlFlow::Continue(())
    }

    /// RFC 7323 §4.3 (2): TS.Recent is the timestamp of the segment that covers Last.ACK.sent: the
    /// earliest of the segments that one delayed ACK covers.
    pub(super) fn record_timestamp(&mut self, now: Instant, segment: &SegmentIn, start: i64) {
        let Some(ts) = segment
            .options
            .timestamps
            .filter(|_| self.negotiated.timestamps)
        else {
            return;
        };
        let expired = now.duration_since(self.ts.recent_at) >= RECENT_EXPIRES;
        if start <= self.rcv.last_ack.cast_signed()
            && !segment.has(TcpFlags::RST)
            && (expired || !before(ts.value, self.ts.recent))
        {
            self.ts.recent = ts.value;
            self.ts.recent_at = now;
        }
    }
}
