//! The lab with the kernel's TCP at both ends. Runs as root or, in a user namespace, as any user.

use core::net::SocketAddr;
use core::time::Duration;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use tidewire_cli::Style;
use tidewire_cli::kernel::{Kernel, KernelStates};
use tidewire_cli::lab::{self, HostHandle, HostRuntime, Lab, LabOptions, LinkEnd, LinkOptions};
use tidewire_cli::ladder::{Flags, Ladder, Recording, State, to_text};
use tidewire_cli::report::Progress;
use tidewire_cli::traffic::{Flow, Side, converse, round_trips, throughput, verified_transfer};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
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
    let trials = vec![
        Trial::test(
            "hosts_are_apart_from_each_other_and_from_the_machine",
            hosts_are_apart,
        ),
        Trial::test("the_left_end_has_no_kernel_address", left_has_no_address),
        Trial::test("work_that_panics_panics_where_it_is_awaited", panics_travel),
        Trial::test(
            "an_unknown_device_is_an_error_of_that_command",
            errors_name_the_command,
        ),
        Trial::test("offloads_can_be_switched", offloads_can_be_switched),
        Trial::test(
            "bytes_arrive_unchanged_both_ways_over_ipv4_and_ipv6",
            bytes_arrive,
        ),
        Trial::test("rates_and_round_trips_are_measured", rates_and_round_trips),
        Trial::test(
            "a_conversation_passes_through_the_states_of_rfc_9293",
            a_conversation,
        ),
        Trial::test("a_slow_wire_takes_its_time", a_slow_wire_takes_its_time),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Two hosts with kernel addresses at both ends, and a runtime in each.
struct Kernels {
    lab: Lab,
    client: HostRuntime,
    server: HostRuntime,
    main: Runtime,
}

impl Kernels {
    fn new() -> Result<Self, Failed> {
        let lab = Lab::new(&LabOptions {
            link: link(
                "tw0",
                ["10.77.0.2/24", "fd77::2/64"],
                ["10.77.0.1/24", "fd77::1/64"],
            ),
        })?;
        let (client, server) = (lab.left().runtime()?, lab.right().runtime()?);
        Ok(Self {
            lab,
            client,
            server,
            main: Builder::new_current_thread().enable_all().build()?,
        })
    }

    fn sides(&self) -> (Side<Kernel>, Side<Kernel>) {
        let side = |runtime: &HostRuntime| Side {
            runtime: runtime.handle().clone(),
            transport: Kernel::default(),
        };
        (side(&self.client), side(&self.server))
    }
}

fn link<const N: usize>(name: &str, left: [&str; N], right: [&str; N]) -> LinkOptions {
    let end = |addresses: [&str; N]| LinkEnd {
        addresses: addresses.map(str::to_owned).to_vec(),
        offloads: true,
    };
    LinkOptions {
        name: name.into(),
        mtu: 1500,
        left: end(left),
        right: end(right),
    }
}

fn hosts_are_apart() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    let namespace = || std::fs::read_link("/proc/thread-self/ns/net");
    let here = namespace()?;
    let (left, right) = (lab.left().run(namespace)?, lab.right().run(namespace)?);
    assert!(here != left && here != right && left != right);
    assert_eq!(lab.left().clone().run(namespace)?, left);
    assert_eq!(
        lab.host("right").map(HostHandle::tid),
        Some(lab.right().tid())
    );
    let in_runtime = lab
        .left()
        .runtime()?
        .block_on(async move { namespace() })??;
    assert_eq!(in_runtime, left);
    Ok(())
}

fn left_has_no_address() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    assert_eq!(
        lab.left()
            .ip(&["-brief", "address", "show", "dev", "tw0"])?
            .matches('/')
            .count(),
        0
    );
    assert!(
        lab.right()
            .ip(&["-brief", "address", "show", "dev", "tw0"])?
            .contains("10.77.0.1/24")
    );
    assert!(
        lab.left()
            .ip(&["-o", "link", "show", "dev", "tw0"])?
            .contains("mtu 1500")
    );
    Ok(())
}

fn panics_travel() -> Result<(), Failed> {
    let host = HostHandle::start("solo")?;
    let task = host.spawn(|| std::panic::panic_any(42_u8));
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || task.join())).err();
    assert_eq!(
        payload.and_then(|payload| payload.downcast_ref::<u8>().copied()),
        Some(42)
    );
    assert_eq!(host.run(|| 7), 7);
    Ok(())
}

fn errors_name_the_command() -> Result<(), Failed> {
    let host = HostHandle::start("solo")?;
    let error = host
        .ip(&["link", "set", "nowhere", "up"])
        .err()
        .ok_or("no such device, and no error")?;
    assert!(
        error.to_string().starts_with("ip link set nowhere up: "),
        "{error}"
    );
    assert_eq!(error.exit_code(), 1);
    Ok(())
}

