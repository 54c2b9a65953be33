//! The programs of `examples/`, run from the command line.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, ExitCode};

use libtest_mimic::{Failed, Trial};
use tidewire_cli::lab::INTERFACE;
use tidewire_integration_tests::{Flavor, Net, Program, Setting, TestResult, Version, main as run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn main() -> ExitCode {
    // The examples are programs of their own: this process' runtime makes no difference.
    let on = |version| Setting::new(Flavor::CurrentThread, version);
    let mut trials = vec![
        on(Version::V4).trial("echo_server", echo_server),
        on(Version::V6).trial("ipv6_echo", ipv6_echo),
        Trial::test("each_is_short", length),
        Trial::test("without_arguments", usage),
        Trial::test("simulation", simulation),
        Trial::test("congestion_control", congestion_control),
    ];
    for version in Version::EACH {
        trials.push(on(version).trial("bulk_transfer", bulk_transfer));
        trials.push(on(version).trial("http_server_and_client", http_server_and_client));
        trials.push(on(version).trial("split_proxy", split_proxy));
    }
    run(trials)
}

async fn echo_server(net: Net) -> TestResult {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo_server"));
    command.args([INTERFACE, &net.tidewire_address()]);
    let mut server = Program::start(net.left(), command)?;
    assert_eq!(server.line()?, "listening at port 7");
    let theirs = echoes(&net).await?;
    assert_eq!(server.line()?, format!("{theirs}: 4 bytes"));
    Ok(())
}

async fn ipv6_echo(net: Net) -> TestResult {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipv6_echo"));
    command.args([INTERFACE, "fd99::1/64", &net.tidewire_address()]);
    let mut server = Program::start(net.left(), command)?;
    assert_eq!(server.line()?, "listening at [::]:7");
    let theirs = echoes(&net).await?;
    let line = format!("{theirs} to [{}]:7: 4 bytes", net.tidewire());
    assert_eq!(server.line()?, line);
    Ok(())
}

/// Checks the echo of port 7 over a kernel connection, and returns the connection's local address.
async fn echoes(net: &Net) -> io::Result<SocketAddr> {
    let mut theirs = net.kernel_connect((net.tidewire(), 7).into()).await?;
    theirs.write_all(b"echo").await?;
    theirs.shutdown().await?;
    let mut echo = String::new();
    theirs.read_to_string(&mut echo).await?;
    assert_eq!(echo, "echo");
    theirs.local_addr()
}

/// Each example is short enough to be read at a glance.
fn length() -> TestResult {
    let mut examples = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = std::fs::read_to_string(&path)?.lines().count();
            assert!(lines < 120, "{}: {lines} lines", path.display());
            examples += 1;
        }
    }
    assert!(examples >= 8, "{examples} examples were found");
    Ok(())
}

/// Each program prints its usage.
fn usage() -> TestResult {
    for (name, program) in [
        ("echo_server", env!("CARGO_BIN_EXE_echo_server")),
        ("ipv6_echo", env!("CARGO_BIN_EXE_ipv6_echo")),
        ("bulk_transfer", env!("CARGO_BIN_EXE_bulk_transfer")),
        ("http_server", env!("CARGO_BIN_EXE_http_server")),
        ("http_client", env!("CARGO_BIN_EXE_http_client")),
        ("split_proxy", env!("CARGO_BIN_EXE_split_proxy")),
    ] {
        let output = Command::new(program).output()?;
        assert!(!output.status.success());
        let complaint = String::from_utf8(output.stderr)?;
        assert!(
            complaint.contains(&format!("usage: {name} ")),
            "{complaint}"
        );
    }
    Ok(())
}

async fn bulk_transfer(net: Net) -> TestResult {
    let (listener, address) = net.kernel_listener().await?;
    let sink = net.spawn_right(async move {
        let (mut stream, peer) = listener.accept().await?;
        let bytes = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        io::Result::Ok((bytes, peer.ip()))
    });
    let mut command = in_environment(&net, env!("CARGO_BIN_EXE_bulk_transfer"));
    command.args([&address.to_string(), "32"]);
    let mut program = Program::start(net.left(), command)?;
    assert_eq!(sink.await??, (32 << 20, net.tidewire()));

    let (lines, status) = program.finish()?;
    assert_eq!(lines[0], "sent 32 MiB, received 0 MiB");
    assert!(lines[1].ends_with("Gbit/s"), "{lines:?}");
    assert!(status.success());
    Ok(())
}

