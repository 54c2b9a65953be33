//! `tidewire nc` against the kernel's TCP on the other side of a lab. Runs as root or, in a user
//! namespace, as any user.

mod common;

use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ExitCode};

use common::{finish, run, succeeded, wait_for};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tidewire_cli::lab::{HostHandle, Lab, LabOptions};
use tidewire_cli::traffic::Pattern;

fn main() -> ExitCode {
    common::main(vec![
        Trial::test("binary_data_goes_both_ways_after_a_half_close", client),
        Trial::test("a_listener_takes_one_connection", listener),
        Trial::test("a_listener_that_keeps_open_takes_many", keeps_open),
        Trial::test("a_refused_connection_is_exit_code_1", refused),
        Trial::test("silence_ends_by_the_time_limit", silence),
        Trial::test("the_environment_says_where_the_stack_lives", environment),
        Trial::test("a_stack_that_cannot_start_is_exit_code_3", no_interface),
    ])
}

/// `tidewire nc` on a host, with its streams piped.
fn nc(host: &HostHandle, arguments: &[&str]) -> Result<Child, Failed> {
    let place = ["nc", "-v", "--iface", "tw0", "--address", "10.77.0.2/24"];
    run(host, &[&place, arguments].concat(), &[])
}

/// Bytes of every value.
fn data(seed: u64, length: usize) -> Vec<u8> {
    Pattern::new(seed, length).next_block().to_vec()
}

fn client() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let listener = lab.right().run(|| TcpListener::bind("10.77.0.1:7000"))?;
    let peer = lab.right().spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut received = Vec::new();
        // Ends only when the client's half-close arrives, and answers after that.
        stream.read_to_end(&mut received)?;
        stream.write_all(&data(2, 3_000_001))?;
        Ok::<_, std::io::Error>(received)
    });
    let output = finish(nc(lab.left(), &["10.77.0.1", "7000"])?, data(1, 2_000_003))?;
    succeeded(&output)?;
    assert!(output.stdout == data(2, 3_000_001));
    assert!(peer.join()? == data(1, 2_000_003));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("connected to 10.77.0.1:7000 from 10.77.0.2:"),
        "{told}"
    );
    assert!(
        told.contains("2000003 bytes sent, 3000001 received"),
        "{told}"
    );
    Ok(())
}

fn listener() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let mut child = nc(lab.left(), &["-l", "7001"])?;
    wait_for(&mut child, "listening on 0.0.0.0:7001")?;
    let peer = lab.right().spawn(|| {
        let mut stream = TcpStream::connect("10.77.0.2:7001")?;
        stream.write_all(&data(3, 100_000))?;
        stream.shutdown(Shutdown::Write)?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        Ok::<_, std::io::Error>(received)
    });
    let output = finish(child, data(4, 100_001))?;
    succeeded(&output)?;
    assert!(output.stdout == data(3, 100_000));
    assert!(peer.join()? == data(4, 100_001));
    Ok(())
}

fn keeps_open() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let mut child = nc(lab.left(), &["-l", "-k", "10.77.0.2", "7002"])?;
    wait_for(&mut child, "listening on 10.77.0.2:7002")?;
    drop(child.stdin.take());
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    for line in ["first\n", "second\n"] {
        let mut stream = lab.right().run(|| TcpStream::connect("10.77.0.2:7002"))?;
        stream.write_all(line.as_bytes())?;
        drop(stream);
        let mut received = String::new();
        stdout.read_line(&mut received)?;
        assert_eq!(received, line);
    }
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
    assert_eq!(child.wait()?.code(), Some(130));
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let output = finish(nc(lab.left(), &["10.77.0.1", "7003"])?, Vec::new())?;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("cannot connect to 10.77.0.1:7003: Connection refused"),
        "{told}"
    );
    Ok(())
}

fn silence() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let listener = lab.right().run(|| TcpListener::bind("10.77.0.1:7004"))?;
    let mut child = nc(lab.left(), &["-w", "1", "10.77.0.1", "7004"])?;
    // Held open, and silent.
    let stdin = child.stdin.take();
    let (_stream, _) = listener.accept()?;
    let output = child.wait_with_output()?;
    drop(stdin);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("nothing moved for 1 s"), "{told}");
    Ok(())
}

fn environment() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let listener = lab.right().run(|| TcpListener::bind("10.77.0.1:7005"))?;
    let variables = [("TIDEWIRE_IFACE", "tw0"), ("TIDEWIRE_ADDR", "10.77.0.9/24")];
    let child = run(lab.left(), &["nc", "10.77.0.1", "7005"], &variables)?;
    let (mut stream, from) = listener.accept()?;
    assert_eq!(from.ip().to_string(), "10.77.0.9");
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let peer = lab.right().spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    succeeded(&finish(child, b"high water\n".to_vec())?)?;
    assert_eq!(peer.join()?, "high water\n");
    Ok(())
}

fn no_interface() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let place = ["nc", "--address", "10.77.0.2/24", "--iface"];
    for (arguments, code, text) in [
        (&["tw9", "10.77.0.1", "1"][..], 3, "`tw9`"),
        (&["tw0", "10.77.0.1", "http"], 2, "'http' is not a port"),
    ] {
        let child = run(lab.left(), &[&place, arguments].concat(), &[])?;
        let output = finish(child, Vec::new())?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(text), "{told}");
    }
    Ok(())
}
