//! The way to our own addresses: packets that go round inside the stack, and never see the link.

use alloc::collections::VecDeque;
use core::net::IpAddr;
use core::ops::Range;

use bytes::{Bytes, BytesMut};
use tidewire_wire::{EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, MacAddr};

use super::Stack;
use super::headers::Headers;
use super::ingress::Parsed;
use crate::ip::ip_header_len;
use crate::offload::{RxChecksum, RxMeta, TxOffload};
use crate::tcp::segment::SegmentPlan;
use crate::time::Instant;
use crate::types::{ConnId, DropReason, Slices};

/// Packets that may be on their way; more are dropped, as a full queue of a link would drop them.
const MAX_LOOPED: usize = 256;

/// A packet to ourselves, and the payload of each segment where it is several.
#[derive(Debug)]
struct Looped {
    packet: Bytes,
    segment_len: Option<u16>,
}

/// The packets on their way to ourselves.
#[derive(Debug, Default)]
pub(super) struct Loop(VecDeque<Looped>);

/// Where an IP packet's payload is, and what.
struct Located {
    ends: (IpAddr, IpAddr),
    protocol: IpProtocol,
    body: Range<usize>,
}

impl Stack {
    /// Sends a segment of a connection to ourselves.
    pub(super) fn loop_segment(&mut self, id: ConnId, plan: &SegmentPlan) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        self.stats.segments_out += 1;
        self.stats.retransmitted += u64::from(plan.retransmission);
        let mut payload = Slices::EMPTY;
        conn.snd.buffer.slices(plan.payload.clone(), &mut payload);
        let pieces = payload.as_slice();
        // No checksum: the bytes never leave memory.
        let mac = MacAddr([0; 6]);
        let Some(headers) = Headers::new(&self.link, mac, &conn.tuple, plan, pieces, true) else {
            return;
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
        self.loop_packet(packet.freeze(), segment_len);
    }

    /// Sends a packet to ourselves.
    pub(super) fn loop_packet(&mut self, packet: Bytes, segment_len: Option<u16>) {
        if self.looped.0.len() >= MAX_LOOPED {
            return self.drop_frame(DropReason::NoMemory);
        }
        self.looped.0.push_back(Looped {
            packet,
            segment_len,
        });
    }

    /// Delivers the next packet to ourselves; says whether there was one.
    pub(super) fn deliver_looped(&mut self, now: Instant) -> bool {
        let Some(mut looped) = self.looped.0.pop_front() else {
            return false;
        };
        if let Err(reason) = self.handle_looped(now, &mut looped) {
            self.drop_frame(reason);
        }
        true
    }

    fn handle_looped(&mut self, now: Instant, looped: &mut Looped) -> Parsed<()> {
        let located = locate(&looped.packet).ok_or(DropReason::Malformed)?;
        if located.protocol != IpProtocol::TCP {
            return Err(DropReason::UnknownProtocol);
        }
        let meta = RxMeta {
            checksum: RxChecksum::Partial,
            segment_len: looped.segment_len,
        };
        self.handle_tcp(now, &mut looped.packet, located.body, located.ends, meta)
    }

    /// Payload of one packet to an own address: whatever an IP packet holds.
    pub(super) fn max_looped_payload(remote: IpAddr) -> usize {
        const MOST_TCP_HEADER: usize = 60;
        usize::from(u16::MAX) - ip_header_len(remote) - MOST_TCP_HEADER
    }
}

fn locate(packet: &[u8]) -> Option<Located> {
    Some(match packet.first()? >> 4 {
        4 => {
            let (ip, _) = Ipv4Header::parse(packet).ok()?;
            Located {
                ends: (ip.src.into(), ip.dst.into()),
                protocol: ip.protocol,
                body: ip.payload_range(packet.len()),
            }
        }
        _ => {
            let (ip, _) = Ipv6Header::parse(packet).ok()?;
            Located {
                ends: (ip.src.into(), ip.dst.into()),
                protocol: ip.next_header,
                body: ip.payload_range(packet.len()),
            }
        }
    })
}
