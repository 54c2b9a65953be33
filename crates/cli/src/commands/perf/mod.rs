//! `tidewire perf`: throughput, round trips and connection rate, after iperf3 and netperf.

mod client;
mod document;
mod exchange;
mod idle;
mod options;
mod parts;
mod plan;
mod protocol;
mod server;
mod text;
mod versus;

use core::net::SocketAddr;
use std::time::Duration;

use clap::{ArgGroup, Args};

use self::client::Record;
use self::document::Document;
use self::options::{End, TestOptions};
use self::server::Server;
use self::versus::VersusOptions;
use super::failure::Failure;
use super::output::{Output, print, to_json};
use super::place::resolve;
use crate::interrupt::Interrupt;
use crate::stack::Tidewire;
use crate::style::Style;
use crate::traffic::Transport;

/// Measures a connection between two ends, each on Tidewire or on the kernel's TCP: throughput one
/// way or both, round trips, or connections per second. Options are named after iperf3's where it
/// has them. With --vs-kernel it makes two hosts on this machine and measures both implementations
/// there, in turns.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("role").required(true).args(["server", "client", "vs_kernel", "idle"])))]
pub(super) struct Perf {
    /// Be the server
    #[arg(short, long)]
    server: bool,
    /// Be the client of a server
    #[arg(short, long, value_name = "HOST")]
    client: Option<String>,
    /// Compare Tidewire with the kernel's TCP on this machine
    #[arg(long, conflicts_with_all = ONE_TEST)]
    vs_kernel: bool,
    /// Find what so many idle connections of Tidewire cost, at each end [default: 10000]
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "10000",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(idle::MOST)),
        conflicts_with_all = ONE_TEST,
    )]
    idle: Option<u32>,
    /// The server's port
    #[arg(short, long, default_value_t = 5201)]
    port: u16,
    /// As the server: listen at this address alone
    #[arg(short = 'B', long, value_name = "ADDR", conflicts_with = "client")]
    bind: Option<core::net::IpAddr>,
    /// As the server: end after one test
    #[arg(short = '1', long, conflicts_with = "client")]
    one_off: bool,
    #[command(flatten)]
    end: End,
    #[command(flatten)]
    test: TestOptions,
    #[command(flatten)]
    output: Output,
    // Last: its heading is that of everything after it.
    #[command(flatten)]
    versus: VersusOptions,
}

impl Perf {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.vs_kernel {
            return self.versus.run(&self.output);
        }
        if let Some(connections) = self.idle {
            return idle::run(connections, &self.output);
        }
        let interrupt = Interrupt::install()?;
        let runtime = self.end.runtime()?;
        let outcome = runtime.block_on(self.until(&interrupt));
        runtime.shutdown_background();
        outcome
    }

    async fn until(&self, interrupt: &Interrupt) -> Result<(), Failure> {
        if self.end.is_kernel() {
            return self.play(self.end.kernel(), "kernel", interrupt).await;
        }
        let stack = self.end.stack()?.start().await?;
        let outcome = self
            .play(Tidewire(stack.clone()), "tidewire", interrupt)
            .await;
        // Data of the closed connections may still be in flight.
        let drained = stack.shutdown(DRAIN_TIME).await;
        outcome?;
        drained.map_err(|error| Failure::failed("the peer did not take all of it", error))
    }

    async fn play<T: Transport>(
        &self,
        transport: T,
        name: &'static str,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        match &self.client {
            Some(host) => self.measure(&transport, name, host, interrupt).await,
            None => tokio::select! {
                outcome = self.serve(transport) => outcome,
                () = interrupt.raised() => Err(Failure::Interrupted),
            },
        }
    }

    async fn serve<T: Transport>(&self, transport: T) -> Result<(), Failure> {
        let any = if self.end.is_ipv6_only() {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        };
        let address = SocketAddr::new(self.bind.unwrap_or(any), self.port);
        let server = Server::bind(transport, address).await;
        let mut server = server
            .map_err(|error| Failure::failed(format!("cannot listen on {address}"), error))?;
        eprintln!("tidewire: listening on {address}");
        loop {
            let (peer, outcome) = server.next().await?;
            match outcome {
                Ok(served) => {
                    print(&format!("{peer}: {}\n", text::served(&served)))?;
                    if self.one_off {
                        return Ok(());
                    }
                }
                // One client's failure does not end the server.
                Err(error) => eprintln!("tidewire: {peer}: {error}"),
            }
        }
    }

    async fn measure<T: Transport>(
        &self,
        transport: &T,
        name: &'static str,
        host: &str,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let plan = self.test.plan()?;
        let server = resolve(host, self.port).await?;
        let mut record = Record::default();
        let mut printer = IntervalPrinter {
            style: self.output.style(),
            is_silent: self.output.json,
            printed: None,
        };
        let outcome = tokio::select! {
            outcome = client::run(
                transport,
                server,
                &plan,
                self.test.interval(),
                &mut record,
                |record| printer.print(record),
            ) => outcome.map_err(Failure::from),
            () = interrupt.raised() => Err(Failure::Interrupted),
        };
        if self.output.json {
            let error = outcome.as_ref().err().map(ToString::to_string);
            let document = Document::new(name, (host, self.port), &plan, &record, error);
            print(&to_json(&document)?)?;
        } else if outcome.is_ok() {
            print(&text::sums(&plan, &record, self.output.style()))?;
        }
        outcome
    }
}

