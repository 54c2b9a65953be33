//! Ingress: from a frame to a TCP segment, its checksum verified and its options parsed.

use core::ops::Range;

use tidewire_wire::{TcpHeader, TcpOptions, verify_tcp};

use super::Stack;
use crate::ip::{Ends, Upcall};
use crate::offload::{FrameBuffer, RxChecksum, RxMeta};
use crate::tcp::Payload;
use crate::tcp::segment::SegmentIn;
use crate::time::Instant;
use crate::types::{DropReason, FourTuple};

/// A parsed value, or why the frame is dropped.
pub(super) type Parsed<T> = Result<T, DropReason>;

/// A TCP segment in its frame.
struct Located {
    tuple: FourTuple,
    segment: SegmentIn,
    payload: Range<usize>,
}

impl Stack {
    /// Processes a received frame at once. No content makes this fail: what is wrong is dropped and
    /// counted ([`DropReason`]).
    pub fn handle_frame(&mut self, now: Instant, frame: &mut dyn FrameBuffer, meta: RxMeta) {
        self.advance(now);
        let now = self.now;
        self.net.stats.frames_in += 1;
        self.net.stats.bytes_in += frame.bytes().len() as u64;
        let received = self.net.receive(now, frame.bytes());
        let result = received.and_then(|upcall| self.handle_upcall(now, upcall, frame, meta));
        if let Err(reason) = result {
            self.drop_frame(reason);
        }
        self.net.flush_neighbor_requests();
    }

    /// Acts on what a frame means above the network layer.
    fn handle_upcall(
        &mut self,
        now: Instant,
        upcall: Upcall,
        frame: &mut dyn FrameBuffer,
        meta: RxMeta,
    ) -> Parsed<()> {
        match upcall {
            Upcall::None => Ok(()),
            Upcall::Resolved(conns) => {
                self.on_neighbor_resolved(conns);
                Ok(())
            }
            Upcall::IcmpError { report, quoted } => self.deliver_icmp_error(now, report, &quoted),
            Upcall::Segment { ends, range } => self.handle_tcp(now, frame, range, ends, meta),
        }
    }

    /// Delivers the TCP segment at `range` of the frame.
    pub(super) fn handle_tcp(
        &mut self,
        now: Instant,
        frame: &mut dyn FrameBuffer,
        range: Range<usize>,
        ends: Ends,
        meta: RxMeta,
    ) -> Parsed<()> {
        let located = Self::locate_tcp(frame.bytes(), range, ends, meta)?;
        let mut payload = Payload {
            frame,
            range: located.payload,
        };
        self.deliver(now, located.tuple, &located.segment, &mut payload);
        Ok(())
    }

    /// Parses the TCP segment at `range` of the frame.
    fn locate_tcp(
        bytes: &[u8],
        range: Range<usize>,
        Ends { src, dst }: Ends,
        meta: RxMeta,
    ) -> Parsed<Located> {
        let end = range.end;
        let start = range.start;
        let segment = bytes.get(range).ok_or(DropReason::Malformed)?;
        let (header, options, header_len) =
            TcpHeader::parse(segment).map_err(|_| DropReason::Malformed)?;
        // MUST-3: verified, unless the device did, or the segment never was on a wire.
        if meta.checksum == RxChecksum::Unverified && !verify_tcp(src, dst, segment) {
            return Err(DropReason::BadChecksum);
        }
        // MUST-5: of every segment, whatever its flags.
        let options = TcpOptions::parse(options).map_err(|_| DropReason::Malformed)?;
        if header.src_port == 0 || header.dst_port == 0 {
            return Err(DropReason::BadSource);
        }
        let tuple = FourTuple {
            local: dst,
            remote: src,
            local_port: header.dst_port,
            remote_port: header.src_port,
        };
        let payload = start + header_len..end;
        let segment = SegmentIn {
            header,
            options,
            payload_len: payload.len(),
            segment_len: meta.segment_len,
        };
        Ok(Located {
            tuple,
            segment,
            payload,
        })
    }
}
