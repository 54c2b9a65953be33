//! Programs that a test runs on a host.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use tidewire_cli::lab::HostHandle;

/// A program on one of the hosts, which ends with the test.
#[derive(Debug)]
pub struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts `command` on a host.
    ///
    /// # Errors
    /// Those of starting it.
    pub fn start(host: &HostHandle, mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = host.run(move || command.spawn())?;
        let output = child.stdout.take();
        let output = BufReader::new(output.ok_or_else(|| io::Error::other("it has no output"))?);
        Ok(Self { child, output })
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// `UnexpectedEof` when it has ended.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits until it ends; what it printed since the last line, and how it ended.
    ///
    /// # Errors
    /// Those of reading its output.
    pub fn finish(&mut self) -> io::Result<(Vec<String>, ExitStatus)> {
        let lines = self.output.by_ref().lines().collect::<io::Result<_>>()?;
        Ok((lines, self.child.wait()?))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
