//! Protocol between `tidewire perf -c` and `tidewire perf -s`, version 1.
//!
//! Every connection begins with a [`Hello`] of 24 bytes from the client: `TIDEPERF`, the version
//! (16 bits), the kind of connection, a zero, the number of the test (64 bits) and that of the
//! stream (32 bits), all big-endian.
//!
//! The first connection of a test is its control connection. The server answers with a `Hello` of
//! its own; from then on each message is a length of 32 bits and so many bytes of JSON
//! ([`Message`]):
//!
//! | client | server |
//! |---|---|
//! | `plan` | `accepted`, or `refused` with a reason |
//! | opens the data connections, a `Hello` on each | `ready`, once all are there |
//! | `results`, when its part is over | `results`, when its part is over and the client's have come |
//!
//! The end of the control connection before that ends the test. On a data connection data follow
//! the `Hello` after `ready`, in either direction as the plan says; the sender closes its direction
//! when it is done, and the receiver then closes the other. On an exchange connection a request of
//! the plan's length follows the `Hello` at once, and the server answers with as many bytes and
//! ends the connection.

use core::time::Duration;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::parts::Results;
use super::plan::Plan;

/// The first bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) kind: Kind,
    pub(super) test: u64,
    pub(super) stream: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Control,
    Data,
    Exchange,
}

impl Hello {
    pub(super) const LEN: usize = 24;

    pub(super) fn encode(self) -> [u8; Self::LEN] {
        let kind = match self.kind {
            Kind::Control => 0,
            Kind::Data => 1,
            Kind::Exchange => 2,
        };
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10] = kind;
        bytes[12..20].copy_from_slice(&self.test.to_be_bytes());
        bytes[20..].copy_from_slice(&self.stream.to_be_bytes());
        bytes
    }

    /// Reads the peer's hello within [`PATIENCE`].
    pub(super) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let read = timeout(PATIENCE, Self::read(stream)).await;
        read.unwrap_or_else(|_| Err(invalid(format!("{NOT_PERF}: it says nothing"))))
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        // In as few reads as possible: the hello is part of the cost of an exchange.
        let mut bytes = [0; Self::LEN];
        let mut length = 0;
        while length < Self::LEN {
            let read = stream.read(bytes.get_mut(length..).unwrap_or_default());
            let more = read.await?;
            let come = bytes.get(..length + more).unwrap_or_default();
            if !come.iter().zip(MAGIC).all(|(own, magic)| own == magic) {
                return Err(invalid(format!(
                    "{NOT_PERF}: it begins with \"{}\"",
                    come.get(..MAGIC.len()).unwrap_or(come).escape_ascii()
                )));
            }
            if more == 0 {
                return Err(invalid(format!("{NOT_PERF}: it ends at once")));
            }
            length += more;
        }
        Self::decode(&bytes)
    }

    fn decode(bytes: &[u8; Self::LEN]) -> io::Result<Self> {
        let [_, _, _, _, _, _, _, _, v0, v1, kind, _, rest @ ..] = bytes;
        let version = u16::from_be_bytes([*v0, *v1]);
        if version != VERSION {
            return Err(invalid(format!(
                "it speaks version {version} of tidewire perf's protocol, and this is version {VERSION}"
            )));
        }
        let kind = match kind {
            0 => Kind::Control,
            1 => Kind::Data,
            2 => Kind::Exchange,
            other => return Err(invalid(format!("a connection of the unknown kind {other}"))),
        };
        let (test, stream) = rest.split_at(size_of::<u64>());
        Ok(Self {
            kind,
            test: u64::from_be_bytes(test.try_into().map_err(io::Error::other)?),
            stream: u32::from_be_bytes(stream.try_into().map_err(io::Error::other)?),
        })
    }
}

/// Message of the control connection.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Plan(Plan),
    Accepted,
    Refused(String),
    Ready,
    Results(Results),
}

/// A control connection.
#[derive(Debug)]
pub(super) struct Control<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Control<S> {
    /// A connection on which both ends have sent their hello.
    pub(super) fn new(stream: S) -> Self {
        Self { stream }
    }

