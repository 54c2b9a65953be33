//! From a frame to a TCP segment: Ethernet, IP of both versions, checksums, and what is not for us.

use core::net::IpAddr;
use core::ops::Range;

use tidewire_wire::{
    EtherType, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header, MacAddr, TcpHeader, TcpOptions,
    verify_tcp, walk_extensions,
};

use super::Stack;
use crate::offload::{FrameBuffer, RxChecksum, RxMeta};
use crate::tcp::Payload;
use crate::tcp::segment::SegmentIn;
use crate::time::Instant;
use crate::types::{DropReason, FourTuple};

/// How parsing ends early.
pub(super) type Parsed<T> = Result<T, DropReason>;

/// A TCP segment in its frame.
struct Located {
    tuple: FourTuple,
    segment: SegmentIn,
    payload: Range<usize>,
}

impl Stack {
    /// A frame arrived; its bytes are checked, counted, and processed at once. Nothing it holds can make this fail.
    pub fn handle_frame(&mut self, now: Instant, frame: &mut dyn FrameBuffer, meta: RxMeta) {
        self.advance(now);
        let now = self.now;
        self.stats.frames_in += 1;
        self.stats.bytes_in += frame.bytes().len() as u64;
        let result = self.handle_ethernet(now, frame, meta);
        if let Err(reason) = result {
            self.drop_frame(reason);
        }
        self.flush_neighbor_requests();
    }

    fn handle_ethernet(
        &mut self,
        now: Instant,
        frame: &mut dyn FrameBuffer,
        meta: RxMeta,
    ) -> Parsed<()> {
        let bytes = frame.bytes();
        let (ethernet, at) = EthernetHeader::parse(bytes).map_err(|_| DropReason::Malformed)?;
        // A tag may carry a priority; another VLAN is another link (IEEE 802.1Q 9.6: VID 0 is no VLAN).
        let is_of_vlan = ethernet.vlan.is_some_and(|tag| tag.id() != 0);
        if ethernet.dst != self.link.mac && !ethernet.dst.is_multicast()
            || ethernet.src.is_multicast()
            || is_of_vlan
        {
            return Err(DropReason::NotForUs);
        }
        let rest = bytes.get(at..).unwrap_or_default();
        match ethernet.ether_type {
            EtherType::ARP => {
                self.handle_arp(now, rest);
                Ok(())
            }
            EtherType::IPV4 => {
                // RFC 1122 §3.3.6 (MUST-57): a unicast IP packet in a link-layer broadcast is dropped.
                if ethernet.dst.is_multicast() {
                    return Err(DropReason::NotForUs);
                }
                self.handle_ipv4(now, frame, at, meta)
            }
            EtherType::IPV6 => self.handle_ipv6(now, frame, at, &ethernet, meta),
            _ => Err(DropReason::UnknownProtocol),
        }
    }

    fn handle_ipv4(
        &mut self,
        now: Instant,
        frame: &mut dyn FrameBuffer,
        at: usize,
        meta: RxMeta,
    ) -> Parsed<()> {
        let packet = frame.bytes().get(at..).unwrap_or_default();
        let (ip, _) = Ipv4Header::parse(packet).map_err(|_| DropReason::Malformed)?;
        if !self.is_own(IpAddr::V4(ip.dst)) {
            return Err(DropReason::NotForUs);
        }
        let source = ip.src;
        // RFC 1122 §3.2.1.3 (MUST-63): addresses that are never a host's. Our own from the wire is a loop or a lie
        // (LAND).
        if source.is_unspecified()
            || source.is_multicast()
            || source.is_broadcast()
            || source.is_loopback()
            || self.is_subnet_broadcast(IpAddr::V4(source))
            || self.is_own(IpAddr::V4(source))
        {
            return Err(DropReason::BadSource);
        }
        if ip.is_fragment() {
            return Err(DropReason::Fragment);
        }
        let body = ip.payload_range(packet.len());
        match ip.protocol {
            IpProtocol::TCP => {
                let range = at + body.start..at + body.end;
                self.handle_tcp(now, frame, range, (ip.src.into(), ip.dst.into()), meta)
            }
            IpProtocol::ICMP => {
                let message = packet.get(body).unwrap_or_default();
                self.handle_icmpv4(now, &ip, message);
                Ok(())
            }
            _ => {
                self.refuse_protocol_v4(now, &ip, packet);
                Err(DropReason::UnknownProtocol)
            }
        }
    }

