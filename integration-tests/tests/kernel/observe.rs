//! What can be seen of a stack from outside: echo replies, captures, counters.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::{env, fs, process};

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, NetSlice, SlicedPacket, TransportSlice,
};
use libtest_mimic::Failed;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use socket2::{Domain, Protocol, Socket, Type};
use tidewire_integration_tests::{KERNEL, Net, Opener, TIDEWIRE, TestResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

crate::trials!(answers_pings, captures_readably);

async fn answers_pings(net: Net) -> TestResult {
    let _stack = net.stack().await?;
    for payload_len in [0, 1, 56, 1472] {
        let echoed = tokio::task::spawn_blocking({
            let right = net.right().clone();
            move || right.run(move || ping(payload_len))
        });
        echoed.await??;
    }
    Ok(())
}

/// An echo request (RFC 792) from the right, and the reply to it.
fn ping(payload_len: usize) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(&SocketAddr::new(TIDEWIRE, 0).into())?;
    let payload: Vec<u8> = (0..payload_len).map(|at| (at % 251) as u8).collect();
    let request = Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(ECHO), &payload);
    socket.send(&[&request.to_bytes()[..], &payload].concat())?;

    let mut packet = vec![0; 2000];
    let len = (&socket).read(&mut packet)?;
    let reply = SlicedPacket::from_ip(&packet[..len]).map_err(io::Error::other)?;
    let Some(TransportSlice::Icmpv4(icmp)) = reply.transport else {
        return Err(io::Error::other("not an ICMP packet"));
    };
    assert_eq!(
        icmp.header(),
        Icmpv4Header::with_checksum(Icmpv4Type::EchoReply(ECHO), &payload)
    );
    assert!(icmp.payload() == payload);
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
    let segments = segments(&captured)?;
    let flags = |from: IpAddr, wanted: &str| {
        let matching = |segment: &&Segment| segment.from == from && segment.flags == wanted;
        segments.iter().filter(matching).count()
    };
    assert_eq!(flags(TIDEWIRE, "SYN"), 1, "{segments:?}");
    assert_eq!(flags(KERNEL, "SYN ACK"), 1, "{segments:?}");
    assert_eq!(flags(TIDEWIRE, "FIN ACK"), 1, "{segments:?}");
    assert_eq!(flags(KERNEL, "FIN ACK"), 1, "{segments:?}");
    let sent: Vec<u8> = segments
        .iter()
        .filter(|segment| segment.from == TIDEWIRE)
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
fn segments(capture: &[u8]) -> Result<Vec<Segment>, Failed> {
    let mut reader = PcapNgReader::new(capture)?;
    let mut segments = Vec::new();
    while let Some(block) = reader.next_block() {
        let Block::EnhancedPacket(packet) = block? else {
            continue;
        };
        let frame = SlicedPacket::from_ethernet(&packet.data)?;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) =
            (frame.net, frame.transport)
        else {
            continue; // ARP
        };
        let from = IpAddr::V4(ip.header().source_addr());
        let direction = if from == TIDEWIRE { OUTBOUND } else { INBOUND };
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
