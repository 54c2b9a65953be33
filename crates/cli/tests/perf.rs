//! `tidewire perf` between the two hosts of a lab, on Tidewire and on the kernel's TCP at either
//! end.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ExitCode};

use common::{finish, run, succeeded, wait_for};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tidewire_cli::lab::{HostHandle, Lab, LabOptions, LinkEnd, LinkOptions};

fn main() -> ExitCode {
    common::main(vec![
        Trial::test("bytes_sent_are_bytes_received_whoever_sends", bytes),
        Trial::test("a_test_by_time_has_intervals_that_add_up", intervals),
        Trial::test("round_trips_have_percentiles", round_trips),
        Trial::test("connections_are_made_and_closed_over_and_over", connections),
        Trial::test("a_tidewire_server_over_ipv6", ipv6),
        Trial::test("both_ends_on_tidewire_over_ipv6", both_over_ipv6),
        Trial::test("a_runtime_of_many_threads_and_no_spinning", runtimes),
        Trial::test("nagle_can_be_turned_off", no_delay),
        Trial::test("another_server_is_told_apart", wrong_server),
        Trial::test(
            "another_client_is_told_apart_and_does_no_harm",
            wrong_client,
        ),
        Trial::test("a_second_client_is_refused_while_a_test_goes_on", busy),
        Trial::test("an_interrupted_test_says_what_it_has", interrupted),
        Trial::test("the_kernel_beside_tidewire_over_either_ip_version", versus),
        Trial::test("a_missed_ratio_has_an_exit_code_of_its_own", missed_ratio),
        Trial::test("idle_connections_have_a_price", idle),
        Trial::test(
            "what_it_cannot_do_has_an_exit_code_and_a_reason",
            wrong_usage,
        ),
    ])
}

/// The command line of an end: Tidewire on the left, the kernel on the right.
const TIDEWIRE: [&str; 4] = ["--iface", "tw0", "--address", "10.77.0.2/24"];
const KERNEL: [&str; 1] = ["--kernel"];

/// Starts a server for one test and waits until it listens.
fn server(host: &HostHandle, end: &[&str]) -> Result<Child, Failed> {
    let mut server = run(host, &[&["perf", "-s", "--one-off"], end].concat(), &[])?;
    wait_for(&mut server, "listening on")?;
    Ok(server)
}

/// Runs a client to its end and returns what it found.
fn client(host: &HostHandle, address: &str, end: &[&str], what: &[&str]) -> Result<Value, Failed> {
    let arguments = [&["perf", "--json", "-c", address], end, what].concat();
    let output = finish(run(host, &arguments, &[])?, Vec::new())?;
    succeeded(&output)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// One test in each direction of connecting: Tidewire to the kernel, and the kernel to Tidewire.
fn both(what: &[&str], check: impl Fn(&Value)) -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let kernel_server = server(lab.right(), &KERNEL)?;
    let document = client(lab.left(), "10.77.0.1", &TIDEWIRE, what)?;
    assert_eq!(document["start"]["transport"], "tidewire");
    check(&document);
    succeeded(&finish(kernel_server, Vec::new())?)?;

    let tidewire_server = server(lab.left(), &TIDEWIRE)?;
    let document = client(lab.right(), "10.77.0.2", &KERNEL, what)?;
    assert_eq!(document["start"]["transport"], "kernel");
    check(&document);
    succeeded(&finish(tidewire_server, Vec::new())?)
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("not a number: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {value}"))
}

/// Both ends of each stream and the sums agree.
fn adds_up(document: &Value) {
    assert_eq!(document["schema"], 1);
    let streams = list(&document["end"]["streams"]);
    assert_eq!(streams.len(), list(&document["start"]["connected"]).len());
    for stream in streams {
        assert_eq!(
            stream["sender"]["bytes"], stream["receiver"]["bytes"],
            "{stream}"
        );
        assert!(number(&stream["sender"]["bytes"]) > 0, "{stream}");
    }
}

