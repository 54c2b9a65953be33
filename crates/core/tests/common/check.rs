//! Checks: the segments sent, compared with those that the test expects.

use tidewire_core::Duration;
use tidewire_core::wire::SeqNum;

use super::*;

impl Tester {
    /// The next segment that left must match.
    #[track_caller]
    pub(crate) fn expect(&mut self, wanted: Segment) -> Sent {
        let Some(sent) = self.sent.pop_front() else {
            panic!("nothing left, wanted {wanted:?}");
        };
        if let Err(what) = self.compare(&wanted, &sent) {
            panic!("{what}\nwanted {wanted:?}\nleft {}", self.describe(&sent));
        }
        sent
    }

    /// The next segment, which comes exactly `after` from now, must match.
    #[track_caller]
    pub(crate) fn expect_after(&mut self, after: Duration, wanted: Segment) -> Sent {
        self.silent();
        let start = self.now;
        self.advance(after);
        let sent = self.expect(wanted);
        assert_eq!(
            sent.at.duration_since(start),
            after,
            "it left at another time"
        );
        sent
    }

    /// Nothing more left.
    #[track_caller]
    pub(crate) fn silent(&self) {
        if let Some(sent) = self.sent.front() {
            panic!("unexpected {}", self.describe(sent));
        }
    }

    /// Takes everything that left: relative sequence number and payload length of each.
    pub(crate) fn drain(&mut self) -> Vec<(i64, usize)> {
        let sent: Vec<Sent> = self.sent.drain(..).collect();
        sent.iter()
            .map(|sent| (self.rel_seq(sent), sent.payload.len()))
            .collect()
    }

    pub(crate) fn rel_seq(&self, sent: &Sent) -> i64 {
        i64::from(sent.header.seq.distance(self.flow.stack_isn))
    }

    pub(crate) fn rel_ack(&self, sent: &Sent) -> i64 {
        i64::from(sent.header.ack.distance(self.flow.isn))
    }

    fn compare(&self, wanted: &Segment, sent: &Sent) -> Result<(), String> {
        fn same<T: PartialEq + std::fmt::Debug>(
            what: &str,
            wanted: Option<T>,
            left: T,
        ) -> Result<(), String> {
            match wanted {
                Some(wanted) if wanted != left => {
                    Err(format!("{what}: wanted {wanted:?}, left {left:?}"))
                }
                _ => Ok(()),
            }
        }
        let flags = sent.header.flags.difference(PSH);
        same("flags", Some(wanted.flags.difference(PSH)), flags)?;
        same("push", wanted.push, sent.header.flags.contains(PSH))?;
        same("seq", wanted.seq, self.rel_seq(sent))?;
        same("ack", wanted.ack, self.rel_ack(sent))?;
        same("window", wanted.window, sent.header.window)?;
        same("length", wanted.len, sent.payload.len())?;
        same("mss", wanted.mss.map(Some), sent.options.mss)?;
        same(
            "window scale",
            wanted.wscale.map(Some),
            sent.options.window_scale,
        )?;
        same(
            "SACK permitted",
            wanted.sack_permitted,
            sent.options.sack_permitted,
        )?;
        let timestamps = sent.options.timestamps.map(|ts| (ts.value, ts.echo));
        same("timestamps", wanted.timestamps, timestamps)?;
        let relative = |n: SeqNum| i64::from(n.distance(self.flow.isn));
        let blocks = sent.options.sack.iter();
        let blocks = blocks
            .map(|block| (relative(block.left), relative(block.right)))
            .collect();
        same("SACK blocks", wanted.sack.clone(), blocks)?;
        let start = self.rel_seq(sent) as u64;
        let misplaced = (0..)
            .zip(&sent.payload)
            .find(|&(offset, &byte)| byte != pattern(start + offset));
        misplaced.map_or(Ok(()), |(offset, _)| {
            Err(format!("payload byte {offset} is not what was written"))
        })
    }

    fn describe(&self, sent: &Sent) -> String {
        format!(
            "[{}] seq {} ack {} win {} len {} {:?} at {}",
            sent.header.flags,
            self.rel_seq(sent),
            self.rel_ack(sent),
            sent.header.window,
            sent.payload.len(),
            sent.options,
            sent.at
        )
    }
}