/// A program that takes its stack from the environment.
fn in_environment(net: &Net, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("TIDEWIRE_IFACE", INTERFACE)
        .env("TIDEWIRE_ADDR", net.tidewire_address());
    command
}

/// The server at one end of the link, the client at the other.
async fn http_server_and_client(net: Net) -> TestResult {
    let mut command = Command::new(env!("CARGO_BIN_EXE_http_server"));
    let other = net.version().host(3);
    command.args([INTERFACE, &net.version().with_prefix(other)]);
    let mut server = Program::start(net.right(), command)?;
    let line = server.line()?;
    let address = line
        .strip_prefix("listening at ")
        .ok_or_else(|| line.clone())?;

    let mut command = in_environment(&net, env!("CARGO_BIN_EXE_http_client"));
    command.args([address, "/", "/bytes/1000000", "/missing", "/bytes/0"]);
    let (lines, status) = Program::start(net.left(), command)?.finish()?;
    assert!(status.success());
    assert_eq!(
        lines,
        [
            "/: 200 OK, 22 bytes",
            "/bytes/1000000: 200 OK, 1000000 bytes",
            "/missing: 404 Not Found, 0 bytes",
            "/bytes/0: 200 OK, 0 bytes"
        ]
    );
    Ok(())
}

/// The kernel is the client and the target; both directions end one after the other.
async fn split_proxy(net: Net) -> TestResult {
    let (listener, target) = net.kernel_listener().await?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_split_proxy"));
    command.args([
        INTERFACE,
        &net.tidewire_address(),
        "8080",
        &target.to_string(),
    ]);
    let mut proxy = Program::start(net.left(), command)?;
    let address = SocketAddr::new(net.tidewire(), 8080);
    assert_eq!(proxy.line()?, format!("listening at {address}"));

    for client_first in [true, false] {
        let client = net.kernel_connect(address).await?;
        let (server, peer) = listener.accept().await?;
        assert_eq!(peer.ip(), net.tidewire());
        let from = client.local_addr()?;
        if client_first {
            half_closes(client, server).await?;
            assert_eq!(
                proxy.line()?,
                format!("{from}: 7 bytes there, 3000000 bytes back")
            );
        } else {
            half_closes(server, client).await?;
            assert_eq!(
                proxy.line()?,
                format!("{from}: 3000000 bytes there, 7 bytes back")
            );
        }
    }
    Ok(())
}

/// The answer begins after the half-close of the question.
async fn half_closes(mut asking: TcpStream, mut answering: TcpStream) -> Result<(), Failed> {
    asking.write_all(b"request").await?;
    asking.shutdown().await?;
    let mut request = String::new();
    answering.read_to_string(&mut request).await?;
    assert_eq!(request, "request");
    let reply: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut received = Vec::new();
    let replying = async {
        answering.write_all(&reply).await?;
        answering.shutdown().await
    };
    tokio::try_join!(replying, asking.read_to_end(&mut received))?;
    assert!(received == reply, "{} bytes arrived", received.len());
    Ok(())
}

/// The table is the same on every machine, and slower from row to row.
fn simulation() -> TestResult {
    let text = output_of(env!("CARGO_BIN_EXE_simulation"))?;
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

/// CUBIC overflows the queue, Vegas does not, and it is not slower for that.
fn congestion_control() -> TestResult {
    let text = output_of(env!("CARGO_BIN_EXE_congestion_control"))?;
    let row = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.ok_or("no such row")?;
        let (milliseconds, dropped) = line.split_once(" ms, ").ok_or("no time")?;
        let dropped = dropped.split(' ').next().unwrap_or_default();
        Ok::<(u64, u64), Failed>((milliseconds.parse()?, dropped.parse()?))
    };
    let (cubic, vegas) = (row("cubic: ")?, row("vegas: ")?);
    assert!(cubic.1 > 0 && vegas.1 == 0, "{text}");
    assert!(vegas.0 < cubic.0 * 11 / 10, "{text}");
    Ok(())
}

fn output_of(program: &str) -> Result<String, Failed> {
    let output = Command::new(program).output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}
