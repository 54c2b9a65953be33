//! TCP segment of an Ethernet frame.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::model::Flags;

/// The fields of a TCP segment that a ladder shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Source address and port.
    pub source: SocketAddr,
    /// Destination address and port.
    pub destination: SocketAddr,
    /// SEG.SEQ.
    pub seq: u32,
    /// SEG.ACK.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// Bytes of data.
    pub len: u32,
    /// The options of a SYN in words.
    pub options: Vec<String>,
}

/// Reads an Ethernet frame; `None` for anything but a whole TCP segment over IPv4 or over IPv6
/// without extension headers.
#[must_use]
pub fn parse(frame: &[u8]) -> Option<Segment> {
    let packet = frame.get(14..)?;
    let (source, destination, tcp) = match u16_at(frame, 12)? {
        0x0800 => ipv4(packet)?,
        0x86dd => ipv6(packet)?,
        _ => return None,
    };
    let data_offset = usize::from(tcp.get(12)? >> 4) * 4;
    let options = tcp.get(20..data_offset)?;
    let data = tcp.get(data_offset..)?;
    let flags = Flags(*tcp.get(13)?);
    Some(Segment {
        source: SocketAddr::new(source, u16_at(tcp, 0)?),
        destination: SocketAddr::new(destination, u16_at(tcp, 2)?),
        seq: u32_at(tcp, 4)?,
        ack: u32_at(tcp, 8)?,
        flags,
        len: u32::try_from(data.len()).ok()?,
        options: if flags.has(Flags::SYN) {
            describe_options(options)
        } else {
            Vec::new()
        },
    })
}

fn ipv4(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let total_len = usize::from(u16_at(packet, 2)?);
    if *packet.get(9)? != TCP {
        return None;
    }
    let address = |offset| Some(IpAddr::V4(Ipv4Addr::from_bits(u32_at(packet, offset)?)));
    Some((
        address(12)?,
        address(16)?,
        packet.get(header_len..total_len)?,
    ))
}

fn ipv6(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let payload_len = usize::from(u16_at(packet, 4)?);
    if *packet.get(6)? != TCP {
        return None;
    }
    let address = |bytes: &[u8]| {
        Some(IpAddr::V6(Ipv6Addr::from(
            <[u8; 16]>::try_from(bytes).ok()?,
        )))
    };
    let end = payload_len.checked_add(40)?;
    Some((
        address(packet.get(8..24)?)?,
        address(packet.get(24..40)?)?,
        packet.get(40..end)?,
    ))
}

/// RFC 9293 §3.1, RFC 7323 and RFC 2018 in a few words each.
fn describe_options(mut options: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            0 => break,
            1 => {
                options = rest;
                continue;
            }
            _ => {}
        }
        let length = rest.first().map_or(0, |&length| usize::from(length));
        let Some(value) = options.get(2..length) else {
            break;
        };
        match (kind, value) {
            (2, &[high, low]) => words.push(format!("MSS {}", u16::from_be_bytes([high, low]))),
            (3, &[shift]) => words.push(format!("WS {shift}")),
            (4, []) => words.push("SACK".to_owned()),
            (8, _) => words.push("TS".to_owned()),
            _ => {}
        }
        options = options.get(length..).unwrap_or_default();
    }
    words
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        bytes.get(offset..offset.checked_add(2)?)?.try_into().ok()?,
    ))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?,
    ))
}

const TCP: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn syn_frame() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([
            0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1,
        ]);
        frame.extend([
            0x9c, 0x40, 0x1b, 0x58, 0, 0, 1, 0, 0, 0, 0, 0, 0xa0, 0x02, 0xff, 0xff, 0, 0, 0, 0,
        ]);
        frame.extend([
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
        ]);
        frame
    }

    #[test]
    fn a_syn_with_its_options() {
        let segment = parse(&syn_frame()).expect("a segment");
        assert_eq!(
            segment.source,
            "10.77.0.2:40000".parse().expect("an address")
        );
        assert_eq!(
            segment.destination,
            "10.77.0.1:7000".parse().expect("an address")
        );
        assert_eq!(
            (segment.seq, segment.flags, segment.len),
            (256, Flags::SYN, 0)
        );
        assert_eq!(segment.options, ["MSS 1460", "SACK", "TS", "WS 7"]);
    }

    #[test]
    fn every_cut_is_refused_without_a_panic() {
        let frame = syn_frame();
        for length in 0..frame.len() {
            assert_eq!(parse(&frame[..length]), None, "cut to {length} bytes");
        }
    }

    #[test]
    fn ethernet_padding_is_not_data() {
        let mut frame = syn_frame();
        frame.extend([0; 20]);
        assert_eq!(parse(&frame).expect("a segment").len, 0);
    }

    #[test]
    fn broken_option_lengths_end_the_list() {
        assert_eq!(describe_options(&[2, 0, 5, 0xb4]), Vec::<String>::new());
        assert_eq!(describe_options(&[1, 1, 2]), Vec::<String>::new());
        assert_eq!(describe_options(&[4, 2, 3, 200, 7]), ["SACK"]);
    }

    #[test]
    fn ipv6_is_read_too() {
        let mut frame = vec![0; 12];
        frame.extend([0x86, 0xdd]);
        frame.extend([0x60, 0, 0, 0, 0, 22, 6, 64]);
        frame.extend("fd77::2".parse::<Ipv6Addr>().expect("an address").octets());
        frame.extend("fd77::1".parse::<Ipv6Addr>().expect("an address").octets());
        frame.extend([
            0, 80, 0, 81, 0, 0, 0, 9, 0, 0, 0, 8, 0x50, 0x18, 0, 1, 0, 0, 0, 0, b'h', b'i',
        ]);
        let segment = parse(&frame).expect("a segment");
        assert_eq!(segment.source, "[fd77::2]:80".parse().expect("an address"));
        assert_eq!((segment.seq, segment.ack, segment.len), (9, 8, 2));
        assert_eq!(segment.flags.to_string(), "PSH ACK");
    }
}
