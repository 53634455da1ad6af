//! What was found of one part, and what to do about it.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::host::ink::Ink;

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// The lock runs, but something is worth knowing.
    Note,
    /// The lock does not run, or is not safe.
    Wrong,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The part.
    pub part: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; `None` when there is nothing to be done.
    pub remedy: Option<String>,
}

impl Finding {
    /// A part that is as it should be.
    #[must_use]
    pub fn fine(part: &str, found: impl Into<String>) -> Self {
        Self { part: part.to_owned(), verdict: Verdict::Fine, found: found.into(), remedy: None }
    }

    /// Something worth knowing.
    #[must_use]
    pub fn note(part: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let verdict = Verdict::Note;
        Self { part: part.to_owned(), verdict, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// Something that this machine does not tell.
    #[must_use]
    pub fn untold(part: &str, found: impl Into<String>) -> Self {
        Self { part: part.to_owned(), verdict: Verdict::Note, found: found.into(), remedy: None }
    }

    /// Something that must be mended.
    #[must_use]
    pub fn wrong(part: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let verdict = Verdict::Wrong;
        Self { part: part.to_owned(), verdict, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the board.
    pub board: String,
    /// Model of the machine, as it calls itself.
    pub machine: String,
    /// Whom the lock runs as.
    pub user: String,
    /// One finding for each part.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Findings that must be mended.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count()
    }

    /// The report for people.
    #[must_use]
    pub fn in_words(&self, ink: Ink) -> String {
        let Self { board, machine, user, findings } = self;
        let mut text = format!("board \"{board}\" on {machine}, for user {user}\n");
        let longest = findings.iter().map(|finding| finding.part.chars().count()).max().unwrap_or(0);
        for finding in findings {
            let Finding { part, verdict, found, remedy } = finding;
            let verdict = match verdict {
                Verdict::Fine => ink.green("fine "),
                Verdict::Note => ink.yellow("note "),
                Verdict::Wrong => ink.red("WRONG"),
            };
            write_line(&mut text, format_args!("  {part:<longest$}  {verdict}  {found}"));
            if let Some(remedy) = remedy {
                write_line(&mut text, format_args!("  {:longest$}         -> {remedy}", ""));
            }
        }
        match self.wrong() {
            0 => text.push_str("the lock can run here\n"),
            1 => text.push_str("1 thing is to be mended\n"),
            wrong => write_line(&mut text, format_args!("{wrong} things are to be mended")),
        }
        text
    }
}

fn write_line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("a string takes any text");
}
