//! Everybody's templates computed anew by another embedder, from the pictures that are kept.
//!
//! One person at a time: the pictures are opened here, the network runs on an errand, the templates are staged
//! beside those in use. After a power cut whoever is staged already is passed over.

use core::fmt::Debug;
use std::collections::BTreeSet;

use embedded_storage_async::nor_flash::NorFlash;

use super::UpgradeError;
use crate::face::embed::{EmbedError, Embedder};
use crate::face::template::Template;
use crate::firmware::errand::{Errand, Where};
use crate::gallery::{Crop, Gallery};

type Embedded = (Box<Embedder>, Result<Vec<Template>, EmbedError>);

enum Step {
    Ready(Box<Embedder>),
    Embeds(u32, Errand<Embedded>),
    Lost,
}

/// Templates that are being computed.
pub struct Embedding {
    step: Step,
    place: Where,
    done: BTreeSet<u32>,
}

impl Embedding {
    /// With the embedder that is to come, for all but the people in `done`.
    #[must_use]
    pub fn new(embedder: Embedder, done: BTreeSet<u32>, place: Where) -> Self {
        Self { step: Step::Ready(Box::new(embedder)), place, done }
    }

    /// Goes on, without waiting. Returns whether everybody who has pictures is done.
    ///
    /// # Errors
    /// When somebody's pictures are damaged or give no template (the error names the person; go on to pass over
    /// that one), or the storage fails.
    pub fn step<F: NorFlash<Error: Debug>>(
        &mut self,
        gallery: &mut Gallery<F>,
    ) -> Result<bool, UpgradeError> {
        match core::mem::replace(&mut self.step, Step::Lost) {
            Step::Ready(embedder) => self.begin(embedder, gallery),
            Step::Embeds(person, errand) if errand.is_over() => {
                let (embedder, templates) = errand.fetch().ok_or(UpgradeError::Panicked("embedder"))?;
                self.step = Step::Ready(embedder);
                let templates = templates.map_err(|source| UpgradeError::Embed { person, source })?;
                if gallery.person(person).is_some() && !templates.is_empty() {
                    gallery.stage(person, &templates)?;
                }
                Ok(false)
            }
            under_way @ Step::Embeds(..) => {
                self.step = under_way;
                Ok(false)
            }
            Step::Lost => Err(UpgradeError::Panicked("embedder")),
        }
    }

    fn begin<F: NorFlash<Error: Debug>>(
        &mut self,
        embedder: Box<Embedder>,
        gallery: &mut Gallery<F>,
    ) -> Result<bool, UpgradeError> {
        let has_pictures = |id: &u32| gallery.person(*id).is_some_and(|person| person.crops.is_some());
        let mut waiting = gallery.people().iter().map(|person| person.id).filter(has_pictures);
        let Some(person) = waiting.find(|id| !self.done.contains(id)) else {
            self.step = Step::Ready(embedder);
            return Ok(true);
        };
        self.done.insert(person);
        match gallery.crops(person) {
            Ok(crops) => {
                let work = move || embed(embedder, &crops);
                self.step = Step::Embeds(person, Errand::begin(self.place, "embedding", work)?);
                Ok(false)
            }
            Err(error) => {
                self.step = Step::Ready(embedder);
                Err(error.into())
            }
        }
    }

    /// Whether it can go on after an error.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.step, Step::Lost)
    }

    /// People who are done.
    #[must_use]
    pub fn done(&self) -> u32 {
        self.done.len() as u32 - u32::from(matches!(self.step, Step::Embeds(..)))
    }
}

fn embed(mut embedder: Box<Embedder>, crops: &[Crop]) -> Embedded {
    let templates = crops.iter().map(|crop| embedder.embed(&crop.pixels, crop.quality)).collect();
    (embedder, templates)
}
