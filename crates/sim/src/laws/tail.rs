//! Frame tail: the newest frames, kept for a report.

use std::collections::VecDeque;

use bytes::Bytes;
use tidewire_core::Instant;
use tidewire_wire::Frame;

use crate::HostId;

/// What a line of the tail says of its frame.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum Remark {
    /// The host sent it.
    Sent,
    /// The host sent it and the link lost it.
    Lost,
    /// The host received it.
    Received,
    /// The host received it with a changed byte.
    Corrupted,
}

/// A ring of frames; lines are rendered only for a report.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    frames: VecDeque<(Instant, HostId, Remark, Bytes)>,
}

impl Tail {
    pub(crate) fn push(&mut self, at: Instant, host: HostId, remark: Remark, frame: &Bytes) {
        if self.frames.len() == LINES {
            self.frames.pop_front();
        }
        self.frames.push_back((at, host, remark, frame.clone()));
    }

    pub(crate) fn render(&self, name: impl Fn(HostId) -> String) -> Vec<String> {
        let line = |(at, host, remark, frame): &(Instant, HostId, Remark, Bytes)| {
            let parsed = match Frame::parse(frame) {
                Ok(frame) => frame.to_string(),
                Err(error) => error.to_string(),
            };
            let remark = match remark {
                Remark::Sent => "sent",
                Remark::Lost => "sent, lost",
                Remark::Received => "received",
                Remark::Corrupted => "received corrupt",
            };
            format!("{at} {} {remark}: {parsed}", name(*host))
        };
        self.frames.iter().map(line).collect()
    }
}

const LINES: usize = 40;