fn bytes() -> Result<(), Failed> {
    for (what, reverse) in [
        (&["-n", "3000001"][..], false),
        (&["-n", "3000001", "-R", "-l", "1000"], true),
    ] {
        both(what, |document| {
            adds_up(document);
            let end = &document["end"];
            for sum in [&end["sum_sent"], &end["sum_received"]] {
                assert_eq!(sum["bytes"], 3_000_001);
                assert_eq!(sum["sender"], !reverse);
            }
            assert!(end["sum_sent"]["retransmits"].is_u64(), "{end}");
            assert_eq!(document["start"]["test_start"]["reverse"], reverse);
        })?;
    }
    both(&["-n", "1M", "--bidir", "-P", "3"], |document| {
        adds_up(document);
        let end = &document["end"];
        assert_eq!(list(&end["streams"]).len(), 6);
        for sum in [
            "sum_sent",
            "sum_received",
            "sum_sent_bidir_reverse",
            "sum_received_bidir_reverse",
        ] {
            assert_eq!(end[sum]["bytes"], 1 << 20, "{sum}");
        }
    })
}

fn intervals() -> Result<(), Failed> {
    both(
        &[
            "-t", "0.3", "-i", "0.1", "-P", "2", "-w", "256K", "-M", "1000",
        ],
        |document| {
            adds_up(document);
            let intervals = list(&document["intervals"]);
            assert!(!intervals.is_empty());
            let of = |sum: &Value| number(&sum["bytes"]);
            let total: u64 = intervals.iter().map(|interval| of(&interval["sum"])).sum();
            assert_eq!(total, of(&document["end"]["sum_sent"]));
            for interval in intervals {
                let streams = list(&interval["streams"]);
                assert_eq!(streams.len(), 2);
                assert_eq!(streams.iter().map(of).sum::<u64>(), of(&interval["sum"]));
            }
            for stream in list(&document["end"]["streams"]) {
                let mss = number(&stream["sender"]["snd_mss"]);
                assert!((900..=1000).contains(&mss), "{stream}");
            }
        },
    )
}

fn round_trips() -> Result<(), Failed> {
    both(&["--rr", "100", "-t", "0.2"], |document| {
        let times = &document["end"]["round_trips"];
        let count = number(&times["count"]);
        assert!(count > 0);
        let of = |name: &str| {
            times[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{name} in {times}"))
        };
        assert!(of("p50") > 0.0 && of("p50") <= of("p90") && of("p99") <= of("max"));
        let histogram = list(&times["histogram"]).iter();
        assert_eq!(
            histogram
                .map(|bucket| number(&bucket["count"]))
                .sum::<u64>(),
            count
        );
        // Bytes in both directions.
        assert_eq!(
            number(&document["end"]["streams"][0]["receiver"]["bytes"]),
            count * 100
        );
    })
}

fn connections() -> Result<(), Failed> {
    both(&["--crr", "-P", "4", "-t", "0.2", "-l", "10"], |document| {
        let times = &document["end"]["connections"];
        assert!(number(&times["count"]) >= 4, "{times}");
        assert!(document["end"]["round_trips"].is_null());
    })
}

fn ipv6() -> Result<(), Failed> {
    let link = LinkOptions {
        right: LinkEnd {
            addresses: vec!["fd77::1/64".into()],
            ..LinkEnd::default()
        },
        ..LinkOptions::default()
    };
    let lab = Lab::new(&LabOptions { link })?;
    let tidewire = ["--iface", "tw0", "--address", "fd77::2/64"];
    let tidewire_server = server(lab.left(), &tidewire)?;
    adds_up(&client(lab.right(), "fd77::2", &KERNEL, &["-n", "1M"])?);
    succeeded(&finish(tidewire_server, Vec::new())?)
}

/// The kernel at neither end has an address.
fn both_over_ipv6() -> Result<(), Failed> {
    let none = LinkEnd {
        addresses: Vec::new(),
        ..LinkEnd::default()
    };
    let link = LinkOptions {
        right: none.clone(),
        left: none,
        ..LinkOptions::default()
    };
    let lab = Lab::new(&LabOptions { link })?;
    let tidewire_server = server(lab.left(), &["--iface", "tw0", "--address", "fd77::2/64"])?;
    let end = ["--iface", "tw0", "--address", "fd77::1/64"];
    let document = client(lab.right(), "fd77::2", &end, &["-n", "1M", "--bidir"])?;
    adds_up(&document);
    assert_eq!(document["start"]["transport"], "tidewire");
    let connected = &document["start"]["connected"][0];
    assert_eq!(connected["local_host"], "fd77::1");
    succeeded(&finish(tidewire_server, Vec::new())?)
}

fn runtimes() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    for how in [
        &["--multi-thread"][..],
        &["--spin", "0"],
        &["--multi-thread", "--spin", "0"],
    ] {
        let tidewire = [&TIDEWIRE[..], how].concat();
        let kernel_server = server(lab.right(), &["--kernel", "--multi-thread"])?;
        let what = ["-n", "1M", "--bidir", "-P", "2"];
        adds_up(&client(lab.left(), "10.77.0.1", &tidewire, &what)?);
        succeeded(&finish(kernel_server, Vec::new())?)?;

        let tidewire_server = server(lab.left(), &tidewire)?;
        adds_up(&client(lab.right(), "10.77.0.2", &KERNEL, &what)?);
        succeeded(&finish(tidewire_server, Vec::new())?)?;
    }
    Ok(())
}

