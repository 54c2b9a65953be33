//! TCP options: maximum segment size (RFC 9293 §3.2), window scale and timestamps (RFC 7323),
//! SACK-permitted and SACK (RFC 2018). Options of other kinds are handed out as bytes.

use core::fmt;

use super::header::TcpHeader;
use super::sack::{SackBlock, SackBlocks};
use crate::bytes::{Writer, array_at, slice_at, slice_mut, tail};
use crate::error::{EmitError, Layer, Malformed, ParseError};
use crate::seq::SeqNum;

/// The largest window-scale shift in use; a larger one received counts as this (RFC 7323 §2.3).
pub const MAX_WINDOW_SCALE: u8 = 14;

/// The timestamps option (RFC 7323 §3.2).
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub struct TcpTimestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the timestamp that is echoed; counts only with ACK.
    pub echo: u32,
}

/// One option.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
pub enum TcpOption<'a> {
    /// Maximum segment size, in bytes.
    MaxSegmentSize(u16),
    /// Window scale, as it stands: see [`MAX_WINDOW_SCALE`].
    WindowScale(u8),
    /// Selective acknowledgments may be sent.
    SackPermitted,
    /// Selective acknowledgments: one to four blocks.
    Sack(SackBlocks),
    /// Timestamps.
    Timestamps(TcpTimestamps),
    /// An option of another kind.
    Unknown {
        /// Kind; never 0 or 1.
        kind: u8,
        /// What follows kind and length.
        data: &'a [u8],
    },
}

impl fmt::Display for TcpOption<'_> {
    /// As tcpdump prints them: `mss 1460`, `TS val 1 ecr 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxSegmentSize(mss) => write!(f, "mss {mss}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Sack(blocks) => {
                write!(f, "sack {} ", blocks.len())?;
                blocks
                    .iter()
                    .try_for_each(|block| fmt::Display::fmt(block, f))
            }
            Self::Timestamps(ts) => write!(f, "TS val {} ecr {}", ts.value, ts.echo),
            Self::Unknown { kind, data } => {
                write!(f, "unknown-{kind}")?;
                if !data.is_empty() {
                    f.write_str(" 0x")?;
                }
                data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// The options in the bytes behind a TCP header, wherever they begin (RFC 9293 §3.1 and §3.2,
/// MUST-4, MUST-64). No-operations are skipped. The iteration ends at the End of Option List
/// option, at the end of the bytes, and after the first error.
#[derive(Clone, Debug)]
pub struct TcpOptionIter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> TcpOptionIter<'a> {
    /// The options that `bytes` hold. Offsets in errors count from their start.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The option of `kind` at `self.at`; advances by at least two bytes or fails.
    #[inline]
    fn parse_option(&mut self, kind: u8) -> Result<TcpOption<'a>, ParseError> {
        let at = self.at;
        let [_, len] = *array_at(Layer::Tcp, self.bytes, at)?;
        let malformed = ParseError::malformed(Layer::Tcp, at, Malformed::OptionLength);
        // RFC 9293 §3.1 (MUST-7): an illegal length, such as 0 or 1, must not loop or crash.
        if len < 2 {
            return Err(malformed);
        }
        let option = slice_at(Layer::Tcp, self.bytes, at, usize::from(len))?;
        let data = tail(option, 2);
        self.at = at.saturating_add(option.len());
        match kind {
            KIND_MSS => match *data {
                [a, b] => Ok(TcpOption::MaxSegmentSize(u16::from_be_bytes([a, b]))),
                _ => Err(malformed),
            },
            KIND_WINDOW_SCALE => match *data {
                [shift] => Ok(TcpOption::WindowScale(shift)),
                _ => Err(malformed),
            },
            KIND_SACK_PERMITTED if data.is_empty() => Ok(TcpOption::SackPermitted),
            KIND_SACK_PERMITTED => Err(malformed),
            KIND_SACK => parse_sack(data).map(TcpOption::Sack).ok_or(malformed),
            KIND_TIMESTAMPS => match *data {
                [a, b, c, d, e, f, g, h] => Ok(TcpOption::Timestamps(TcpTimestamps {
                    value: u32::from_be_bytes([a, b, c, d]),
                    echo: u32::from_be_bytes([e, f, g, h]),
                })),
                _ => Err(malformed),
            },
            _ => Ok(TcpOption::Unknown { kind, data }),
        }
    }
}

