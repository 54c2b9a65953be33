//! Attacker on the link: hostile frames made of observed ones.

use std::collections::VecDeque;

use tidewire_core::{RxChecksum, RxMeta};
use tidewire_wire::{Checksum, Frame, IpProtocol, Ipv4Header, Transport, transport_checksum};

use super::input::Input;
use super::{HONEST_MAC, INNOCENT, TARGET_MAC};

/// An attacker on the link, who makes hostile frames of those it has seen.
#[derive(Debug, Default)]
pub struct Attacker {
    /// Frames to the target, the newest last.
    to_target: VecDeque<Vec<u8>>,
    from_target: VecDeque<Vec<u8>>,
}

const SEEN: usize = 32;
const ETHERNET: usize = 14;

impl Attacker {
    /// Takes note of a frame that a stack has sent, unless it belongs to the innocent.
    ///
    /// # Panics
    /// If it is not well-formed.
    pub fn see(&mut self, frame: &[u8], by_target: bool) {
        let parsed = Frame::parse(frame).expect("stacks send well-formed frames");
        if let Some(Transport::Tcp { header, .. }) = parsed.transport()
            && [header.src_port, header.dst_port].contains(&INNOCENT)
        {
            return;
        }
        let seen = if by_target {
            &mut self.from_target
        } else {
            &mut self.to_target
        };
        if seen.len() == SEEN {
            // The oldest stay: ARP and neighbour discovery are seen at the start.
            seen.remove(SEEN / 2);
        }
        seen.push_back(frame.to_vec());
    }

    /// A frame of the given kind (4 to 15), and what the device says of it.
    pub fn frame(&self, kind: u8, input: &mut Input<'_>) -> (Vec<u8>, RxMeta) {
        let mut frame = match kind {
            4 => raw(input),
            5 => self.icmp_error(input),
            6..=8 => self.hostile_segment(input),
            _ => self.base(input).to_vec(),
        };
        match kind {
            // One field after another, checksums wrong.
            9 => mutate(&mut frame, input),
            // The same, and checksums right again.
            10..=12 => {
                mutate(&mut frame, input);
                complete(&mut frame);
            }
            13 => frame.truncate(usize::from(input.word()) % (frame.len() + 1)),
            14 => {
                frame.extend_from_slice(input.take(64));
                complete(&mut frame);
            }
            _ => {}
        }
        let meta = match input.byte() {
            0..=199 => RxMeta::default(),
            choice => RxMeta {
                checksum: [RxChecksum::Verified, RxChecksum::Partial][usize::from(choice % 2)],
                segment_len: [None, Some(0), Some(1), Some(u16::MAX), Some(input.word())]
                    [usize::from(choice % 5)],
            },
        };
        (frame, meta)
    }

    /// An unchanged frame to the target.
    fn base(&self, input: &mut Input<'_>) -> &[u8] {
        pick(&self.to_target, input)
    }

    /// A segment near what is expected, with flags, options, length and numbers of the input.
    fn hostile_segment(&self, input: &mut Input<'_>) -> Vec<u8> {
        let base = self.base(input);
        let mut frame = base.to_vec();
        let Some(tcp) = tcp_at(base) else {
            return frame;
        };
        let option_words = usize::from(input.byte() % 11);
        frame.resize(tcp + 20 + 4 * option_words, 1);
        for at in [tcp + 4, tcp + 8] {
            let nudge = match input.byte() {
                0..=99 => 0,
                100..=179 => i32::from(input.byte() as i8),
                180..=239 => i32::from(input.word() as i16),
                _ => i32::from_be_bytes([input.byte(), input.byte(), input.byte(), input.byte()]),
            };
            if let Some(field) = frame.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *field = u32::from_be_bytes(*field)
                    .wrapping_add_signed(nudge)
                    .to_be_bytes();
            }
        }
        frame[tcp + 12] = ((5 + option_words) as u8) << 4 | (input.byte() & 1);
        frame[tcp + 13] = match input.byte() {
            0..=127 => 0x10,
            flags => flags << 1 | input.byte() & 1,
        };
        frame[tcp + 14..tcp + 16].copy_from_slice(&input.word().to_be_bytes());
        frame[tcp + 18..tcp + 20].copy_from_slice(&input.word().to_be_bytes());
        let options = input.take(4 * option_words);
        frame[tcp + 20..][..options.len()].copy_from_slice(options);
        let payload = usize::from(input.word()) % 1_400;
        frame.resize(frame.len() + payload, input.byte());
        complete(&mut frame);
        frame
    }

    /// An ICMP error about a packet that the target has sent.
    fn icmp_error(&self, input: &mut Input<'_>) -> Vec<u8> {
        let about = pick(&self.from_target, input);
        let v6 = match about.get(12..14) {
            Some([0x08, 0x00]) => false,
            Some([0x86, 0xdd]) => true,
            _ => return about.to_vec(),
        };
        let quoted = &about[ETHERNET..];
        let quoted = &quoted[..quoted.len().min(usize::from(input.byte()) * 4)];
        let mut frame = [&TARGET_MAC.0[..], &HONEST_MAC.0, &about[12..14]].concat();
        let kind = input.byte();
        if v6 {
            frame.extend([0x60, 0, 0, 0, 0, 0, IpProtocol::ICMPV6.0, 64]);
            frame.extend_from_slice(&about[ETHERNET + 24..ETHERNET + 40]);
            frame.extend_from_slice(&about[ETHERNET + 8..ETHERNET + 24]);
            frame.extend([1 + kind % 4, kind >> 5, 0, 0]);
        } else {
            frame.extend([0x45, 0, 0, 0, 0, 1, 0, 0, 64, IpProtocol::ICMP.0, 0, 0]);
            frame.extend_from_slice(&about[ETHERNET + 16..ETHERNET + 20]);
            frame.extend_from_slice(&about[ETHERNET + 12..ETHERNET + 16]);
            frame.extend([[3, 3, 4, 11, 12][usize::from(kind % 5)], kind >> 4, 0, 0]);
        }
        // The MTU of a packet too big, and what others leave unused.
        let mtu = input.word().to_be_bytes();
        frame.extend([0, 0, mtu[0], mtu[1]]);
        frame.extend_from_slice(quoted);
        complete(&mut frame);
        frame
    }
}