fn no_delay() -> Result<(), Failed> {
    for (what, is_off) in [
        (&["-n", "100000", "-l", "100"][..], false),
        (&["-n", "100000", "-l", "100", "-N"], true),
    ] {
        both(what, |document| {
            adds_up(document);
            assert_eq!(document["start"]["test_start"]["no_delay"], is_off);
            assert_eq!(document["end"]["sum_received"]["bytes"], 100_000);
        })?;
    }
    Ok(())
}

fn wrong_server() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let listener = lab.right().run(|| TcpListener::bind("10.77.0.1:5201"))?;
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.read_exact(&mut [0; 24])?;
        stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    });
    let arguments = [&["perf", "-c", "10.77.0.1"], &TIDEWIRE[..]].concat();
    let output = finish(run(lab.left(), &arguments, &[])?, Vec::new())?;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("does not speak tidewire perf's protocol"),
        "{told}"
    );
    assert!(told.contains("SSH-2.0"), "{told}");
    peer.join().expect("no panic")?;
    Ok(())
}

fn wrong_client() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let mut tidewire_server = server(lab.left(), &TIDEWIRE)?;
    let mut stream = lab.right().run(|| TcpStream::connect("10.77.0.2:5201"))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: tide\r\n\r\n")?;
    wait_for(
        &mut tidewire_server,
        "does not speak tidewire perf's protocol: it begins with \"GET / HT\"",
    )?;
    adds_up(&client(lab.right(), "10.77.0.2", &KERNEL, &["-n", "1000"])?);
    succeeded(&finish(tidewire_server, Vec::new())?)
}

fn busy() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let kernel_server = server(lab.right(), &KERNEL)?;
    let arguments = [
        &["perf", "-c", "10.77.0.1", "-t", "60", "-i", "0.05"],
        &TIDEWIRE[..],
    ]
    .concat();
    let mut first = run(lab.left(), &arguments, &[])?;
    // Its first line says that the test has begun.
    first
        .stdout
        .as_mut()
        .ok_or("no pipe")?
        .read_exact(&mut [0])?;
    let second = run(lab.right(), &["perf", "-k", "-c", "10.77.0.1"], &[])?;
    let output = finish(second, Vec::new())?;
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("refused: another test is going on"), "{told}");
    for child in [first, kernel_server] {
        kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
        assert_eq!(finish(child, Vec::new())?.status.code(), Some(130));
    }
    Ok(())
}

