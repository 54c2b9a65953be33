//! IP addresses: own addresses with their prefixes, gateways, and predicates.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An own address with the length of its on-link prefix, `10.0.0.2/24`.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct IpCidr {
    /// The address.
    pub address: IpAddr,
    /// Leading bits shared by all hosts of the link: 0 to 32, or 0 to 128.
    pub prefix_len: u8,
}

impl IpCidr {
    /// `address/prefix_len`.
    #[must_use]
    pub const fn new(address: IpAddr, prefix_len: u8) -> Self {
        Self {
            address,
            prefix_len,
        }
    }

    /// Whether `other` is on this prefix. Addresses of the other IP version never are.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix_len.min(32)))
                    .unwrap_or(0);
                (u32::from(own) ^ u32::from(other)) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix_len.min(128)))
                    .unwrap_or(0);
                (u128::from(own) ^ u128::from(other)) & mask == 0
            }
            _ => false,
        }
    }
}

/// Next hops for destinations off every own prefix: one of each IP version at most.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Gateways {
    /// The router for IPv4.
    pub v4: Option<Ipv4Addr>,
    /// The router for IPv6; a link-local address is the usual one.
    pub v6: Option<Ipv6Addr>,
}

impl Gateways {
    /// Sets the gateway of the address's own version.
    pub fn set(&mut self, gateway: IpAddr) {
        match gateway {
            IpAddr::V4(gateway) => self.v4 = Some(gateway),
            IpAddr::V6(gateway) => self.v6 = Some(gateway),
        }
    }

    /// The gateway that leads to `destination`.
    #[must_use]
    pub fn to(&self, destination: IpAddr) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

impl From<IpAddr> for Gateways {
    fn from(gateway: IpAddr) -> Self {
        let mut gateways = Self::default();
        gateways.set(gateway);
        gateways
    }
}

/// Whether this is a link-local IPv6 address (RFC 4291 §2.5.6).
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Whether a listener on `listening` serves `address`: the unspecified address stands for every
/// address of its version, and `::` for every IPv4 address as well.
pub(crate) fn covers(listening: IpAddr, address: IpAddr) -> bool {
    listening == address
        || match listening {
            IpAddr::V4(any) => any.is_unspecified() && address.is_ipv4(),
            IpAddr::V6(any) => any.is_unspecified(),
        }
}

/// Whether one address is served by listeners on both.
pub(crate) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    covers(a, b) || covers(b, a)
}