impl<'a> Iterator for TcpOptionIter<'a> {
    type Item = Result<TcpOption<'a>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.bytes.get(self.at)? {
                KIND_END => self.at = self.bytes.len(),
                KIND_NOP => self.at = self.at.saturating_add(1),
                kind => {
                    let option = self.parse_option(kind);
                    if option.is_err() {
                        self.at = self.bytes.len();
                    }
                    return Some(option);
                }
            }
        }
    }
}

impl core::iter::FusedIterator for TcpOptionIter<'_> {}

/// The options of one segment that this crate knows.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct TcpOptions {
    /// Maximum segment size, in bytes; only on SYN.
    pub mss: Option<u16>,
    /// Window scale, as it stands (see [`MAX_WINDOW_SCALE`]); only on SYN.
    pub window_scale: Option<u8>,
    /// Selective acknowledgments may be sent; only on SYN.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<TcpTimestamps>,
    /// Selective acknowledgments; empty where there is no such option.
    pub sack: SackBlocks,
}

impl TcpOptions {
    /// Most bytes of options that a segment can carry.
    pub const MAX_LEN: usize = TcpHeader::MAX_LEN - TcpHeader::MIN_LEN;

    /// The options in the bytes behind a TCP header. Of an option that is repeated the first
    /// counts; unknown kinds are skipped (RFC 9293 §3.1, MUST-6).
    ///
    /// # Errors
    /// [`ParseError::Truncated`] and [`ParseError::Malformed`] for an option whose length is
    /// illegal, wrong for its kind, or beyond the bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut options = Self::default();
        let mut rest = TcpOptionIter::new(bytes);
        if let Some(timestamps) = leading_timestamps(bytes) {
            options.timestamps = Some(timestamps);
            rest.at = PADDED_TIMESTAMPS_LEN;
        }
        for option in rest {
            match option? {
                TcpOption::MaxSegmentSize(mss) => options.mss = options.mss.or(Some(mss)),
                TcpOption::WindowScale(shift) => {
                    options.window_scale = options.window_scale.or(Some(shift));
                }
                TcpOption::SackPermitted => options.sack_permitted = true,
                TcpOption::Timestamps(timestamps) => {
                    options.timestamps = options.timestamps.or(Some(timestamps));
                }
                TcpOption::Sack(blocks) if options.sack.is_empty() => options.sack = blocks,
                TcpOption::Sack(_) | TcpOption::Unknown { .. } => {}
            }
        }
        Ok(options)
    }

    /// How many of `sack`'s blocks fit beside the other options.
    pub fn fitting_sack_blocks(&self) -> usize {
        let room = Self::MAX_LEN
            .saturating_sub(self.len_without_sack())
            .saturating_sub(4);
        self.sack.len().min(room >> 3)
    }

    /// Length of what [`emit`](Self::emit) writes, in bytes; a multiple of 4.
    #[inline]
    pub fn emitted_len(&self) -> usize {
        let sack = match self.fitting_sack_blocks() {
            0 => 0,
            blocks => blocks.saturating_mul(8).saturating_add(4),
        };
        self.len_without_sack().saturating_add(sack)
    }

    /// Writes the options, each with its length (RFC 9293 §3.1, MUST-68), and returns their length.
    /// The padding to a multiple of 4 bytes is no-operations, never bytes behind an End of Option
    /// List option (MUST-69). Blocks of `sack` that do not fit are left out, the last ones first.
    ///
    /// The order and the padding are those of Linux, which middleboxes and header compression know
    /// best: `mss`, `sackOK` and timestamps, window scale, SACK.
    ///
    /// # Errors
    /// [`EmitError::BufferTooSmall`].
    #[inline]
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, EmitError> {
        let len = self.emitted_len();
        let mut writer = Writer::new(Layer::Tcp, slice_mut(Layer::Tcp, buffer, len)?);
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            writer.put(&[KIND_MSS, 4, a, b])?;
        }
        // SACK-permitted takes the place of the two bytes of padding.
        if self.sack_permitted {
            if self.timestamps.is_none() {
                writer.put(&[KIND_NOP, KIND_NOP])?;
            }
            writer.put(&[KIND_SACK_PERMITTED, 2])?;
        } else if self.timestamps.is_some() {
            writer.put(&[KIND_NOP, KIND_NOP])?;
        }
        if let Some(timestamps) = self.timestamps {
            let [a, b, c, d] = timestamps.value.to_be_bytes();
            let [e, f, g, h] = timestamps.echo.to_be_bytes();
            writer.put(&[KIND_TIMESTAMPS, 10, a, b, c, d, e, f, g, h])?;
        }
        if let Some(shift) = self.window_scale {
            writer.put(&[KIND_NOP, KIND_WINDOW_SCALE, 3, shift])?;
        }
        self.emit_sack(&mut writer)?;
        Ok(len)
    }

    fn emit_sack(&self, writer: &mut Writer<'_>) -> Result<(), EmitError> {
        let blocks = self.fitting_sack_blocks();
        if blocks == 0 {
            return Ok(());
        }
        let len = u8::try_from(blocks.saturating_mul(8).saturating_add(2)).unwrap_or_default();
        writer.put(&[KIND_NOP, KIND_NOP, KIND_SACK, len])?;
        for block in self.sack.iter().take(blocks) {
            let [a, b, c, d] = block.left.raw().to_be_bytes();
            let [e, f, g, h] = block.right.raw().to_be_bytes();
            writer.put(&[a, b, c, d, e, f, g, h])?;
        }
        Ok(())
    }

    fn len_without_sack(&self) -> usize {
        let words = [
            (self.mss.is_some(), 4),
            (self.timestamps.is_some(), 12),
            (self.sack_permitted && self.timestamps.is_none(), 4),
            (self.window_scale.is_some(), 4),
        ];
        words.iter().fold(0, |len: usize, &(present, option)| {
            len.saturating_add(if present { option } else { 0 })
        })
    }
}

