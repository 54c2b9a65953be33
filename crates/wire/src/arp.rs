//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use crate::bytes::{array_at, array_mut};
use crate::error::{EmitError, Layer, Malformed, ParseError};
use crate::ethernet::{EtherType, MacAddr};

/// The opcode of an ARP packet.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum ArpOperation {
    /// Who has the target address (1).
    Request,
    /// The sender has it (2).
    Reply,
    /// Any other opcode.
    Other(u16),
}

impl From<u16> for ArpOperation {
    fn from(value: u16) -> Self {
        match value {
            1 => Self::Request,
            2 => Self::Reply,
            other => Self::Other(other),
        }
    }
}

impl From<ArpOperation> for u16 {
    fn from(operation: ArpOperation) -> Self {
        match operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
            ArpOperation::Other(other) => other,
        }
    }
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct ArpPacket {
    /// What the packet asks or says.
    pub operation: ArpOperation,
    /// Hardware address of the sender.
    pub sender_mac: MacAddr,
    /// IPv4 address of the sender; unspecified in a probe (RFC 5227 §2.1.1).
    pub sender_ip: Ipv4Addr,
    /// Hardware address of the target; without meaning in a request.
    pub target_mac: MacAddr,
    /// IPv4 address of the target.
    pub target_ip: Ipv4Addr,
}

impl ArpPacket {
    /// Length on the wire, in bytes, without Ethernet padding.
    pub const LEN: usize = 28;

    /// The packet at the start of `bytes`; what follows it is padding.
    ///
    /// # Errors
    /// [`ParseError::Truncated`], or [`ParseError::Malformed`] where the packet is not for IPv4
    /// over Ethernet.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let p: &[u8; Self::LEN] = array_at(Layer::Arp, bytes, 0)?;
        let malformed = |offset, what| Err(ParseError::malformed(Layer::Arp, offset, what));
        if [p[0], p[1]] != HARDWARE_ETHERNET.to_be_bytes() {
            return malformed(0, Malformed::HardwareType);
        }
        if [p[2], p[3]] != EtherType::IPV4.0.to_be_bytes() {
            return malformed(2, Malformed::ProtocolType);
        }
        if [p[4], p[5]] != ADDRESS_LENGTHS {
            return malformed(4, Malformed::AddressLength);
        }
        Ok(Self {
            operation: u16::from_be_bytes([p[6], p[7]]).into(),
            sender_mac: MacAddr([p[8], p[9], p[10], p[11], p[12], p[13]]),
            sender_ip: Ipv4Addr::new(p[14], p[15], p[16], p[17]),
            target_mac: MacAddr([p[18], p[19], p[20], p[21], p[22], p[23]]),
            target_ip: Ipv4Addr::new(p[24], p[25], p[26], p[27]),
        })
    }

    /// Writes the packet and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let p: &mut [u8; Self::LEN] = array_mut(Layer::Arp, buffer)?;
        p[..2].copy_from_slice(&HARDWARE_ETHERNET.to_be_bytes());
        p[2..4].copy_from_slice(&EtherType::IPV4.0.to_be_bytes());
        p[4..6].copy_from_slice(&ADDRESS_LENGTHS);
        p[6..8].copy_from_slice(&u16::from(self.operation).to_be_bytes());
        p[8..14].copy_from_slice(&self.sender_mac.0);
        p[14..18].copy_from_slice(&self.sender_ip.octets());
        p[18..24].copy_from_slice(&self.target_mac.0);
        p[24..].copy_from_slice(&self.target_ip.octets());
        Ok(Self::LEN)
    }
}

const HARDWARE_ETHERNET: u16 = 1;
const ADDRESS_LENGTHS: [u8; 2] = [6, 4];
