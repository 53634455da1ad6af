//! `facelatch people`: who is enrolled, over the owner's cable.

use std::fmt;
use std::io::Write;

use clap::Subcommand;
use serde::Serialize;

use super::cable::{Cable, CableError};
use super::keygen::Owner;
use super::output::{Form, Json};
use crate::update::client::{Client, ClientError};
use crate::update::message::{Answer, Command, PersonEntry};
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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    person: u32,
    name: String,
    administrator: bool,
    templates: u8,
    pictures: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct List(Vec<Row>);

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}  {:<24} {:<13} {:>9}  pictures", "number", "name", "role", "templates")?;
        for Row { person, name, administrator, templates, pictures } in &self.0 {
            let role = if *administrator { "administrator" } else { "resident" };
            let kept = if *pictures { "kept" } else { "none" };
            write!(f, "\n{person:>6}  {name:<24} {role:<13} {templates:>9}  {kept}")?;
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
    let done = |done: String, out| Ok(form.tell(&Done { done }, out)?);
    cable.with(|client| match command {
        PeopleCommand::List => {
            let rows = everybody(client, &key)?.into_iter().map(|entry| {
                let PersonEntry { person, name, administrator, templates, pictures } = entry;
                Row { person, name, administrator, templates, pictures }
            });
            Ok(form.tell(&List(rows.collect()), out)?)
        }
        PeopleCommand::Rename { person, name } => {
            client.order(&key, &Command::Rename { person: *person, name: name.clone() })?;
            done(format!("person {person} is called {name}"), out)
        }
        PeopleCommand::Delete { person } => {
            client.order(&key, &Command::Delete { person: *person })?;
            done(format!("person {person} is deleted"), out)
        }
    })
}

/// Everybody, in the order of their numbers.
fn everybody(client: &mut Client<'_>, key: &OwnerKey) -> Result<Vec<PersonEntry>, ClientError> {
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
