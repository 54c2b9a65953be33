//! What the network below says of the way to a destination, brought to the connections that use it.

use super::Stack;
use super::flow::Target;
use tidewire_wire::TcpHeader;

use crate::ip::{Quoted, Report, ip_header_len};
use crate::tcp::Connection;
use crate::time::Instant;
use crate::types::ConnId;

impl Stack {
    /// An ICMP error quotes a segment; says whether it is one of ours that is in flight (RFC 5927 §4.1).
    pub(crate) fn deliver_icmp_error(
        &mut self,
        now: Instant,
        report: Report,
        quoted: &Quoted,
    ) -> bool {
        // Half-open connections and TIME-WAIT have nothing to lose: their one segment is small, and comes again.
        let Some(Target::Conn(id)) = self.find_flow(&quoted.tuple) else {
            return false;
        };
        let is_in_flight = |conn: &Connection| conn.is_in_flight(quoted.seq);
        if !self.conns.get(id).is_some_and(is_in_flight) {
            return false;
        }
        self.stats.icmp_errors_in += 1;
        match report {
            Report::TooBig(mtu) => self.lower_path_mtu(now, id, mtu, quoted),
            Report::Unreachable(error) => {
                if let Some(conn) = self.conns.get_mut(id) {
                    let fails = conn.is_connecting();
                    conn.on_unreachable(error);
                    self.stats.failed_attempts += u64::from(fails);
                }
            }
        }
        self.settle(id);
        true
    }

    fn lower_path_mtu(&mut self, now: Instant, id: ConnId, mtu: u32, quoted: &Quoted) {
        let remote = quoted.tuple.remote;
        let lowered = self
            .paths
            .report(now, remote, (mtu, quoted.len), self.link.ip_mtu);
        if lowered {
            self.stats.path_mtu_lowered += 1;
        }
        // Also where another connection lowered it before: this one may not know yet.
        self.update_path(now, id);
    }

    /// Brings a connection's idea of its path up to date; two comparisons where it is.
    pub(super) fn update_path(&mut self, now: Instant, id: ConnId) {
        let version = self.paths.version();
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        if conn.path.is_current(version, now) {
            return;
        }
        let path = self.paths.get(now, conn.tuple.remote);
        let headers = (ip_header_len(conn.tuple.remote) + TcpHeader::MIN_LEN) as u32;
        let mtu = path.map_or(self.link.ip_mtu, |path| path.mtu.min(self.link.ip_mtu));
        conn.set_path(
            version,
            mtu.saturating_sub(headers),
            path.map(|path| path.until),
        );
    }
}