fn pick<'a>(seen: &'a VecDeque<Vec<u8>>, input: &mut Input<'_>) -> &'a [u8] {
    let nth = usize::from(input.byte());
    seen.get(nth % seen.len().max(1)).map_or(&[], Vec::as_slice)
}

/// Bytes of the input, mostly with an Ethernet header that reaches the stack.
fn raw(input: &mut Input<'_>) -> Vec<u8> {
    let kind = input.byte();
    let len = usize::from(input.byte());
    let body = input.take(len);
    if kind >= 224 {
        return body.to_vec();
    }
    let ether_type: [u8; 2] = [[0x08, 0x00], [0x86, 0xdd], [0x08, 0x06]][usize::from(kind % 3)];
    [&TARGET_MAC.0[..], &HONEST_MAC.0, &ether_type, body].concat()
}

/// Changes up to four places.
fn mutate(frame: &mut [u8], input: &mut Input<'_>) {
    for _ in 0..=input.byte() % 4 {
        // Headers mostly.
        let place = input.word();
        let span = if place & 1 == 0 { 96 } else { usize::MAX };
        let span = span.min(frame.len());
        let value = input.byte();
        let kind = input.byte();
        if let Some(byte) = frame.get_mut(usize::from(place >> 1) % span.max(1)) {
            *byte = match kind % 4 {
                0 => value,
                1 => *byte ^ (1 << (value % 8)),
                2 => byte.wrapping_add(value % 8),
                _ => [0, 1, 0x7f, 0x80, 0xff][usize::from(value % 5)],
            };
        }
    }
}

/// Where the TCP header of a frame without IP options and extension headers begins.
fn tcp_at(frame: &[u8]) -> Option<usize> {
    let at = match (frame.get(12..14)?, frame.get(ETHERNET)?) {
        ([0x08, 0x00], 0x45) if *frame.get(23)? == IpProtocol::TCP.0 => ETHERNET + 20,
        ([0x86, 0xdd], _) if *frame.get(20)? == IpProtocol::TCP.0 => ETHERNET + 40,
        _ => return None,
    };
    (frame.len() >= at + 20).then_some(at)
}

/// Makes lengths and checksums right where the packet is one that has them, so that the rest is
/// looked at.
fn complete(frame: &mut [u8]) {
    let Some(len) = frame.len().checked_sub(ETHERNET) else {
        return;
    };
    let (at, protocol) = match frame.get(12..14) {
        Some([0x08, 0x00]) if len >= Ipv4Header::MIN_LEN => {
            frame[16..18].copy_from_slice(&(len as u16).to_be_bytes());
            frame[24..26].fill(0);
            let header = usize::from(frame[ETHERNET] & 15) * 4;
            let end = frame.len().min(ETHERNET + header.max(20));
            let sum = checksum(&frame[ETHERNET..end]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            (end, frame[23])
        }
        Some([0x86, 0xdd]) if len >= 40 => {
            frame[18..20].copy_from_slice(&((len - 40) as u16).to_be_bytes());
            (ETHERNET + 40, frame[20])
        }
        _ => return,
    };
    let field = match IpProtocol(protocol) {
        IpProtocol::TCP => at + 16,
        IpProtocol::ICMP | IpProtocol::ICMPV6 => at + 2,
        _ => return,
    };
    let Some(sum) = frame.get_mut(field..field + 2) else {
        return;
    };
    sum.fill(0);
    let sum = match IpProtocol(protocol) {
        IpProtocol::ICMP => checksum(&frame[at..]),
        protocol => {
            let Some((src, dst)) = ip_addresses(frame) else {
                return;
            };
            transport_checksum(src, dst, protocol, &frame[at..])
        }
    };
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

fn ip_addresses(frame: &[u8]) -> Option<(std::net::IpAddr, std::net::IpAddr)> {
    let v4 = |at: usize| {
        Some(std::net::IpAddr::from(
            *frame.get(at..)?.first_chunk::<4>()?,
        ))
    };
    let v6 = |at: usize| {
        Some(std::net::IpAddr::from(
            *frame.get(at..)?.first_chunk::<16>()?,
        ))
    };
    match frame.get(12..14)? {
        [0x08, 0x00] => Some((v4(26)?, v4(30)?)),
        _ => Some((v6(22)?, v6(38)?)),
    }
}

fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = Checksum::new();
    sum.add_bytes(bytes);
    sum.finish()
}
