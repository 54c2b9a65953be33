//! Topology of a lab: two hosts, their addresses and the links between them.

use super::error::LabError;
use super::host::HostHandle;
use super::link::{LinkEnd, LinkOptions, connect};
use super::wire::{IdleWire, lay};

/// The IPv4 address of the kernel's side, with its prefix.
pub const KERNEL_ADDRESS: &str = "10.77.0.1/24";
/// The IPv4 address meant for a Tidewire stack on the left; the kernel there does not own it.
pub const TIDEWIRE_ADDRESS: &str = "10.77.0.2/24";

/// How a [`Lab`] is made.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// The first link between the two hosts.
    pub link: LinkOptions,
}

impl Default for LabOptions {
    /// MTU 1500, no address on the left (a stack there brings its own), [`KERNEL_ADDRESS`] on the
    /// right.
    fn default() -> Self {
        let link = LinkOptions {
            right: LinkEnd {
                addresses: vec![KERNEL_ADDRESS.into()],
                ..LinkEnd::default()
            },
            ..LinkOptions::default()
        };
        Self { link }
    }
}

/// Two hosts, `left` and `right`, joined by a link.
#[derive(Debug)]
pub struct Lab {
    left: HostHandle,
    right: HostHandle,
}

impl Lab {
    /// Makes both hosts and their first link, named [`INTERFACE`](super::INTERFACE) at either end
    /// unless the options say otherwise.
    ///
    /// # Errors
    /// [`LabError::Environment`] without the right or without iproute2, [`LabError::Failed`] when a
    /// step fails.
    pub fn new(options: &LabOptions) -> Result<Self, LabError> {
        let lab = Self {
            left: HostHandle::start("left")?,
            right: HostHandle::start("right")?,
        };
        lab.add_link(&options.link)?;
        Ok(lab)
    }

    /// Adds one more link between the two hosts.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn add_link(&self, options: &LinkOptions) -> Result<(), LabError> {
        connect(&self.left, &self.right, options)
    }

    /// Adds a link that delays each frame and shows it to an observer: a third host joins the two
    /// by forwarding frames. Nothing is forwarded before [`IdleWire::start`].
    ///
    /// Offloads are switched off at both ends, so that each frame stands for one segment on the
    /// wire. The link lasts until the handle is stopped or dropped.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn add_slow_wire(&self, options: &LinkOptions) -> Result<IdleWire, LabError> {
        lay(&self.left, &self.right, options)
    }

    /// The host on the left: Tidewire's side.
    #[must_use]
    pub fn left(&self) -> &HostHandle {
        &self.left
    }

    /// The host on the right: the kernel's side.
    #[must_use]
    pub fn right(&self) -> &HostHandle {
        &self.right
    }

    /// The host called `left` or `right`.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&HostHandle> {
        [&self.left, &self.right]
            .into_iter()
            .find(|host| host.name() == name)
    }
}
