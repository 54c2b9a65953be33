//! `struct virtio_net_hdr`: the 10 bytes before each frame of a packet socket with
//! `PACKET_VNET_HDR`, in the byte order of the host.

use crate::bytes::{array_at, array_mut};
use crate::error::{EmitError, Layer, ParseError};

/// The flags of a [`VnetHeader`].
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
pub struct VnetFlags(pub u8);

impl VnetFlags {
    /// No flag.
    pub const EMPTY: Self = Self(0);
    /// The checksum at `csum_start + csum_offset` holds the folded pseudo-header sum and is to be
    /// completed over what follows `csum_start`.
    pub const NEEDS_CSUM: Self = Self(1);
    /// The checksum has been verified.
    pub const DATA_VALID: Self = Self(2);

    /// Whether all of `other`'s flags are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a frame is to be cut into, or was put together from.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
pub enum GsoType {
    /// One packet as it is.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// UDP by IP fragmentation.
    Udp,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of `gso_size` bytes each.
    UdpL4,
    /// Any other type, without the ECN bit.
    Other(u8),
}

impl GsoType {
    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::None,
            1 => Self::TcpV4,
            3 => Self::Udp,
            4 => Self::TcpV6,
            5 => Self::UdpL4,
            other => Self::Other(other),
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::TcpV4 => 1,
            Self::Udp => 3,
            Self::TcpV6 => 4,
            Self::UdpL4 => 5,
            Self::Other(other) => other & !GSO_ECN,
        }
    }
}

/// Offload metadata of one frame.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq, Hash)]
pub struct VnetHeader {
    /// State of the checksum.
    pub flags: VnetFlags,
    /// Segmentation.
    pub gso: GsoType,
    /// The segments carry ECN's CWR: only the first may keep it.
    pub ecn: bool,
    /// Length of the headers repeated in each segment, in bytes; a hint.
    pub header_len: u16,
    /// Payload of each segment but the last, in bytes.
    pub gso_size: u16,
    /// Where the checksum starts, in bytes from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum is stored, in bytes from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Length, in bytes.
    pub const LEN: usize = 10;

    /// The header at the start of `bytes`.
    ///
    /// # Errors
    /// [`ParseError::Truncated`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let h: &[u8; Self::LEN] = array_at(Layer::Vnet, bytes, 0)?;
        Ok(Self {
            flags: VnetFlags(h[0]),
            gso: GsoType::from_bits(h[1] & !GSO_ECN),
            ecn: h[1] & GSO_ECN != 0,
            header_len: u16::from_ne_bytes([h[2], h[3]]),
            gso_size: u16::from_ne_bytes([h[4], h[5]]),
            csum_start: u16::from_ne_bytes([h[6], h[7]]),
            csum_offset: u16::from_ne_bytes([h[8], h[9]]),
        })
    }

    /// The header as bytes.
    #[inline]
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let ecn = if self.ecn { GSO_ECN } else { 0 };
        let [header_a, header_b] = self.header_len.to_ne_bytes();
        let [size_a, size_b] = self.gso_size.to_ne_bytes();
        let [start_a, start_b] = self.csum_start.to_ne_bytes();
        let [offset_a, offset_b] = self.csum_offset.to_ne_bytes();
        let (flags, gso) = (self.flags.0, self.gso.bits() | ecn);
        [
            flags, gso, header_a, header_b, size_a, size_b, start_a, start_b, offset_a, offset_b,
        ]
    }

    /// Writes the header and returns its length.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        *array_mut(Layer::Vnet, buffer)? = self.encode();
        Ok(Self::LEN)
    }
}

/// `VIRTIO_NET_HDR_GSO_ECN`.
const GSO_ECN: u8 = 0x80;
