//! `tidewire lab`: two connected hosts for work by hand.

use clap::{Args, Subcommand, ValueEnum};

use crate::lab::LabError;
use crate::lab::persistent::{self, Side};

/// Two hosts joined by a veth pair: Tidewire's on the left, without a kernel address, and the
/// kernel's on the right.
#[derive(Debug, Args)]
pub(super) struct Lab {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the lab; as root with named namespaces, otherwise in a user namespace held by a process
    Up {
        /// MTU of the link in bytes
        #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(68..=65535))]
        mtu: u32,
    },
    /// Take the lab down; does nothing where there is none
    Down,
    /// Run a command on one side
    Exec {
        side: SideArgument,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Keep a lab alive until SIGTERM; what `up` starts for an ordinary user
    #[command(hide = true)]
    Hold {
        #[arg(long)]
        mtu: u32,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SideArgument {
    /// Tidewire's side
    Left,
    /// The kernel's side
    Right,
}

impl Lab {
    pub(super) fn run(self) -> Result<(), LabError> {
        match self.action {
            Action::Up { mtu } => print(&persistent::up(mtu)?),
            Action::Down => print(&persistent::down()?),
            Action::Exec { side, command } => {
                let side = match side {
                    SideArgument::Left => Side::Left,
                    SideArgument::Right => Side::Right,
                };
                persistent::exec(side, &command)?;
            }
            Action::Hold { mtu } => persistent::hold(mtu)?,
        }
        Ok(())
    }
}

fn print(log: &[String]) {
    for line in log {
        println!("{line}");
    }
}
