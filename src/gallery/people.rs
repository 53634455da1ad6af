//! Enrolled people in memory, and their sealed records in flash.
//!
//! ```text
//! record of person n, under key Person | n, sealed: version 1 | postcard of (name, role, templates)
//! an empty record: the person was deleted
//! ```

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::matching::{Match, nearest};
use crate::face::template::Template;
use crate::flash::{DeviceKey, KeyError, Map, MapError, Namespace};

/// Templates that one person can have.
pub const TEMPLATES_PER_PERSON: usize = 5;
/// Longest name, in bytes.
pub const MAX_NAME: usize = 48;
const VERSION: u8 = 1;

/// What a person may do beyond entering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Lets others be enrolled and deleted.
    Administrator,
    /// Enters.
    Resident,
}

/// One enrolled person.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Number, never used again while the record is kept.
    pub id: u32,
    /// What the owner calls this person.
    pub name: heapless::String<MAX_NAME>,
    /// What this person may do.
    pub role: Role,
    /// The face, at different moments.
    pub templates: heapless::Vec<Template, TEMPLATES_PER_PERSON>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    name: heapless::String<MAX_NAME>,
    role: Role,
    templates: heapless::Vec<Template, TEMPLATES_PER_PERSON>,
}

/// Why the gallery could not do what was asked.
#[derive(Debug, Error)]
pub enum GalleryError {
    /// There is no place for another person.
    #[error("{capacity} people are enrolled, more do not fit: delete somebody first")]
    Full {
        /// People that fit.
        capacity: usize,
    },
    /// A person needs a template.
    #[error("a person without templates cannot be recognised")]
    NoTemplates,
    /// Nobody has this number.
    #[error("nobody has the number {id}")]
    Nobody {
        /// The number.
        id: u32,
    },
    /// The storage failed.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A record could not be sealed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Everybody who is enrolled.
pub struct Gallery<F: NorFlash> {
    people: Vec<Person>,
    capacity: usize,
    next_id: u32,
    damaged: Vec<u32>,
    map: Map<F>,
    key: DeviceKey,
}

impl<F: NorFlash> fmt::Debug for Gallery<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gallery").field("people", &self.people.len()).finish_non_exhaustive()
    }
}

impl<F: NorFlash<Error: fmt::Debug>> Gallery<F> {
    /// Reads everybody from `map`. Records that do not open are left as they are and told by
    /// [`Gallery::damaged`].
    ///
    /// # Errors
    /// When the storage as a whole is damaged or does not answer.
    pub fn load(mut map: Map<F>, key: DeviceKey, capacity: usize) -> Result<Self, GalleryError> {
        let mut people = Vec::with_capacity(capacity);
        let mut damaged = Vec::new();
        let mut next_id = 1;
        for (place, sealed) in map.all()? {
            let Some(id) = Namespace::Person.number(place) else { continue };
            next_id = next_id.max(id + 1);
            if sealed.is_empty() {
                continue;
            }
            match open(&key, place, id, &sealed) {
                Some(person) if people.len() < capacity => people.push(person),
                _ => damaged.push(id),
            }
        }
        Ok(Self { people, capacity, next_id, damaged, map, key })
    }

    /// Everybody, in the order of their numbers.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Numbers of the people whose records do not open: damaged, or sealed by another device.
    #[must_use]
    pub fn damaged(&self) -> &[u32] {
        &self.damaged
    }

    /// Whether there is no place for another person.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.people.len() >= self.capacity
    }

    /// A person by number.
    #[must_use]
    pub fn person(&self, id: u32) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// The nearest person to `probe`; `None` when nobody is enrolled.
    #[must_use]
    pub fn nearest(&self, probe: &Template) -> Option<Match> {
        nearest(&self.people, probe)
    }

    /// Stores a new person; returns the number. On an error nobody is enrolled.
    ///
    /// # Errors
    /// When there are no templates, no place, or the storage fails.
    pub fn enrol(&mut self, name: &str, role: Role, templates: &[Template]) -> Result<u32, GalleryError> {
        if templates.is_empty() {
            return Err(GalleryError::NoTemplates);
        }
        if self.is_full() {
            return Err(GalleryError::Full { capacity: self.capacity });
        }
        let templates = templates.iter().take(TEMPLATES_PER_PERSON).cloned().collect();
        let person = Person { id: self.next_id, name: shortened(name), role, templates };
        self.store(&person)?;
        self.next_id += 1;
        let id = person.id;
        self.people.push(person);
        Ok(id)
    }

    /// Deletes a person. On an error the person is still enrolled.
    ///
    /// # Errors
    /// When nobody has that number or the storage fails.
    pub fn delete(&mut self, id: u32) -> Result<(), GalleryError> {
        let at = self.people.iter().position(|p| p.id == id).ok_or(GalleryError::Nobody { id })?;
        self.map.set(Namespace::Person.key(id), &[])?;
        self.people.remove(at);
        Ok(())
    }

    /// The map, for other records that are kept beside the people.
    pub fn map(&mut self) -> &mut Map<F> {
        &mut self.map
    }

    fn store(&mut self, person: &Person) -> Result<(), GalleryError> {
        let place = Namespace::Person.key(person.id);
        let record =
            Record { name: person.name.clone(), role: person.role, templates: person.templates.clone() };
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(&record).expect("these types are always serialisable"));
        let sealed = self.key.seal(place, &bytes)?;
        Ok(self.map.set(place, &sealed)?)
    }
}

