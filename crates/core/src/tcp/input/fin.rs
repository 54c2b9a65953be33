//! FIN processing (eighth check of RFC 9293 §3.10.7.4): once everything before the FIN is received.

use super::acceptable::Text;
use crate::tcp::state::{State, Transition};
use crate::tcp::tcb::Connection;
use crate::types::ConnEvents;

impl Connection {
    pub(super) fn process_fin(&mut self, text: &Text) {
        if let Some(fin) = text.fin.filter(|_| self.state.can_receive()) {
            // The first FIN received counts: a second FIN elsewhere does not move the end of the
            // stream.
            self.rcv.fin.get_or_insert(fin);
            self.ack.send_now();
        }
        if self.rcv.fin != Some(self.rcv.nxt) || !self.state.can_receive() {
            return;
        }
        self.rcv.nxt += 1;
        self.rcv.edge = self.rcv.edge.max(self.rcv.nxt);
        self.ack.send_now();
        self.app.events |= ConnEvents::READABLE;
        self.transition(Transition::FinReceived);
        if self.state == State::TimeWait {
            self.finish();
        }
    }
}
