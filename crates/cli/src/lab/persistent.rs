//! Persistent lab, which outlives the command that made it: `tidewire lab up`, `exec`, `down`.
//!
//! As root it is two named namespaces (`ip netns`). As an ordinary user it is a holder process in a
//! user namespace of its own, whose id is kept in a private folder of the user; whoever joins
//! enters the holder's namespaces.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, thread};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, Uid, setsid};
use serde::{Deserialize, Serialize};

use super::command::{describe, ip};
use super::enter::{enter, has_capabilities};
use super::error::LabError;
use super::link::INTERFACE;
use super::topology::{KERNEL_ADDRESS, Lab, LabOptions};

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Tidewire's side: an interface without a kernel address.
    Left,
    /// The kernel's side.
    Right,
}

impl Side {
    fn namespace(self) -> &'static str {
        match self {
            Self::Left => "tidewire-left",
            Self::Right => "tidewire-right",
        }
    }

    /// Where `ip netns` keeps the namespace.
    fn path(self) -> PathBuf {
        Path::new("/run/netns").join(self.namespace())
    }
}

/// Makes the lab and returns what it did, a line for each step. A lab that is already up is an
/// error.
///
/// # Errors
/// [`LabError::Environment`] without the right, [`LabError::Failed`] when a step fails (the lab is
/// then taken down again).
pub fn up(mtu: u32) -> Result<Vec<String>, LabError> {
    if !has_capabilities() {
        return start_holder(mtu);
    }
    let present = [Side::Left, Side::Right]
        .into_iter()
        .find(|side| side.path().exists());
    if let Some(side) = present {
        let name = side.namespace();
        return Err(LabError::Failed(format!(
            "the lab is already up: namespace {name} exists"
        )));
    }
    let mut log = Vec::new();
    let outcome = named_lab_commands(mtu).iter().try_for_each(|arguments| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        ip(&arguments)?;
        log.push(describe(&arguments));
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(log),
        Err(error) => {
            down()?;
            Err(error)
        }
    }
}

/// Takes the lab down and returns a line for each step; none if there was no lab.
///
/// # Errors
/// [`LabError::Failed`] when the kernel refuses a step.
pub fn down() -> Result<Vec<String>, LabError> {
    let mut log = Vec::new();
    if has_capabilities() {
        for side in [Side::Left, Side::Right] {
            if side.path().exists() {
                let arguments = ["netns", "delete", side.namespace()];
                ip(&arguments)?;
                log.push(describe(&arguments));
            }
        }
    }
    if let Some(holder) = Holder::find()? {
        holder.end()?;
        log.push(format!("kill {}", holder.pid));
    }
    Ok(log)
}

/// Becomes `program`, running on one side of the lab. Returns only if that fails.
///
/// # Errors
/// [`LabError::Environment`] when there is no lab, [`LabError::Failed`] when the program cannot be
/// started.
pub fn exec(side: Side, program: &[String]) -> Result<(), LabError> {
    let Some((name, arguments)) = program.split_first() else {
        return Err(LabError::Failed("no command was given".into()));
    };
    if has_capabilities() && side.path().exists() {
        join_namespace(&side.path(), CloneFlags::CLONE_NEWNET)?;
    } else if let Some(holder) = Holder::find()? {
        let process = PathBuf::from(format!("/proc/{}", holder.pid));
        let tid = match side {
            Side::Left => holder.left_tid,
            Side::Right => holder.right_tid,
        };
        // Opened before the user namespace changes what /proc allows.
        let network = process.join(format!("task/{tid}/ns/net"));
        join_namespaces(&process.join("ns/user"), &network)?;
    } else {
        return Err(LabError::Environment(
            "no lab is up: run 'tidewire lab up' first".into(),
        ));
    }
    let error = Command::new(name).args(arguments).exec();
    Err(LabError::failed(format!("cannot run {name}"), error))
}

