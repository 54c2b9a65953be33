//! Stream contents: a function of connection and offset, so that no byte has to be kept.

use std::net::SocketAddr;

use crate::rng::{GOLDEN_GAMMA, mix};

/// One direction of a connection, at some offset.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    key: u64,
    offset: u64,
}

impl Stream {
    /// What `from` sends to `to`, from the start.
    pub(crate) fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let half = |end: SocketAddr| {
            let ip = match end.ip() {
                std::net::IpAddr::V4(ip) => u64::from(u32::from(ip)),
                std::net::IpAddr::V6(ip) => {
                    mix((u128::from(ip) >> 64) as u64) ^ u128::from(ip) as u64
                }
            };
            mix(ip ^ (u64::from(end.port()) << 40))
        };
        Self {
            key: mix(half(from)).wrapping_add(half(to)),
            offset: 0,
        }
    }

    /// How many bytes have gone by.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills `into` with the bytes from here on, without moving.
    pub(crate) fn fill(&self, into: &mut [u8]) {
        let mut at = self.offset;
        let mut rest = into;
        while !rest.is_empty() {
            let skip = (at % 8) as usize;
            let word = self.word(at / 8);
            let take = rest.len().min(8 - skip);
            let (head, tail) = rest.split_at_mut(take);
            head.copy_from_slice(&word[skip..skip + take]);
            at += take as u64;
            rest = tail;
        }
    }

    /// Moves on by `len` bytes.
    pub(crate) fn advance(&mut self, len: usize) {
        self.offset += len as u64;
    }

    /// Compares `bytes` with the stream from here on and moves behind them; the offset of the first
    /// wrong byte is the error.
    pub(crate) fn verify(&mut self, bytes: &[u8]) -> Result<(), u64> {
        let mut expected = [0; 512];
        for chunk in bytes.chunks(expected.len()) {
            let expected = &mut expected[..chunk.len()];
            self.fill(expected);
            if let Some(at) = (0..chunk.len()).find(|&at| chunk[at] != expected[at]) {
                return Err(self.offset + at as u64);
            }
            self.advance(chunk.len());
        }
        Ok(())
    }

    fn word(&self, index: u64) -> [u8; 8] {
        mix(self.key.wrapping_add(index.wrapping_mul(GOLDEN_GAMMA))).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Stream;

    #[test]
    fn chunks_of_any_size_make_the_same_stream() {
        let ends = ["10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()];
        let mut whole = [0; 1_000];
        Stream::new(ends[0], ends[1]).fill(&mut whole);
        let (mut stream, mut joined) = (Stream::new(ends[0], ends[1]), Vec::new());
        for size in [1, 2, 3, 7, 8, 9, 64, 500, 406] {
            let mut chunk = vec![0; size];
            stream.fill(&mut chunk);
            stream.advance(size);
            joined.extend(chunk);
        }
        assert_eq!(joined, whole);
        let mut reader = Stream::new(ends[0], ends[1]);
        assert_eq!(reader.verify(&whole[..123]), Ok(()));
        whole[700] ^= 1;
        assert_eq!(reader.verify(&whole[123..]), Err(700));
        assert_ne!(
            Stream::new(ends[1], ends[0]).word(0),
            Stream::new(ends[0], ends[1]).word(0)
        );
    }
}
