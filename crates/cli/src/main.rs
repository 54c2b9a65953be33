//! The `tidewire` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tidewire_cli::commands::main()
}
