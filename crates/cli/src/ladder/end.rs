//! One end of a recorded connection: its state and sequence numbers.

use std::time::Instant;

use super::model::Flags;
use super::segment::Segment;
use crate::state::{State, StateSource};

/// One end of a connection that is being recorded.
pub(super) struct End {
    pub(super) source: Box<dyn StateSource>,
    /// The state before the first segment.
    pub(super) start: State,
    /// The state when last asked.
    pub(super) now: State,
    /// The step that a change of state still belongs to, and until when.
    pub(super) settling: Option<(usize, Instant)>,
    pub(super) initial_sequence: Option<u32>,
    /// The relative sequence number after all that this end has sent.
    next_sequence: u32,
    /// The relative sequence number after this end's FIN.
    fin_sequence: Option<u32>,
    fin_acknowledged: bool,
    reset: bool,
}

impl End {
    pub(super) fn new(source: Box<dyn StateSource>) -> Self {
        Self {
            source,
            start: State::Closed,
            now: State::Closed,
            settling: None,
            initial_sequence: None,
            next_sequence: 0,
            fin_sequence: None,
            fin_acknowledged: false,
            reset: false,
        }
    }

    /// Takes the state that the source reported. An end that was in use and is back in LISTEN has
    /// closed this connection.
    pub(super) fn become_state(&mut self, sampled: Option<State>) {
        match sampled {
            Some(State::Listen) if self.now != State::Listen => self.now = State::Closed,
            Some(state) => self.now = state,
            None => {}
        }
    }

    /// The relative sequence number of a segment that this end sent, and whether it repeats what
    /// was sent before.
    pub(super) fn advance(&mut self, segment: &Segment) -> (u32, bool) {
        let seq = segment
            .seq
            .wrapping_sub(*self.initial_sequence.get_or_insert(segment.seq));
        let fin = segment.flags.has(Flags::FIN);
        let length = segment
            .len
            .wrapping_add(u32::from(segment.flags.has(Flags::SYN)))
            .wrapping_add(u32::from(fin));
        let next = seq.wrapping_add(length);
        let new = is_after(next, self.next_sequence);
        if new {
            self.next_sequence = next;
        }
        if fin {
            self.fin_sequence = Some(next);
        }
        self.reset |= segment.flags.has(Flags::RST);
        (seq, length > 0 && !new)
    }

    /// Notes what arrived at this end.
    pub(super) fn receive(&mut self, ack: Option<u32>, flags: Flags) {
        if let (Some(ack), Some(fin)) = (ack, self.fin_sequence) {
            self.fin_acknowledged |= !is_after(fin, ack);
        }
        self.reset |= flags.has(Flags::RST);
    }

    /// True once this end's FIN was acknowledged, or the connection was reset.
    pub(super) fn has_ended(&self) -> bool {
        self.fin_acknowledged || self.reset
    }
}

/// RFC 9293 §3.4: sequence numbers compare modulo 2^32.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}
