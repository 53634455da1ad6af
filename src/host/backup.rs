//! `facelatch people export` and `import`: people in a file that only the owner's key opens.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::cable::CableError;
use super::people::everybody;
use super::progress;
use crate::gallery::Exported;
use crate::update::backup::{self, BackupError};
use crate::update::client::{Client, ClientError};
use crate::update::message::{WireError, capability};
use crate::update::owner::OwnerKey;

/// Why people do not come out of a file or go into one.
#[derive(Debug, Error)]
pub enum BackupFileError {
    /// There is a file already.
    #[error("{} exists already and is left as it is; name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It is no backup of this owner.
    #[error("{}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: BackupError,
    },
    /// Somebody in it is no person that this program knows.
    #[error("{}: person {place} of it was exported by newer firmware: update facelatch first", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Place of the person in it, from 1.
        place: usize,
    },
}

/// Who was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    file: PathBuf,
    people: usize,
    /// Of these, people who have no pictures: another embedder would not know them.
    without_pictures: usize,
}

impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, people, without_pictures } = self;
        let who = if *people == 1 { "1 person is".to_owned() } else { format!("{people} people are") };
        write!(f, "{who} in {}, sealed for your key: without it nobody opens that file", file.display())?;
        if *without_pictures > 0 {
            write!(
                f,
                "\nwithout pictures: {without_pictures}, whom only a lock with the same embedder can take"
            )?;
        }
        Ok(())
    }
}

/// Writes all people of the lock into the new file `path`.
///
/// # Errors
/// When the lock refuses, the line breaks off, or the file cannot be written; then there is no file.
pub fn export(client: &mut Client<'_>, key: &OwnerKey, path: &Path) -> Result<ExportReport, CableError> {
    must_be_able(client)?;
    if path.exists() {
        return Err(BackupFileError::Exists { path: path.to_owned() }.into());
    }
    let (mut people, mut without_pictures) = (Vec::new(), 0);
    let everybody = everybody(client, key)?;
    let bar = progress::bar("people", everybody.len());
    for entry in everybody {
        let exported = client.export(key, entry.person)?;
        let person = Exported::decode(&exported).ok_or(ClientError::Answer)?;
        without_pictures += usize::from(!person.has_pictures());
        people.push(exported);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let file = backup::write(&people, key)
        .map_err(|source| BackupFileError::Backup { path: path.to_owned(), source })?;
    write(path, &file)?;
    Ok(ExportReport { file: path.to_owned(), people: people.len(), without_pictures })
}

fn write(path: &Path, file: &[u8]) -> Result<(), BackupFileError> {
    let failed = |source| BackupFileError::Io { path: path.to_owned(), source };
    let draft = path.with_extension("new");
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    out.write_all(file).and_then(|()| out.sync_all()).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)
}

/// What became of each of the people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    people: Vec<Arrived>,
    /// People whose templates the lock computes from their pictures after a start.
    to_be_computed: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Arrived {
    name: String,
    /// Number at this lock; of who is enrolled there already too.
    person: Option<u32>,
    /// `imported`, `known`, or why not.
    result: String,
}

impl ImportReport {
    /// Whether everybody is enrolled at the lock.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.people.iter().all(|arrived| arrived.person.is_some())
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Arrived { name, person, result } in &self.people {
            match person {
                Some(person) => writeln!(f, "{name}: {result}, person {person}")?,
                None => writeln!(f, "{name}: NOT imported: {result}")?,
            }
        }
        let count = |result: &str| self.people.iter().filter(|arrived| arrived.result == result).count();
        write!(f, "{} imported, {} were enrolled already", count("imported"), count("enrolled already"))?;
        if self.to_be_computed > 0 {
            write!(
                f,
                "\n{} come from another embedder: the lock starts anew in a moment and computes their templates; see: facelatch status",
                self.to_be_computed
            )?;
        }
        Ok(())
    }
}

/// Enrols `people`, as [`read`] gives them, at the lock whose owner is `key`. Who is enrolled there already is passed over:
/// the same again goes on where it broke off.
///
/// # Errors
/// When the lock refuses everybody, or the line breaks off.
pub fn import(
    client: &mut Client<'_>,
    key: &OwnerKey,
    people: &[Zeroizing<Vec<u8>>],
) -> Result<ImportReport, CableError> {
    must_be_able(client)?;
    let embedder = client.status()?.embedding_id;
    let mut report = ImportReport { people: Vec::new(), to_be_computed: 0 };
    let bar = progress::bar("people", people.len());
    for content in people {
        let person = Exported::decode(content).ok_or(ClientError::Answer)?;
        let (number, result) = match client.import(key, content) {
            Ok(number) => {
                report.to_be_computed += usize::from(person.embedding_id() != embedder);
                (Some(number), "imported".to_owned())
            }
            Err(ClientError::Lock(WireError::Known { person })) => {
                (Some(person), "enrolled already".to_owned())
            }
            Err(ClientError::Lock(error @ (WireError::Incomparable { .. } | WireError::Storage { .. }))) => {
                (None, error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        report.people.push(Arrived { name: person.name.to_string(), person: number, result });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// The people of the file `path`, which `key` opens.
///
/// # Errors
/// When it cannot be read, or is no backup of that owner.
pub fn read(path: &Path, key: &OwnerKey) -> Result<Vec<Zeroizing<Vec<u8>>>, BackupFileError> {
    let file = fs::read(path).map_err(|source| BackupFileError::Io { path: path.to_owned(), source })?;
    let mut people = backup::read(&file, key)
        .map_err(|source| BackupFileError::Backup { path: path.to_owned(), source })?;
    let people: Vec<_> = people.iter_mut().map(|person| Zeroizing::new(core::mem::take(person))).collect();
    match people.iter().position(|person| Exported::decode(person).is_none()) {
        Some(place) => Err(BackupFileError::Newer { path: path.to_owned(), place: place + 1 }),
        None => Ok(people),
    }
}

/// Old firmware would be silent.
fn must_be_able(client: &Client<'_>) -> Result<(), ClientError> {
    let able = client.about().capabilities & capability::BACKUP != 0;
    if able { Ok(()) } else { Err(WireError::Unknown.into()) }
}
