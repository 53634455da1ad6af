//! Templates of an embedder that is on trial, beside those in use, until they are everybody's own.
//!
//! ```text
//! stage (each person) -> a start with the embedder: use_embedder -> confirmed: settle_one, again and again
//!                                                              '-> rolled back: use_embedder(old), settle_one
//! ```

use core::fmt::Debug;
use std::collections::BTreeMap;

use embedded_storage_async::nor_flash::NorFlash;

use super::people::{Gallery, GalleryError, first_templates};
use super::person::{Person, Templates, open_staged, seal_staged};
use crate::face::template::Template;
use crate::flash::{DeviceKey, Namespace};

/// Who has staged templates, and whether these are the ones in use.
pub(super) type Staged = BTreeMap<u32, bool>;

/// Who has staged templates among `records` of the map.
pub(super) fn staged_in(records: &BTreeMap<u32, Vec<u8>>) -> Staged {
    let is_staged = |(key, record): (&u32, &Vec<u8>)| {
        Namespace::Staged.number(*key).filter(|_| !record.is_empty()).map(|id| (id, false))
    };
    records.iter().filter_map(is_staged).collect()
}

impl<F: NorFlash<Error: Debug>> Gallery<F> {
    /// Keeps a person's templates of an embedder that is not in use yet, beside those of the one that is.
    ///
    /// # Errors
    /// When nobody has that number, there are no templates, or the storage fails.
    pub fn stage(&mut self, id: u32, templates: &[Template]) -> Result<(), GalleryError> {
        let index = self.find(id)?;
        let sealed = seal_staged(id, &self.keys[index], &first_templates(templates)?)?;
        self.map.set(Namespace::Staged.key(id), &sealed)?;
        self.staged.insert(id, false);
        Ok(())
    }

    /// Compares by the templates of embedder `embedding_id` from now on: the staged ones where a person's own are
    /// of another. Writes nothing. Returns the numbers of the people who have none and must enrol again.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub fn use_embedder(&mut self, embedding_id: u32) -> Result<Vec<u32>, GalleryError> {
        let staged = self.staged_templates()?;
        let mut without = Vec::new();
        for (person, staged) in self.people.iter_mut().zip(staged) {
            if of_embedder(&person.templates, embedding_id) {
                continue;
            }
            match staged.filter(|templates| of_embedder(templates, embedding_id)) {
                Some(templates) => {
                    person.templates = templates;
                    self.staged.insert(person.id, true);
                }
                None => without.push(person.id),
            }
        }
        self.index.fill(&*self.people);
        Ok(without)
    }

    /// The embedder in use was confirmed: makes the staged templates of one person, which
    /// [`Gallery::use_embedder`] took, that person's own, or forgets them if they are of another embedder. Returns
    /// whether there was somebody. After a power cut call it again.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn settle_one(&mut self) -> Result<bool, GalleryError> {
        let of = |person: &Person| self.staged.get(&person.id).copied();
        let found = self.people.iter().enumerate().find_map(|(index, person)| Some((index, of(person)?)));
        let Some((index, in_use)) = found else { return Ok(false) };
        let (person, key) = (&self.people[index], &self.keys[index]);
        let id = person.id;
        if in_use {
            self.map.set(Namespace::Person.key(id), &person.seal(key)?)?;
        }
        self.forget_staged(id)?;
        Ok(true)
    }

    pub(super) fn forget_staged(&mut self, id: u32) -> Result<(), GalleryError> {
        if self.staged.contains_key(&id) {
            self.map.set(Namespace::Staged.key(id), &[])?;
            self.staged.remove(&id);
        }
        Ok(())
    }

    /// The staged templates of each of the people.
    fn staged_templates(&mut self) -> Result<Vec<Option<Templates>>, GalleryError> {
        if self.staged.is_empty() {
            return Ok(vec![None; self.people.len()]);
        }
        let records: BTreeMap<u32, Vec<u8>> = self.map.all()?.into_iter().collect();
        let staged = |(person, key): (&Person, &DeviceKey)| {
            open_staged(person.id, key, records.get(&Namespace::Staged.key(person.id))?)
        };
        Ok(self.people.iter().zip(&self.keys).map(staged).collect())
    }
}

fn of_embedder(templates: &[Template], embedding_id: u32) -> bool {
    templates.iter().all(|template| template.embedding_id == embedding_id)
}
