//! How a subcommand tells its result: for people, or as JSON for programs.

use std::fmt::Display;
use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

/// Whether programs read the result.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Json {
    /// Tell the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// One JSON value on one line.
    Json,
}

impl Form {
    /// What the option `--json` asks for.
    #[must_use]
    pub fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// Writes `result` to `out`.
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn tell<T: Serialize + Display>(self, result: &T, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Text => writeln!(out, "{result}"),
            Self::Json => {
                serde_json::to_writer(&mut *out, result)?;
                writeln!(out)
            }
        }
    }
}
