//! Link between two hosts: a veth pair and the options of its ends.

use std::fs;

use super::error::LabError;
use super::host::HostHandle;
use super::offload::set_offloads;

/// The interface name at both ends of a lab's first link.
pub const INTERFACE: &str = "tw0";

/// One veth pair between two hosts.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// The interface's name, the same at both ends; at most 15 bytes.
    pub name: String,
    /// The MTU in bytes.
    pub mtu: u32,
    /// The end on the left.
    pub left: LinkEnd,
    /// The end on the right.
    pub right: LinkEnd,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            name: INTERFACE.into(),
            mtu: 1500,
            left: LinkEnd::default(),
            right: LinkEnd::default(),
        }
    }
}

/// One end of a link.
#[derive(Debug, Clone)]
pub struct LinkEnd {
    /// Addresses with prefixes that the kernel owns there. IPv6 stays off at an end without an IPv6
    /// address, so that an idle link carries no unsolicited frames.
    pub addresses: Vec<String>,
    /// Whether segmentation, coalescing and checksum offloads stay on.
    pub offloads: bool,
}

impl Default for LinkEnd {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            offloads: true,
        }
    }
}

/// Makes the veth pair, configures both ends and brings them up.
pub(super) fn connect(
    left: &HostHandle,
    right: &HostHandle,
    options: &LinkOptions,
) -> Result<(), LabError> {
    let name = options.name.as_str();
    pair((left, name), (right, name), options.mtu)?;
    configure(left, name, &options.left)?;
    configure(right, name, &options.right)
}

/// Makes a veth pair with one end in each host, both still down.
pub(super) fn pair(
    a: (&HostHandle, &str),
    b: (&HostHandle, &str),
    mtu: u32,
) -> Result<(), LabError> {
    let (mtu, peer_tid) = (mtu.to_string(), b.0.tid().to_string());
    a.0.ip(&[
        "link", "add", a.1, "mtu", &mtu, "type", "veth", "peer", "name", b.1, "mtu", &mtu, "netns",
        &peer_tid,
    ])
    .map(drop)
}

/// Applies an end's options and brings the interface up.
pub(super) fn configure(host: &HostHandle, interface: &str, end: &LinkEnd) -> Result<(), LabError> {
    if !end.offloads {
        let name = interface.to_owned();
        host.run(move || set_offloads(&name, false))
            .map_err(|error| {
                LabError::failed(
                    format!("cannot switch the offloads of {interface} off"),
                    error,
                )
            })?;
    }
    if !end.addresses.iter().any(|address| address.contains(':')) {
        silence_ipv6(host, interface)?;
    }
    for address in &end.addresses {
        // `nodad`: an address is usable at once, without a second of duplicate address detection.
        let detection: &[&str] = if address.contains(':') {
            &["nodad"]
        } else {
            &[]
        };
        let arguments = [
            &["address", "add", address.as_str(), "dev", interface],
            detection,
        ]
        .concat();
        host.ip(&arguments)?;
    }
    host.ip(&["link", "set", interface, "up"]).map(drop)
}

/// Keeps the kernel from sending router solicitations and multicast reports on an interface without
/// IPv6.
fn silence_ipv6(host: &HostHandle, interface: &str) -> Result<(), LabError> {
    // No link-local address, no IPv6 frames: this needs no writable /proc, which containers often
    // lack.
    host.ip(&["link", "set", interface, "addrgenmode", "none"])?;
    let switch = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    // Without the file or the right to write it, the missing link-local address is enough.
    drop(host.run(move || fs::write(switch, "1")));
    Ok(())
}
