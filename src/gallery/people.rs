//! Everybody who is enrolled: in memory to be compared, sealed in flash to be kept.
//!
//! ```text
//! PersonKey | n   32 random bytes, sealed by the device's key; one byte more while the enrolment is not done
//! Person    | n   the person's record, sealed by person n's key
//! Person    | n   empty: the person was deleted
//! Staged    | n   templates of an embedder on trial, sealed by person n's key; empty: none
//! ```
//!
//! Enrolment stores the key as begun, the crops, the record, and then the key as done: the record decides. Deletion
//! stores the empty record and then overwrites the sealed key wherever the flash holds it, without which the
//! device's key opens nothing. Loading ends what a power cut interrupted.

use core::fmt::{self, Debug};
use std::collections::{BTreeMap, BTreeSet};

use embedded_storage_async::nor_flash::NorFlash;
use thiserror::Error;
use zeroize::Zeroizing;

use super::access::Access;
use super::crops::{self, Crop, CropPlace, CropStore};
use super::matching::{Index, Match};
use super::person::{Person, Role, TEMPLATES_PER_PERSON, Templates, shortened};
use super::staging::{Staged, staged_in};
use super::visitors::Visitors;
use crate::face::template::Template;
use crate::flash::key::SEAL_OVERHEAD;
use crate::flash::{DeviceKey, KeyError, KeyPlace, Map, MapError, Namespace};

/// People that a gallery can hold on any board.
pub const MAX_PEOPLE: usize = 1_000;

/// Added to a sealed person key while the enrolment is not done.
const BEGUN: u8 = 1;

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
    /// The pictures of an enrolment cannot be read.
    #[error("the pictures that were kept of person {id} are damaged: enrol this person again")]
    CropsDamaged {
        /// The person's number.
        id: u32,
    },
    /// Who comes from a backup is enrolled.
    #[error("this face is enrolled already, as person {id}")]
    Known {
        /// The person's number.
        id: u32,
    },
    /// Who comes from a backup cannot be compared with anybody here.
    #[error(
        "the templates are of embedder {made}, this lock has {here} and no pictures or no place for them, from which it could compute others: enrol this person again"
    )]
    Incomparable {
        /// Embedder of the templates.
        made: u32,
        /// Embedder in use.
        here: u32,
    },
    /// The storage failed.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A record could not be sealed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What is known of a person at the enrolment.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'a> {
    /// What the owner calls this person.
    pub name: &'a str,
    /// What this person may do.
    pub role: Role,
    /// The face, at different moments; [`TEMPLATES_PER_PERSON`] at most are kept.
    pub templates: &'a [Template],
    /// The pictures of the templates, to be kept for a new embedder; none when the owner does not want that.
    pub crops: &'a [Crop],
}

/// A person who is about to be enrolled.
pub(super) struct Newcomer<'a> {
    pub name: &'a str,
    pub role: Role,
    pub templates: &'a [Template],
    /// As in a cell of the crops; empty: none.
    pub pictures: &'a [u8],
    pub access: &'a Access,
}

/// Everybody who is enrolled.
pub struct Gallery<F: NorFlash> {
    pub(super) people: Box<heapless::Vec<Person, MAX_PEOPLE>>,
    pub(super) index: Index,
    /// The key of each of `people`.
    pub(super) keys: Vec<DeviceKey>,
    pub(super) staged: Staged,
    capacity: usize,
    next_id: u32,
    damaged: Vec<u32>,
    keeps_crops: bool,
    unfinished: Option<MapError>,
    pub(super) map: Map<F>,
    crops: CropStore<F>,
    pub(super) key: DeviceKey,
    pub(super) visitors: Visitors,
}

impl<F: NorFlash> Debug for Gallery<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gallery").field("people", &self.people.len()).finish_non_exhaustive()
    }
}