fn offloads_can_be_switched() -> Result<(), Failed> {
    let lab = Lab::new(&LabOptions::default())?;
    assert!(lab.left().run(|| lab::set_offloads("tw9", false)).is_err());
    lab.left().run(|| lab::set_offloads("tw0", false))?;
    lab.left().run(|| lab::set_offloads("tw0", true))?;
    Ok(())
}

fn bytes_arrive() -> Result<(), Failed> {
    let kernels = Kernels::new()?;
    let (client, server) = kernels.sides();
    // A port each: a process that another test starts holds a copy of a closed listener until it
    // executes its program.
    for (address, flow) in [
        ("10.77.0.1:7001", Flow::ClientToServer),
        ("10.77.0.1:7002", Flow::ServerToClient),
        ("[fd77::1]:7001", Flow::ClientToServer),
        ("[fd77::1]:7002", Flow::ServerToClient),
    ] {
        let progress = Progress::hidden();
        let total = 32 * 1024 * 1024 + 1;
        let transfer =
            verified_transfer(&client, &server, address.parse()?, flow, total, &progress);
        let verified = kernels.main.block_on(transfer)?;
        assert_eq!(verified.bytes, total);
        assert_eq!(progress.position(), total);
    }
    Ok(())
}

fn rates_and_round_trips() -> Result<(), Failed> {
    let kernels = Kernels::new()?;
    let (client, server) = kernels.sides();
    let duration = Duration::from_millis(100);
    for (port, flow) in [(7001, Flow::ClientToServer), (7002, Flow::ServerToClient)] {
        let address = SocketAddr::from(([10, 77, 0, 1], port));
        let rate = throughput(&client, &server, address, flow, duration, 64 * 1024);
        let rate = kernels.main.block_on(rate)?;
        assert!(rate.bits_per_second() > 1e6, "{rate:?}");
    }
    let latency = round_trips(&client, &server, "10.77.0.1:7003".parse()?, duration);
    let latency = kernels.main.block_on(latency)?;
    assert!(latency.count() > 0 && latency.percentile(50.0) <= latency.percentile(99.0));
    let foreign = round_trips(&client, &server, "10.77.0.9:7001".parse()?, duration);
    let error = kernels
        .main
        .block_on(foreign)
        .err()
        .ok_or("bound to an address of nobody")?;
    assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    Ok(())
}

fn record() -> Result<Ladder, Failed> {
    let kernels = Kernels::new()?;
    let (client, server) = kernels.sides();
    let recording = Recording {
        link: link("slow0", ["10.78.0.2/24"], ["10.78.0.1/24"]),
        delay: Duration::from_millis(10),
        port: 7003,
        title: "Kernel to kernel".into(),
        left: "client".into(),
        right: "server".into(),
    };
    let (left, right) = (
        kernels.lab.left().run(KernelStates::open)?,
        kernels.lab.right().run(KernelStates::open)?,
    );
    let address = "10.78.0.1:7003".parse()?;
    let think = Duration::from_millis(25);
    Ok(recording.prepare(&kernels.lab)?.run(left, right, || {
        kernels
            .main
            .block_on(converse(&client, &server, address, think))
    })?)
}

fn a_conversation() -> Result<(), Failed> {
    use State::{
        CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent,
        TimeWait,
    };
    let ladder = record()?;
    print!("{}", to_text(&ladder, Style::Plain));
    assert_eq!(
        ladder.left_states(),
        [Closed, SynSent, Established, FinWait1, FinWait2, TimeWait]
    );
    assert_eq!(
        ladder.right_states(),
        [Listen, SynReceived, Established, CloseWait, LastAck, Closed]
    );
    let flags: Vec<String> = ladder
        .steps
        .iter()
        .map(|step| step.flags.to_string())
        .collect();
    assert_eq!(flags[..3], ["SYN", "SYN ACK", "ACK"]);
    let fins = ladder
        .steps
        .iter()
        .filter(|step| step.flags.has(Flags::FIN))
        .count();
    assert_eq!(fins, 2);
    let half_closed = ladder.steps.iter().filter(|step| step.note == "half-close");
    assert_eq!(half_closed.count(), 1);
    assert_eq!(ladder.steps[1].ack, Some(1));
    assert!(ladder.steps[0].note.contains("MSS 1460"));
    let last = ladder.steps.last().ok_or("no steps")?;
    assert_eq!((last.flags, last.len), (Flags::ACK, 0));
    Ok(())
}

fn a_slow_wire_takes_its_time() -> Result<(), Failed> {
    let begin = Instant::now();
    let ladder = record()?;
    assert!(begin.elapsed() >= Duration::from_millis(30));
    for step in &ladder.steps {
        assert!(
            step.arrived - step.departed >= Duration::from_millis(10),
            "{step:?}"
        );
    }
    Ok(())
}
