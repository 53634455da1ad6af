//! `facelatch log`: what the lock did, and whether its log is whole.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

use super::cable::CableError;
use super::info::hexadecimal;
use super::lock::Lock;
use super::output::{Form, Json};
use crate::flash::audit::{Gap, Moment, Record, verify};
use crate::flash::{Entry, Event, Happening, Reason};
use crate::update::client::{Client, ClientError};
use crate::update::message::{Answer, Command, LogEntry};
use crate::update::owner::OwnerKey;

/// Why a log is not what it should be.
#[derive(Debug, Error)]
pub enum LogError {
    /// It was told, and is not whole.
    #[error("the log is not whole: entries are missing or were altered, see above")]
    NotWhole,
    /// The output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

const EXAMPLES: &str = "Examples:
  facelatch log                          what the lock at the owner's cable did, oldest first
  facelatch log --state lock/            what the simulated lock in lock/ did, oldest first
  facelatch log --state lock/ --json     the same for programs; keep it to see later whether entries were taken away

People are numbers. Each entry is chained to the one before it: what is missing or altered shows, and then the exit status
is 2. The chain has no key: it does not show when somebody writes the whole log anew, or takes the newest entries away. An
export that was kept shows that: a later log goes on from its \"last_link\".";

/// Which log to tell.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct LogOptions {
    /// Whose.
    #[command(flatten)]
    pub lock: Lock,
    /// For programs.
    #[command(flatten)]
    pub form: Json,
}

/// A log as it is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Story {
    entries: Vec<Line>,
    /// Where the chain begins, in hexadecimal.
    first_link: Option<String>,
    /// Where it ends.
    last_link: Option<String>,
    /// What is wrong, in words.
    gaps: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Line {
    number: u32,
    uptime_ms: u64,
    time: Option<String>,
    event: &'static str,
    person: Option<u32>,
    /// Who is most like a face that was refused.
    nearest: Option<u32>,
    distance: Option<f32>,
    reason: Option<&'static str>,
}

impl Story {
    /// The story of `records`, oldest first.
    #[must_use]
    pub fn of(records: &[Record]) -> Self {
        let (entries, gaps) = verify(records);
        let ends = (records.first(), records.last());
        Self {
            entries: entries.iter().map(Line::of).collect(),
            first_link: ends.0.map(|record| hexadecimal(&record.before)),
            last_link: ends.1.map(|record| hexadecimal(&record.link)),
            gaps: gaps.into_iter().map(words).collect(),
        }
    }

    /// Whether nothing is missing between its ends and nothing was altered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }
}

impl Line {
    fn of(entry: &Entry) -> Self {
        let Entry { number, at: Moment { uptime_ms, unix_ms }, what } = *entry;
        let Happening { event, person, distance, reason } = what;
        let refused = matches!(event, Event::Unknown | Event::Ambiguous | Event::NotAlive);
        let time = unix_ms.and_then(|ms| Timestamp::from_millisecond(ms.try_into().ok()?).ok());
        Self {
            number,
            uptime_ms,
            time: time.map(|time| format!("{time:.0}")),
            event: event.words(),
            person: person.filter(|_| !refused),
            nearest: person.filter(|_| refused),
            distance,
            reason: reason.map(Reason::words),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_start =
            || format!("{:.1} s after its start", Duration::from_millis(self.uptime_ms).as_secs_f64());
        let time = self.time.clone().unwrap_or_else(since_start);
        write!(f, "{:>6}  {time:<22}  {}", self.number, self.event)?;
        if let Some(person) = self.person {
            write!(f, ", person {person}")?;
        }
        if let Some(nearest) = self.nearest {
            write!(f, ", nearest person {nearest}")?;
        }
        if let Some(distance) = self.distance {
            write!(f, ", distance {distance:.2}")?;
        }
        self.reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        self.gaps.iter().try_for_each(|gap| writeln!(f, "! {gap}"))?;
        match (self.entries.as_slice(), self.is_whole()) {
            ([], true) => write!(f, "the log is empty"),
            ([first, .., last], true) => {
                write!(f, "entries {} to {}: none is missing or altered", first.number, last.number)
            }
            ([only], true) => write!(f, "entry {}: not altered", only.number),
            (entries, false) => write!(f, "{} entries, and something is wrong with the log", entries.len()),
        }
    }
}

fn words(gap: Gap) -> String {
    match gap {
        Gap::Missing(first, last) if first == last => format!("entry {first} is missing"),
        Gap::Missing(first, last) => format!("entries {first} to {last} are missing"),
        Gap::Altered(place) => {
            format!("the record at place {place} was altered, or written by newer firmware")
        }
        Gap::Unlinked(number) => format!("entry {number} does not follow the one before it"),
    }
}

/// The records of the lock at the owner's cable, oldest first.
///
/// # Errors
/// When there is no lock or it refuses.
pub fn fetch(lock: &Lock) -> Result<Vec<Record>, CableError> {
    lock.at_cable(|client, key| Ok(pages(client, key)?))
}

fn pages(client: &mut Client<'_>, key: &OwnerKey) -> Result<Vec<Record>, ClientError> {
    let (mut records, mut from) = (Vec::new(), 0);
    loop {
        let Answer::Log(page) = client.order(key, &Command::Log { from })? else {
            return Err(ClientError::Answer);
        };
        let page = page.into_iter().map(|LogEntry { body, before, link }| Record { body, before, link });
        let page: Vec<Record> = page.collect();
        let last = page.iter().filter_map(Record::entry).map(|entry| entry.number).max();
        records.extend(page);
        match last.and_then(|last| last.checked_add(1)) {
            Some(next) if next > from => from = next,
            _ => return Ok(records),
        }
    }
}

/// Tells a log whose records are `records`, oldest first.
///
/// # Errors
/// When it is not whole, after it was told.
pub fn run(records: &[Record], form: Form, out: &mut dyn Write) -> Result<(), LogError> {
    let story = Story::of(records);
    form.tell(&story, out)?;
    if story.is_whole() { Ok(()) } else { Err(LogError::NotWhole) }
}