fn open(key: &DeviceKey, place: u32, id: u32, sealed: &[u8]) -> Option<Person> {
    let bytes = key.open(place, sealed).ok()?;
    let (&VERSION, record) = bytes.split_first()? else { return None };
    let Record { name, role, templates } = postcard::from_bytes(record).ok()?;
    (!templates.is_empty()).then_some(Person { id, name, role, templates })
}

/// As much of `name` as fits, cut between characters.
fn shortened(name: &str) -> heapless::String<MAX_NAME> {
    let mut short = heapless::String::new();
    for character in name.chars() {
        if short.push(character).is_err() {
            break;
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::FileFlash;
    use crate::gallery::MatchPolicy;
    use std::path::Path;

    fn template(seed: u8) -> Template {
        let mut state = u32::from(seed) + 1;
        let output: Vec<i8> = (0..128)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8 as i8
            })
            .collect();
        Template::from_output(&output, 0, 200, 1).expect("not zero")
    }

    fn gallery(path: &Path, key: u8, capacity: usize) -> Gallery<FileFlash> {
        let map = Map::new(FileFlash::open(path, 65536).expect("flash"), 0..65536).expect("map");
        Gallery::load(map, DeviceKey::from_bytes([key; 32]), capacity).expect("loads")
    }

    #[test]
    fn people_are_there_after_a_restart_and_a_deleted_one_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        let mut before = gallery(&path, 1, 10);
        let anna = before.enrol("Anna", Role::Administrator, &[template(1), template(2)]).expect("enrolled");
        let ben = before.enrol("Ben", Role::Resident, &[template(3)]).expect("enrolled");
        before.delete(ben).expect("deleted");
        let mut after = gallery(&path, 1, 10);
        assert_eq!(after.people(), before.people());
        assert_eq!(after.nearest(&template(2)).map(|m| (m.person, m.distance)), Some((anna, 0.0)));
        let cara = after.enrol("Cara", Role::Resident, &[template(4)]).expect("enrolled");
        assert!(cara > ben, "a number is not used again");
    }

    #[test]
    fn another_devices_records_are_told_and_left_as_they_are() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flash");
        gallery(&path, 1, 10).enrol("Anna", Role::Resident, &[template(1)]).expect("enrolled");
        let foreign = gallery(&path, 2, 10);
        assert!(foreign.people().is_empty());
        assert_eq!(foreign.damaged(), [1]);
        assert_eq!(gallery(&path, 1, 10).people().len(), 1);
    }

    #[test]
    fn a_full_gallery_says_so_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut small = gallery(&folder.path().join("flash"), 1, 1);
        small.enrol("Anna", Role::Resident, &[template(1)]).expect("enrolled");
        assert!(small.is_full());
        let error = small.enrol("Ben", Role::Resident, &[template(2)]).expect_err("full");
        assert!(error.to_string().contains("delete somebody"), "{error}");
    }

    #[test]
    fn look_alikes_that_are_not_told_apart_are_refused() {
        let policy = MatchPolicy { threshold: 1.0, margin: 0.1 };
        let clear = Match { person: 1, distance: 0.5, runner_up: 1.2 };
        assert!(clear.is_accepted(&policy));
        assert!(!Match { runner_up: 0.55, ..clear }.is_accepted(&policy));
        assert!(!Match { distance: 1.01, runner_up: 4.0, ..clear }.is_accepted(&policy));
    }
}