impl<F: NorFlash<Error: Debug>> Gallery<F> {
    /// Reads everybody from `map`, at most `capacity` people (1 to [`MAX_PEOPLE`]), and ends what a power cut
    /// interrupted. Records that do not open are left as they are and told by [`Gallery::damaged`].
    ///
    /// # Errors
    /// When the storage as a whole is damaged or does not answer.
    pub fn load(
        map: Map<F>,
        crops: CropStore<F>,
        key: DeviceKey,
        capacity: usize,
    ) -> Result<Self, GalleryError> {
        let capacity = capacity.min(MAX_PEOPLE);
        let mut gallery = Self {
            people: Box::new(heapless::Vec::new()),
            index: Index::default(),
            keys: Vec::with_capacity(capacity),
            staged: Staged::new(),
            capacity,
            next_id: 1,
            damaged: Vec::new(),
            keeps_crops: true,
            unfinished: None,
            map,
            crops,
            key,
            visitors: Visitors::default(),
        };
        let records: BTreeMap<u32, Vec<u8>> = gallery.map.all()?.into_iter().collect();
        let number = |place: &u32| Namespace::Person.number(*place).or(Namespace::PersonKey.number(*place));
        for id in records.keys().filter_map(number).collect::<BTreeSet<u32>>() {
            let loaded = gallery.load_person(id, &records);
            gallery.unfinished = gallery.unfinished.or(loaded.err());
        }
        gallery.staged = staged_in(&records);
        gallery.index.fill(&*gallery.people);
        let all_known = gallery.damaged.is_empty() && gallery.map.damage().is_none();
        let places = gallery.people.iter().filter_map(|person| person.crops);
        let settled = gallery.crops.settle(places, all_known);
        gallery.unfinished = gallery.unfinished.or(settled.err());
        Ok(gallery)
    }

    fn load_person(&mut self, id: u32, records: &BTreeMap<u32, Vec<u8>>) -> Result<(), MapError> {
        let record = |namespace: Namespace| records.get(&namespace.key(id)).map(Vec::as_slice);
        let (sealed_key, begun) = split_key(record(Namespace::PersonKey));
        self.next_id = self.next_id.max(id + 1);
        match (sealed_key, record(Namespace::Person)) {
            (Some(sealed_key), Some([])) => self.map.destroy(&[sealed_key])?,
            (Some(sealed_key), None) if begun => self.map.destroy(&[sealed_key])?,
            (None, Some([])) => {}
            (sealed_key, sealed) => match self.open(id, sealed_key, sealed) {
                Some((person, key)) if !self.is_full() => {
                    self.add(person, key);
                    if let (true, Some(sealed_key)) = (begun, sealed_key) {
                        self.map.set(Namespace::PersonKey.key(id), sealed_key)?;
                    }
                }
                _ => self.damaged.push(id),
            },
        }
        Ok(())
    }

    fn open(&self, id: u32, sealed_key: Option<&[u8]>, sealed: Option<&[u8]>) -> Option<(Person, DeviceKey)> {
        let key = self.key.open_key(Namespace::PersonKey.key(id), sealed_key?).ok()?;
        Some((Person::open(id, &key, sealed?)?, key))
    }

    fn add(&mut self, person: Person, key: DeviceKey) {
        self.people.push(person).expect("the capacity is at most that of the array");
        self.keys.push(key);
    }

    /// Gives the device another key: a new one is proposed to `place`, everybody's key is sealed with it, and it is
    /// adopted. Returns the key with which the gallery is to be loaded.
    ///
    /// # Errors
    /// When the storage or the place fails; [`Gallery::device_key`] goes on from there.
    pub fn change_device_key(map: &mut Map<F>, place: &mut impl KeyPlace) -> Result<DeviceKey, GalleryError> {
        if place.proposed()?.is_none() {
            place.propose(&DeviceKey::random()?)?;
        }
        Self::device_key(map, place)
    }

    /// The device's key, after a change of it that a power cut interrupted is ended.
    ///
    /// # Errors
    /// When the storage or the place fails.
    pub fn device_key(map: &mut Map<F>, place: &mut impl KeyPlace) -> Result<DeviceKey, GalleryError> {
        let old = place.current()?;
        let Some(new) = place.proposed()? else { return Ok(old) };
        for (key, record) in map.all()? {
            let (Some(sealed), _) = split_key(Some(&record)) else { continue };
            let Some(person_key) = opened(&old, key, sealed) else { continue };
            let mut again = new.seal_key(key, &person_key)?;
            again.extend(&record[sealed.len()..]);
            map.set(key, &again)?;
        }
        let copies = map.copies()?;
        let of_old = |(key, record): &(u32, Vec<u8>)| {
            let sealed = split_key(Some(record)).0.map(<[u8]>::len)?;
            opened(&old, *key, &record[..sealed]).map(|_| sealed)
        };
        let outdated = copies.iter().filter_map(|copy| Some(&copy.1[..of_old(copy)?]));
        map.destroy(&outdated.collect::<Vec<_>>())?;
        place.adopt()?;
        Ok(new)
    }

    /// Everybody, in the order of their numbers.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Numbers of the people whose records do not open: damaged, sealed by another device, or beyond the
    /// capacity. [`Gallery::delete`] takes them too.
    #[must_use]
    pub fn damaged(&self) -> &[u32] {
        &self.damaged
    }

    /// What could not be written although the change before it was made: the storage fails. The next start
    /// does it.
    #[must_use]
    pub fn unfinished(&self) -> Option<&MapError> {
        self.unfinished.as_ref()
    }