/// Prints connections and intervals on standard output.
struct IntervalPrinter {
    style: Style,
    is_silent: bool,
    /// How many intervals were printed; `None` before the heading.
    printed: Option<usize>,
}

impl IntervalPrinter {
    fn print(&mut self, record: &Record) {
        if self.is_silent {
            return;
        }
        let mut text = String::new();
        let printed = self.printed.unwrap_or_else(|| {
            for (index, (local, remote)) in record.connected.iter().enumerate() {
                text.push_str(&format!("stream {index}: {local} to {remote}\n"));
            }
            text.push_str(&text::heading(self.style));
            0
        });
        for interval in record.intervals.iter().skip(printed) {
            text.push_str(&text::interval(interval));
        }
        self.printed = Some(record.intervals.len());
        // A closed standard output is reported at the end.
        drop(print(&text));
    }
}

/// The options of a single test between two programs.
const ONE_TEST: [&str; 15] = [
    "port",
    "bind",
    "one_off",
    "kernel",
    "window",
    "set_mss",
    "spin",
    "multi_thread",
    "time",
    "bytes",
    "parallel",
    "mode",
    "length",
    "no_delay",
    "interval",
];
/// How long what was sent may take to arrive after the test has ended.
const DRAIN_TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::plan::{Mode, Plan};
    use super::*;
    use crate::traffic::Limit;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        perf: Perf,
    }

    fn parse(arguments: &[&str]) -> Result<Perf, clap::Error> {
        Line::try_parse_from([&["perf"], arguments].concat()).map(|line| line.perf)
    }

    fn plan(arguments: &[&str]) -> Plan {
        let perf = parse(&[&["-k", "-c", "host"], arguments].concat()).expect("sound arguments");
        perf.test.plan().expect("a plan")
    }

    #[test]
    fn options_after_iperf3() {
        let ten_seconds = Limit::Time(Duration::from_secs(10));
        let usual = plan(&[]);
        assert_eq!((usual.mode, usual.limit), (Mode::Send, ten_seconds));
        assert_eq!(
            (usual.streams, usual.length, usual.nodelay),
            (1, 65_536, false)
        );
        let other = plan(&["-R", "-P", "8", "-n", "1G", "-l", "4K", "-N"]);
        assert_eq!(
            (other.mode, other.limit),
            (Mode::Receive, Limit::Bytes(1 << 30))
        );
        assert_eq!(
            (other.streams, other.length, other.nodelay),
            (8, 4096, true)
        );
        assert_eq!(plan(&["--rr"]).length, 1);
        assert_eq!(plan(&["--rr", "1000"]).mode, Mode::RoundTrip);
        assert_eq!(
            (plan(&["--crr"]).mode, plan(&["--crr"]).length),
            (Mode::Connect, 1)
        );
        assert_eq!(plan(&["--bidir"]).mode, Mode::Both);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for wrong in [
            &["-s", "-c", "host"][..],
            &["-k"],
            &["-c", "host", "--one-off"],
            &["-c", "host", "-R", "--rr"],
            &["-c", "host", "-t", "1", "-n", "1"],
            &["-c", "host", "-l", "x"],
            &["-c", "host", "-k", "--spin", "0"],
        ] {
            let error = parse(wrong).expect_err("wrong usage");
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
        let perf = parse(&["-c", "host", "-k", "-t", "0"]).expect("parsed");
        assert!(matches!(perf.test.plan(), Err(Failure::Usage(_))));
        let perf = parse(&["-c", "host"]).expect("parsed");
        assert!(matches!(perf.end.stack(), Err(Failure::Usage(_))));
    }
}
