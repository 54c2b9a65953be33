//! Tidewire against the kernel's TCP over a veth pair, on both of tokio's runtimes, with both IP
//! versions.

mod backlog;
mod close;
mod connect;
mod observe;
mod silence;
mod start;
mod transfer;
mod window;

use std::process::ExitCode;

use libtest_mimic::Trial;
use tidewire_integration_tests::{everywhere, main as run};

fn main() -> ExitCode {
    let trials: [Vec<Trial>; 11] = [
        connect::trials(),
        backlog::trials(),
        transfer::trials(),
        transfer::trials_of_bulk(),
        transfer::trials_of_links(),
        close::trials(),
        silence::trials(),
        window::trials(),
        start::trials(),
        start::trials_with_ipv4(),
        observe::trials(),
    ];
    run(trials.into_iter().flatten())
}

/// The trials of a module: each of these functions everywhere, by its name.
macro_rules! trials {
    ($($test:ident),+ $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            let trials = [$( crate::everywhere(&format!("{module}::{}", stringify!($test)), $test) ),+];
            trials.into_iter().flatten().collect()
        }
    };
}
use trials;
