//! Tidewire against the kernel's TCP over a veth pair, on both of tokio's runtimes.

mod close;
mod connect;
mod ipv6;
mod observe;
mod start;
mod transfer;
mod window;

use std::process::ExitCode;

use libtest_mimic::Trial;
use tidewire_integration_tests::{main as run, on_both_runtimes};

fn main() -> ExitCode {
    let trials: [Vec<Trial>; 8] = [
        connect::trials(),
        transfer::trials(),
        transfer::trials_of_links(),
        close::trials(),
        window::trials(),
        start::trials(),
        observe::trials(),
        ipv6::trials(),
    ];
    run(trials.into_iter().flatten())
}

/// The trials of a module: each of these functions on both runtimes, by its name.
macro_rules! trials {
    ($($test:ident),+ $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            let trials = [$( crate::on_both_runtimes(&format!("{module}::{}", stringify!($test)), $test) ),+];
            trials.into_iter().flatten().collect()
        }
    };
}
use trials;
