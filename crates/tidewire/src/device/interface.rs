//! Network interfaces of the host, checked before a packet socket is opened on one.

use std::net::IpAddr;

use crate::error::StackError;

/// One interface of the host.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
}

impl Interface {
    /// Looks `name` up and checks that a stack with these `addresses` can work on it.
    ///
    /// # Errors
    /// There is no such interface, it is down or the loopback, or the kernel itself has one of the
    /// addresses: it would answer every segment to it with a reset.
    pub(crate) fn find(name: &str, addresses: &[IpAddr]) -> Result<Self, StackError> {
        let all = pnet_datalink::interfaces();
        let Some(found) = all.iter().find(|interface| interface.name == name) else {
            let available = all
                .iter()
                .filter(|interface| !interface.is_loopback())
                .map(|interface| interface.name.clone())
                .collect();
            return Err(StackError::NoSuchInterface {
                interface: name.into(),
                available,
            });
        };
        let name = || name.to_owned();
        if found.is_loopback() {
            return Err(StackError::Loopback { interface: name() });
        }
        if !found.is_up() {
            return Err(StackError::LinkDown { interface: name() });
        }
        if !found.is_lower_up() {
            return Err(StackError::NoCarrier { interface: name() });
        }
        for &address in addresses {
            let owner = all
                .iter()
                .find(|interface| interface.ips.iter().any(|own| own.ip() == address));
            if let Some(owner) = owner {
                return Err(StackError::AddressOfKernel {
                    address,
                    interface: owner.name.clone(),
                });
            }
        }
        Ok(Self {
            name: name(),
            index: found.index,
        })
    }
}
