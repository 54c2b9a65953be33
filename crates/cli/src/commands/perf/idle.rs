//! `tidewire perf --idle`: memory of idle connections.

use core::time::Duration;
use std::{fs, io};

use serde::Serialize;
use tidewire::Stack;
use tidewire::net::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::commands::failure::Failure;
use crate::commands::hosts::{Carrier, start_stack, within};
use crate::commands::output::{Output, print, to_json};
use crate::interrupt::Interrupt;
use crate::lab::{self, Lab, LabOptions};
use crate::progress::Progress;
use crate::report::Environment;

/// What was found.
#[derive(Debug, Serialize)]
struct Document {
    /// Version of the JSON form.
    schema: u32,
    environment: Environment,
    connections: u32,
    /// Resident memory that the process grew by, both ends of all connections in it.
    resident_bytes: u64,
    /// The same for one end of one connection.
    bytes_per_end: f64,
}

/// Opens so many connections between two stacks over a link, lets each carry a byte each way, and
/// reports the growth of this process, which holds both ends with their handles. Call it while the
/// process has one thread.
pub(super) fn run(connections: u32, output: &Output) -> Result<(), Failure> {
    lab::enter()?;
    let interrupt = Interrupt::install()?;
    let carrier = Carrier {
        mtu: 1500,
        offloads: true,
    };
    let lab = Lab::new(&LabOptions {
        link: carrier.link("tt0", None, None),
    })?;
    let (left, right) = (lab.left().runtime()?, lab.right().runtime()?);
    let client = start_stack(&left, Stack::on("tt0").address("10.90.0.2/24"))?;
    let server = start_stack(&right, Stack::on("tt0").address("10.90.0.1/24"))?;
    let listener = right.block_on(async move { server.bind("10.90.0.1:5201").await })??;
    let label = "connecting";
    let progress = Progress::steps(label, connections.into(), output.progress());
    let (counted, patience) = (progress.clone(), PATIENCE + EACH * connections);
    let measured = left.block_on(async move {
        let work = within(patience, growth(&client, listener, connections, &counted));
        tokio::select! {
            outcome = work => outcome.map_err(|error| Failure::failed(label, error)),
            () = interrupt.raised() => Err(Failure::Interrupted),
        }
    });
    progress.finish();
    let resident_bytes = measured??;
    let document = Document {
        schema: 1,
        environment: Environment::read(),
        connections,
        resident_bytes,
        bytes_per_end: resident_bytes as f64 / f64::from(2 * connections),
    };
    print(&document.show(output.json)?)
}

impl Document {
    fn show(&self, is_json: bool) -> Result<String, Failure> {
        if is_json {
            return to_json(self);
        }
        let Self {
            connections,
            resident_bytes,
            bytes_per_end,
            ..
        } = self;
        Ok(format!(
            "{connections} idle connections: {resident_bytes} bytes more resident memory, {bytes_per_end:.0} bytes for each end \
             with its handle\n"
        ))
    }
}

/// How many bytes of memory the connections took, before any of them is closed.
async fn growth(
    client: &Stack,
    listener: TcpListener,
    connections: u32,
    progress: &Progress,
) -> io::Result<u64> {
    let address = listener.local_addr()?;
    // Room for the handles, which takes memory only as they are put there.
    let mut handles = Vec::with_capacity(2 * connections as usize);
    // The first connection allocates what all of them share.
    let first = pair(client, &listener, address).await?;
    let before = resident()?;
    for _ in 0..connections {
        handles.extend(pair(client, &listener, address).await?);
        progress.add(1);
    }
    let after = resident()?;
    drop((first, handles));
    after
        .checked_sub(before)
        .ok_or_else(|| io::Error::other("the process has shrunk"))
}

/// One connection, which has carried a byte each way.
async fn pair(
    client: &Stack,
    listener: &TcpListener,
    address: core::net::SocketAddr,
) -> io::Result<[TcpStream; 2]> {
    let (mut near, (mut far, _)) = tokio::try_join!(client.connect(address), listener.accept())?;
    near.write_all(b"?").await?;
    let mut byte = [0];
    far.read_exact(&mut byte).await?;
    far.write_all(&byte).await?;
    near.read_exact(&mut byte).await?;
    Ok([near, far])
}

/// The resident memory of this process in bytes.
fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}

/// Below the number of ports that a client has for one address.
pub(super) const MOST: u32 = 30_000;
const PATIENCE: Duration = Duration::from_secs(10);
const EACH: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        assert!(resident().expect("a figure") > 100_000);
    }
}
