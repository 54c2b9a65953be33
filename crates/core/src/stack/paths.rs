//! Path-MTU updates and ICMP errors of connections.

use super::Stack;
use super::flow::Target;
use super::ingress::Parsed;
use crate::ip::{Quoted, Report};
use crate::tcp::Connection;
use crate::time::Instant;
use crate::types::{ConnId, DropReason};

impl Stack {
    /// Delivers an ICMP error to the connection whose segment it quotes. It counts only while that
    /// segment is in flight (RFC 5927 §4.1).
    pub(super) fn deliver_icmp_error(
        &mut self,
        now: Instant,
        report: Report,
        quoted: &Quoted,
    ) -> Parsed<()> {
        // Half-open and TIME-WAIT records ignore errors: their one segment is small, and is sent
        // again.
        let Some(Target::Conn(id)) = self.find_flow(&quoted.tuple) else {
            return Err(DropReason::IcmpIgnored);
        };
        let is_in_flight = |conn: &&mut Connection| conn.is_in_flight(quoted.seq);
        let conn = self.conns.get_mut(id).filter(is_in_flight);
        let conn = conn.ok_or(DropReason::IcmpIgnored)?;
        self.net.stats.icmp_errors_in += 1;
        match report {
            Report::TooBig(mtu) => {
                self.net.on_too_big(now, quoted, mtu);
                // Also where another connection lowered it before: this one may not know yet.
                self.update_path(now, id);
            }
            Report::Unreachable(error) => {
                let attempt_failed = conn.on_unreachable(error);
                self.net.stats.failed_attempts += u64::from(attempt_failed);
            }
        }
        self.settle(id);
        Ok(())
    }

    /// Updates what a connection knows of its path; two comparisons where nothing changed.
    pub(super) fn update_path(&mut self, now: Instant, id: ConnId) {
        let version = self.net.paths_version();
        let Some(conn) = self.conns.get_mut(id) else {
            return self.net.stats.count_broken("the path of no connection");
        };
        if !conn.path.is_current(version, now) {
            let (mss, until) = self.net.path_mss(now, conn.tuple.remote);
            conn.set_path(version, mss, until);
        }
    }
}
