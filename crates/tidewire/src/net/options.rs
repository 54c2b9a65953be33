//! Checks of socket options, with the kernel's ranges.

use std::io;

use tidewire_core::{Duration, KeepAlive};

use crate::error::os_error;

/// A TTL as the core takes it: 1 to 255.
pub(super) fn hop_limit(ttl: u32) -> io::Result<u8> {
    u8::try_from(ttl)
        .ok()
        .filter(|&hop_limit| hop_limit > 0)
        .ok_or_else(|| os_error(libc::EINVAL))
}

/// Refuses times and counts of zero, as the kernel does.
pub(super) fn check_keepalive(keepalive: Option<KeepAlive>) -> io::Result<()> {
    let is_valid = keepalive.is_none_or(|given| {
        given.idle > Duration::ZERO && given.interval > Duration::ZERO && given.count > 0
    });
    if !is_valid {
        return Err(os_error(libc::EINVAL));
    }
    Ok(())
}
