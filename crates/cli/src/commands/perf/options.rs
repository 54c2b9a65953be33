//! Options of a single test: this end's TCP, and what the client measures.

use std::io;
use std::time::Duration;

use clap::Args;
use tidewire::{BufferSize, StackBuilder, TcpConfig};
use tokio::runtime::{Builder, Runtime};

use super::plan::{Mode, Plan};
use crate::commands::failure::Failure;
use crate::commands::place::Place;
use crate::kernel::Kernel;
use crate::traffic::Limit;

/// This end of the connection.
#[derive(Debug, Args)]
pub(super) struct End {
    /// Use the kernel's TCP on CUBIC instead of a stack on --iface
    #[arg(short, long)]
    kernel: bool,
    #[command(flatten)]
    place: Place,
    /// Bytes of each socket buffer, such as 256K; without, they tune themselves
    #[arg(short, long, value_name = "N[KMG]", value_parser = size)]
    window: Option<u64>,
    /// The largest segment in bytes
    #[arg(short = 'M', long, value_name = "N", value_parser = clap::value_parser!(u32).range(88..=65_000))]
    set_mss: Option<u32>,
    /// For how many microseconds the stack looks for frames before it sleeps, at most a second
    /// [default: 50 on several processors]
    #[arg(long, value_name = "MICROS", conflicts_with = "kernel", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    spin: Option<u64>,
    /// Run on a thread for each processor instead of on one
    #[arg(long)]
    multi_thread: bool,
}

impl End {
    pub(super) fn is_kernel(&self) -> bool {
        self.kernel
    }

    pub(super) fn kernel(&self) -> Kernel {
        Kernel {
            buffer: self.buffer(),
            mss: self.set_mss,
        }
    }

    /// A stack to be started.
    pub(super) fn stack(&self) -> Result<StackBuilder, Failure> {
        let mut builder = self.place.builder().map_err(|failure| match failure {
            Failure::Usage(text) => Failure::Usage(text + "; --kernel is for the kernel's TCP"),
            other => other,
        })?;
        if let Some(buffer) = self.buffer() {
            builder = builder.tcp(TcpConfig {
                send_buffer: BufferSize::Fixed(buffer),
                recv_buffer: BufferSize::Fixed(buffer),
                ..TcpConfig::default()
            });
        }
        if let Some(micros) = self.spin {
            builder = builder.spin(Duration::from_micros(micros));
        }
        if let Some(mss) = self.set_mss {
            // The stack's segments are as large as its packets, less the headers without options.
            let headers = if self.place.is_ipv6_only() { 60 } else { 40 };
            builder = builder.mtu(mss + headers);
        }
        Ok(builder)
    }

    /// Whether this end has no IPv4 address of its own.
    pub(super) fn is_ipv6_only(&self) -> bool {
        !self.kernel && self.place.is_ipv6_only()
    }

    /// A runtime of one thread, or of one for each processor.
    pub(super) fn runtime(&self) -> io::Result<Runtime> {
        let mut builder = if self.multi_thread {
            Builder::new_multi_thread()
        } else {
            Builder::new_current_thread()
        };
        builder.enable_all().build()
    }

    fn buffer(&self) -> Option<usize> {
        self.window
            .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// What the client measures.
#[derive(Debug, Args)]
pub(super) struct TestOptions {
    /// Send for so many seconds
    #[arg(
        short,
        long,
        value_name = "SECS",
        default_value_t = 10.0,
        conflicts_with = "bytes"
    )]
    time: f64,
    /// Send so many bytes instead, such as 1G
    #[arg(short = 'n', long, value_name = "N[KMG]", value_parser = size)]
    bytes: Option<u64>,
    /// Connections at a time
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1)]
    parallel: u32,
    /// The server sends
    #[arg(short = 'R', long, group = "mode")]
    reverse: bool,
    /// Both send, each on connections of its own
    #[arg(long, group = "mode")]
    bidir: bool,
    /// Round trips: a message of so many bytes comes back before the next one leaves
    #[arg(long, value_name = "N[K]", group = "mode", num_args = 0..=1, default_missing_value = "1", value_parser = size)]
    rr: Option<u64>,
    /// Connections: connect, request, reply and close before the next one, on each of the parallel
    /// ones
    #[arg(long, group = "mode")]
    crr: bool,
    /// Bytes per write [default: 64K; 1 with --crr]
    #[arg(short, long, value_name = "N[KM]", value_parser = size)]
    length: Option<u64>,
    /// Send small segments at once; always so with --rr and --crr
    #[arg(short = 'N', long)]
    no_delay: bool,
    /// Seconds between reports; 0 for none
    #[arg(short, long, value_name = "SECS", default_value_t = 1.0)]
    interval: f64,
}

impl TestOptions {
    pub(super) fn plan(&self) -> Result<Plan, Failure> {
        let mode = if self.reverse {
            Mode::Receive
        } else if self.bidir {
            Mode::Both
        } else if self.rr.is_some() {
            Mode::RoundTrip
        } else if self.crr {
            Mode::Connect
        } else {
            Mode::Send
        };
        let usual = if self.crr { 1 } else { 64 << 10 };
        let length = self.rr.or(self.length).unwrap_or(usual);
        let time = Duration::try_from_secs_f64(self.time)
            .map_err(|error| Failure::Usage(format!("--time {}: {error}", self.time)))?;
        let plan = Plan {
            mode,
            streams: self.parallel,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            limit: self.bytes.map_or(Limit::Time(time), Limit::Bytes),
            nodelay: self.no_delay || self.crr || self.rr.is_some(),
        };
        plan.check().map_err(Failure::Usage)?;
        Ok(plan)
    }

    /// Zero for none.
    pub(super) fn interval(&self) -> Duration {
        Duration::try_from_secs_f64(self.interval).unwrap_or_default()
    }
}

/// A number of bytes with one of iperf3's suffixes, which are powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 10),
        Some((at, 'm' | 'M')) => (&text[..at], 20),
        Some((at, 'g' | 'G')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "not a number of bytes, such as 1000, 64K or 1G".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_suffixes() {
        let sizes = ["0", "1500", "64K", "1m", "2G"].map(|text| size(text).expect("a size"));
        assert_eq!(sizes, [0, 1500, 65_536, 1 << 20, 2 << 30]);
        for wrong in ["", "K", "1.5K", "-1", "1KB", "99999999999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
