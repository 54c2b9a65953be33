//! Plan of a test: mode, connections, sizes and limits.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::traffic::Limit;

/// What is to be measured. The client sends it to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// Connections at a time, in each direction.
    pub(super) streams: u32,
    /// Bytes per write and read, or per message.
    pub(super) length: u32,
    pub(super) limit: Limit,
    pub(super) nodelay: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// The client sends.
    Send,
    /// The server sends.
    Receive,
    /// Both send, each on connections of its own.
    Both,
    /// The client sends a message and the server sends it back, over and over.
    RoundTrip,
    /// Connect, request, reply, close, over and over.
    Connect,
}

/// An end of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// What one end does with one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Source { limit: Limit, chunk: usize },
    Sink { chunk: usize },
    Ping { duration: Duration, size: usize },
    Echo,
}

impl Plan {
    /// Checks the limits; a server must not trust the plan of a client.
    pub(super) fn check(&self) -> Result<(), String> {
        let most = match self.mode {
            Mode::Send | Mode::Receive | Mode::Both => MAX_CHUNK,
            Mode::RoundTrip | Mode::Connect => MAX_MESSAGE,
        };
        if !(1..=MAX_STREAMS).contains(&self.streams) {
            return Err(format!("1 to {MAX_STREAMS} streams are possible"));
        }
        if !(1..=most).contains(&self.length) {
            return Err(format!("a length of 1 to {most} bytes is possible"));
        }
        match (self.limit, self.mode) {
            (Limit::Time(time), _) if time.is_zero() || time > MAX_TIME => {
                Err("a time of up to a day is possible".into())
            }
            (Limit::Bytes(_), Mode::RoundTrip | Mode::Connect) => {
                Err("round trips and connections are measured for a time, not for bytes".into())
            }
            _ => Ok(()),
        }
    }

    /// How many connections carry data from the beginning to the end.
    pub(super) fn connections(&self) -> u32 {
        match self.mode {
            Mode::Send | Mode::Receive | Mode::RoundTrip => self.streams,
            Mode::Both => 2 * self.streams,
            Mode::Connect => 0,
        }
    }

    /// What an end does with the connection `index`.
    pub(super) fn part(&self, index: u32, end: End) -> Part {
        let client_sends = match self.mode {
            Mode::Send => true,
            Mode::Receive => false,
            Mode::Both => index < self.streams,
            Mode::RoundTrip | Mode::Connect => {
                return match (end, self.limit) {
                    (End::Client, Limit::Time(duration)) => Part::Ping {
                        duration,
                        size: self.length as usize,
                    },
                    _ => Part::Echo,
                };
            }
        };
        let chunk = self.length as usize;
        if client_sends == (end == End::Client) {
            let limit = self.share(index % self.streams);
            Part::Source { limit, chunk }
        } else {
            Part::Sink { chunk }
        }
    }

    /// The limit of one of the streams that share a number of bytes.
    fn share(&self, index: u32) -> Limit {
        let Limit::Bytes(total) = self.limit else {
            return self.limit;
        };
        let (streams, index) = (u64::from(self.streams), u64::from(index));
        Limit::Bytes(total / streams + u64::from(index < total % streams))
    }
}

const MAX_STREAMS: u32 = 128;
const MAX_CHUNK: u32 = 1 << 20;
/// Fits in both ends' buffers, so that a message and its echo cannot block each other.
const MAX_MESSAGE: u32 = 64 << 10;
const MAX_TIME: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(mode: Mode) -> Plan {
        Plan {
            mode,
            streams: 3,
            length: 1000,
            limit: Limit::Time(Duration::from_secs(1)),
            nodelay: true,
        }
    }

    #[test]
    fn one_end_sends_what_the_other_receives() {
        for mode in [Mode::Send, Mode::Receive, Mode::Both, Mode::RoundTrip] {
            let plan = plan(mode);
            for index in 0..plan.connections() {
                let parts = [End::Client, End::Server].map(|end| plan.part(index, end));
                let active = |part: &&Part| matches!(part, Part::Source { .. } | Part::Ping { .. });
                assert_eq!(parts.iter().filter(active).count(), 1, "{mode:?} {index}");
            }
        }
        assert_eq!(plan(Mode::Both).connections(), 6);
    }

    #[test]
    fn streams_share_the_bytes() {
        let mut plan = plan(Mode::Both);
        plan.limit = Limit::Bytes(1001);
        let of = |index, end| match plan.part(index, end) {
            Part::Source {
                limit: Limit::Bytes(bytes),
                ..
            } => bytes,
            other => panic!("{other:?}"),
        };
        let sent = [0, 1, 2].map(|index| of(index, End::Client));
        assert_eq!(sent.iter().sum::<u64>(), 1001);
        assert_eq!([3, 4, 5].map(|index| of(index, End::Server)), sent);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let good = plan(Mode::Send);
        assert_eq!(good.check(), Ok(()));
        let wrong = [
            Plan {
                streams: 0,
                ..good.clone()
            },
            Plan {
                streams: MAX_STREAMS + 1,
                ..good.clone()
            },
            Plan {
                length: 0,
                ..good.clone()
            },
            Plan {
                length: MAX_CHUNK + 1,
                ..good.clone()
            },
            Plan {
                mode: Mode::RoundTrip,
                length: MAX_MESSAGE + 1,
                ..good.clone()
            },
            Plan {
                limit: Limit::Time(Duration::ZERO),
                ..good.clone()
            },
            Plan {
                mode: Mode::Connect,
                limit: Limit::Bytes(1),
                ..good
            },
        ];
        for plan in wrong {
            assert!(plan.check().is_err(), "{plan:?}");
        }
    }
}
