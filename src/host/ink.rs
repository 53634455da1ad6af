//! Colours on a terminal, where they are wanted.

use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Words as they are.
    Plain,
    /// ANSI colours.
    Coloured,
}

impl Ink {
    /// What suits `stream`: colours on a terminal that has them, unless `NO_COLOR` is set to anything.
    ///
    /// # Source
    /// <https://no-color.org>
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == OsStr::new("dumb"));
        if stream.is_terminal() && !unwanted && !dumb { Self::Coloured } else { Self::Plain }
    }

    /// `words` in green.
    #[must_use]
    pub fn green(self, words: &str) -> String {
        self.dip(words, 32)
    }

    /// `words` in yellow.
    #[must_use]
    pub fn yellow(self, words: &str) -> String {
        self.dip(words, 33)
    }

    /// `words` in red.
    #[must_use]
    pub fn red(self, words: &str) -> String {
        self.dip(words, 31)
    }

    /// The colour's code is that of ECMA-48, section 8.3.117 (SGR).
    fn dip(self, words: &str, colour: u8) -> String {
        match self {
            Self::Plain => words.to_owned(),
            Self::Coloured => format!("\x1b[{colour}m{words}\x1b[0m"),
        }
    }
}
