//! Place of a stack: interface, addresses and gateways.

use core::net::SocketAddr;

use clap::Args;
use tidewire::net::lookup_host;
use tidewire::{Stack, StackBuilder};

use super::failure::Failure;

/// Where a stack lives.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The network interface to send and receive on
    #[arg(long, value_name = "IF", env = "TIDEWIRE_IFACE")]
    iface: Option<String>,
    /// A free address of that network with its prefix length, such as 10.77.0.2/24
    #[arg(
        long,
        value_name = "CIDR",
        env = "TIDEWIRE_ADDR",
        value_delimiter = ','
    )]
    address: Vec<String>,
    /// The router for everything beyond that network, one for each IP version
    #[arg(
        long,
        value_name = "IP",
        env = "TIDEWIRE_GATEWAY",
        value_delimiter = ','
    )]
    gateway: Vec<String>,
}

impl Place {
    /// Starts a stack there.
    pub(super) async fn start(&self) -> Result<Stack, Failure> {
        Ok(self.builder()?.start().await?)
    }

    /// A stack to be started there.
    pub(super) fn builder(&self) -> Result<StackBuilder, Failure> {
        let Some(iface) = &self.iface else {
            return Err(Failure::Usage(
                "--iface IF and --address CIDR say where Tidewire lives".into(),
            ));
        };
        let mut builder = Stack::on(iface);
        for address in &self.address {
            builder = builder.address(address.trim());
        }
        for gateway in &self.gateway {
            builder = builder.gateway(gateway.trim());
        }
        Ok(builder)
    }

    /// Whether the stack has IPv6 addresses alone.
    pub(super) fn is_ipv6_only(&self) -> bool {
        !self.address.is_empty() && self.address.iter().all(|address| address.contains(':'))
    }
}

/// The first address of a host.
pub(super) async fn resolve(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let found = lookup_host((host, port)).await;
    let mut found = found.map_err(|error| Failure::failed(host, error))?;
    found
        .next()
        .ok_or_else(|| Failure::Failed(format!("{host}: no address")))
}