    /// Whether pictures of enrolments are kept, if there is room.
    #[must_use]
    pub fn keeps_crops(&self) -> bool {
        self.keeps_crops
    }

    /// Whether there is no place for another person.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.people.len() >= self.capacity
    }

    /// People whose crops still fit.
    #[must_use]
    pub fn crop_places_left(&self) -> usize {
        self.crops.left()
    }

    /// A person by number.
    #[must_use]
    pub fn person(&self, id: u32) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// The nearest person to `probe`; `None` when nobody is enrolled.
    #[must_use]
    pub fn nearest(&self, probe: &Template) -> Option<Match> {
        self.index.nearest(probe)
    }

    /// Stores a new person; returns the number. On an error nobody is enrolled. When there is no place for the
    /// crops the person is enrolled without: [`Person::crops`] tells.
    ///
    /// # Errors
    /// When there are no templates, no place, or the storage fails.
    pub fn enrol(&mut self, enrolment: &Enrolment<'_>) -> Result<u32, GalleryError> {
        let Enrolment { name, role, templates, crops } = *enrolment;
        let pictures = self.pictures_of(crops);
        let access = &Access::default();
        self.add_newcomer(&Newcomer { name, role, templates, pictures: &pictures, access })
    }

    pub(super) fn add_newcomer(&mut self, newcomer: &Newcomer<'_>) -> Result<u32, GalleryError> {
        if self.is_full() {
            return Err(GalleryError::Full { capacity: self.capacity });
        }
        let (id, person_key) = (self.next_id, DeviceKey::random()?);
        let templates = first_templates(newcomer.templates)?;
        let place = Namespace::PersonKey.key(id);
        let sealed_key = self.key.seal_key(place, &person_key)?;
        self.map.set(place, &[&sealed_key[..], &[BEGUN]].concat())?;
        let crops = self.put_pictures(id, &person_key, newcomer.pictures, 1);
        let (name, access) = (shortened(newcomer.name), newcomer.access.clone());
        let person = Person { id, name, role: newcomer.role, templates, crops, access };
        self.map.set(Namespace::Person.key(id), &person.seal(&person_key)?)?;
        self.next_id += 1;
        self.add(person, person_key);
        self.index.fill(&*self.people);
        self.unfinished = self.map.set(place, &sealed_key).err();
        Ok(id)
    }

    /// Stores other templates of a person, of the embedder in use, and the pictures of them. On an error or
    /// after a power cut the person is as before or as after.
    ///
    /// # Errors
    /// When nobody has that number, there are no templates, or the storage fails.
    pub fn enrol_again(
        &mut self,
        id: u32,
        templates: &[Template],
        crops: &[Crop],
    ) -> Result<(), GalleryError> {
        let index = self.find(id)?;
        let templates = first_templates(templates)?;
        let before = self.people[index].clone();
        let key = self.keys[index].clone();
        let crops = self.put_pictures(id, &key, &self.pictures_of(crops), 0);
        self.rewrite(index, Person { templates, crops, ..before.clone() })?;
        self.forget_staged(id)?;
        before.crops.map_or(Ok(()), |place| Ok(self.crops.free(place)?))
    }

    /// The pictures of a person's enrolment; none when none were kept.
    ///
    /// # Errors
    /// When nobody has that number, the pictures are damaged, or the storage fails.
    pub fn crops(&mut self, id: u32) -> Result<Vec<Crop>, GalleryError> {
        match self.pictures(id)? {
            none if none.is_empty() => Ok(Vec::new()),
            pictures => crops::decode(&pictures).ok_or(GalleryError::CropsDamaged { id }),
        }
    }

    /// The pictures of a person's enrolment as in their cell; empty when none were kept.
    pub(super) fn pictures(&mut self, id: u32) -> Result<Zeroizing<Vec<u8>>, GalleryError> {
        let index = self.find(id)?;
        let Some(place) = self.people[index].crops else { return Ok(Zeroizing::default()) };
        let sealed = self.crops.get(place)?;
        let opened = self.keys[index].open(Namespace::Crops.key(id), &sealed);
        opened.map_err(|_| GalleryError::CropsDamaged { id })
    }

    /// Numbers of the people whose pictures have so many bytes.
    pub(super) fn with_pictures_of(&self, bytes: usize) -> Vec<u32> {
        let has = |person: &&Person| person.crops.is_some_and(|place| place.bytes() == bytes + SEAL_OVERHEAD);
        self.people.iter().filter(has).map(|person| person.id).collect()
    }

    /// Destroys the pictures of all enrolments and keeps none from now on: the owner does not want them.
    ///
    /// # Errors
    /// When the storage fails; then call it again.
    pub fn forget_crops(&mut self) -> Result<(), GalleryError> {
        self.keeps_crops = false;
        for index in 0..self.people.len() {
            let person = self.people[index].clone();
            let Some(place) = person.crops else { continue };
            self.rewrite(index, Person { crops: None, ..person })?;
            self.crops.free(place)?;
        }
        Ok(())
    }

    /// Gives a person another name, shortened to what fits. On an error or after a power cut it is the old one or
    /// the new one.
    ///
    /// # Errors
    /// When nobody has that number or the storage fails.
    pub fn rename(&mut self, id: u32, name: &str) -> Result<(), GalleryError> {
        let index = self.find(id)?;
        let person = Person { name: shortened(name), ..self.people[index].clone() };
        self.rewrite(index, person)
    }

    /// Asks for something else of a person besides the face. On an error or after a power cut it is as before or as
    /// after.
    ///
    /// # Errors
    /// When nobody has that number or the storage fails.
    pub fn set_access(&mut self, id: u32, access: Access) -> Result<(), GalleryError> {
        let index = self.find(id)?;
        let person = Person { access, ..self.people[index].clone() };
        self.rewrite(index, person)
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
        let record = self.map.get(Namespace::PersonKey.key(id))?;
        self.map.set(Namespace::Person.key(id), &[])?;
        let place = self.find(id).ok().and_then(|index| {
            self.keys.remove(index);
            self.people.remove(index).crops
        });
        self.index.fill(&*self.people);
        self.damaged.retain(|damaged| *damaged != id);
        if let (Some(sealed_key), _) = split_key(record.as_deref()) {
            self.map.destroy(&[sealed_key])?;
        }
        self.forget_staged(id)?;
        place.map_or(Ok(()), |place| Ok(self.crops.free(place)?))
    }

    /// The map and the crops, after the gallery is done with them.
    #[must_use]
    pub fn into_storage(self) -> (Map<F>, CropStore<F>) {
        (self.map, self.crops)
    }

    /// The map, for other records that are kept beside the people.
    pub fn map(&mut self) -> &mut Map<F> {
        &mut self.map
    }

    pub(super) fn find(&self, id: u32) -> Result<usize, GalleryError> {
        self.people.iter().position(|person| person.id == id).ok_or(GalleryError::Nobody { id })
    }

    fn rewrite(&mut self, index: usize, person: Person) -> Result<(), GalleryError> {
        self.map.set(Namespace::Person.key(person.id), &person.seal(&self.keys[index])?)?;
        self.people[index] = person;
        self.index.fill(&*self.people);
        Ok(())
    }

    /// Pictures as they are kept in a cell; empty when none are to be.
    fn pictures_of(&self, crops: &[Crop]) -> Zeroizing<Vec<u8>> {
        if !self.keeps_crops || crops.is_empty() {
            return Zeroizing::default();
        }
        Zeroizing::new(crops::encode(&crops[..crops.len().min(TEMPLATES_PER_PERSON)], Self::PICTURE_ROOM))
    }

    /// Bytes of a person's pictures that fit into a cell.
    pub(super) const PICTURE_ROOM: usize = CropStore::<F>::ROOM - SEAL_OVERHEAD;

    /// Stores pictures if there are more than `spare` places; a failure costs the pictures, not the enrolment.
    fn put_pictures(&mut self, id: u32, key: &DeviceKey, pictures: &[u8], spare: usize) -> Option<CropPlace> {
        if !self.keeps_crops || pictures.is_empty() || self.crops.free_cells() <= spare {
            return None;
        }
        let sealed = key.seal(Namespace::Crops.key(id), pictures).ok()?;
        self.crops.put(&sealed).ok().flatten()
    }
}

pub(super) fn first_templates(templates: &[Template]) -> Result<Templates, GalleryError> {
    if templates.is_empty() {
        return Err(GalleryError::NoTemplates);
    }
    Ok(templates.iter().take(TEMPLATES_PER_PERSON).cloned().collect())
}

/// The key of a person or of the visitors in a record of the map, if it is one that `device_key` sealed.
fn opened(device_key: &DeviceKey, place: u32, sealed: &[u8]) -> Option<DeviceKey> {
    Namespace::PersonKey.number(place).or(Namespace::VisitorKey.number(place))?;
    device_key.open_key(place, sealed).ok()
}

/// A sealed person key, and whether its enrolment is not done.
fn split_key(record: Option<&[u8]>) -> (Option<&[u8]>, bool) {
    const SEALED: usize = 32 + SEAL_OVERHEAD;
    match record {
        Some(record) if record.len() == SEALED + 1 && record[SEALED] == BEGUN => {
            (Some(&record[..SEALED]), true)
        }
        record => (record, false),
    }
}

#[cfg(test)]
mod tests;
