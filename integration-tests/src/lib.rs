//! Helpers of the integration tests: two hosts on one link, a Tidewire stack on the left, the
//! kernel's TCP on the right.
//!
//! | file or folder | holds |
//! |---|---|
//! | `net` | test network: hosts, addresses, connections |
//! | `program` | programs that a test runs on a host |
//! | `suite` | test runner: trials on each runtime, IP version and link |
//! | `bin/docker_peer` | echo server and client for `docker/run.sh` |
//!
//! The test targets, under `tests/`:
//!
//! | target | tests |
//! |---|---|
//! | `api` | every public name as a program uses it |
//! | `applications` | curl and nginx against axum and hyper on Tidewire |
//! | `behaviour` | one suite over `tokio::net` and `tidewire::net`, with one expected outcome |
//! | `examples` | the programs of `examples/` |
//! | `kernel` | Tidewire against the kernel's TCP: transfer, close, silence, windows, errors |
//!
//! `docker/run.sh` runs Tidewire between containers.

#![forbid(unsafe_code)]

mod net;
mod program;
mod suite;

pub use net::{Net, Opener, Version, until};
pub use program::Program;
pub use suite::{Flavor, Setting, TestResult, everywhere, main, on_both_runtimes};