/// The layout of nearly every segment of a connection with timestamps (RFC 7323 appendix A).
#[inline]
fn leading_timestamps(bytes: &[u8]) -> Option<TcpTimestamps> {
    match *bytes.first_chunk::<PADDED_TIMESTAMPS_LEN>()? {
        [
            KIND_NOP,
            KIND_NOP,
            KIND_TIMESTAMPS,
            10,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ] => Some(TcpTimestamps {
            value: u32::from_be_bytes([a, b, c, d]),
            echo: u32::from_be_bytes([e, f, g, h]),
        }),
        _ => None,
    }
}

fn parse_sack(data: &[u8]) -> Option<SackBlocks> {
    let (blocks, rest) = data.as_chunks::<8>();
    if blocks.is_empty() || blocks.len() > SackBlocks::CAPACITY || !rest.is_empty() {
        return None;
    }
    Some(
        blocks
            .iter()
            .map(|&[a, b, c, d, e, f, g, h]| SackBlock {
                left: SeqNum::new(u32::from_be_bytes([a, b, c, d])),
                right: SeqNum::new(u32::from_be_bytes([e, f, g, h])),
            })
            .collect(),
    )
}

const PADDED_TIMESTAMPS_LEN: usize = 12;
const KIND_END: u8 = 0;
const KIND_NOP: u8 = 1;
const KIND_MSS: u8 = 2;
const KIND_WINDOW_SCALE: u8 = 3;
const KIND_SACK_PERMITTED: u8 = 4;
const KIND_SACK: u8 = 5;
const KIND_TIMESTAMPS: u8 = 8;
