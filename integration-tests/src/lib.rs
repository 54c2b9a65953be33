//! What the tests of this package share: two hosts on one link, a Tidewire stack on the left, the kernel's TCP on the right.

#![forbid(unsafe_code)]

mod net;
mod suite;

pub use net::{KERNEL, Net, Opener, TIDEWIRE, until};
pub use suite::{Flavor, TestResult, main, on, on_both_runtimes, on_link};
