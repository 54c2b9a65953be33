//! One suite of programs over `tokio::net` and over `tidewire::net`, with one expected outcome.
//!
//! The cases are written once and compiled twice, with no more than the import changed:
//! [`over_kernel`] and [`over_tidewire`]. Their peer is the kernel in both. Where Tidewire differs
//! on purpose, the case says so by [`Implementation`], and why.

mod over_kernel;
mod over_tidewire;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::ExitCode;

use libtest_mimic::Trial;
use tidewire_cli::lab::LinkOptions;
use tidewire_integration_tests::{Flavor, Net, Setting, TestResult, Version, main as run};

/// The implementation that a case runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Implementation {
    /// `tokio::net`.
    Kernel,
    /// `tidewire::net`.
    Tidewire,
}

/// What a case runs in: its own host on the left, the kernel's on the right.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) own: IpAddr,
    pub(crate) over: Implementation,
}

fn main() -> ExitCode {
    let (kernel, tidewire) = (over_kernel::cases::trials(), over_tidewire::cases::trials());
    let names = check(&kernel, "kernel::");
    assert_eq!(
        names,
        check(&tidewire, "tidewire::"),
        "no case is for one of them only"
    );
    assert!(
        names.len() >= LEAST_CASES * SETTINGS.len(),
        "a module of cases was left out: {} trials",
        names.len()
    );
    run(kernel.into_iter().chain(tidewire))
}

/// Each case has two trials over each implementation; what is new adds to that.
const LEAST_CASES: usize = 125;

const SETTINGS: [(Version, Flavor); 2] = [
    (Version::V4, Flavor::CurrentThread),
    (Version::V6, Flavor::MultiThread),
];

/// The names of the cases with what they run in, all of which run.
fn check<'a>(trials: &'a [Trial], prefix: &str) -> BTreeSet<&'a str> {
    let names: BTreeSet<_> = trials
        .iter()
        .filter(|trial| !trial.has_ignored_flag())
        .filter_map(|trial| trial.name().strip_prefix(prefix))
        .collect();
    assert_eq!(names.len(), trials.len(), "ignored, or named twice");
    names
}

/// A case over one implementation, with IPv4 on one kind of runtime and with IPv6 on the other.
pub(crate) fn trials<F, Fut>(over: Implementation, name: &str, case: F) -> [Trial; 2]
where
    F: FnOnce(World) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    SETTINGS.map(|(version, flavor)| {
        let mut setting = Setting::new(flavor, version);
        match over {
            Implementation::Kernel => on_the_kernel(setting, name, case),
            Implementation::Tidewire => {
                setting.link = LinkOptions::default();
                on_tidewire(setting, name, case)
            }
        }
    })
}

fn on_the_kernel<F, Fut>(mut setting: Setting, name: &str, case: F) -> Trial
where
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    // The address that Tidewire has in its turn.
    let own = setting.version.tidewire();
    setting.link.left.addresses = vec![setting.version.with_prefix(own)];
    setting.trial(&format!("kernel::{name}"), move |net| {
        let over = Implementation::Kernel;
        case(World { net, own, over })
    })
}

fn on_tidewire<F, Fut>(setting: Setting, name: &str, case: F) -> Trial
where
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    setting.trial(&format!("tidewire::{name}"), async move |net: Net| {
        let stack = net.stack().await?;
        let (own, over) = (net.tidewire(), Implementation::Tidewire);
        stack.scope(case(World { net, own, over })).await
    })
}
