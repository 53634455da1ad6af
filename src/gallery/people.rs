//! Enrolled people in memory, and their sealed records in flash.
//!
//! ```text
//! PersonKey | n   32 random bytes, sealed by the device's key
//! Person    | n   version 1 | postcard of (name, role, templates), sealed by person n's key
//! Person    | n   empty: the person was deleted
//! ```
//!
//! Enrolment stores the key and then the record; the record decides. Deletion stores the empty record and then
//! overwrites the sealed key wherever the flash holds it, without which the device's key opens nothing. Loading
//! ends a deletion that a power cut interrupted.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::matching::{Match, nearest};
use crate::face::template::Template;
use crate::flash::{DeviceKey, KeyError, Map, MapError, Namespace};
use std::collections::BTreeMap;

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
    /// Reads everybody from `map`, and ends a deletion that was interrupted. Records that do not open are left
    /// as they are and told by [`Gallery::damaged`].
    ///
    /// # Errors
    /// When the storage as a whole is damaged or does not answer.
    pub fn load(mut map: Map<F>, key: DeviceKey, capacity: usize) -> Result<Self, GalleryError> {
        let records: BTreeMap<u32, Vec<u8>> = map.all()?.into_iter().collect();
        let mut gallery = Self {
            people: Vec::with_capacity(capacity),
            capacity,
            next_id: 1,
            damaged: Vec::new(),
            map,
            key,
        };
        let numbers: std::collections::BTreeSet<u32> = records
            .keys()
            .filter_map(|&place| Namespace::Person.number(place).or(Namespace::PersonKey.number(place)))
            .collect();
        for id in numbers {
            gallery.next_id = gallery.next_id.max(id + 1);
            let record = |namespace: Namespace| records.get(&namespace.key(id)).map(Vec::as_slice);
            match (record(Namespace::PersonKey), record(Namespace::Person)) {
                (Some(sealed_key), Some([])) => gallery.map.destroy(sealed_key)?,
                (None, Some([])) => {}
                (sealed_key, sealed) => match open(&gallery.key, id, sealed_key, sealed) {
                    Some(person) if gallery.people.len() < capacity => gallery.people.push(person),
                    _ => gallery.damaged.push(id),
                },
            }
        }
        Ok(gallery)
    }

    /// Seals everybody's key with the device's key `new` instead of `old`, before the gallery is loaded with
    /// `new`. After a power cut call it again with the same keys. Returns how many were sealed anew.
    ///
    /// # Errors
    /// When the storage fails or there is no randomness.
    pub fn change_key(map: &mut Map<F>, old: &DeviceKey, new: &DeviceKey) -> Result<usize, GalleryError> {
        let mut changed = 0;
        for (place, sealed) in map.all()? {
            if Namespace::PersonKey.number(place).is_none() {
                continue;
            }
            let Ok(bytes) = old.open(place, &sealed) else { continue };
            map.set(place, &new.seal(place, &bytes)?)?;
            map.destroy(&sealed)?;
            changed += 1;
        }
        Ok(changed)
    }

    /// Everybody, in the order of their numbers.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Numbers of the people whose records do not open: damaged, sealed by another device, beyond the capacity,
    /// or not wholly written when the power was cut. [`Gallery::delete`] takes them too.
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

    /// Deletes a person, and destroys the key without which nothing of that person can be read. On an error
    /// either the person is still enrolled, or is not and the next start destroys the key.
    ///
    /// # Errors
    /// When nobody has that number or the storage fails.
    pub fn delete(&mut self, id: u32) -> Result<(), GalleryError> {
        if self.person(id).is_none() && !self.damaged.contains(&id) {
            return Err(GalleryError::Nobody { id });
        }
        let sealed_key = self.map.get(Namespace::PersonKey.key(id))?;
        self.map.set(Namespace::Person.key(id), &[])?;
        self.people.retain(|person| person.id != id);
        self.damaged.retain(|damaged| *damaged != id);
        sealed_key.map_or(Ok(()), |sealed_key| Ok(self.map.destroy(&sealed_key)?))
    }

    /// The map, after the gallery is done with it.
    #[must_use]
    pub fn into_map(self) -> Map<F> {
        self.map
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
        let person_key = DeviceKey::random()?;
        let key_place = Namespace::PersonKey.key(person.id);
        self.map.set(key_place, &self.key.seal_key(key_place, &person_key)?)?;
        Ok(self.map.set(place, &person_key.seal(place, &bytes)?)?)
    }
}

fn open(key: &DeviceKey, id: u32, sealed_key: Option<&[u8]>, sealed: Option<&[u8]>) -> Option<Person> {
    let person_key = key.open_key(Namespace::PersonKey.key(id), sealed_key?).ok()?;
    let bytes = person_key.open(Namespace::Person.key(id), sealed?).ok()?;
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
