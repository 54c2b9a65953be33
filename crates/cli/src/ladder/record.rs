//! Recorder of one connection on a slow wire.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc;
use std::time::Instant;

use super::end::End;
use super::model::{Flags, Ladder, Step};
use super::segment::{Segment, parse};
use crate::lab::{Direction, IdleWire, Lab, LabError, LinkOptions, Observer, SlowWire};
use crate::state::{State, StateSource};

/// A slow wire on which one connection is to be recorded.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The link that is made for it.
    pub link: LinkOptions,
    /// The time that each segment takes, well above the hosts' own: 10 ms shows every state.
    pub delay: Duration,
    /// The port whose first connection is recorded.
    pub port: u16,
    /// The picture's title.
    pub title: String,
    /// The name of the left end.
    pub left: String,
    /// The name of the right end.
    pub right: String,
}

impl Recording {
    /// Makes the wire between the lab's hosts.
    ///
    /// # Errors
    /// Those of [`Lab::add_slow_wire`].
    pub fn prepare(self, lab: &Lab) -> Result<PreparedRecording, LabError> {
        let wire = lab.add_slow_wire(&self.link)?;
        Ok(PreparedRecording {
            recording: self,
            wire,
        })
    }
}

/// A recording whose wire is in place.
#[derive(Debug)]
pub struct PreparedRecording {
    recording: Recording,
    wire: IdleWire,
}

impl PreparedRecording {
    /// Runs `converse`, which has one connection over the wire, and returns the record once the
    /// connection has ended at both ends.
    ///
    /// # Errors
    /// Those of `converse` and of the state sources; [`io::ErrorKind::TimedOut`] when the
    /// connection has not ended five seconds after `converse`.
    pub fn run<F>(
        self,
        left: impl StateSource,
        right: impl StateSource,
        converse: F,
    ) -> io::Result<Ladder>
    where
        F: FnOnce() -> io::Result<()>,
    {
        let recording = self.recording;
        let (recorder, ended) = Recorder::new(recording.port, Box::new(left), Box::new(right));
        let wire = self.wire.start(SlowWire {
            delay: recording.delay,
            observer: recorder,
        });
        converse()?;
        let complete = ended.recv_timeout(PATIENCE).is_ok();
        let recorder = wire.stop()?;
        let ladder = recorder.finish(&recording.title, &recording.left, &recording.right)?;
        if complete {
            Ok(ladder)
        } else {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the connection did not end",
            ))
        }
    }
}

/// Records one connection on a slow wire as a [`Ladder`].
///
/// The first SYN to or from the chosen port begins the record. A sender's state is asked when its
/// segment has left, a receiver's when the segment has arrived and for a short while after that;
/// the wire's delay keeps the next segment away meanwhile.
pub struct Recorder {
    port: u16,
    ends: Ends,
    connection: Option<Connection>,
    problem: Option<io::Error>,
    /// Sends once, when the connection has ended at both ends.
    ended: Option<mpsc::Sender<()>>,
}

struct Ends {
    left: End,
    right: End,
}

