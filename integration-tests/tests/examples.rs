//! The programs of `examples/`, run as a reader runs them.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::Trial;
use tidewire_cli::lab::{HostHandle, INTERFACE, TIDEWIRE_ADDRESS};
use tidewire_integration_tests::{Flavor, Net, TIDEWIRE, TestResult, main as run, on};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> ExitCode {
    run([
        on(Flavor::CurrentThread, "echo_server", echo_server),
        on(
            Flavor::CurrentThread,
            "echo_server_without_arguments",
            usage,
        ),
        on(Flavor::CurrentThread, "bulk_transfer", bulk_transfer),
        Trial::test("simulation", simulation),
    ])
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    /// Starts `command` on a host.
    fn on(host: &HostHandle, mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        host.run(move || command.spawn()).map(Self)
    }

    /// The lines that it prints.
    fn lines(&mut self) -> io::Result<impl Iterator<Item = io::Result<String>>> {
        let output = self.0.stdout.take();
        let output = output.ok_or_else(|| io::Error::other("taken before"))?;
        Ok(BufReader::new(output).lines())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn echo_server(net: Net) -> TestResult {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo_server"));
    command.args([INTERFACE, TIDEWIRE_ADDRESS]);
    let mut server = Running::on(net.left(), command)?;
    let mut lines = server.lines()?;
    assert_eq!(
        lines.next().transpose()?.as_deref(),
        Some("listening at port 7")
    );

    let mut theirs = net.kernel_connect((TIDEWIRE, 7).into()).await?;
    theirs.write_all(b"echo").await?;
    theirs.shutdown().await?;
    let mut echo = String::new();
    theirs.read_to_string(&mut echo).await?;
    assert_eq!(echo, "echo");
    let line = lines.next().transpose()?.ok_or("the server has ended")?;
    assert_eq!(line, format!("{}: 4 bytes", theirs.local_addr()?));
    Ok(())
}

async fn usage(_: Net) -> TestResult {
    let output = Command::new(env!("CARGO_BIN_EXE_echo_server")).output()?;
    assert!(!output.status.success());
    let complaint = String::from_utf8(output.stderr)?;
    assert!(complaint.contains("usage: echo_server"), "{complaint}");
    Ok(())
}

async fn bulk_transfer(net: Net) -> TestResult {
    let (listener, address) = net.kernel_listener().await?;
    let sink = net.spawn_right(async move {
        let (mut stream, peer) = listener.accept().await?;
        let bytes = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        io::Result::Ok((bytes, peer.ip()))
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulk_transfer"));
    command
        .args([&address.to_string(), "32"])
        .env("TIDEWIRE_IFACE", INTERFACE)
        .env("TIDEWIRE_ADDR", TIDEWIRE_ADDRESS);
    let mut program = Running::on(net.left(), command)?;
    assert_eq!(sink.await??, (32 << 20, TIDEWIRE));

    let lines: Vec<String> = program.lines()?.collect::<Result<_, _>>()?;
    assert_eq!(lines[0], "sent 32 MiB, received 0 MiB");
    assert!(lines[1].ends_with("Gbit/s"), "{lines:?}");
    assert!(program.0.wait()?.success());
    Ok(())
}

/// Its table, which no machine changes, gets slower from row to row.
fn simulation() -> TestResult {
    let output = Command::new(env!("CARGO_BIN_EXE_simulation")).output()?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let rates: Vec<f64> = text
        .lines()
        .filter_map(|line| {
            line.strip_suffix(" Mbit/s")?
                .split_whitespace()
                .last()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(rates.len(), 5, "{text}");
    assert!(rates.is_sorted_by(|a, b| a >= b), "{text}");
    assert!(text.ends_with("the same frames at the same times\n"));
    Ok(())
}
