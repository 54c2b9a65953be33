//! `tidewire demo`: two hosts on this machine, Tidewire in one and the kernel's TCP in the other.

mod arena;
mod document;
mod files;
mod ladder;
mod measure;
mod narrative;
mod settings;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use super::failure::Failure;
use super::output::{Output, print, to_json};
use crate::interrupt::Interrupt;
use crate::lab;
use crate::progress::{Progress, ProgressStyle};
use crate::report::Environment;
use crate::traffic::Flow;
use arena::Arena;
use document::{Document, Files, Transfer};
use files::Folder;
use narrative::Narrative;
use settings::Settings;

/// Makes two hosts joined by a link on this machine, runs Tidewire in one and the kernel's TCP in
/// the other, and shows a whole connection, a verified gibibyte each way, and the speed of both.
/// Takes about half a minute; leaves nothing but two files.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Less of everything, in a few seconds; too little for figures
    #[arg(long)]
    quick: bool,
    /// Where the picture and the JSON document go
    #[arg(long, value_name = "DIR", default_value = "tidewire-demo")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        let begin = Instant::now();
        // First, while the process has one thread.
        let privilege = lab::enter()?;
        let interrupt = Interrupt::install()?;
        let folder = Folder::create(&self.out)?;
        let settings = Settings::new(self.quick, privilege);
        let narrative = Narrative::new(self.output.style(), self.output.json);
        let show = Show {
            settings,
            narrative,
            progress: self.output.progress(),
            interrupt: &interrupt,
            main: Builder::new_current_thread().enable_all().build()?,
        };
        let document = show.run(&folder, begin).map_err(|failure| {
            // After an interruption, that is the cause of any failure.
            if interrupt.is_raised() {
                Failure::Interrupted
            } else {
                failure
            }
        })?;
        folder.keep();
        if self.output.json {
            print(&to_json(&document)?)?;
        }
        Ok(())
    }
}

struct Show<'a> {
    settings: Settings,
    narrative: Narrative,
    progress: ProgressStyle,
    interrupt: &'a Interrupt,
    main: Runtime,
}

impl Show<'_> {
    fn run(self, folder: &Folder, begin: Instant) -> Result<Document, Failure> {
        let environment = Environment::read();
        self.narrative.opening(&environment, &self.settings)?;
        let arena = Arena::new(&self.settings)?;

        self.narrative.connection(&self.settings)?;
        let ladder = ladder::record(&arena, &self.main, self.interrupt)?;
        ladder::check(&ladder)?;
        self.narrative.ladder(&ladder)?;

        self.narrative.transfers(&self.settings)?;
        let transfers = [Flow::ClientToServer, Flow::ServerToClient]
            .map(|flow| self.transfer(&arena, flow))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;

        self.narrative.speed(&self.settings)?;
        let comparisons = self.compare(&arena)?;
        self.narrative.comparisons(&comparisons)?;

        let mut document = Document {
            schema: Document::SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            environment,
            settings: self.settings,
            ladder,
            transfers,
            comparisons,
            files: Files {
                picture: folder.path("ladder.svg"),
                document: folder.path("demo.json"),
            },
            seconds: 0.0,
        };
        // The time includes the clean-up of the hosts.
        drop(arena);
        document.seconds = begin.elapsed().as_secs_f64();
        folder.write("ladder.svg", &crate::ladder::to_svg(&document.ladder))?;
        folder.write("demo.json", &to_json(&document)?)?;
        self.narrative.closing(&document)?;
        Ok(document)
    }

    fn transfer(&self, arena: &Arena, flow: Flow) -> Result<Transfer, Failure> {
        let (from, to) = match flow {
            Flow::ClientToServer => ("Tidewire", "Linux"),
            Flow::ServerToClient => ("Linux", "Tidewire"),
        };
        let label = format!("{from} to {to}");
        let bytes = self.settings.transfer_bytes;
        let progress = Progress::bytes(&label, bytes, self.progress);
        let outcome = self.until_interrupted(arena.tidewire.transfer(flow, bytes, &progress));
        progress.finish();
        let verified = outcome.map_err(|failure| failure.during(&label))?;
        let transfer = Transfer { from, to, verified };
        self.narrative.transfer(&transfer)?;
        Ok(transfer)
    }

    fn compare(&self, arena: &Arena) -> Result<Vec<crate::report::Comparison>, Failure> {
        let steps = measure::steps(&self.settings);
        let progress = Progress::steps("measuring", steps, self.progress);
        let outcome = self.until_interrupted(measure::run(arena, &self.settings, &progress));
        progress.finish();
        outcome
    }

    /// Drives `work` until it is done or a signal comes.
    fn until_interrupted<T, E: Into<Failure>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        self.main.block_on(async {
            tokio::select! {
                outcome = work => outcome.map_err(Into::into),
                () = self.interrupt.raised() => Err(Failure::Interrupted),
            }
        })
    }
}
