//! Netlink requests over a plain socket: one question and its answer.
//!
//! A netlink socket belongs to the network namespace of the thread that opened it and may then be
//! used from any thread.

use std::io::{self, Read};

use socket2::{Domain, Protocol, Socket, Type};

/// `NETLINK_SOCK_DIAG` of `linux/netlink.h`.
pub(crate) const SOCK_DIAG: i32 = 4;
/// `NETLINK_GENERIC` of `linux/netlink.h`.
pub(crate) const GENERIC: i32 = 16;

const AF_NETLINK: i32 = 16;
const HEADER_LEN: usize = 16;
const ATTRIBUTE_HEADER_LEN: usize = 4;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 0x8000;
/// Strips `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` from an attribute's type.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// Whether a request is answered by a message of its own or only acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The answer carries data.
    Message,
    /// The answer is an error code, 0 meaning success.
    Acknowledgement,
}

/// A netlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens a socket for one netlink protocol.
    pub(crate) fn open(protocol: i32) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::from(AF_NETLINK),
            Type::RAW,
            Some(Protocol::from(protocol)),
        )?;
        // An answer that never comes is an error, not a hang.
        socket.set_read_timeout(Some(core::time::Duration::from_secs(2)))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Sends one request and returns the body of its answer (empty for [`Reply::Acknowledgement`]).
    ///
    /// # Errors
    /// The error code that the kernel answered, or that of the socket.
    pub(crate) fn request(&mut self, kind: u16, body: &[u8], reply: Reply) -> io::Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        let acknowledge = if reply == Reply::Acknowledgement {
            NLM_F_ACK
        } else {
            0
        };
        let length = u32::try_from(HEADER_LEN + body.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(HEADER_LEN + body.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(NLM_F_REQUEST | acknowledge).to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&0u32.to_ne_bytes());
        message.extend_from_slice(body);
        self.socket.send(&message)?;
        loop {
            let length = (&self.socket).read(&mut self.buffer)?;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            if let Some(answer) = answer_in(datagram, self.sequence) {
                return answer;
            }
        }
    }
}

/// Finds the answer to request `sequence` among the messages of one datagram.
fn answer_in(mut datagram: &[u8], sequence: u32) -> Option<io::Result<Vec<u8>>> {
    loop {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let body = datagram.get(HEADER_LEN..length)?;
        if u32_at(datagram, 8)? == sequence {
            if u16_at(datagram, 4)? != NLMSG_ERROR {
                return Some(Ok(body.to_vec()));
            }
            let code = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
            return Some(match code {
                0 => Ok(Vec::new()),
                code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
            });
        }
        datagram = datagram.get(align4(length)..)?;
    }
}

/// Appends one attribute with its padding.
pub(crate) fn attribute(into: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // The attributes written here are all far below 64 KiB.
    let length = u16::try_from(ATTRIBUTE_HEADER_LEN + value.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&length.to_ne_bytes());
    into.extend_from_slice(&kind.to_ne_bytes());
    into.extend_from_slice(value);
    into.resize(align4(into.len()), 0);
}

/// Appends an attribute that holds attributes.
pub(crate) fn nested(into: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    attribute(into, kind | NLA_F_NESTED, &inner);
}

/// The value of the first attribute of type `kind`.
pub(crate) fn find_attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        if u16_at(attributes, 2)? & NLA_TYPE_MASK == kind {
            return attributes.get(ATTRIBUTE_HEADER_LEN..length);
        }
        // A length below that of its own header would never advance.
        attributes = attributes.get(align4(length.max(ATTRIBUTE_HEADER_LEN))..)?;
    }
}

/// Reads two bytes in the host's order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(
        bytes.get(offset..offset.checked_add(2)?)?.try_into().ok()?,
    ))
}

/// Reads four bytes in the host's order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(
        bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn align4(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_found_again() {
        let mut bytes = Vec::new();
        attribute(&mut bytes, 1, b"abc");
        nested(&mut bytes, 2, |inner| attribute(inner, 7, &[1, 2, 3, 4]));
        assert_eq!(bytes.len(), 8 + 4 + 8);
        assert_eq!(find_attribute(&bytes, 1), Some(&b"abc"[..]));
        let inner = find_attribute(&bytes, 2).expect("the nested attribute");
        assert_eq!(find_attribute(inner, 7), Some(&[1, 2, 3, 4][..]));
        assert_eq!(find_attribute(&bytes, 3), None);
    }

    #[test]
    fn a_zero_length_attribute_does_not_loop() {
        assert_eq!(find_attribute(&[0; 64], 9), None);
    }

    #[test]
    fn an_answer_is_matched_by_its_sequence_number() {
        let message = |sequence: u32, kind: u16, body: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(&sequence.to_ne_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(body);
            bytes
        };
        let mut datagram = message(1, 20, b"oldx");
        datagram.extend(message(2, 20, b"mine"));
        assert_eq!(
            answer_in(&datagram, 2).expect("found").expect("data"),
            b"mine"
        );
        let refused = message(3, NLMSG_ERROR, &(-2i32).to_ne_bytes());
        let error = answer_in(&refused, 3)
            .expect("found")
            .expect_err("an error");
        assert_eq!(error.raw_os_error(), Some(2));
        assert!(answer_in(&refused, 4).is_none());
        assert!(answer_in(&refused[..7], 3).is_none());
    }
}
