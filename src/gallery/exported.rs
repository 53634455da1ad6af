//! A person outside of the lock, as an owner's backup holds it: to be brought into another lock, or back into this one.
//!
//! ```text
//! version 1 | postcard of (name, role, templates, access, pictures as in a cell of the crops; none: no bytes)
//! ```
//!
//! Who carries it seals it: here it is plain.

use core::fmt::{self, Debug};

use embedded_storage_async::nor_flash::NorFlash;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::access::Access;
use super::crops;
use super::people::{Gallery, GalleryError, Newcomer};
use super::person::{Name, Person, Role, TEMPLATES_PER_PERSON, Templates};
use crate::face::template::SCALE;

const VERSION: u8 = 1;

/// A person with everything that a lock keeps of them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// What the owner calls this person.
    pub name: Name,
    /// What this person may do.
    pub role: Role,
    /// The face, at different moments, by one embedder.
    pub templates: Templates,
    /// What is asked for besides the face.
    pub access: Access,
    pictures: Vec<u8>,
}

impl Debug for Exported {
    /// Without the pictures: they are biometric data and must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Exported {
    /// Which embedder made the templates.
    #[must_use]
    pub fn embedding_id(&self) -> u32 {
        self.templates.first().map_or(0, |template| template.embedding_id)
    }

    /// Whether pictures of the enrolment come with it, for a lock with another embedder.
    #[must_use]
    pub fn has_pictures(&self) -> bool {
        !self.pictures.is_empty()
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend(postcard::to_allocvec(self).expect("these types are always serialisable"));
        bytes
    }

    /// What [`Exported::encode`] made bytes of; `None` when they are of a newer version, damaged, or no person that
    /// a lock could have enrolled.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, person) = bytes.split_first()? else { return None };
        let (person, rest): (Self, _) = postcard::take_from_bytes(person).ok()?;
        (rest.is_empty() && person.is_possible()).then_some(person)
    }

    fn is_possible(&self) -> bool {
        let templates = &self.templates;
        let alike = templates.iter().all(|template| template.embedding_id == self.embedding_id());
        let pictures = crops::decode(&self.pictures).map(|pictures| pictures.len());
        let good = !self.has_pictures() || pictures.is_some_and(|count| count <= TEMPLATES_PER_PERSON);
        !templates.is_empty()
            && alike
            && good
            && templates.iter().all(|template| is_unit(&template.embedding))
    }
}

/// Whether it has about the length of every template: one of another length would be near to everybody. Rounding and
/// cutting off at 127 change the square by less than a tenth.
fn is_unit(embedding: &[i8]) -> bool {
    let square: i32 = embedding.iter().map(|x| i32::from(*x) * i32::from(*x)).sum();
    (square - SCALE * SCALE).abs() <= SCALE * SCALE / 10
}

impl<F: NorFlash<Error: Debug>> Gallery<F> {
    /// A person with templates and pictures; without pictures that are damaged.
    ///
    /// # Errors
    /// When nobody has that number, or the storage does not answer.
    pub fn export(&mut self, id: u32) -> Result<Exported, GalleryError> {
        let pictures = match self.pictures(id) {
            Err(GalleryError::CropsDamaged { .. }) => Vec::new(),
            other => other?.to_vec(),
        };
        let person = self.person(id).ok_or(GalleryError::Nobody { id })?;
        let Person { name, role, templates, access, .. } = person.clone();
        Ok(Exported { name, role, templates, access, pictures })
    }

    /// Enrols a person who comes from a backup; returns the number. With templates of another embedder than
    /// `embedding_id`, which is in use, new ones are to be computed from the pictures. `threshold`: squared distance up to
    /// which two faces are one person.
    ///
    /// # Errors
    /// When the person is enrolled already, cannot be compared with anybody here, there is no place, or the storage
    /// fails. Then nobody is enrolled.
    pub fn import(
        &mut self,
        person: &Exported,
        embedding_id: u32,
        threshold: f32,
    ) -> Result<u32, GalleryError> {
        if let Some(id) = self.known(person, threshold)? {
            return Err(GalleryError::Known { id });
        }
        let foreign = person.embedding_id() != embedding_id;
        if foreign && !(person.has_pictures() && self.keeps_crops() && self.crop_places_left() > 0) {
            return Err(GalleryError::Incomparable { made: person.embedding_id(), here: embedding_id });
        }
        let Exported { name, role, templates, access, pictures } = person;
        let pictures = crops::fitted(pictures, Self::PICTURE_ROOM).unwrap_or_default();
        self.add_newcomer(&Newcomer { name, role: *role, templates, pictures: &pictures, access })
    }

    /// Who is this person here already: whose templates are as near, or whose pictures are the same.
    fn known(&mut self, person: &Exported, threshold: f32) -> Result<Option<u32>, GalleryError> {
        let near = |id: u32, distance: f32| (distance <= threshold).then_some(id);
        let nearest = person.templates.iter().filter_map(|template| self.nearest(template));
        let nearest = nearest.min_by(|a, b| a.distance.total_cmp(&b.distance));
        if let Some(id) = nearest.and_then(|found| near(found.person, found.distance)) {
            return Ok(Some(id));
        }
        if !person.has_pictures() {
            return Ok(None);
        }
        let with_pictures: Vec<u32> = self.with_pictures_of(person.pictures.len());
        for id in with_pictures {
            if self.pictures(id).is_ok_and(|pictures| **pictures == person.pictures) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
