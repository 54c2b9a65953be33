//! Loopback: segments from this stack to itself.

use core::net::IpAddr;

use bytes::BytesMut;
use tidewire_wire::{EthernetHeader, IpProtocol, MacAddr, TcpHeader};

use super::Stack;
use super::headers::Headers;
use super::ingress::Parsed;
use crate::ip::{Datagram, LoopbackPacket, ip_header_len};
use crate::offload::{RxChecksum, RxMeta, TxOffload};
use crate::tcp::segment::SegmentPlan;
use crate::time::Instant;
use crate::types::{ConnId, DropReason, Slices};

impl Stack {
    /// Sends a segment of a connection to an own address.
    pub(super) fn loop_back_segment(&mut self, id: ConnId, plan: &SegmentPlan) {
        let Some(conn) = self.conns.get(id) else {
            return self.net.stats.count_broken("a segment of no connection");
        };
        self.net.stats.segments_out += 1;
        self.net.stats.retransmitted += u64::from(plan.retransmission);
        let mut payload = Slices::EMPTY;
        conn.snd.buffer.slices(plan.payload.clone(), &mut payload);
        let pieces = payload.as_slice();
        // No checksum: the bytes never leave memory.
        let mac = MacAddr([0; 6]);
        let Some(headers) = Headers::new(self.net.link(), mac, &conn.tuple, plan, pieces, true)
        else {
            return self.net.stats.count_broken("a segment without headers");
        };
        let header = headers.bytes.get(EthernetHeader::LEN..headers.len);
        let mut packet = BytesMut::with_capacity(headers.len + payload.len());
        packet.extend_from_slice(header.unwrap_or_default());
        pieces
            .iter()
            .for_each(|piece| packet.extend_from_slice(piece));
        let segment_len = match headers.offload {
            TxOffload::Tcp { mss, .. } => Some(mss),
            _ => None,
        };
        self.net.loop_back(packet.freeze(), segment_len);
    }

    /// Delivers the next packet to an own address; says whether there was one.
    pub(super) fn deliver_loopback(&mut self, now: Instant) -> bool {
        let Some(mut loopback) = self.net.loopback.pop() else {
            return false;
        };
        if let Err(reason) = self.handle_loopback(now, &mut loopback) {
            self.drop_frame(reason);
        }
        true
    }

    fn handle_loopback(&mut self, now: Instant, loopback: &mut LoopbackPacket) -> Parsed<()> {
        let datagram = Datagram::parse(&loopback.packet).ok_or(DropReason::Malformed)?;
        if datagram.protocol != IpProtocol::TCP {
            return Err(DropReason::UnknownProtocol);
        }
        let meta = RxMeta {
            checksum: RxChecksum::Partial,
            segment_len: loopback.segment_len,
        };
        self.handle_tcp(
            now,
            &mut loopback.packet,
            datagram.body,
            datagram.ends,
            meta,
        )
    }

    /// Payload of one packet to an own address: whatever an IP packet holds.
    pub(super) fn max_loopback_payload(remote: IpAddr) -> usize {
        usize::from(u16::MAX) - ip_header_len(remote) - TcpHeader::MAX_LEN
    }
}
