//! `facelatch people`: who is enrolled and what is asked of them, over the owner's cable.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::backup;
use super::cable::{Cable, CableError};
use super::keygen::{self, Owner};
use super::keypad::new_pin;
use super::output::{Form, Json};
use crate::gallery::Hours;
use crate::update::client::{Client, ClientError};
use crate::update::message::{AccessEntry, Answer, Command, PersonEntry, capability};
use crate::update::owner::OwnerKey;

/// What to do with whom.
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Lists everybody who is enrolled.
    List,
    /// Gives a person another name.
    Rename {
        /// The person's number, from the list.
        person: u32,
        /// The name, at most 48 bytes.
        name: String,
    },
    /// Deletes a person: templates and pictures are destroyed.
    Delete {
        /// The person's number, from the list.
        person: u32,
    },
    /// Asks a person for a PIN as well as the face.
    #[command(after_help = PIN_HELP)]
    Pin {
        /// The person's number, from the list.
        person: u32,
        /// The face is enough again.
        #[arg(long)]
        clear: bool,
    },
    /// Lets a person in at some hours only.
    #[command(after_help = HOURS_HELP)]
    Hours {
        /// The person's number, from the list.
        person: u32,
        /// The hours, such as "mon-fri 08:00-18:30".
        #[arg(required_unless_present = "always", conflicts_with = "always")]
        hours: Option<Hours>,
        /// At all hours again.
        #[arg(long)]
        always: bool,
    },
    /// Writes everybody, with templates and pictures, into a file that only your key opens.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        /// The file to write; one that exists is left as it is.
        file: PathBuf,
    },
    /// Enrols the people of such a file, at this lock or another one of yours.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The file, from `people export`.
        file: PathBuf,
        /// File of the key that the export was made with, if that is not the lock's owner's.
        #[arg(long, value_name = "FILE")]
        old_key: Option<PathBuf>,
    },
}

const PIN_HELP: &str = "The PIN has 4 to 8 digits. It is asked for twice at a terminal, and otherwise is the first line of the input:
  facelatch people pin 2
  facelatch people pin 2 <pin.txt
  facelatch people pin 2 --clear

The lock first recognises the face and then waits for the PIN, typed on its keypad and ended by #, or by \"facelatch keypad\". Wrong \
PINs count like faces that nobody has, up to the lockout. An administrator with a PIN needs it to let others be enrolled, too. The \
digits do not cross the cable and are stored nowhere: the lock keeps a salted hash of them, sealed with the person's record.";

const HOURS_HELP: &str = "Up to four times of the week, in the time zone of the lock's board file:
  facelatch people hours 2 \"mon-fri 08:00-18:30\"
  facelatch people hours 2 \"tue,fri 09:00-12:00; sat,sun 22:00-02:00\"      beyond midnight
  facelatch people hours 2 --always

At other hours the lock says so and stays locked. While it does not know the time, as on a board without a battery clock after a \
power cut, whoever has hours is not let in: set it with \"facelatch set-time\". The exit button asks for nothing.";

const EXPORT_EXAMPLES: &str = "Examples:
  facelatch people export family.flb       everybody of the lock at the owner's cable

Keep the file and a copy of your key (facelatch keygen tells where it is) in different places: together they are everybody's face.
The file alone opens for nobody, you neither: if the key is lost, people must be enrolled again at the door.";

const IMPORT_EXAMPLES: &str = "Examples:
  facelatch people import family.flb                       into a new lock, after facelatch owner enrol
  facelatch people import family.flb --old-key old.key     the file was made with another key

Who is enrolled there already is passed over, so the same command goes on where it broke off. A lock with another embedder
computes new templates from the pictures, after a start that it makes by itself.";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    person: u32,
    name: String,
    administrator: bool,
    templates: u8,
    pictures: bool,
    pin: bool,
    hours: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct List(Vec<Row>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, role) = ("number", "role");
        write!(
            f,
            "{number:>6}  {:<24} {role:<13} {:>9}  pictures  {:<12} hours",
            "name", "templates", "needs"
        )?;
        for Row { person, name, administrator, templates, pictures, pin, hours } in &self.0 {
            let role = if *administrator { "administrator" } else { "resident" };
            let kept = if *pictures { "kept" } else { "none" };
            let needs = if *pin { "face and PIN" } else { "face" };
            let hours = hours.as_deref().unwrap_or("always");
            write!(f, "\n{person:>6}  {name:<24} {role:<13} {templates:>9}  {kept:<8}  {needs:<12} {hours}")?;
            if *templates == 0 {
                write!(f, "  (has to enrol again)")?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Done {
    done: String,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.done)
    }
}

