use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tidewire_cli::lab::{self, Lab, LabOptions, LinkOptions};
use tokio::runtime::{Builder, Runtime};

use crate::Net;

/// What a test returns; `?` takes any error.
pub type TestResult = Result<(), Failed>;

/// Runs trials in a process that may make network namespaces, as root or as anybody.
///
/// A machine that does not allow that fails the run: a test that did not run has shown nothing.
pub fn main(trials: impl IntoIterator<Item = Trial>) -> ExitCode {
    let arguments = Arguments::from_args();
    // Before the first thread starts: see `lab::enter`.
    if !arguments.list
        && let Err(error) = lab::enter()
    {
        eprintln!("FAILED, all of it, for want of network namespaces: {error}");
        return ExitCode::FAILURE;
    }
    libtest_mimic::run(&arguments, trials.into_iter().collect()).exit_code()
}

/// The tokio runtime that a test and its stack run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// All tasks on one thread.
    CurrentThread,
    /// Two workers.
    MultiThread,
}

impl Flavor {
    fn build(self) -> std::io::Result<Runtime> {
        match self {
            Self::CurrentThread => Builder::new_current_thread().enable_all().build(),
            Self::MultiThread => Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current_thread",
            Self::MultiThread => "multi_thread",
        }
    }
}

/// A trial on either runtime, over a link with the defaults.
pub fn on_both_runtimes<F, Fut>(name: &str, test: F) -> [Trial; 2]
where
    F: FnOnce(Net) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    [Flavor::CurrentThread, Flavor::MultiThread].map(|flavor| on(flavor, name, test))
}

/// A trial on one runtime, over a link with the defaults.
pub fn on<F, Fut>(flavor: Flavor, name: &str, test: F) -> Trial
where
    F: FnOnce(Net) -> Fut + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    on_link(flavor, name, LabOptions::default().link, test)
}

/// A trial on one runtime, over the given link.
pub fn on_link<F, Fut>(flavor: Flavor, name: &str, link: LinkOptions, test: F) -> Trial
where
    F: FnOnce(Net) -> Fut + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    let name = format!("{name}::{}", flavor.name());
    Trial::test(name, move || run(flavor, link, test))
}

fn run<F, Fut>(flavor: Flavor, link: LinkOptions, test: F) -> TestResult
where
    F: FnOnce(Net) -> Fut + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    let lab = Lab::new(&LabOptions { link })?;
    let kernel = lab.right().runtime()?;
    let net = Net::new(&lab, kernel.handle().clone());
    lab.left().run(move || {
        let runtime = flavor.build()?;
        let finished = runtime.block_on(async { tokio::time::timeout(LIMIT, test(net)).await });
        finished.unwrap_or_else(|_| Err(format!("not done after {LIMIT:?}").into()))
    })
}

/// Many times what the slowest test takes: it bounds a test that hangs.
const LIMIT: Duration = Duration::from_secs(60);
