//! Entry into a user namespace, and the check of capabilities.

use std::fs;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

use super::error::LabError;

/// Where the right to make network namespaces comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The process had the capabilities already.
    Capabilities,
    /// The process moved into a user namespace of its own, where it is root.
    UserNamespace,
}

/// Obtains the right to make network namespaces, as root or as an ordinary user.
///
/// Call this first in `main`: without the capabilities the process moves into a new user namespace,
/// which Linux allows only to a process of one thread. Calling it again is harmless.
///
/// # Errors
/// [`LabError::Environment`] when this machine refuses, with a text that says what would help.
pub fn enter() -> Result<Privilege, LabError> {
    if has_capabilities() {
        probe_network_namespace()?;
        return Ok(Privilege::Capabilities);
    }
    if thread_count() != Some(1) {
        return Err(LabError::Environment(
            "a user namespace can be entered only before the process starts its first thread"
                .into(),
        ));
    }
    let (uid, gid) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(explain_user_namespace)?;
    // The group map is writable to an ordinary user only after `setgroups` is given up
    // (user_namespaces(7)).
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ];
    for (file, line) in maps {
        fs::write(file, &line).map_err(|error| {
            LabError::Environment(format!("cannot write '{line}' to {file}: {error}. {HELP}"))
        })?;
    }
    probe_network_namespace()?;
    Ok(Privilege::UserNamespace)
}

/// True if the process may administer networks, open packet sockets and make namespaces.
pub(super) fn has_capabilities() -> bool {
    const NET_ADMIN: u64 = 1 << 12;
    const NET_RAW: u64 = 1 << 13;
    const SYS_ADMIN: u64 = 1 << 21;
    const NEEDED: u64 = NET_ADMIN | NET_RAW | SYS_ADMIN;
    status_field("CapEff:")
        .and_then(|field| u64::from_str_radix(&field, 16).ok())
        .is_some_and(|effective| effective & NEEDED == NEEDED)
}

/// Makes a network namespace on a thread of its own and lets it vanish with that thread.
///
/// Some systems let a user namespace be made and then withhold its capabilities (AppArmor), so that
/// only a trial tells.
fn probe_network_namespace() -> Result<(), LabError> {
    thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET))
        .join()
        .unwrap_or(Err(Errno::EAGAIN))
        .map_err(|errno| {
            LabError::Environment(format!("cannot make a network namespace: {errno}. {HELP}"))
        })
}

fn explain_user_namespace(errno: Errno) -> LabError {
    let why = match errno {
        Errno::EPERM => "user namespaces are refused to this user or in this container",
        Errno::ENOSPC | Errno::EUSERS => "the limit user.max_user_namespaces is reached or 0",
        Errno::EINVAL | Errno::ENOSYS => {
            "this kernel has no user namespaces, or the process already has threads"
        }
        _ => "user namespaces do not work here",
    };
    LabError::Environment(format!(
        "cannot make a user namespace ({errno}): {why}. {HELP}"
    ))
}

const HELP: &str = "Run as root; or allow user namespaces (sysctl user.max_user_namespaces above 0, and 0 for \
kernel.apparmor_restrict_unprivileged_userns where that exists); or give the container the capabilities SYS_ADMIN, NET_ADMIN and NET_RAW";

fn thread_count() -> Option<usize> {
    status_field("Threads:")?.parse().ok()
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))?
            .trim()
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_fields_are_read() {
        assert!(thread_count().is_some_and(|threads| threads >= 1));
        assert!(
            status_field("CapEff:").is_some_and(|field| u64::from_str_radix(&field, 16).is_ok())
        );
        assert_eq!(status_field("NoSuchField:"), None);
    }
}
