//! Text output of a demo.

use indicatif::HumanBytes;

use super::document::{Document, Transfer};
use super::ladder::WIRE_DELAY;
use super::settings::Settings;
use crate::commands::failure::Failure;
use crate::commands::hosts::Processors;
use crate::commands::output::print;
use crate::ladder::{Ladder, to_text};
use crate::report::{Comparison, Environment, to_table};
use crate::style::{BOLD, CYAN, DIM, GREEN, Style};

/// Prints the demo's steps on standard output; nothing with `--json`.
pub(super) struct Narrative {
    style: Style,
    silent: bool,
}

impl Narrative {
    pub(super) fn new(style: Style, silent: bool) -> Self {
        Self { style, silent }
    }

    pub(super) fn opening(
        &self,
        environment: &Environment,
        settings: &Settings,
    ) -> Result<(), Failure> {
        let title = self.style.paint(BOLD, "Tidewire demo");
        let user = if settings.rootless {
            "as an ordinary user, in a user namespace"
        } else {
            "as root"
        };
        let place = format!(
            "Linux {}, {} processors, {user}",
            environment.kernel, environment.cpus
        );
        let wire = |text: &str| self.style.paint(DIM, text);
        let us = |text: &str| self.style.paint(CYAN, text);
        self.say(&format!(
            "{title}   {}

   {}                      {}
   {}                      {}
   {}{}{}
   {}                      {}
   {}                      {}
",
            wire(&place),
            us("╭──────────── left ────────────╮"),
            wire("╭─────────── right ────────────╮"),
            us("│ Tidewire                     │"),
            wire("│ Linux TCP, CUBIC             │"),
            us("│ 10.77.0.2 on a packet socket ├"),
            wire("────── veth pair ─────"),
            wire("┤ 10.77.0.1                    │"),
            us("│ tidewire::net                │"),
            wire("│ tokio::net                   │"),
            us("╰──────────────────────────────╯"),
            wire("╰──────────────────────────────╯"),
        ))?;
        self.say("\n")
    }

    pub(super) fn connection(&self, _: &Settings) -> Result<(), Failure> {
        self.chapter(
            1,
            "One connection, segment by segment",
            &[&format!(
                "The wire takes {} ms. Each end tells its own state: Tidewire's stack, and Linux by sock_diag.",
                WIRE_DELAY.as_millis()
            )],
        )
    }

    pub(super) fn ladder(&self, ladder: &Ladder) -> Result<(), Failure> {
        self.say(&to_text(ladder, self.style))?;
        self.say("\n")
    }

    pub(super) fn transfers(&self, settings: &Settings) -> Result<(), Failure> {
        let title = format!("{} each way", HumanBytes(settings.transfer_bytes));
        self.chapter(
            2,
            &title,
            &["Both ends hash all that they send or receive (XXH3-64)."],
        )
    }

    pub(super) fn transfer(&self, transfer: &Transfer) -> Result<(), Failure> {
        let verified = &transfer.verified;
        let way = format!("{} → {}", transfer.from, transfer.to);
        let equal = self.style.paint(GREEN, "✓ the same at both ends");
        self.say(&format!(
            "   {way:<17} {} bytes in {:.2} s, {:.1} Gbit/s   {:016x} {equal}\n",
            verified.bytes,
            verified.seconds,
            verified.bits_per_second / 1e9,
            verified.hash
        ))
    }

    pub(super) fn speed(&self, settings: &Settings) -> Result<(), Failure> {
        self.say("\n")?;
        let place = match &settings.processors {
            Some(Processors { left, right }) => {
                format!("left runs on processor {left}, right on {right}")
            }
            None => "all on one processor".into(),
        };
        self.chapter(
            3,
            "Speed, next to the kernel's TCP",
            &[
                &format!(
                    "Medians [least - most] of {} rounds taken in turns; {place}.",
                    settings.rounds
                ),
                &format!(
                    "CUBIC everywhere, MTU {}, writes of {} KiB. Above 1x Tidewire is ahead, below it is behind.",
                    settings.mtu,
                    settings.chunk_bytes / 1024
                ),
            ],
        )
    }

    pub(super) fn comparisons(&self, comparisons: &[Comparison]) -> Result<(), Failure> {
        self.say(&to_table(comparisons, self.style))
    }

    pub(super) fn closing(&self, document: &Document) -> Result<(), Failure> {
        self.chapter(4, "To keep", &[])?;
        for (path, what) in [
            (
                &document.files.picture,
                "the connection as a picture, for a browser",
            ),
            (&document.files.document, "all of this as JSON"),
        ] {
            let path = format!("{:<30}", path.display().to_string());
            self.say(&format!("   {} {what}\n", self.style.paint(CYAN, &path)))?;
        }
        let done = format!(
            "All held. {:.0} seconds; nothing else is left behind.",
            document.seconds
        );
        self.say(&format!("\n{}\n", self.style.paint(GREEN, &done)))
    }

    fn chapter(&self, number: u32, title: &str, lines: &[&str]) -> Result<(), Failure> {
        let mut text = self.style.paint(BOLD, &format!("{number}  {title}"));
        text.push('\n');
        for line in lines {
            text.push_str(&format!("   {}\n", self.style.paint(DIM, line)));
        }
        text.push('\n');
        self.say(&text)
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.silent { Ok(()) } else { print(text) }
    }
}
