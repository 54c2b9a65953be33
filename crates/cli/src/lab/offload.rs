//! Offload switches of an interface, by ethtool netlink.

use std::io;

use crate::netlink::{self, Netlink, Reply, attribute, find_attribute, nested};

/// Switches every segmentation, receive-coalescing and checksum offload of an interface in the
/// calling thread's namespace.
///
/// Without offloads each frame on the wire is at most MTU long and carries full checksums, as on a
/// plain network card. Works through the kernel's ethtool netlink family (Linux 5.7), so that no
/// `ethtool` program is needed.
///
/// # Errors
/// `ENOENT` when the kernel lacks that family, `ENODEV` for an unknown interface, `EPERM` without
/// `CAP_NET_ADMIN`.
pub fn set_offloads(interface: &str, on: bool) -> io::Result<()> {
    let mut netlink = Netlink::open(netlink::GENERIC)?;
    let family = ethtool_family(&mut netlink)?;
    let mut body = vec![ETHTOOL_MSG_FEATURES_SET, ETHTOOL_GENL_VERSION, 0, 0];
    nested(&mut body, ETHTOOL_A_FEATURES_HEADER, |header| {
        attribute(header, ETHTOOL_A_HEADER_DEV_NAME, &terminated(interface));
        attribute(
            header,
            ETHTOOL_A_HEADER_FLAGS,
            &ETHTOOL_FLAG_OMIT_REPLY.to_ne_bytes(),
        );
    });
    nested(&mut body, ETHTOOL_A_FEATURES_WANTED, |bitset| {
        nested(bitset, ETHTOOL_A_BITSET_BITS, |bits| {
            for feature in FEATURES {
                nested(bits, ETHTOOL_A_BITSET_BITS_BIT, |bit| {
                    attribute(bit, ETHTOOL_A_BITSET_BIT_NAME, &terminated(feature));
                    if on {
                        attribute(bit, ETHTOOL_A_BITSET_BIT_VALUE, &[]);
                    }
                });
            }
        });
    });
    netlink
        .request(family, &body, Reply::Acknowledgement)
        .map(drop)
}

/// The kernel's names of the features (`ethtool -k`), each present on every interface type.
const FEATURES: [&str; 7] = [
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-generic-segmentation",
    "rx-gro",
    "tx-checksum-ip-generic",
    "rx-checksum",
];

fn ethtool_family(netlink: &mut Netlink) -> io::Result<u16> {
    let mut body = vec![CTRL_CMD_GETFAMILY, 1, 0, 0];
    attribute(&mut body, CTRL_ATTR_FAMILY_NAME, &terminated("ethtool"));
    let answer = netlink.request(GENL_ID_CTRL, &body, Reply::Message)?;
    answer
        .get(GENL_HEADER_LEN..)
        .and_then(|attributes| find_attribute(attributes, CTRL_ATTR_FAMILY_ID))
        .and_then(|id| netlink::u16_at(id, 0))
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the netlink family 'ethtool' has no id",
            )
        })
}

fn terminated(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

// linux/genetlink.h
const GENL_ID_CTRL: u16 = 16;
const GENL_HEADER_LEN: usize = 4;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
// linux/ethtool_netlink.h
const ETHTOOL_GENL_VERSION: u8 = 1;
const ETHTOOL_MSG_FEATURES_SET: u8 = 12;
const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
const ETHTOOL_A_HEADER_FLAGS: u16 = 3;
const ETHTOOL_FLAG_OMIT_REPLY: u32 = 2;
const ETHTOOL_A_BITSET_BITS: u16 = 3;
const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;
const ETHTOOL_A_BITSET_BIT_VALUE: u16 = 3;