/// The body of the holder process: makes the lab, reports on standard output, and waits to be
/// ended.
///
/// # Errors
/// Those of [`enter`] and [`Lab::new`].
pub fn hold(mtu: u32) -> Result<(), LabError> {
    let failed = |error: Errno| LabError::failed("cannot become a holder", error);
    setsid().map_err(failed)?;
    // Blocked here so that the lab's threads inherit it and the wait below gets the signal.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(failed)?;
    enter()?;
    let mut options = LabOptions::default();
    options.link.mtu = mtu;
    let lab = Lab::new(&options)?;
    let holder = Holder {
        pid: Pid::this().as_raw(),
        started: start_time(Pid::this().as_raw()).unwrap_or_default(),
        left_tid: lab.left().tid().as_raw(),
        right_tid: lab.right().tid().as_raw(),
    };
    let report =
        serde_json::to_string(&holder).map_err(|error| LabError::failed("cannot report", error))?;
    writeln!(io::stdout(), "{report}").map_err(|error| LabError::failed("cannot report", error))?;
    signals.wait().map_err(failed)?;
    Ok(())
}

/// The commands that make the named lab.
fn named_lab_commands(mtu: u32) -> Vec<String> {
    let (left, right) = (Side::Left.namespace(), Side::Right.namespace());
    let mut commands = vec![
        format!("netns add {left}"),
        format!("netns add {right}"),
        format!(
            "link add {INTERFACE} mtu {mtu} netns {left} type veth peer name {INTERFACE} mtu {mtu} netns {right}"
        ),
    ];
    for side in [left, right] {
        commands.push(format!("-n {side} link set lo up"));
        // Without a link-local address the kernel sends no unsolicited IPv6 frames.
        commands.push(format!("-n {side} link set {INTERFACE} addrgenmode none"));
    }
    commands.push(format!(
        "-n {right} address add {KERNEL_ADDRESS} dev {INTERFACE}"
    ));
    commands.push(format!("-n {left} link set {INTERFACE} up"));
    commands.push(format!("-n {right} link set {INTERFACE} up"));
    commands
}

/// The process that keeps a rootless lab alive, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    pid: i32,
    /// Start time in clock ticks since boot: tells this process from a later one with the same id.
    started: u64,
    left_tid: i32,
    right_tid: i32,
}

impl Holder {
    /// The running holder of this user, if there is one. The file of one that is gone is removed.
    fn find() -> Result<Option<Self>, LabError> {
        let folder = state_folder();
        let path = folder.join(STATE_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LabError::failed(path.display(), error)),
        };
        // Another user's file must not choose the process to end or to join.
        check_private(&folder)?;
        let holder = serde_json::from_str::<Self>(&text).ok();
        if let Some(holder) = holder
            && start_time(holder.pid) == Some(holder.started)
        {
            return Ok(Some(holder));
        }
        remove_state_file()?;
        Ok(None)
    }

    fn end(&self) -> Result<(), LabError> {
        let pid = Pid::from_raw(self.pid);
        for (signal, patience) in [(Signal::SIGTERM, 2), (Signal::SIGKILL, 2)] {
            match kill(pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(LabError::failed(format!("cannot end process {pid}"), errno));
                }
            }
            let deadline = Instant::now() + Duration::from_secs(patience);
            while Instant::now() < deadline {
                if start_time(self.pid) != Some(self.started) {
                    return remove_state_file();
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        Err(LabError::Failed(format!("process {pid} does not end")))
    }
}

fn start_holder(mtu: u32) -> Result<Vec<String>, LabError> {
    if let Some(holder) = Holder::find()? {
        return Err(LabError::Failed(format!(
            "the lab is already up, held by process {}",
            holder.pid
        )));
    }
    let failed =
        |error: io::Error| LabError::failed("cannot start the lab's holder process", error);
    let mtu = mtu.to_string();
    let mut child = Command::new(env::current_exe().map_err(failed)?)
        .args(["lab", "hold", "--mtu", &mtu])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut report = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut report)
            .map_err(failed)?;
    }
    let Ok(holder) = serde_json::from_str::<Holder>(&report) else {
        let output = child.wait_with_output().map_err(failed)?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.trim().trim_start_matches("tidewire: ").to_owned();
        return Err(match output.status.code() {
            Some(3) => LabError::Environment(complaint),
            _ => LabError::Failed(complaint),
        });
    };
    if let Err(error) = write_state_file(&report) {
        holder.end()?;
        return Err(error);
    }
    Ok(vec![
        format!(
            "started process {} in a user namespace of its own",
            holder.pid
        ),
        format!(
            "left: thread {}, {INTERFACE} without a kernel address",
            holder.left_tid
        ),
        format!(
            "right: thread {}, {INTERFACE} with {KERNEL_ADDRESS}",
            holder.right_tid
        ),
    ])
}

