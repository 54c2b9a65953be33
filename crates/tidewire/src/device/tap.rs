//! Recording wrapper: every frame of a device to a pcapng file.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::task::{Context, Poll};

use tidewire_core::{Instant, LinkCaps};

use super::pcapng::{FrameDirection, PcapngWriter};
use super::{Device, Frame, LinkStats, Look, Sink};
use crate::clock::Clock;
use crate::note::Note;
use crate::wakes::Wakes;

/// A device and the file that its frames are written to. Super-frames are recorded whole, and
/// checksums that a device would complete are as the stack left them.
#[derive(Debug)]
pub(crate) struct Tap {
    inner: Box<dyn Device>,
    recording: Recording,
}

#[derive(Debug)]
struct Recording {
    /// `None` after a failed write: the recording ends, the network does not.
    file: Option<PcapngWriter<BufWriter<File>>>,
    /// Why it ended, until that is logged.
    failed: Option<io::Error>,
}

impl Tap {
    /// Creates `path`, or empties it.
    ///
    /// # Errors
    /// The file cannot be created or written to.
    pub(crate) fn create(inner: Box<dyn Device>, path: &Path, name: &str) -> io::Result<Self> {
        let file = PcapngWriter::new(BufWriter::new(File::create(path)?), name)?;
        Ok(Self {
            inner,
            recording: Recording {
                file: Some(file),
                failed: None,
            },
        })
    }
}

impl Recording {
    /// Records one frame.
    fn frame<'a>(
        &mut self,
        now: Instant,
        direction: FrameDirection,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) {
        self.write(|file| file.frame(Clock::unix_nanos(now), direction, pieces));
    }

    /// Writes to the file, and gives it up when that fails.
    fn write(&mut self, write: impl FnOnce(&mut PcapngWriter<BufWriter<File>>) -> io::Result<()>) {
        if let Some(Err(error)) = self.file.as_mut().map(write) {
            self.failed = Some(error);
            self.file = None;
        }
    }
}

impl Device for Tap {
    fn link(&self) -> LinkCaps {
        self.inner.link()
    }

    fn receive(&mut self, now: Instant, look: Look, sink: &mut Sink<'_>) -> bool {
        let recording = &mut self.recording;
        self.inner.receive(now, look, &mut |frame, meta| {
            let bytes = std::iter::once(frame.bytes());
            recording.frame(now, FrameDirection::Inbound, bytes);
            sink(frame, meta);
        })
    }

    fn flush(&mut self, now: Instant) -> bool {
        self.inner.flush(now)
    }

    fn send(&mut self, now: Instant, frame: Frame<'_>) {
        let pieces = frame.pieces();
        self.recording.frame(now, FrameDirection::Outbound, pieces);
        self.inner.send(now, frame);
    }

    fn is_blocked(&self) -> bool {
        self.inner.is_blocked()
    }

    fn poll_receive(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_receive(now, cx)
    }

    fn poll_send(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_send(now, cx)
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn collect_wakes(&mut self, wakes: &mut Wakes) {
        self.inner.collect_wakes(wakes);
        if let Some(error) = self.recording.failed.take() {
            wakes.note(Note::CaptureEnded(error));
        }
    }

    fn on_idle(&mut self) {
        self.recording.write(PcapngWriter::flush);
        self.inner.on_idle();
    }

    fn stats(&mut self) -> LinkStats {
        self.inner.stats()
    }
}