impl Ends {
    fn at(&mut self, side: Side) -> &mut End {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn sender(direction: Direction) -> Side {
    match direction {
        Direction::ToRight => Side::Left,
        Direction::ToLeft => Side::Right,
    }
}

fn receiver(direction: Direction) -> Side {
    match direction {
        Direction::ToRight => Side::Right,
        Direction::ToLeft => Side::Left,
    }
}

struct Connection {
    begin: Instant,
    left: SocketAddr,
    right: SocketAddr,
    steps: Vec<Step>,
    /// Steps that have not arrived, oldest first: the index and the segment.
    travelling: VecDeque<(usize, Direction, Segment)>,
}

impl Connection {
    /// Local and remote address as seen from one side.
    fn addresses(&self, side: Side) -> (SocketAddr, SocketAddr) {
        match side {
            Side::Left => (self.left, self.right),
            Side::Right => (self.right, self.left),
        }
    }
}

impl Recorder {
    /// Prepares to record the first connection to or from `port`. The receiver is told when it has
    /// ended at both ends.
    #[must_use]
    pub fn new(
        port: u16,
        left: Box<dyn StateSource>,
        right: Box<dyn StateSource>,
    ) -> (Self, mpsc::Receiver<()>) {
        let (ended, end) = mpsc::channel();
        let ends = Ends {
            left: End::new(left),
            right: End::new(right),
        };
        (
            Self {
                port,
                ends,
                connection: None,
                problem: None,
                ended: Some(ended),
            },
            end,
        )
    }

    /// The record, with `left` and `right` as the names of the ends; each gets its address and port
    /// appended.
    ///
    /// # Errors
    /// The first error of a state source, and [`io::ErrorKind::NotFound`] when no connection was
    /// seen.
    pub fn finish(self, title: &str, left: &str, right: &str) -> io::Result<Ladder> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let connection = self
            .connection
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no connection was seen"))?;
        // A segment that has not arrived when the wire stops is left out.
        let arrived = |index: &usize| {
            !connection
                .travelling
                .iter()
                .any(|(travelling, ..)| travelling == index)
        };
        let steps = connection
            .steps
            .into_iter()
            .enumerate()
            .filter(|(index, _)| arrived(index));
        let mut steps: Vec<Step> = steps.map(|(_, step)| step).collect();
        note_half_close(&mut steps);
        Ok(Ladder {
            schema: Ladder::SCHEMA,
            title: title.to_owned(),
            left: format!("{left} {}", connection.left),
            right: format!("{right} {}", connection.right),
            left_start: self.ends.left.start,
            right_start: self.ends.right.start,
            steps,
        })
    }

    /// The segment of `frame` if it belongs to the recorded connection, which its SYN begins.
    fn recognise(&mut self, at: Instant, direction: Direction, frame: &[u8]) -> Option<Segment> {
        let segment = parse(frame)?;
        if self.connection.is_none()
            && segment.flags.has(Flags::SYN)
            && !segment.flags.has(Flags::ACK)
        {
            if self.port != segment.source.port() && self.port != segment.destination.port() {
                return None;
            }
            self.begin(at, direction, &segment);
        }
        let addresses = self.connection.as_ref()?.addresses(sender(direction));
        (addresses == (segment.source, segment.destination)).then_some(segment)
    }

    fn begin(&mut self, at: Instant, direction: Direction, segment: &Segment) {
        let (left, right) = match direction {
            Direction::ToRight => (segment.source, segment.destination),
            Direction::ToLeft => (segment.destination, segment.source),
        };
        let (steps, travelling) = (Vec::new(), VecDeque::new());
        self.connection = Some(Connection {
            begin: at,
            left,
            right,
            steps,
            travelling,
        });
        if let Some(state) = self.sample(receiver(direction)) {
            let end = self.ends.at(receiver(direction));
            (end.start, end.now) = (state, state);
        }
    }

    /// Asks one end for its state.
    fn sample(&mut self, side: Side) -> Option<State> {
        let (local, remote) = self.connection.as_ref()?.addresses(side);
        match self.ends.at(side).source.state(local, remote) {
            Ok(state) => Some(state),
            Err(error) => {
                self.problem.get_or_insert(error);
                None
            }
        }
    }

    /// Watches an end that has just received a segment until its state changes or the time is over.
    fn settle(&mut self, side: Side, now: Instant) {
        let Some((index, until)) = self.ends.at(side).settling else {
            return;
        };
        let sampled = self.sample(side);
        let end = self.ends.at(side);
        let before = end.now;
        end.become_state(sampled);
        if end.now != before || now >= until {
            end.settling = None;
        }
        let state = end.now;
        if let Some(step) = self
            .connection
            .as_mut()
            .and_then(|connection| connection.steps.get_mut(index))
        {
            match side {
                Side::Left => step.left_state = state,
                Side::Right => step.right_state = state,
            }
        }
    }

    /// Reports the end of the connection: each FIN is acknowledged, and no segment is in flight.
    fn report_end(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let Ends { left, right } = &self.ends;
        let settled = left.settling.is_none() && right.settling.is_none();
        if settled && connection.travelling.is_empty() && left.has_ended() && right.has_ended() {
            // Sent once. The receiver may have stopped waiting.
            if let Some(ended) = self.ended.take() {
                let _ = ended.send(());
            }
        }
    }
}

/// Marks a FIN after which the other end still sends data (RFC 9293 §3.6).
fn note_half_close(steps: &mut [Step]) {
    let is_fin = |step: &Step| step.flags.has(Flags::FIN);
    let Some((first, later)) = steps
        .iter()
        .position(is_fin)
        .and_then(|index| steps.get_mut(index..)?.split_first_mut())
    else {
        return;
    };
    let goes_on = |step: &Step| step.direction != first.direction && step.len > 0;
    if later.iter().any(goes_on) {
        let separator = if first.note.is_empty() { "" } else { ", " };
        first.note.push_str(separator);
        first.note.push_str("half-close");
    }
}

impl Observer for Recorder {
    fn departed(&mut self, at: Instant, direction: Direction, frame: &[u8]) {
        let Some(segment) = self.recognise(at, direction, frame) else {
            return;
        };
        // A state that only shows now is due to what the sender received before, unless sending
        // this is what changes it.
        if !segment.flags.has(Flags(Flags::FIN.0 | Flags::RST.0)) {
            self.settle(sender(direction), at);
        }
        let sampled = self.sample(sender(direction));
        let their_initial = self
            .ends
            .at(receiver(direction))
            .initial_sequence
            .unwrap_or_default();
        let end = self.ends.at(sender(direction));
        end.become_state(sampled);
        end.settling = None;
        let (seq, repeated) = end.advance(&segment);
        let mut notes = segment.options.clone();
        if repeated {
            notes.push("retransmission".to_owned());
        }
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        let departed = at.saturating_duration_since(connection.begin);
        let step = Step {
            departed,
            arrived: departed,
            direction,
            flags: segment.flags,
            seq,
            ack: segment
                .flags
                .has(Flags::ACK)
                .then(|| segment.ack.wrapping_sub(their_initial)),
            len: segment.len,
            note: notes.join(", "),
            left_state: self.ends.left.now,
            right_state: self.ends.right.now,
        };
        connection
            .travelling
            .push_back((connection.steps.len(), direction, segment));
        connection.steps.push(step);
    }

