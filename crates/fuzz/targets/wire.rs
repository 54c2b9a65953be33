//! Bytes into the parsers of every layer.
#![no_main]

use std::net::Ipv6Addr;

use tidewire_wire::{
    ArpPacket, EthernetHeader, Frame, Icmpv4Message, Icmpv6Message, Ipv4Header, Ipv6Header,
    TcpHeader, TcpOptions, VnetHeader,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = VnetHeader::parse(input);
    let _ = EthernetHeader::parse(input);
    let _ = ArpPacket::parse(input);
    let _ = Ipv4Header::parse(input);
    let _ = Ipv4Header::parse_quoted(input);
    let _ = Ipv6Header::parse(input);
    let _ = Icmpv4Message::parse(input);
    let _ = Icmpv6Message::parse(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, input);
    let _ = TcpOptions::parse(input);
    let _ = TcpHeader::parse(input);
    if let Ok(frame) = Frame::parse(input) {
        let _ = frame.transport();
    }
});
