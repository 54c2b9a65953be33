//! Test runner: trials on each runtime, IP version and link.

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tidewire_cli::lab::{self, Lab, LabOptions, LinkOptions};
use tokio::runtime::{Builder, Runtime};

use crate::{Net, Version};

/// What a test returns; `?` takes any error.
pub type TestResult = Result<(), Failed>;

/// Runs trials in a process that may make network namespaces, as root or as any user.
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
    raise_file_limit();
    libtest_mimic::run(&arguments, trials.into_iter().collect()).exit_code()
}

/// A thousand connections at once are more files than some systems allow at first.
fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where that fails, the test that needs the files says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
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
    /// Both.
    pub const EACH: [Self; 2] = [Self::CurrentThread, Self::MultiThread];

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

/// Where a trial runs: on which of tokio's runtimes, with which IP version, over which link.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The runtime.
    pub flavor: Flavor,
    /// The IP version of the link's addresses.
    pub version: Version,
    /// The link; its addresses are added.
    pub link: LinkOptions,
}

impl Setting {
    /// Over a link with the defaults.
    #[must_use]
    pub fn new(flavor: Flavor, version: Version) -> Self {
        let link = LinkOptions::default();
        Self {
            flavor,
            version,
            link,
        }
    }

    /// Each runtime with each IP version, over links with the defaults.
    pub fn each() -> impl Iterator<Item = Self> {
        Version::EACH
            .into_iter()
            .flat_map(|version| Flavor::EACH.map(|flavor| Self::new(flavor, version)))
    }

    /// A trial here; the setting becomes part of its name.
    pub fn trial<F, Fut>(self, name: &str, test: F) -> Trial
    where
        F: FnOnce(Net) -> Fut + Send + 'static,
        Fut: Future<Output = TestResult>,
    {
        let (version, flavor) = (self.version.name(), self.flavor.name());
        Trial::test(format!("{name}::{version}::{flavor}"), move || {
            self.run(test)
        })
    }

    fn run<F, Fut>(self, test: F) -> TestResult
    where
        F: FnOnce(Net) -> Fut + Send + 'static,
        Fut: Future<Output = TestResult>,
    {
        let Self {
            flavor,
            version,
            mut link,
        } = self;
        link.right.addresses = vec![version.with_prefix(version.kernel())];
        let lab = Lab::new(&LabOptions { link })?;
        let kernel = lab.right().runtime()?;
        let net = Net::new(&lab, version, kernel.handle().clone());
        lab.left().run(move || {
            let runtime = flavor.build()?;
            let finished = runtime.block_on(async { tokio::time::timeout(LIMIT, test(net)).await });
            finished.unwrap_or_else(|_| Err(format!("not done after {LIMIT:?}").into()))
        })
    }
}

/// A trial on either runtime with either IP version.
pub fn everywhere<F, Fut>(name: &str, test: F) -> Vec<Trial>
where
    F: FnOnce(Net) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    Setting::each()
        .map(|setting| setting.trial(name, test))
        .collect()
}

/// A trial on either runtime, with IPv4.
pub fn on_both_runtimes<F, Fut>(name: &str, test: F) -> [Trial; 2]
where
    F: FnOnce(Net) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = TestResult>,
{
    Flavor::EACH.map(|flavor| Setting::new(flavor, Version::V4).trial(name, test))
}

/// Many times what the slowest test takes: it bounds a test that hangs.
const LIMIT: Duration = Duration::from_secs(180);
