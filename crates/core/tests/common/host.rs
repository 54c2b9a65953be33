//! One stack whose link is the test: single frames in, single frames out, of IPv6 above all.

use std::net::Ipv6Addr;

use tidewire_core::wire::{
    EtherType, EthernetHeader, Frame, Icmpv6Message, IpProtocol, Ipv6Header, MacAddr,
    NeighborAdvert, NeighborSolicit, Transport, solicited_node,
};
use tidewire_core::{DropReason, Duration, Instant, RxMeta, Secret, Stack, StackConfig};

use super::{A_MAC, host_config, secs};

pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub(crate) struct Host {
    pub(crate) now: Instant,
    pub(crate) stack: Stack,
    /// Frames sent and not yet checked.
    pub(crate) sent: Vec<Vec<u8>>,
}

pub(crate) fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

impl Host {
    pub(crate) fn new(addresses: &[&str]) -> Self {
        Self::with(host_config(A_MAC, addresses))
    }

    pub(crate) fn with(config: StackConfig) -> Self {
        let now = Instant::ZERO + secs(1);
        Self {
            now,
            stack: Stack::new(config, Secret::new([9; 16]), now).unwrap(),
            sent: Vec::new(),
        }
    }

    /// A frame arrives; then the stack sends all that it wants to.
    pub(crate) fn frame(&mut self, mut frame: &[u8]) {
        self.stack
            .handle_frame(self.now, &mut frame, RxMeta::default());
        self.pump();
    }

    pub(crate) fn pump(&mut self) {
        let mut bytes = vec![0; 70_000];
        while let Some(transmit) = self.stack.poll_transmit(self.now) {
            let len = transmit.copy_to(&mut bytes).unwrap();
            Frame::parse(&bytes[..len]).expect("the stack sends well-formed frames");
            self.sent.push(bytes[..len].to_vec());
        }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(at) = self.stack.poll_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.stack.handle_timeout(self.now);
            self.pump();
        }
        self.now = until;
    }

    /// Frames sent since the last check, one line each.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let frames = std::mem::take(&mut self.sent);
        let line = |frame: &Vec<u8>| Frame::parse(frame).unwrap().to_string();
        frames.iter().map(line).collect()
    }

    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        self.stack.stats().dropped(reason)
    }
}

/// A whole frame with an IPv6 packet.
pub(crate) fn ipv6_frame(
    (from, to): (MacAddr, MacAddr),
    (src, dst): (Ipv6Addr, Ipv6Addr),
    (next_header, hop_limit): (IpProtocol, u8),
    body: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; EthernetHeader::LEN + Ipv6Header::LEN];
    let ethernet = EthernetHeader {
        dst: to,
        src: from,
        vlan: None,
        ether_type: EtherType::IPV6,
    };
    let at = ethernet.emit(&mut frame).unwrap();
    let ip = Ipv6Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(body.len()).unwrap(),
        next_header,
        hop_limit,
        src,
        dst,
    };
    ip.emit(&mut frame[at..]).unwrap();
    frame.extend(body);
    frame
}

/// A whole frame with an ICMPv6 message, to the MAC address that its destination asks for.
pub(crate) fn icmpv6_frame(
    from: MacAddr,
    (src, dst): (Ipv6Addr, Ipv6Addr),
    hop_limit: u8,
    message: &Icmpv6Message<'_>,
) -> Vec<u8> {
    let mut body = vec![0; message.buffer_len()];
    message.emit(src, dst, &mut body).unwrap();
    let to = if dst.is_multicast() {
        MacAddr::ipv6_multicast(dst)
    } else {
        A_MAC
    };
    ipv6_frame(
        (from, to),
        (src, dst),
        (IpProtocol::ICMPV6, hop_limit),
        &body,
    )
}

/// A Neighbor Solicitation of the host at `from`.
pub(crate) fn solicit(from: MacAddr, src: &str, target: &str) -> Vec<u8> {
    let (src, target) = (v6(src), v6(target));
    let message = Icmpv6Message::NeighborSolicit(NeighborSolicit {
        target,
        source_mac: (!src.is_unspecified()).then_some(from),
    });
    icmpv6_frame(from, (src, solicited_node(target)), 255, &message)
}

/// A Neighbor Advertisement about its sender.
pub(crate) fn advert(from: MacAddr, target: &str, dst: Ipv6Addr, flags: (bool, bool)) -> Vec<u8> {
    let target = v6(target);
    let message = Icmpv6Message::NeighborAdvert(NeighborAdvert {
        router: false,
        solicited: flags.0,
        override_cache: flags.1,
        target,
        target_mac: Some(from),
    });
    icmpv6_frame(from, (target, dst), 255, &message)
}

/// The ICMPv6 message in a frame of the stack.
pub(crate) fn icmpv6_of(bytes: &[u8]) -> Icmpv6Message<'_> {
    let frame = Frame::parse(bytes).unwrap();
    match frame.transport() {
        Some(&Transport::Icmpv6(message)) => message,
        _ => panic!("{frame} is not ICMPv6"),
    }
}
