//! What the tests of this package share: two hosts on one link, a Tidewire stack on the left, the kernel's TCP on the right.

#![forbid(unsafe_code)]

mod net;
mod program;
mod suite;

pub use net::{Net, Opener, Version, until};
pub use program::Program;
pub use suite::{Flavor, Setting, TestResult, everywhere, main, on_both_runtimes};
