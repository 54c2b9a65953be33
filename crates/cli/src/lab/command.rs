//! The `ip` command of iproute2.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use super::error::LabError;

/// Runs `ip` with the given arguments in the calling thread's namespace and returns what it
/// printed.
///
/// # Errors
/// [`LabError::Environment`] when iproute2 is missing or the kernel refuses permission,
/// [`LabError::Failed`] with the command and its error output otherwise.
pub fn ip<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String, LabError> {
    let output = ip_output(arguments).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            LabError::Environment("the command 'ip' was not found: install iproute2".into())
        }
        _ => LabError::failed("cannot run 'ip'", error),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let command = describe(arguments);
    if complaint.contains("Operation not permitted") {
        return Err(LabError::Environment(format!("{command}: {complaint}")));
    }
    Err(LabError::failed(command, complaint))
}

/// The command as a person would type it.
pub(super) fn describe<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let mut text = String::from("ip");
    for argument in arguments {
        text.push(' ');
        text.push_str(&argument.as_ref().to_string_lossy());
    }
    text
}

/// An ordinary user's `PATH` often lacks the administrator's folders.
fn ip_output<S: AsRef<OsStr>>(arguments: &[S]) -> io::Result<Output> {
    let mut missing = None;
    for program in ["ip", "/usr/sbin/ip", "/sbin/ip"] {
        match Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            // Ctrl-C is for this process, which ends in order.
            .process_group(0)
            .output()
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = Some(error),
            outcome => return outcome,
        }
    }
    Err(missing.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_reports_itself_and_its_complaint() {
        let error = ip(&["link", "show", "dev", "no-such-device0"]).expect_err("no such device");
        assert!(
            error
                .to_string()
                .starts_with("ip link show dev no-such-device0: "),
            "{error}"
        );
        assert_eq!(error.exit_code(), 1);
    }
}
