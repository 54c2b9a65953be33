//! Dissection of a whole frame into borrowed parts, and its one-line form for traces.

use core::fmt;
use core::net::IpAddr;

use crate::arp::{ArpOperation, ArpPacket};
use crate::bytes::tail;
use crate::checksum::verify_tcp;
use crate::error::ParseError;
use crate::ethernet::{EtherType, EthernetHeader};
use crate::icmpv4::Icmpv4Message;
use crate::icmpv6::Icmpv6Message;
use crate::ipv4::{IpProtocol, Ipv4Header};
use crate::ipv6::Ipv6Header;
use crate::ipv6_ext::walk_extensions;
use crate::tcp::{TcpFlags, TcpHeader, TcpOptionIter};

/// An Ethernet frame taken apart. [`Display`](fmt::Display) prints it on one line, as tcpdump
/// would.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// The Ethernet header.
    pub ethernet: EthernetHeader,
    /// What it carries.
    pub network: Network<'a>,
}

/// The network layer of a [`Frame`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Network<'a> {
    /// ARP.
    Arp(ArpPacket),
    /// IPv4.
    Ipv4 {
        /// The header.
        header: Ipv4Header,
        /// What it carries.
        transport: Transport<'a>,
    },
    /// IPv6.
    Ipv6 {
        /// The header.
        header: Ipv6Header,
        /// What it carries, behind the extension headers.
        transport: Transport<'a>,
    },
    /// Any other type of payload.
    Other(&'a [u8]),
}

/// The transport layer of a [`Frame`].
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Transport<'a> {
    /// TCP; the checksum is not verified, for a device may be yet to fill it in.
    Tcp {
        /// The header.
        header: TcpHeader,
        /// The bytes of its options.
        options: &'a [u8],
        /// The data.
        payload: &'a [u8],
        /// The whole segment, for its checksum.
        segment: &'a [u8],
    },
    /// ICMP for IPv4.
    Icmpv4(Icmpv4Message<'a>),
    /// ICMP for IPv6.
    Icmpv6(Icmpv6Message<'a>),
    /// A piece of a datagram.
    Fragment {
        /// Identification of the datagram.
        id: u32,
        /// Where the piece stands in it, in bytes.
        offset: u16,
        /// Whether pieces follow.
        more: bool,
        /// The piece.
        data: &'a [u8],
    },
    /// Any other protocol.
    Other {
        /// The protocol.
        protocol: IpProtocol,
        /// Its bytes.
        data: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// Takes a frame apart.
    ///
    /// # Errors
    /// That of the first layer that does not parse.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (ethernet, len) = EthernetHeader::parse(bytes)?;
        let payload = tail(bytes, len);
        let network = match ethernet.ether_type {
            EtherType::ARP => Network::Arp(ArpPacket::parse(payload)?),
            EtherType::IPV4 => parse_ipv4(payload)?,
            EtherType::IPV6 => parse_ipv6(payload)?,
            _ => Network::Other(payload),
        };
        Ok(Self { ethernet, network })
    }

    /// Source and destination of the IP packet, where the frame carries one.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self.network {
            Network::Ipv4 { header, .. } => Some((header.src.into(), header.dst.into())),
            Network::Ipv6 { header, .. } => Some((header.src.into(), header.dst.into())),
            Network::Arp(_) | Network::Other(_) => None,
        }
    }

    /// What the IP packet carries, where the frame carries one.
    pub const fn transport(&self) -> Option<&Transport<'a>> {
        match &self.network {
            Network::Ipv4 { transport, .. } | Network::Ipv6 { transport, .. } => Some(transport),
            Network::Arp(_) | Network::Other(_) => None,
        }
    }

    /// Whether the TCP checksum is right; `None` where the frame carries no TCP.
    pub fn tcp_checksum_is_valid(&self) -> Option<bool> {
        let (src, dst) = self.addresses()?;
        match self.transport()? {
            Transport::Tcp { segment, .. } => Some(verify_tcp(src, dst, segment)),
            _ => None,
        }
    }
}

