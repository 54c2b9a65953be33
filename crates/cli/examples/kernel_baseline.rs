//! Baseline of the kernel's TCP at both ends of a lab: a ladder of a real connection, a verified
//! gigabyte each way, throughput and round trips. Also checks that this machine can run a lab.
//!
//! `cargo run --release -p tidewire-cli --example kernel_baseline [BYTES]` writes `ladder.svg` and
//! `ladder.json` to the current folder.

use core::error::Error;
use core::time::Duration;
use std::process::ExitCode;
use std::{env, fs};

use tidewire_cli::kernel::{Kernel, KernelStates};
use tidewire_cli::lab::{self, HostRuntime, Lab, LabOptions, LinkEnd, LinkOptions};
use tidewire_cli::ladder::{Recording, to_svg, to_text};
use tidewire_cli::report::{Progress, ProgressStyle};
use tidewire_cli::traffic::{Flow, Side, converse, round_trips, throughput, verified_transfer};
use tidewire_cli::{Interrupt, Style};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    // First, while the process has one thread.
    if let Err(error) = lab::enter() {
        eprintln!("kernel_baseline: {error}");
        return ExitCode::from(error.exit_code());
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            eprintln!("kernel_baseline: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns false when interrupted.
fn run() -> Result<bool, Box<dyn Error>> {
    let interrupt = Interrupt::install()?;
    let bytes = env::args()
        .nth(1)
        .map_or(Ok(1 << 30), |argument| argument.parse())?;
    let lab = Lab::new(&LabOptions {
        link: link("tw0", "10.77.0.2/24", "10.77.0.1/24"),
    })?;
    let (client_runtime, server_runtime) = (lab.left().runtime()?, lab.right().runtime()?);
    let side = |runtime: &HostRuntime| Side {
        runtime: runtime.handle().clone(),
        transport: Kernel::default(),
    };
    let (client, server) = (side(&client_runtime), side(&server_runtime));
    let main = Builder::new_current_thread().enable_all().build()?;

    let recording = Recording {
        link: link("slow0", "10.78.0.2/24", "10.78.0.1/24"),
        delay: Duration::from_millis(10),
        port: 7000,
        title: "A TCP connection, Linux to Linux".into(),
        left: "Linux".into(),
        right: "Linux".into(),
    };
    let (left, right) = (
        lab.left().run(KernelStates::open)?,
        lab.right().run(KernelStates::open)?,
    );
    let address = "10.78.0.1:7000".parse()?;
    // Longer than the kernel waits to acknowledge, so that each FIN has an acknowledgement of its
    // own.
    let think = Duration::from_millis(60);
    let ladder = recording.prepare(&lab)?.run(left, right, || {
        main.block_on(converse(&client, &server, address, think))
    })?;
    println!("{}", to_text(&ladder, Style::Plain));
    fs::write("ladder.svg", to_svg(&ladder))?;
    fs::write("ladder.json", serde_json::to_string_pretty(&ladder)?)?;

    let address = "10.77.0.1:7001".parse()?;
    let measurements = async {
        for (label, flow) in [
            ("client to server", Flow::ClientToServer),
            ("server to client", Flow::ServerToClient),
        ] {
            let progress = Progress::bytes(label, bytes, ProgressStyle::for_stderr());
            let verified =
                verified_transfer(&client, &server, address, flow, bytes, &progress).await?;
            progress.finish();
            let gigabits = verified.bits_per_second / 1e9;
            println!(
                "{label}: {} bytes, hash {:016x} at both ends, {gigabits:.1} Gbit/s",
                verified.bytes, verified.hash
            );
        }
        let second = Duration::from_secs(1);
        let rate = throughput(
            &client,
            &server,
            address,
            Flow::ClientToServer,
            second,
            64 * 1024,
        )
        .await?;
        println!(
            "throughput, 64 KiB writes: {:.1} Gbit/s",
            rate.bits_per_second() / 1e9
        );
        let latency = round_trips(&client, &server, address, second).await?;
        println!(
            "1-byte round trip: p50 {:?}, p99 {:?}",
            latency.percentile(50.0),
            latency.percentile(99.0)
        );
        Ok::<_, std::io::Error>(true)
    };
    main.block_on(async {
        tokio::select! {
            outcome = measurements => Ok(outcome?),
            () = interrupt.raised() => Ok(false),
        }
    })
}

fn link(name: &str, left: &str, right: &str) -> LinkOptions {
    let end = |address: &str| LinkEnd {
        addresses: vec![address.into()],
        offloads: true,
    };
    LinkOptions {
        name: name.into(),
        mtu: 1500,
        left: end(left),
        right: end(right),
    }
}