fn join_namespaces(user: &Path, network: &Path) -> Result<(), LabError> {
    let network_file =
        File::open(network).map_err(|error| LabError::failed(network.display(), error))?;
    join_namespace(user, CloneFlags::CLONE_NEWUSER)?;
    setns(network_file, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| LabError::failed(format!("cannot enter {}", network.display()), errno))
}

fn join_namespace(path: &Path, kind: CloneFlags) -> Result<(), LabError> {
    let file = File::open(path).map_err(|error| LabError::failed(path.display(), error))?;
    setns(file, kind)
        .map_err(|errno| LabError::failed(format!("cannot enter {}", path.display()), errno))
}

const STATE_FILE: &str = "lab.json";

/// The user's own folder, which need not exist: under `XDG_RUNTIME_DIR` if that is this user's,
/// else under /tmp.
fn state_folder() -> PathBuf {
    let uid = Uid::effective();
    let owned =
        |folder: &PathBuf| fs::metadata(folder).is_ok_and(|found| found.uid() == uid.as_raw());
    env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(owned)
        .map_or_else(
            || PathBuf::from(format!("/tmp/tidewire-{uid}")),
            |base| base.join("tidewire"),
        )
}

/// Refuses a folder that another user could have put there or could change.
fn check_private(folder: &Path) -> Result<(), LabError> {
    let found =
        fs::symlink_metadata(folder).map_err(|error| LabError::failed(folder.display(), error))?;
    if found.is_dir() && found.uid() == Uid::effective().as_raw() && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(LabError::Failed(format!(
        "{} is not a private folder of this user",
        folder.display()
    )))
}

fn write_state_file(text: &str) -> Result<(), LabError> {
    let folder = state_folder();
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(LabError::failed(folder.display(), error));
        }
        _ => check_private(&folder)?,
    }
    let path = folder.join(STATE_FILE);
    fs::write(&path, text).map_err(|error| LabError::failed(path.display(), error))
}

/// Removes the file and, where it is empty, its folder.
fn remove_state_file() -> Result<(), LabError> {
    let folder = state_folder();
    match fs::remove_file(folder.join(STATE_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(LabError::failed(folder.join(STATE_FILE).display(), error));
        }
        _ => {}
    }
    // Another file of Tidewire may live there.
    drop(fs::remove_dir(folder));
    Ok(())
}

/// When a process started, in clock ticks since boot; `None` if there is none, or a zombie.
fn start_time(pid: i32) -> Option<u64> {
    parse_start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads proc_pid_stat(5): the command in parentheses may itself hold spaces and parentheses.
fn parse_start_time(stat: &str) -> Option<u64> {
    let mut fields = stat
        .get(stat.rfind(')')?.checked_add(1)?..)?
        .split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_survives_an_odd_process_name() {
        let line = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1";
        assert_eq!(parse_start_time(line), Some(987_654));
        assert_eq!(parse_start_time(&line.replace(" S ", " Z ")), None);
        assert_eq!(parse_start_time("no parenthesis"), None);
    }

    #[test]
    fn the_own_process_has_a_start_time() {
        assert!(start_time(Pid::this().as_raw()).is_some_and(|ticks| ticks > 0));
    }

    #[test]
    fn the_named_lab_gives_an_address_to_the_kernel_side_only() {
        let commands = named_lab_commands(9000);
        let addressed: Vec<_> = commands
            .iter()
            .filter(|line| line.contains("address add"))
            .collect();
        assert_eq!(
            addressed,
            ["-n tidewire-right address add 10.77.0.1/24 dev tw0"]
        );
        assert!(commands.iter().any(|line| line.contains("mtu 9000")));
    }
}
