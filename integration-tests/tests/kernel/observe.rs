//! Observation of a stack from outside: echo replies, captures, counters.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::{env, fs, process};

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Slice, Icmpv6Type, NetSlice,
    SlicedPacket, TransportSlice,
};
use libtest_mimic::Failed;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use socket2::{Domain, Protocol, Socket, Type};
use tidewire_integration_tests::{Net, Opener, TestResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

crate::trials!(answers_pings, captures_readably, looks_for_frames_once);

async fn answers_pings(net: Net) -> TestResult {
    let _stack = net.stack().await?;
    for payload_len in [0, 1, 56, 1452] {
        let echoed = tokio::task::spawn_blocking({
            let net = net.clone();
            move || {
                let right = net.right().clone();
                right.run(move || ping(&net, payload_len))
            }
        });
        echoed.await??;
    }
    Ok(())
}

/// Each request for a frame is a system call. Without spinning, one call per arrival finds the
/// queue empty, and tasks that poll add none.
async fn looks_for_frames_once(net: Net) -> TestResult {
    const ROUNDS: u64 = 500;
    let address = net.kernel_echo().await?;
    let stack = net.builder().spin(Duration::ZERO).start().await?;
    let mut stream = stack.connect(address).await?;
    for _ in 0..ROUNDS {
        stream.write_all(b"?").await?;
        stream.read_exact(&mut [0]).await?;
    }
    let (arrived, in_vain) = (stack.stats().frames_in, stack.link_stats().rx_empty);
    assert!(arrived >= ROUNDS);
    assert!(in_vain <= arrived + 1, "{in_vain} for {arrived} frames");
    Ok(())
}

/// An echo request (RFC 792, RFC 4443 §4.1) from the right, and the reply to it.
fn ping(net: &Net, payload_len: usize) -> io::Result<()> {
    let payload: Vec<u8> = (0..payload_len).map(|at| (at % 251) as u8).collect();
    let (ours, theirs) = (net.tidewire(), net.kernel());
    let socket = match ours {
        IpAddr::V4(_) => Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?,
        IpAddr::V6(_) => Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?,
    };
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(&SocketAddr::new(ours, 0).into())?;
    let mut packet = vec![0; 2000];
    match (ours, theirs) {
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
            let (from, to) = (theirs.octets(), ours.octets());
            let request = Icmpv6Type::EchoRequest(ECHO);
            let request = Icmpv6Header::with_checksum(request, from, to, &payload);
            let request = request.map_err(io::Error::other)?;
            socket.send(&[&request.to_bytes()[..], &payload].concat())?;
            // Without the IP header; Neighbor Discovery arrives here, too.
            let reply = loop {
                let len = (&socket).read(&mut packet)?;
                let message = Icmpv6Slice::from_slice(&packet[..len]).map_err(io::Error::other)?;
                if let Icmpv6Type::EchoReply(_) = message.icmp_type() {
                    break message;
                }
            };
            let expected = Icmpv6Type::EchoReply(ECHO);
            let expected = Icmpv6Header::with_checksum(expected, to, from, &payload);
            assert_eq!(reply.header(), expected.map_err(io::Error::other)?);
            assert!(reply.payload() == payload);
        }
        _ => {
            let request = Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(ECHO), &payload);
            socket.send(&[&request.to_bytes()[..], &payload].concat())?;
            let len = (&socket).read(&mut packet)?;
            let reply = SlicedPacket::from_ip(&packet[..len]).map_err(io::Error::other)?;
            let Some(TransportSlice::Icmpv4(reply)) = reply.transport else {
                return Err(io::Error::other("not an ICMP packet"));
            };
            let expected = Icmpv4Header::with_checksum(Icmpv4Type::EchoReply(ECHO), &payload);
            assert_eq!(reply.header(), expected);
            assert!(reply.payload() == payload);
        }
    }
    Ok(())
}

const ECHO: IcmpEchoHeader = IcmpEchoHeader { id: 77, seq: 1 };

/// A capture holds the whole connection, both ways, for another program to read.
async fn captures_readably(net: Net) -> TestResult {
    let file = format!("tidewire-{}-{}.pcapng", process::id(), net.right().tid());
    let path = env::temp_dir().join(file);
    let stack = net.builder().pcap(&path).start().await?;
    let (mut ours, mut theirs) = net.connection(&stack, Opener::Tidewire).await?;
    ours.write_all(b"for the record").await?;
    ours.shutdown().await?;
    let mut words = String::new();
    theirs.read_to_string(&mut words).await?;
    theirs.shutdown().await?;
    assert_eq!(ours.read(&mut [0]).await?, 0);
    drop(ours);
    stack.shutdown(Duration::from_secs(5)).await?;

    let captured = fs::read(&path)?;
    fs::remove_file(&path)?;
    let (ours, theirs) = (net.tidewire(), net.kernel());
    let segments = segments(&captured, ours)?;
    let flags = |from: IpAddr, wanted: &str| {
        let matching = |segment: &&Segment| segment.from == from && segment.flags == wanted;
        segments.iter().filter(matching).count()
    };
    assert_eq!(flags(ours, "SYN"), 1, "{segments:?}");
    assert_eq!(flags(theirs, "SYN ACK"), 1, "{segments:?}");
    assert_eq!(flags(ours, "FIN ACK"), 1, "{segments:?}");
    assert_eq!(flags(theirs, "FIN ACK"), 1, "{segments:?}");
    let sent: Vec<u8> = segments
        .iter()
        .filter(|segment| segment.from == ours)
        .flat_map(|segment| segment.payload.clone())
        .collect();
    assert_eq!(sent, b"for the record");
    Ok(())
}

#[derive(Debug)]
struct Segment {
    from: IpAddr,
    flags: String,
    payload: Vec<u8>,
}

/// The TCP segments of a capture; the direction that each is marked with is that of its addresses.
fn segments(capture: &[u8], own: IpAddr) -> Result<Vec<Segment>, Failed> {
    let mut reader = PcapNgReader::new(capture)?;
    let mut segments = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block? else {
            continue;
        };
        let frame = SlicedPacket::from_ethernet(&packet.data)?;
        let Some(TransportSlice::Tcp(tcp)) = frame.transport else {
            continue; // ARP, Neighbor Discovery
        };
        let from: IpAddr = match frame.net {
            Some(NetSlice::Ipv4(ip)) => ip.header().source_addr().into(),
            Some(NetSlice::Ipv6(ip)) => ip.header().source_addr().into(),
            _ => return Err("TCP without IP".into()),
        };
        let direction = if from == own { OUTBOUND } else { INBOUND };
        assert!(
            packet
                .options
                .contains(&EnhancedPacketOption::Flags(direction)),
            "{packet:?}"
        );
        let flags = [(tcp.syn(), "SYN"), (tcp.fin(), "FIN"), (tcp.ack(), "ACK")];
        segments.push(Segment {
            from,
            flags: flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, name)| *name)
                .collect::<Vec<_>>()
                .join(" "),
            payload: tcp.payload().to_vec(),
        });
    }
    Ok(segments)
}

/// `epb_flags` of the pcapng format.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
