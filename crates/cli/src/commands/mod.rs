//! The command tree and its exit codes: 0 ok, 1 failure at run time, 2 wrong usage, 3 the
//! environment, 4 measured and found too slow, 130 interrupted.

mod demo;
mod failure;
mod hosts;
mod lab;
mod nc;
mod output;
mod perf;
mod place;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A TCP/IP stack in user space, and what belongs to it.
#[derive(Debug, Parser)]
#[command(name = "tidewire", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tidewire and the kernel's TCP on this machine: a connection in detail, a gibibyte each way,
    /// the speed of both
    Demo(demo::Demo),
    /// Two connected hosts on this machine, to try things in: network namespaces and a veth pair
    Lab(lab::Lab),
    /// Standard input and output over a TCP connection of a stack of its own
    Nc(nc::Nc),
    /// How fast a connection is: between two hosts, or Tidewire beside the kernel's TCP on this one
    Perf(perf::Perf),
}

/// Runs the command line of this process. Call it first in `main`, before any thread starts.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Lab(lab) => lab.run().map_err(Into::into),
        Command::Nc(nc) => nc.run(),
        Command::Perf(perf) => perf.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidewire: {error}");
            error.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_exit_code_2() {
        let error = Cli::try_parse_from(["tidewire", "lab", "exec", "middle", "--", "true"])
            .expect_err("no such side");
        assert_eq!(error.exit_code(), 2);
    }
}
