//! A collection of pictures after the device's code has looked at each.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use thiserror::Error;

use super::collection::Collection;
use super::progress;
use super::reader::{FaceReader, Look, ReaderError};
use crate::face::template::Template;

/// Why there is nothing to compare.
#[derive(Debug, Error)]
pub enum LooksError {
    /// Models or networks.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// Not one picture has a template.
    #[error("none of {pictures} pictures has a face that can be compared, {example}")]
    NoFace {
        /// Pictures that were looked at.
        pictures: usize,
        /// What the first of them came to.
        example: String,
    },
}

/// Pictures, and what each came to.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The pictures.
    pub collection: Collection,
    /// For each picture what it came to.
    pub looks: Vec<Look>,
}

/// How many pictures came to what.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PictureCounts {
    /// Pictures.
    pub pictures: usize,
    /// People on them.
    pub people: usize,
    /// Pictures with a template.
    pub usable: usize,
    /// Pictures without a face.
    pub nobody: usize,
    /// Pictures whose face is not good enough, by reason.
    pub unfit: BTreeMap<String, usize>,
    /// Pictures that cannot be read.
    pub damaged: usize,
}

impl Looked {
    /// Looks at every picture, with a bar of progress.
    ///
    /// # Errors
    /// When a network fails, or no picture has a template.
    pub fn at(collection: Collection, reader: &mut FaceReader) -> Result<Self, LooksError> {
        let bar = progress::bar("pictures", collection.pictures.len());
        let mut looks = Vec::with_capacity(collection.pictures.len());
        for picture in &collection.pictures {
            looks.push(reader.look(&picture.path)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let looked = Self { collection, looks };
        if looked.looks.iter().any(|look| look.template().is_some()) {
            return Ok(looked);
        }
        Err(LooksError::NoFace { pictures: looked.looks.len(), example: looked.example() })
    }

    /// The templates, each with the index of its person, in the order of people.
    #[must_use]
    pub fn faces(&self) -> Vec<(usize, &Template)> {
        let both = self.collection.pictures.iter().zip(&self.looks);
        both.filter_map(|(picture, look)| Some((picture.person, look.template()?))).collect()
    }

    /// How many pictures came to what.
    #[must_use]
    pub fn count(&self) -> PictureCounts {
        let (pictures, people) = (self.collection.pictures.len(), self.collection.people.len());
        let mut counts = PictureCounts { pictures, people, ..PictureCounts::default() };
        for look in &self.looks {
            match look {
                Look::Face(_) => counts.usable += 1,
                Look::Nobody => counts.nobody += 1,
                Look::Damaged(_) => counts.damaged += 1,
                Look::Unfit(flaw) => {
                    let reason = flaw.to_string();
                    let short = reason.split(':').next().unwrap_or_default().to_owned();
                    *counts.unfit.entry(short).or_insert(0) += 1;
                }
            }
        }
        counts
    }

    /// What the first picture came to, in words.
    fn example(&self) -> String {
        let path = self.collection.pictures[0].path.display();
        match &self.looks[0] {
            Look::Unfit(flaw) => format!("such as {path}: {flaw}"),
            Look::Damaged(reason) => format!("such as {path}: {reason}"),
            Look::Face(_) | Look::Nobody => {
                format!(
                    "such as {path}: nobody is found; if the pictures are crops of 112x112 pixels, add --aligned"
                )
            }
        }
    }
}

impl fmt::Display for PictureCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pictures, people, usable, nobody, unfit, damaged } = self;
        write!(f, "{pictures} pictures of {people} people: {usable} usable, {nobody} without a face")?;
        write!(f, ", {} not good enough", unfit.values().sum::<usize>())?;
        if !unfit.is_empty() {
            let flaws: Vec<String> = unfit.iter().map(|(flaw, n)| format!("{n} {flaw}")).collect();
            write!(f, " ({})", flaws.join("; "))?;
        }
        write!(f, ", {damaged} damaged")
    }
}
