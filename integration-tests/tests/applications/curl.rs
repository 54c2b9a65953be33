//! curl on the kernel's TCP, against axum: the example `http_server`, and the same on a runtime of
//! one thread.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use tidewire_cli::lab::INTERFACE;
use tidewire_integration_tests::{Net, Program, TestResult, everywhere};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::server;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        everywhere("curl::downloads_a_gibibyte", downloads_a_gibibyte),
        everywhere("curl::uploads_a_gibibyte", uploads_a_gibibyte),
        everywhere("curl::keeps_a_connection", keeps_a_connection),
        everywhere("curl::tells_the_peers_address", tells_the_peers_address),
        everywhere("curl::a_hundred_at_once", a_hundred_at_once),
    ];
    trials.into_iter().flatten().collect()
}

/// A server, which ends with this.
#[derive(Debug)]
enum Server {
    /// The example, whose runtime has many threads.
    Example { _program: Program },
    /// One on the test's own runtime, which has one thread.
    Own(JoinHandle<io::Result<()>>),
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Own(serving) = self {
            serving.abort();
        }
    }
}

/// A server on the left, of the kind of runtime that the test is for, and its URL.
async fn serve(net: &Net) -> Result<(Server, String), Failed> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        let (serving, address) = server::start(net).await?;
        return Ok((Server::Own(serving), format!("http://{address}")));
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_http_server"));
    command.args([INTERFACE, &net.tidewire_address()]);
    let mut program = Program::start(net.left(), command)?;
    let line = program.line()?;
    let address = line
        .strip_prefix("listening at ")
        .ok_or_else(|| line.clone())?;
    let url = format!("http://{address}");
    Ok((Server::Example { _program: program }, url))
}

/// curl that prints errors only, with a time limit of two minutes.
fn curl() -> Command {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail", "--globoff"])
        .args(["--noproxy", "*", "--max-time", "120"])
        .stdin(Stdio::null());
    command
}

/// Runs a command on the right to its end.
async fn run(net: &Net, mut command: Command) -> Result<Output, Failed> {
    let right = net.right().clone();
    let output = spawn_blocking(move || right.run(move || command.output())).await??;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, text(&output.stderr)).into());
    }
    Ok(output)
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

const GIBIBYTE: u64 = 1 << 30;

/// In chunks (RFC 9112 §7.1), with every byte checked.
async fn downloads_a_gibibyte(net: Net) -> TestResult {
    let (_server, url) = serve(&net).await?;
    let mut command = curl();
    command
        .arg(format!("{url}/bytes/{GIBIBYTE}"))
        .stdout(Stdio::piped());
    let right = net.right().clone();
    let downloading = move || {
        let mut curl = command.spawn()?;
        let body = curl.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let length = count(body)?;
        io::Result::Ok((length, curl.wait()?))
    };
    let (length, status) = spawn_blocking(move || right.run(downloading)).await??;
    assert!(status.success(), "{status}");
    assert_eq!(length, GIBIBYTE);
    Ok(())
}

/// The length of a body that must be the bytes 0 to 250, repeated.
fn count(mut body: impl Read) -> io::Result<u64> {
    const BLOCK: usize = 251 * 256;
    let expected: Vec<u8> = (0..BLOCK).map(|at| (at % 251) as u8).collect();
    let (mut length, mut block) = (0, vec![0; BLOCK]);
    loop {
        let from = (length % BLOCK as u64) as usize;
        let read = body.read(&mut block[from..])?;
        if read == 0 {
            return Ok(length);
        }
        let here = from..from + read;
        assert!(
            block[here.clone()] == expected[here],
            "after {length} bytes"
        );
        length += read as u64;
    }
}

async fn uploads_a_gibibyte(net: Net) -> TestResult {
    let (_server, url) = serve(&net).await?;
    let mut command = curl();
    command.args(["--upload-file", "-", &format!("{url}/length")]);
    let zeros = File::open("/dev/zero")?.take(GIBIBYTE);
    let right = net.right().clone();
    let uploading = move || {
        let mut zeros = zeros;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut curl = command.spawn()?;
        let mut input = curl.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        io::copy(&mut zeros, &mut input)?;
        drop(input);
        curl.wait_with_output()
    };
    let output = spawn_blocking(move || right.run(uploading)).await??;
    assert_eq!(text(&output.stdout), format!("{GIBIBYTE}\n"));
    Ok(())
}

/// Several requests of one curl need one connection.
async fn keeps_a_connection(net: Net) -> TestResult {
    let (_server, url) = serve(&net).await?;
    let mut command = curl();
    command.args([
        "--write-out",
        "%{http_code} %{num_connects} %{size_download}\n",
    ]);
    command.args([
        format!("{url}/"),
        format!("{url}/bytes/100000"),
        format!("{url}/bytes/0"),
        format!("{url}/bytes/7777777"),
    ]);
    command.args(["--output", "/dev/null"].repeat(4));
    let output = run(&net, command).await?;
    assert_eq!(
        text(&output.stdout),
        "200 1 22\n200 0 100000\n200 0 0\n200 0 7777777\n"
    );

    let mut command = curl();
    command.arg(format!("{url}/"));
    let output = run(&net, command).await?;
    assert_eq!(text(&output.stdout), "hello from user space\n");
    Ok(())
}

/// Handlers have the client's address.
async fn tells_the_peers_address(net: Net) -> TestResult {
    let (_server, url) = serve(&net).await?;
    let mut command = curl();
    command.args(["--write-out", "%{local_ip} %{local_port}\n"]);
    command.arg(format!("{url}/peer"));
    let output = run(&net, command).await?;
    let output = text(&output.stdout);
    let (told, seen) = output.split_once('\n').ok_or("two lines")?;
    assert_eq!(told, seen.trim_end());
    Ok(())
}

async fn a_hundred_at_once(net: Net) -> TestResult {
    let (_server, url) = serve(&net).await?;
    let mut command = curl();
    command.args([
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        "100",
    ]);
    command.args(["--write-out", "%{http_code} %{size_download}\n"]);
    for number in 0..100 {
        command.args(["--output", "/dev/null"]);
        command.arg(format!("{url}/bytes/{}", 1_000_000 + number));
    }
    let output = run(&net, command).await?;
    let output = text(&output.stdout);
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    let expected: Vec<String> = (0..100)
        .map(|number| format!("200 {}", 1_000_000 + number))
        .collect();
    assert_eq!(lines, expected);
    Ok(())
}
