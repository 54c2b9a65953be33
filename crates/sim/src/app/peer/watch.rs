//! Time limits of a peer: linger time, watchdog, user timeout.

use tidewire_core::{ConnError, ConnEvents, ConnId, Duration, Instant, State};

use super::{Peer, Streams};
use crate::app::{AppCx, Fate};
use crate::laws::Law;

impl Peer {
    /// After a close with a linger time: when that is over, the peer has everything or was reset.
    pub(super) fn linger(&mut self, cx: &mut AppCx<'_>, id: ConnId) {
        let Some(until) = self.lingers_until else {
            return;
        };
        self.waits = ConnEvents::NONE;
        let state = cx.stack.conn(id).map_or(State::Closed, |conn| conn.state());
        // In FIN-WAIT-2 the peer has everything, and another timer runs.
        if matches!(state, State::FinWait2 | State::TimeWait | State::Closed) {
            self.done = true;
        } else if cx.now > until + LATE {
            cx.fail(
                Law::EveryWaitEnds,
                format!("{id:?} lingers in {state} since {until}"),
            );
        } else {
            cx.wake_after((until + LATE).duration_since(cx.now) + Duration::from_nanos(1));
        }
    }

    /// The watchdog of a reader whose other end is gone: if no reset arrives it gives up, like a
    /// program with a timeout of its own. With keep-alive the stack has to detect the loss earlier.
    pub(super) fn watch(&mut self, cx: &mut AppCx<'_>, id: ConnId) {
        let Some(Streams {
            local,
            remote,
            received,
            ..
        }) = &self.streams
        else {
            return;
        };
        if cx.now >= self.watchdog {
            self.watchdog = cx.now + WATCHDOG;
            let fate = cx.ledger.of(*remote, *local).fate;
            let is_quiet = received.offset() == self.heard;
            self.heard = received.offset();
            if fate > Fate::Kept
                && self.suspicious
                && is_quiet
                && let Some(conn) = cx.stack.conn(id)
            {
                if fate == Fate::Gone && self.connected_at.is_some() && self.plan.notices_loss() {
                    let what = format!(
                        "keep-alive does not notice that {remote} is gone: {:?}",
                        conn.info()
                    );
                    return cx.fail(Law::EveryWaitEnds, what);
                }
                conn.abort(cx.now);
                cx.ledger.of(*remote, *local).gave_up = true;
                self.done = true;
                return;
            }
            self.suspicious = fate > Fate::Kept;
        }
        cx.wake_after(self.watchdog.duration_since(cx.now));
    }

    /// With a user timeout no data stays unacknowledged for longer.
    pub(super) fn check_user_timeout(&mut self, cx: &mut AppCx<'_>, id: ConnId) {
        let (Some(limit), Some(conn)) = (self.plan.user_timeout, cx.stack.conn(id)) else {
            return;
        };
        let info = conn.info();
        let waits = info.unacked > 0 && info.state != State::Closed;
        let since = match self.stuck_at {
            Some((acked, since)) if acked == info.bytes_acked => since,
            _ => cx.now,
        };
        self.stuck_at = waits.then_some((info.bytes_acked, since));
        let until = since + limit + LATE;
        if waits && cx.now > until {
            cx.fail(
                Law::EveryWaitEnds,
                format!("{limit:?} are over since {since}: {info:?}"),
            );
        } else {
            let rest = until.duration_since(cx.now).max(LATE);
            cx.wake_after(rest + Duration::from_nanos(1));
        }
    }

    /// What is wrong with `error`: an established connection fails by a reset or by a timeout, and
    /// by a timeout not before its user timeout is over.
    pub(super) fn is_unfounded(&self, now: Instant, error: ConnError) -> Option<String> {
        let lasted = now.duration_since(self.connected_at?);
        match (error, self.plan.user_timeout) {
            (ConnError::Reset | ConnError::BrokenPipe, _) => None,
            (ConnError::TimedOut, limit) if limit.is_none_or(|limit| lasted >= limit) => None,
            (_, limit) => Some(format!(
                "{error} after {lasted:?} with a user timeout of {limit:?}"
            )),
        }
    }
}

/// How late a timer may be noticed.
const LATE: Duration = Duration::from_millis(100);
const WATCHDOG: Duration = Duration::from_secs(100);
