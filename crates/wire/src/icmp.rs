//! Layout shared by ICMPv4 and ICMPv6: type, code, checksum, one word, data.

use crate::bytes::{Writer, array_at, tail};
use crate::error::{EmitError, Layer, Malformed, ParseError};

/// The parts of a message (RFC 792, RFC 4443 §2.1). The checksum is not one: it is computed over
/// the written bytes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct IcmpParts<'a> {
    /// Type.
    pub(crate) kind: u8,
    /// Code.
    pub(crate) code: u8,
    /// Bytes 4 to 7; `None` where `data` begins with them, in messages that are not parsed.
    pub(crate) word: Option<Word>,
    /// The data of an echo, or the packet that an error quotes.
    pub(crate) data: &'a [u8],
}

impl<'a> IcmpParts<'a> {
    /// The parts of a message with a word.
    pub(crate) const fn new(kind: u8, code: u8, word: Word, data: &'a [u8]) -> Self {
        Self {
            kind,
            code,
            word: Some(word),
            data,
        }
    }

    /// Length on the wire, in bytes.
    pub(crate) const fn buffer_len(&self) -> usize {
        let fixed = match self.word {
            Some(_) => HEADER_LEN,
            None => WORD_OFFSET,
        };
        self.data.len().saturating_add(fixed)
    }

    /// Writes the message with a checksum field of 0.
    pub(crate) fn emit(&self, layer: Layer, message: &mut [u8]) -> Result<(), EmitError> {
        let mut writer = Writer::new(layer, message);
        writer.put(&[self.kind, self.code, 0, 0])?;
        if let Some(Word(word)) = self.word {
            writer.put(&word)?;
        }
        writer.put(self.data)
    }
}

/// The four bytes behind the checksum; their meaning depends on the type.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Word([u8; 4]);

impl Word {
    /// The word of a message that does not use it.
    pub(crate) const UNUSED: Self = Self([0; 4]);

    /// A word of two 16-bit fields.
    pub(crate) const fn from_halves(high: u16, low: u16) -> Self {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Self([a, b, c, d])
    }

    /// A word that is one 32-bit field.
    pub(crate) const fn from_number(number: u32) -> Self {
        Self(number.to_be_bytes())
    }

    /// A word of one 8-bit field and 24 unused bits.
    pub(crate) const fn from_first_byte(byte: u8) -> Self {
        Self([byte, 0, 0, 0])
    }

    /// The word as two 16-bit fields.
    pub(crate) const fn halves(self) -> (u16, u16) {
        let [a, b, c, d] = self.0;
        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }

    /// The word as one 32-bit field.
    pub(crate) const fn number(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// The first 8 bits.
    pub(crate) const fn first_byte(self) -> u8 {
        self.0[0]
    }
}

/// Type and code of a message.
pub(crate) fn kind_and_code(layer: Layer, bytes: &[u8]) -> Result<(u8, u8), ParseError> {
    let [kind, code, ..] = *array_at::<WORD_OFFSET>(layer, bytes, 0)?;
    Ok((kind, code))
}

/// What follows the checksum, unparsed.
pub(crate) fn rest(bytes: &[u8]) -> &[u8] {
    tail(bytes, WORD_OFFSET)
}

/// What follows the checksum: the word, and the data behind it.
pub(crate) fn word_and_data(layer: Layer, bytes: &[u8]) -> Result<(Word, &[u8]), ParseError> {
    let word = *array_at(layer, bytes, WORD_OFFSET)?;
    Ok((Word(word), tail(bytes, HEADER_LEN)))
}

/// The error of a message whose checksum does not match.
pub(crate) const fn wrong_checksum(layer: Layer) -> ParseError {
    ParseError::malformed(layer, CHECKSUM_OFFSET, Malformed::Checksum)
}

/// Puts the checksum into its field.
pub(crate) fn set_checksum(message: &mut [u8], checksum: u16) {
    if let Some(field) = message.get_mut(CHECKSUM_OFFSET..WORD_OFFSET) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

const CHECKSUM_OFFSET: usize = 2;
const WORD_OFFSET: usize = 4;
const HEADER_LEN: usize = 8;