/// Does what `command` says.
///
/// # Errors
/// When there is no lock or it refuses.
pub fn run(
    command: &PeopleCommand,
    (cable, owner, form): (&Cable, &Owner, &Json),
    out: &mut dyn Write,
) -> Result<(), CableError> {
    let key = owner.read()?;
    let form = Form::of(form.json);
    let pin = match command {
        PeopleCommand::Pin { clear: false, .. } => Some(new_pin()?),
        _ => None,
    };
    let arriving = match command {
        PeopleCommand::Import { file, old_key: Some(old) } => backup::read(file, &keygen::read(old)?)?,
        PeopleCommand::Import { file, old_key: None } => backup::read(file, &key)?,
        _ => Vec::new(),
    };
    let done = |done: String, out| Ok(form.tell(&Done { done }, out)?);
    cable.with(|client| match command {
        PeopleCommand::List => {
            let people = everybody(client, &key)?;
            let asked = asked_of(client, &key)?;
            Ok(form.tell(&List(people.into_iter().map(|entry| row(entry, &asked)).collect()), out)?)
        }
        PeopleCommand::Rename { person, name } => {
            client.order(&key, &Command::Rename { person: *person, name: name.clone() })?;
            done(format!("person {person} is called {name}"), out)
        }
        PeopleCommand::Delete { person } => {
            client.order(&key, &Command::Delete { person: *person })?;
            done(format!("person {person} is deleted"), out)
        }
        PeopleCommand::Pin { person, .. } => {
            client.order(&key, &Command::SetPin { person: *person, pin })?;
            let asked = if pin.is_some() { "needs a PIN as well as the face" } else { "needs no PIN" };
            done(format!("person {person} {asked}"), out)
        }
        PeopleCommand::Hours { person, hours, .. } => {
            let hours = hours.as_ref().map(ToString::to_string);
            client.order(&key, &Command::SetHours { person: *person, hours: hours.clone() })?;
            let hours = hours.unwrap_or_else(|| "always".to_owned());
            done(format!("person {person} may come in: {hours}"), out)
        }
        PeopleCommand::Export { file } => Ok(form.tell(&backup::export(client, &key, file)?, out)?),
        PeopleCommand::Import { .. } => {
            let report = backup::import(client, &key, &arriving)?;
            form.tell(&report, out)?;
            if report.is_complete() { Ok(()) } else { Err(CableError::NotImported) }
        }
    })
}

/// What is asked of everybody, by number; nothing by a lock that cannot ask.
fn asked_of(client: &mut Client<'_>, key: &OwnerKey) -> Result<BTreeMap<u32, AccessEntry>, ClientError> {
    let mut asked = BTreeMap::new();
    if client.about().capabilities & capability::ACCESS == 0 {
        return Ok(asked);
    }
    loop {
        let from = asked.last_key_value().map_or(0, |(last, _): (&u32, _)| last.saturating_add(1));
        match client.order(key, &Command::Access { from })? {
            Answer::Access(more) if more.is_empty() => return Ok(asked),
            Answer::Access(more) => asked.extend(more.into_iter().map(|entry| (entry.person, entry))),
            _ => return Err(ClientError::Answer),
        }
    }
}

fn row(entry: PersonEntry, asked: &BTreeMap<u32, AccessEntry>) -> Row {
    let PersonEntry { person, name, administrator, templates, pictures } = entry;
    let asked = asked.get(&person);
    let (pin, hours) = (asked.is_some_and(|entry| entry.pin), asked.and_then(|entry| entry.hours.clone()));
    Row { person, name, administrator, templates, pictures, pin, hours }
}

/// Everybody, in the order of their numbers.
pub(super) fn everybody(client: &mut Client<'_>, key: &OwnerKey) -> Result<Vec<PersonEntry>, ClientError> {
    let mut people: Vec<PersonEntry> = Vec::new();
    loop {
        let from = people.last().map_or(0, |last| last.person.saturating_add(1));
        match client.order(key, &Command::People { from })? {
            Answer::People(more) if more.is_empty() => return Ok(people),
            Answer::People(more) => people.extend(more),
            _ => return Err(ClientError::Answer),
        }
    }
}
