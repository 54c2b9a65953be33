//! Headers of a segment: Ethernet, IP of either version, TCP.

use alloc::vec::Vec;
use core::net::IpAddr;

use tidewire_wire::{Checksum, EthernetHeader, IpProtocol, MacAddr, TcpHeader, TcpOptions};

use super::transmit::MAX_HEADER;
use crate::ip::{Ends, emit_ip, ether_type, ethernet};
use crate::offload::TxOffload;
use crate::tcp::segment::SegmentPlan;
use crate::types::{FourTuple, LinkCaps};

/// The checksum field's offset in a TCP header. It is always filled in, here or by the device
/// (MUST-2).
const TCP_CHECKSUM: u16 = 16;

/// A complete set of headers.
pub(super) struct Headers {
    pub(super) bytes: [u8; MAX_HEADER],
    pub(super) len: usize,
    pub(super) offload: TxOffload,
}

impl Headers {
    /// The headers of a segment; `to` is the next hop's link address, and `tx_checksum` leaves the
    /// checksum to the device.
    pub(super) fn new(
        link: &LinkCaps,
        to: MacAddr,
        tuple: &FourTuple,
        plan: &SegmentPlan,
        payload: &[&[u8]],
        tx_checksum: bool,
    ) -> Option<Self> {
        let payload_len: usize = payload.iter().map(|piece| piece.len()).sum();
        let mut bytes = [0; MAX_HEADER];
        let ip_at = ethernet(link.mac, to, ether_type(tuple.remote))
            .emit(&mut bytes)
            .ok()?;
        let tcp_len = TcpHeader::MIN_LEN + plan.options.emitted_len();
        let ends = Ends {
            src: tuple.local,
            dst: tuple.remote,
        };
        let ip_payload = tcp_len + payload_len;
        let ip = bytes.get_mut(ip_at..)?;
        let tcp_at = ip_at + emit_ip(ends, IpProtocol::TCP, ip_payload, plan.ip, ip)?;
        emit_tcp(tuple, plan, bytes.get_mut(tcp_at..)?)?;
        let len = tcp_at + tcp_len;
        let offload = if tx_checksum {
            offload(tuple.remote, plan, payload_len, (tcp_at, len))?
        } else {
            TxOffload::None
        };

        let total = u32::try_from(ip_payload).ok()?;
        let mut sum = Checksum::pseudo_header(ends.src, ends.dst, IpProtocol::TCP, total);
        let field = if offload == TxOffload::None {
            sum.add_bytes(bytes.get(tcp_at..len)?);
            payload.iter().for_each(|piece| sum.add_bytes(piece));
            sum.finish()
        } else {
            // The device sums the rest.
            sum.fold()
        };
        let at = tcp_at + usize::from(TCP_CHECKSUM);
        bytes
            .get_mut(at..at + 2)?
            .copy_from_slice(&field.to_be_bytes());
        Some(Self {
            bytes,
            len,
            offload,
        })
    }

    /// The headers without the Ethernet header: a packet without payload.
    pub(super) fn packet(&self) -> Option<Vec<u8>> {
        Some(self.bytes.get(EthernetHeader::LEN..self.len)?.to_vec())
    }
}

/// The TCP header of a segment to send.
pub(super) fn tcp_header(tuple: &FourTuple, plan: &SegmentPlan) -> TcpHeader {
    TcpHeader {
        src_port: tuple.local_port,
        dst_port: tuple.remote_port,
        seq: plan.seq,
        ack: plan.ack,
        flags: plan.flags,
        window: plan.window,
        checksum: 0,
        urgent: 0,
    }
}

/// Writes the TCP header with options and an empty checksum field.
fn emit_tcp(tuple: &FourTuple, plan: &SegmentPlan, into: &mut [u8]) -> Option<usize> {
    let mut options = [0; TcpOptions::MAX_LEN];
    let options_len = plan.options.emit(&mut options).ok()?;
    tcp_header(tuple, plan)
        .emit(options.get(..options_len)?, into)
        .ok()
}

/// What the device must do with a frame to `to` whose TCP header is at `tcp_at` and whose payload
/// begins at `header_len`.
fn offload(
    to: IpAddr,
    plan: &SegmentPlan,
    payload_len: usize,
    (tcp_at, header_len): (usize, usize),
) -> Option<TxOffload> {
    let (start, offset) = (u16::try_from(tcp_at).ok()?, TCP_CHECKSUM);
    if payload_len <= plan.mss as usize {
        return Some(TxOffload::Checksum { start, offset });
    }
    Some(TxOffload::Tcp {
        v6: to.is_ipv6(),
        header_len: u16::try_from(header_len).ok()?,
        mss: u16::try_from(plan.mss).unwrap_or(u16::MAX),
        start,
        offset,
    })
}
