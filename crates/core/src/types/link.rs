//! Link capabilities: MAC address, MTU, offloads.

use tidewire_wire::MacAddr;

use crate::error::ConfigError;

/// The least MTU: fixed headers, 40 bytes of options, and something to carry. (RFC 791 allows links
/// of 68 bytes, on which TCP with options has no room.)
const MIN_MTU: u32 = 128;
/// The least MTU of a link that carries IPv6 (RFC 8200 §5).
const MIN_IPV6_MTU: u32 = 1280;

/// The link's address, sizes and offloads. A driver reports it at start and whenever it changes.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct LinkCaps {
    /// The stack's own MAC address on this link.
    pub mac: MacAddr,
    /// Largest IP packet on the wire, in bytes.
    pub ip_mtu: u32,
    /// Largest frame the device takes for segmentation, Ethernet header included, in bytes; 0 when
    /// it cannot segment.
    pub max_superframe: u32,
    /// Whether the device completes TCP checksums. Needed for super-frames.
    pub tx_checksum: bool,
    /// Whether the link carries frames at all; a stack sends nothing while it is down.
    pub up: bool,
}

impl LinkCaps {
    /// A plain Ethernet link without offloads.
    #[must_use]
    pub const fn ethernet(mac: MacAddr, ip_mtu: u32) -> Self {
        Self {
            mac,
            ip_mtu,
            max_superframe: 0,
            tx_checksum: false,
            up: true,
        }
    }

    /// The same link with segmentation and checksum offload, as veth with `PACKET_VNET_HDR` gives:
    /// frames of up to 65,535 bytes in all.
    #[must_use]
    pub const fn with_offload(self) -> Self {
        Self {
            max_superframe: 65_535,
            tx_checksum: true,
            ..self
        }
    }

    pub(crate) fn validate(&self, speaks_ipv6: bool) -> Result<(), ConfigError> {
        let least = if speaks_ipv6 { MIN_IPV6_MTU } else { MIN_MTU };
        if !(least..=65_535).contains(&self.ip_mtu) {
            return Err(ConfigError::BadMtu);
        }
        if self.mac.is_multicast() || self.mac == MacAddr([0; 6]) {
            return Err(ConfigError::BadMac);
        }
        Ok(())
    }
}
