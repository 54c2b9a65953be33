//! Style of terminal text: plain or in colours.

/// Whether text for the terminal uses colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Characters only.
    Plain,
    /// ANSI colours.
    Colour,
}

impl Style {
    /// The text in a colour: one of the constants below.
    pub(crate) fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

pub(crate) const BOLD: &str = "1";
pub(crate) const DIM: &str = "2";
pub(crate) const RED: &str = "1;31";
pub(crate) const GREEN: &str = "1;32";
pub(crate) const YELLOW: &str = "1;33";
pub(crate) const BLUE: &str = "1;34";
pub(crate) const MAGENTA: &str = "1;35";
pub(crate) const CYAN: &str = "36";