fn interrupted() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let mut kernel_server = server(lab.right(), &KERNEL)?;
    let arguments = [
        &["perf", "--json", "-c", "10.77.0.1", "-t", "60"],
        &TIDEWIRE[..],
    ]
    .concat();
    let child = run(lab.left(), &arguments, &[])?;
    // The server's side of the data connection shows that the client is at work.
    let connected = || {
        lab.right()
            .run(|| std::fs::read_to_string("/proc/thread-self/net/tcp"))
    };
    let established = |table: &str| {
        table
            .lines()
            .filter(|line| line.contains(":1451 ") && line.contains(" 01 "))
            .count()
    };
    while established(&connected()?) < 2 {
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
    let output = finish(child, Vec::new())?;
    assert_eq!(output.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(document["error"], "interrupted");
    // The server notices, and goes on.
    wait_for(&mut kernel_server, "10.77.0.2:")?;
    client(lab.left(), "10.77.0.1", &TIDEWIRE, &["-n", "1000"])?;
    succeeded(&finish(kernel_server, Vec::new())?)
}

/// Short enough for a test, too short for figures.
const BRIEFLY: [&str; 6] = ["perf", "--vs-kernel", "--rounds", "1", "--seconds", "0.02"];

fn versus() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    for (what, ipv6, mtu, offloads) in [
        (&[][..], false, 1500, true),
        (&["-6", "--mtu", "9000", "--no-offload"], true, 9000, false),
    ] {
        let arguments = [&BRIEFLY[..], &["--json"], what].concat();
        let output = finish(run(lab.left(), &arguments, &[])?, Vec::new())?;
        succeeded(&output)?;
        let document: Value = serde_json::from_slice(&output.stdout)?;
        let settings = &document["settings"];
        assert_eq!(settings["ipv6"], ipv6);
        assert_eq!(settings["mtu"], mtu);
        assert_eq!(settings["offloads"], offloads);
        let comparisons = list(&document["comparisons"]);
        assert_eq!(comparisons.len(), 6);
        for comparison in comparisons {
            for series in ["tidewire", "kernel"] {
                assert_eq!(comparison[series]["count"], 1, "{comparison}");
                assert!(comparison[series]["median"].as_f64() > Some(0.0));
            }
            assert!(comparison["ratio"].as_f64() > Some(0.0), "{comparison}");
        }
    }
    Ok(())
}

fn missed_ratio() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let arguments = [&BRIEFLY[..], &["--json", "--min-ratio", "1e9"]].concat();
    let output = finish(run(lab.left(), &arguments, &[])?, Vec::new())?;
    assert_eq!(output.status.code(), Some(4));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("below 1000000000x of the kernel"), "{told}");
    // The figures are there all the same.
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(list(&document["comparisons"]).len(), 6);
    Ok(())
}

fn idle() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let arguments = ["perf", "--idle", "500", "--json"];
    let output = finish(run(lab.left(), &arguments, &[])?, Vec::new())?;
    succeeded(&output)?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(document["connections"], 500);
    let bytes = number(&document["resident_bytes"]);
    assert!(bytes > 500 * 500, "{document}");
    assert_eq!(
        document["bytes_per_end"].as_f64(),
        Some(bytes as f64 / 1000.0)
    );
    Ok(())
}

fn wrong_usage() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    for (arguments, code, text) in [
        (
            &[
                "perf",
                "-c",
                "10.77.0.1",
                "--iface",
                "tw9",
                "--address",
                "10.77.0.2/24",
            ][..],
            3,
            "`tw9`",
        ),
        (&["perf", "-c", "10.77.0.1"], 2, "--iface"),
        (
            &["perf", "-k", "-c", "10.77.0.1"],
            1,
            "cannot connect to 10.77.0.1:5201: Connection refused",
        ),
        (
            &["perf", "-k", "-c", "10.77.0.1", "-P", "1000"],
            2,
            "streams",
        ),
        (&["perf", "--vs-kernel", "-R"], 2, "cannot be used with"),
        (&["perf", "--vs-kernel", "-s"], 2, "cannot be used with"),
        (&["perf", "-k", "-s", "--quick"], 2, "cannot be used with"),
        (&["perf", "--vs-kernel", "--seconds", "0"], 2, "--seconds"),
        (
            &["perf", "--vs-kernel", "--min-ratio", "NaN"],
            2,
            "--min-ratio",
        ),
        (&["perf", "--idle", "0"], 2, "--idle"),
    ] {
        let output = finish(run(lab.right(), arguments, &[])?, Vec::new())?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(text), "{told}");
    }
    Ok(())
}
