//! Common programs with Tidewire at the other end: curl as the client of an axum server, nginx as
//! the server of a hyper client.

mod curl;
mod nginx;
mod server;

use std::env;
use std::process::{Command, ExitCode};

use libtest_mimic::Trial;
use tidewire_integration_tests::main as run;

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = Vec::new();
    for (program, its_trials) in [("curl", curl::trials()), ("nginx", nginx::trials())] {
        if is_installed(program) {
            trials.extend(its_trials);
        } else if env::var_os("CI").is_some() {
            // Where CI is set, a test that cannot run is a failure.
            eprintln!("FAILED, {program} is not installed");
            return ExitCode::FAILURE;
        } else {
            eprintln!(
                "SKIPPED, {program} is not installed: {} tests",
                its_trials.len()
            );
        }
    }
    run(trials)
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("-V").output().is_ok()
}
