use clap::Args;
use tidewire::Stack;

use super::failure::Failure;

/// Where a stack lives.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The network interface to send and receive on
    #[arg(long, value_name = "IF", env = "TIDEWIRE_IFACE")]
    iface: String,
    /// A free address of that network with its prefix length, such as 10.77.0.2/24
    #[arg(
        long,
        value_name = "CIDR",
        env = "TIDEWIRE_ADDR",
        value_delimiter = ',',
        required = true
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
        let mut builder = Stack::on(&self.iface);
        for address in &self.address {
            builder = builder.address(address.trim());
        }
        for gateway in &self.gateway {
            builder = builder.gateway(gateway.trim());
        }
        Ok(builder.start().await?)
    }
}