fn parse_ipv4(packet: &[u8]) -> Result<Network<'_>, ParseError> {
    let (header, _) = Ipv4Header::parse(packet)?;
    let data = packet
        .get(header.payload_range(packet.len()))
        .unwrap_or_default();
    let transport = match header.protocol {
        _ if header.is_fragment() => Transport::Fragment {
            id: header.id.into(),
            offset: header.fragment_offset,
            more: header.more_fragments,
            data,
        },
        IpProtocol::TCP => parse_tcp(data)?,
        IpProtocol::ICMP => Transport::Icmpv4(Icmpv4Message::parse(data)?),
        protocol => Transport::Other { protocol, data },
    };
    Ok(Network::Ipv4 { header, transport })
}

fn parse_ipv6(packet: &[u8]) -> Result<Network<'_>, ParseError> {
    let (header, _) = Ipv6Header::parse(packet)?;
    let payload = packet
        .get(header.payload_range(packet.len()))
        .unwrap_or_default();
    let walk = walk_extensions(header.next_header, payload)?;
    let data = tail(payload, walk.offset);
    let transport = match (walk.fragment, walk.protocol) {
        (Some(fragment), _) if !fragment.is_atomic() => Transport::Fragment {
            id: fragment.id,
            offset: fragment.offset,
            more: fragment.more,
            data: tail(payload, fragment.data_offset),
        },
        (_, IpProtocol::TCP) => parse_tcp(data)?,
        (_, IpProtocol::ICMPV6) => {
            Transport::Icmpv6(Icmpv6Message::parse(header.src, header.dst, data)?)
        }
        (_, protocol) => Transport::Other { protocol, data },
    };
    Ok(Network::Ipv6 { header, transport })
}

fn parse_tcp(segment: &[u8]) -> Result<Transport<'_>, ParseError> {
    let (header, options, len) = TcpHeader::parse(segment)?;
    Ok(Transport::Tcp {
        header,
        options,
        payload: tail(segment, len),
        segment,
    })
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = self.ethernet.vlan {
            write!(f, "vlan {}, ", tag.id())?;
        }
        match &self.network {
            Network::Arp(packet) => fmt_arp(packet, f),
            Network::Ipv4 { header, transport } => {
                fmt_ip(f, "IP", header.src.into(), header.dst.into(), transport)
            }
            Network::Ipv6 { header, transport } => {
                fmt_ip(f, "IP6", header.src.into(), header.dst.into(), transport)
            }
            Network::Other(data) => write!(
                f,
                "{} > {}, ethertype {}, length {}",
                self.ethernet.src,
                self.ethernet.dst,
                self.ethernet.ether_type,
                data.len()
            ),
        }
    }
}

fn fmt_arp(packet: &ArpPacket, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ArpPacket {
        operation,
        sender_mac,
        sender_ip,
        target_ip,
        ..
    } = packet;
    match operation {
        ArpOperation::Request => write!(f, "ARP, Request who-has {target_ip} tell {sender_ip}")?,
        ArpOperation::Reply => write!(f, "ARP, Reply {sender_ip} is-at {sender_mac}")?,
        ArpOperation::Other(code) => write!(f, "ARP, operation {code}")?,
    }
    write!(f, ", length {}", ArpPacket::LEN)
}

fn fmt_ip(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    src: IpAddr,
    dst: IpAddr,
    transport: &Transport<'_>,
) -> fmt::Result {
    if let Transport::Tcp {
        header,
        options,
        payload,
        ..
    } = transport
    {
        write!(
            f,
            "{name} {src}.{} > {dst}.{}: ",
            header.src_port, header.dst_port
        )?;
        return fmt_tcp(f, header, options, payload.len());
    }
    write!(f, "{name} {src} > {dst}: ")?;
    match transport {
        Transport::Icmpv4(message) => fmt_icmpv4(f, message),
        Transport::Icmpv6(message) => fmt_icmpv6(f, message),
        Transport::Fragment {
            id,
            offset,
            more,
            data,
        } => {
            let flags = if *more { "+" } else { "" };
            write!(
                f,
                "frag (id {id}, offset {offset}{flags}), length {}",
                data.len()
            )
        }
        Transport::Other { protocol, data } => write!(f, "{protocol}, length {}", data.len()),
        Transport::Tcp { .. } => Ok(()),
    }
}