    pub(super) async fn send(&mut self, message: &Message) -> io::Result<()> {
        let json = serde_json::to_vec(message)?;
        let length = u32::try_from(json.len()).map_err(io::Error::other)?;
        self.stream
            .write_all(&[&length.to_be_bytes()[..], &json].concat())
            .await?;
        self.stream.flush().await
    }

    /// Not cancel safe: a dropped call may leave half a message in the stream.
    pub(super) async fn receive(&mut self) -> io::Result<Message> {
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), "the other end has given up")
            }
            _ => error,
        };
        let length = self.stream.read_u32().await.map_err(gone)?;
        if length > MAX_MESSAGE {
            return Err(invalid("a message that is too long".into()));
        }
        let mut json = vec![0; length as usize];
        self.stream.read_exact(&mut json).await.map_err(gone)?;
        serde_json::from_slice(&json)
            .map_err(|error| invalid(format!("a message that is none: {error}")))
    }

    /// [`receive`](Self::receive) with a limit of time.
    pub(super) async fn receive_soon(&mut self) -> io::Result<Message> {
        timeout(PATIENCE, self.receive()).await.unwrap_or_else(|_| {
            let text = "the other end does not answer";
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }
}

/// Error for a message out of turn.
pub(super) fn unexpected(message: &Message) -> io::Error {
    let name = match message {
        Message::Plan(_) => "plan",
        Message::Accepted => "accepted",
        Message::Refused(reason) => return io::Error::other(format!("refused: {reason}")),
        Message::Ready => "ready",
        Message::Results(_) => "results",
    };
    invalid(format!("the other end says '{name}' out of turn"))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

const MAGIC: &[u8; 8] = b"TIDEPERF";
const VERSION: u16 = 1;
const NOT_PERF: &str = "the other end does not speak tidewire perf's protocol";
/// Time limit for the answers that the other end gives at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const MAX_MESSAGE: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hello_survives_the_wire() {
        for kind in [Kind::Control, Kind::Data, Kind::Exchange] {
            let hello = Hello {
                kind,
                test: 0x0123_4567_89ab_cdef,
                stream: 7,
            };
            let bytes = hello.encode();
            let read = Hello::receive(&mut &bytes[..]).await.expect("a hello");
            assert_eq!(read, hello);
        }
    }

    #[tokio::test]
    async fn other_peers_are_told_apart() {
        let mut version_9 = Hello {
            kind: Kind::Control,
            test: 1,
            stream: 0,
        }
        .encode();
        version_9[9] = 9;
        for (bytes, text) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "GET / HT"),
            (b"SSH", "begins with \"SSH\""),
            (b"TIDE", "ends at once"),
            (&version_9, "version 9"),
        ] {
            let error = Hello::receive(&mut &bytes[..]).await.expect_err("no hello");
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_an_error_after_a_while() {
        let (mut near, _far) = tokio::io::duplex(10);
        let error = Hello::receive(&mut near).await.expect_err("silence");
        assert!(error.to_string().contains("says nothing"), "{error}");
    }

    #[tokio::test]
    async fn messages_survive_the_wire_and_nonsense_does_not() {
        let (near, far) = tokio::io::duplex(1000);
        let (mut near, mut far) = (Control::new(near), Control::new(far));
        let refused = Message::Refused("busy".into());
        near.send(&refused).await.expect("sent");
        let received = far.receive().await.expect("received");
        assert!(matches!(received, Message::Refused(reason) if reason == "busy"));
        near.stream
            .write_all(&[0, 0, 0, 2, b'{', b'x'])
            .await
            .expect("sent");
        assert!(far.receive().await.is_err());
        near.stream.write_all(&[0xff; 4]).await.expect("sent");
        let error = far.receive().await.expect_err("too long");
        assert!(error.to_string().contains("too long"), "{error}");
        drop(near);
        let error = far.receive().await.expect_err("the end");
        assert!(error.to_string().contains("given up"), "{error}");
    }
}