    fn handle_ipv6(
        &mut self,
        now: Instant,
        frame: &mut dyn FrameBuffer,
        at: usize,
        ethernet: &EthernetHeader,
        meta: RxMeta,
    ) -> Parsed<()> {
        let packet = frame.bytes().get(at..).unwrap_or_default();
        let (ip, _) = Ipv6Header::parse(packet).map_err(|_| DropReason::Malformed)?;
        if !self.is_for_us(&ip, ethernet.dst) {
            return Err(DropReason::NotForUs);
        }
        let source = ip.src;
        // RFC 4291 §2.5.2, §2.5.3, §2.7: addresses that no host on a wire has. One that stands for an IPv4 address
        // (2.5.5.2) would make an IPv6 peer look like an IPv4 one.
        if source.is_multicast() || source.is_loopback() || source.to_ipv4_mapped().is_some() {
            return Err(DropReason::BadSource);
        }
        let body = ip.payload_range(packet.len());
        let payload = packet.get(body.clone()).unwrap_or_default();
        let walk = match walk_extensions(ip.next_header, payload) {
            Ok(walk) => walk,
            Err(error) => {
                self.refuse_extensions(now, &ip, packet, &error);
                return Err(DropReason::Malformed);
            }
        };
        // RFC 6946: a fragment that is the whole packet is one.
        if walk.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
            return Err(DropReason::Fragment);
        }
        let is_ours_or_nobodys = source.is_unspecified() || self.is_own(IpAddr::V6(source));
        match walk.protocol {
            IpProtocol::ICMPV6 => {
                let message = payload.get(walk.offset..).unwrap_or_default();
                self.handle_icmpv6(now, &ip, ethernet.src, message);
                Ok(())
            }
            // Our own address from the wire is a loop or a lie (LAND).
            _ if is_ours_or_nobodys => Err(DropReason::BadSource),
            IpProtocol::TCP if ip.dst.is_multicast() => Err(DropReason::NotForUs),
            IpProtocol::TCP => {
                let range = at + body.start + walk.offset..at + body.end;
                self.handle_tcp(now, frame, range, (ip.src.into(), ip.dst.into()), meta)
            }
            protocol => {
                if protocol != IpProtocol::NO_NEXT {
                    self.refuse_protocol_v6(now, &ip, packet, walk.offset);
                }
                Err(DropReason::UnknownProtocol)
            }
        }
    }

    /// Whether an IPv6 packet in a frame to `mac` is to one of our addresses, or to a group that we are in.
    fn is_for_us(&self, ip: &Ipv6Header, mac: MacAddr) -> bool {
        let is_unicast_frame = mac == self.link.mac;
        if ip.dst.is_multicast() {
            let is_frame_to_group = mac == MacAddr::ipv6_multicast(ip.dst);
            (is_frame_to_group || is_unicast_frame) && self.is_own_group(ip.dst)
        } else {
            is_unicast_frame && self.is_own(IpAddr::V6(ip.dst))
        }
    }

    /// Delivers the TCP segment at `range` of the frame, from `src` to `dst`.
    pub(super) fn handle_tcp(
        &mut self,
        now: Instant,
        frame: &mut dyn FrameBuffer,
        range: Range<usize>,
        (src, dst): (IpAddr, IpAddr),
        meta: RxMeta,
    ) -> Parsed<()> {
        let located = Self::locate_tcp(frame.bytes(), range, src, dst, meta)?;
        let mut payload = Payload {
            frame,
            range: located.payload,
        };
        self.deliver(now, located.tuple, &located.segment, &mut payload);
        Ok(())
    }

    /// Parses the TCP segment at `range` of the frame, from `src` to `dst`.
    fn locate_tcp(
        bytes: &[u8],
        range: Range<usize>,
        src: IpAddr,
        dst: IpAddr,
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