fn fmt_tcp(
    f: &mut fmt::Formatter<'_>,
    header: &TcpHeader,
    options: &[u8],
    payload_len: usize,
) -> fmt::Result {
    write!(f, "Flags [{}]", header.flags)?;
    let numbered = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
    if payload_len != 0 {
        let end = header
            .seq
            .add(u32::try_from(payload_len).unwrap_or(u32::MAX));
        write!(f, ", seq {}:{end}", header.seq)?;
    } else if header.flags.intersects(numbered) {
        write!(f, ", seq {}", header.seq)?;
    }
    if header.flags.contains(TcpFlags::ACK) {
        write!(f, ", ack {}", header.ack)?;
    }
    write!(f, ", win {}", header.window)?;
    if header.flags.contains(TcpFlags::URG) {
        write!(f, ", urg {}", header.urgent)?;
    }
    let mut separator = ", options [";
    for option in TcpOptionIter::new(options) {
        f.write_str(separator)?;
        match option {
            Ok(option) => write!(f, "{option}")?,
            Err(_) => f.write_str("bad opt")?,
        }
        separator = ",";
    }
    if separator == "," {
        f.write_str("]")?;
    }
    write!(f, ", length {payload_len}")
}

fn fmt_icmpv4(f: &mut fmt::Formatter<'_>, message: &Icmpv4Message<'_>) -> fmt::Result {
    f.write_str("ICMP ")?;
    match message {
        Icmpv4Message::EchoRequest { id, seq, .. } => {
            write!(f, "echo request, id {id}, seq {seq}")?;
        }
        Icmpv4Message::EchoReply { id, seq, .. } => write!(f, "echo reply, id {id}, seq {seq}")?,
        Icmpv4Message::Unreachable {
            code: Icmpv4Message::CODE_FRAGMENTATION_NEEDED,
            next_hop_mtu,
            ..
        } => write!(f, "unreachable, need to frag (mtu {next_hop_mtu})")?,
        Icmpv4Message::Unreachable { code, .. } => write!(f, "unreachable, code {code}")?,
        Icmpv4Message::TimeExceeded { code, .. } => write!(f, "time exceeded, code {code}")?,
        Icmpv4Message::ParameterProblem { code, pointer, .. } => {
            write!(f, "parameter problem, code {code}, octet {pointer}")?;
        }
        Icmpv4Message::Other { kind, code, .. } => write!(f, "type {kind}, code {code}")?,
    }
    write!(f, ", length {}", message.buffer_len())
}

fn fmt_icmpv6(f: &mut fmt::Formatter<'_>, message: &Icmpv6Message<'_>) -> fmt::Result {
    f.write_str("ICMP6, ")?;
    match message {
        Icmpv6Message::EchoRequest { id, seq, .. } => {
            write!(f, "echo request, id {id}, seq {seq}")?;
        }
        Icmpv6Message::EchoReply { id, seq, .. } => write!(f, "echo reply, id {id}, seq {seq}")?,
        Icmpv6Message::Unreachable { code, .. } => {
            write!(f, "destination unreachable, code {code}")?;
        }
        Icmpv6Message::PacketTooBig { mtu, .. } => write!(f, "packet too big, mtu {mtu}")?,
        Icmpv6Message::TimeExceeded { code, .. } => write!(f, "time exceeded, code {code}")?,
        Icmpv6Message::ParameterProblem { code, pointer, .. } => {
            write!(f, "parameter problem, code {code}, octet {pointer}")?;
        }
        Icmpv6Message::NeighborSolicit(solicit) => {
            write!(f, "neighbor solicitation, who has {}", solicit.target)?;
        }
        Icmpv6Message::NeighborAdvert(advert) => {
            write!(f, "neighbor advertisement, tgt is {}", advert.target)?;
        }
        Icmpv6Message::Other { kind, code, .. } => write!(f, "type {kind}, code {code}")?,
    }
    write!(f, ", length {}", message.buffer_len())
}