    fn arrived(&mut self, at: Instant, direction: Direction, frame: &[u8]) {
        let Some(segment) = self.recognise(at, direction, frame) else {
            return;
        };
        self.settle(receiver(direction), at);
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        // The oldest equal one: a lost segment stays in the list and must not stand for a later
        // one.
        let equal = |(_, way, travelling): &(usize, Direction, Segment)| {
            *way == direction && *travelling == segment
        };
        let Some(position) = connection.travelling.iter().position(equal) else {
            return;
        };
        let Some((index, ..)) = connection.travelling.remove(position) else {
            return;
        };
        let mut ack = None;
        if let Some(step) = connection.steps.get_mut(index) {
            step.arrived = at.saturating_duration_since(connection.begin);
            ack = step.ack;
        }
        let end = self.ends.at(receiver(direction));
        end.receive(ack, segment.flags);
        end.settling = Some((index, at + SETTLE));
        self.settle(receiver(direction), at);
    }

    fn tick(&mut self, now: Instant) {
        self.settle(Side::Left, now);
        self.settle(Side::Right, now);
        self.report_end();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("port", &self.port)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

/// How long the state at the receiving end is watched for a change: a busy machine may need some
/// milliseconds to run the receiver.
const SETTLE: Duration = Duration::from_millis(8);
/// How long the end of the connection may take after the conversation.
const PATIENCE: Duration = Duration::from_secs(5);
