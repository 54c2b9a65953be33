//! Helpers for tests of the command in a lab. They run as root or, in a user namespace, as any
//! user.

use std::env;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Output, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use tidewire_cli::lab::{self, HostHandle};

/// Runs trials in a process that may make network namespaces.
pub(crate) fn main(trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !arguments.list
        && let Err(error) = lab::enter()
    {
        eprintln!("SKIPPED, all of it: {error}");
        // Where CI is set a test that cannot run is a failure.
        return if env::var_os("CI").is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    // A child inherits copies of other children's pipes until it executes its program, which delays
    // their end of file.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The command on a host, with its streams piped.
pub(crate) fn run(
    host: &HostHandle,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Child, Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewire"));
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(host.run(move || command.spawn())?)
}

/// Gives `input` to the child's standard input, from a thread of its own, and waits for the child's
/// end.
pub(crate) fn finish(mut child: Child, input: Vec<u8>) -> Result<Output, Failed> {
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    // A child that ended early has closed the pipe; its exit code tells.
    drop(feeder.join());
    Ok(output)
}

/// Reads the child's standard error up to a line that contains `text`, and leaves the rest in the
/// pipe.
pub(crate) fn wait_for(child: &mut Child, text: &str) -> Result<(), Failed> {
    let stderr = child.stderr.as_mut().ok_or("no pipe")?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stderr.read(&mut byte)? == 1 {
        line.extend(byte);
        if byte == *b"\n" {
            if String::from_utf8_lossy(&line).contains(text) {
                return Ok(());
            }
            line.clear();
        }
    }
    Err(format!("ended without '{text}'").into())
}

pub(crate) fn succeeded(output: &Output) -> Result<(), Failed> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}
