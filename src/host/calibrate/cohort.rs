//! Templates that belong to nobody, for strangers at a door whose owner has none at hand.
//!
//! ```text
//! cohort file: version 1 | postcard of (embedding id, faces, templates) | CRC-32
//! ```
//!
//! Each template is drawn from the normal distribution of the faces around a random one:
//!
//! ```text
//! x = mean + sum over 32 nearest faces of g[i] (face[i] - mean) / sqrt(32),   g[i] normal
//! ```
//!
//! No picture belongs to such a point; but it stands to people as people do. Measured with embedder 2: drawn from half of
//! the people of Labeled Faces in the Wild, such templates were let in by single people of the other half 0.5, 0.7
//! and 0.9 times as often as real strangers were, at distances 1.1, 1.2 and 1.3.
//!
//! What counts more is whose faces they are drawn from. Faces that the embedder was trained on lie apart from all
//! others: drawn from them, ten times fewer are let in. Draw from pictures that it never saw; even then nobody knows
//! who rings at this door. So a cohort may warn and make a threshold stricter; it never makes one laxer.
//!
//! Templates of one embedder say nothing about another's: a cohort is made again for each, by `facelatch cohort`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::face::template::{DIMENSIONS, Template};

const VERSION: u8 = 1;
/// Quality of templates that come from no picture: the middle of its range.
const UNJUDGED: u8 = 128;
/// Faces that a cohort is drawn from, at least: twice as many as go into one template.
pub const LEAST_FACES: usize = 2 * NEIGHBOURS;
/// Faces that one template is drawn from: enough that none of them shows through, few enough that places where many
/// people look alike stay crowded. A choice, by the measurement above; 16 were nearer to it by a tenth.
const NEIGHBOURS: usize = 32;

/// Why there is no cohort.
#[derive(Debug, Error)]
pub enum CohortError {
    /// The file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged or none of ours.
    #[error("{0} is damaged or no cohort; make it again: facelatch cohort FACES --out {0}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It was made for another embedder.
    #[error(
        "{0} was made with embedder {found}, but embedder {expected} is in use; make it again: facelatch cohort FACES --out {0}",
        path.display()
    )]
    OtherEmbedder {
        /// The file.
        path: PathBuf,
        /// Its embedder.
        found: u32,
        /// The embedder in use.
        expected: u32,
    },
    /// Too few faces to draw from.
    #[error("{faces} faces are too few to draw nobody from: give at least {LEAST_FACES}, of as many people")]
    TooFew {
        /// Faces that were given.
        faces: usize,
    },
}

/// Templates of nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// The embedder for which they stand.
    pub embedding_id: u32,
    /// Faces that they were drawn from.
    pub faces: u32,
    /// The templates.
    pub templates: Vec<Template>,
}

impl Cohort {
    /// Draws `number` templates of nobody from `faces` of many people; `random` is seeded by the caller.
    ///
    /// # Errors
    /// When there are fewer than [`LEAST_FACES`].
    pub fn drawn(
        faces: &[&Template],
        number: usize,
        random: &mut fastrand::Rng,
    ) -> Result<Self, CohortError> {
        if faces.len() < LEAST_FACES {
            return Err(CohortError::TooFew { faces: faces.len() });
        }
        let mut templates = Vec::with_capacity(number);
        while templates.len() < number {
            let middle = faces[random.usize(0..faces.len())];
            templates.extend(one(&around(middle, faces), random));
        }
        Ok(Self { embedding_id: faces[0].embedding_id, faces: faces.len() as u32, templates })
    }

    /// Reads a cohort for the embedder `expected`.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is for another embedder.
    pub fn read(path: &Path, expected: u32) -> Result<Self, CohortError> {
        let bytes =
            std::fs::read(path).map_err(|source| CohortError::File { path: path.to_owned(), source })?;
        let damaged = || CohortError::Damaged { path: path.to_owned() };
        let Some((&VERSION, body)) = bytes.split_first() else { return Err(damaged()) };
        let cohort: Self = postcard::from_bytes_crc32(body, CRC.digest()).map_err(|_| damaged())?;
        let same = |template: &Template| template.embedding_id == cohort.embedding_id;
        if cohort.templates.is_empty() || !cohort.templates.iter().all(same) {
            return Err(damaged());
        }
        if cohort.embedding_id != expected {
            let found = cohort.embedding_id;
            return Err(CohortError::OtherEmbedder { path: path.to_owned(), found, expected });
        }
        Ok(cohort)
    }

    /// Writes the cohort.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CohortError> {
        let body =
            postcard::to_allocvec_crc32(self, CRC.digest()).expect("these types are always serialisable");
        let bytes = [&[VERSION][..], &body].concat();
        std::fs::write(path, bytes).map_err(|source| CohortError::File { path: path.to_owned(), source })
    }
}

/// # Source
/// ISO/IEC/IEEE 8802-3 (Ethernet), clause 3.2.9.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// The [`NEIGHBOURS`] faces nearest to `middle`, which is one of them.
fn around<'a>(middle: &Template, faces: &[&'a Template]) -> Vec<&'a Template> {
    let mut near: Vec<(f32, &Template)> = faces.iter().map(|face| (middle.distance(face), *face)).collect();
    near.select_nth_unstable_by(NEIGHBOURS - 1, |a, b| a.0.total_cmp(&b.0));
    near.into_iter().take(NEIGHBOURS).map(|(_, face)| face).collect()
}

/// A template drawn from the distribution of `members`; `None` when it has no direction.
fn one(members: &[&Template], random: &mut fastrand::Rng) -> Option<Template> {
    let count = members.len() as f64;
    let mean: [f64; DIMENSIONS] = std::array::from_fn(|i| {
        members.iter().map(|member| f64::from(member.embedding[i])).sum::<f64>() / count
    });
    let mut point = mean;
    for member in members {
        let weight = normal(random) / count.sqrt();
        for (i, x) in point.iter_mut().enumerate() {
            *x += weight * (f64::from(member.embedding[i]) - mean[i]);
        }
    }
    let largest = point.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let output: Vec<i8> = point.iter().map(|x| (127.0 * x / largest).round() as i8).collect();
    Template::from_output(&output, 0, UNJUDGED, members[0].embedding_id).ok()
}

/// # Source
/// Box, Muller: A note on the generation of random normal deviates (1958).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (u, v) = (1.0 - random.f64(), random.f64());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faces(count: usize) -> Vec<Template> {
        let mut random = fastrand::Rng::with_seed(3);
        let face = |_| {
            let mut output = [0_i8; DIMENSIONS];
            output.iter_mut().for_each(|x| *x = random.i8(-60..60));
            output[0] = 90;
            Template::from_output(&output, 0, 200, 4).expect("has a direction")
        };
        (0..count).map(face).collect()
    }

    fn mean_distance(a: &[Template], b: &[Template]) -> f32 {
        let distances = a.iter().flat_map(|x| b.iter().map(|y| x.distance(y)));
        distances.sum::<f32>() / (a.len() * b.len()) as f32
    }

    #[test]
    fn nobody_stands_to_people_as_people_do() {
        let faces = faces(700);
        let (seen, unseen) = faces.split_at(500);
        let references: Vec<&Template> = seen.iter().collect();
        let cohort = Cohort::drawn(&references, 200, &mut fastrand::Rng::with_seed(1)).expect("many faces");
        assert_eq!((cohort.templates.len(), cohort.faces, cohort.embedding_id), (200, 500, 4));
        let (nobody, people) = (mean_distance(&cohort.templates, unseen), mean_distance(seen, unseen));
        assert!((nobody - people).abs() < 0.05, "{nobody} {people}");
        let nearest = |template: &Template| seen.iter().map(|s| s.distance(template)).fold(4.0, f32::min);
        assert!(cohort.templates.iter().all(|template| nearest(template) > 0.3), "nobody is a copy");
        assert_eq!(cohort, Cohort::drawn(&references, 200, &mut fastrand::Rng::with_seed(1)).expect("again"));
    }

    #[test]
    fn a_cohort_is_read_as_it_was_written_and_refused_when_it_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("cohort.bin");
        let templates = faces(80);
        let references: Vec<&Template> = templates.iter().collect();
        let cohort = Cohort::drawn(&references, 3, &mut fastrand::Rng::with_seed(1)).expect("many faces");
        cohort.write(&path).expect("written");
        assert_eq!(Cohort::read(&path, 4).expect("read"), cohort);
        assert!(matches!(
            Cohort::read(&path, 5),
            Err(CohortError::OtherEmbedder { found: 4, expected: 5, .. })
        ));
        let mut bytes = std::fs::read(&path).expect("read");
        for at in 0..bytes.len() {
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).expect("written");
            assert!(matches!(Cohort::read(&path, 4), Err(CohortError::Damaged { .. })), "byte {at}");
            bytes[at] ^= 4;
        }
        std::fs::write(&path, b"").expect("written");
        assert!(Cohort::read(&path, 4).is_err());
        assert!(matches!(
            Cohort::drawn(&references[..5], 3, &mut fastrand::Rng::new()),
            Err(CohortError::TooFew { .. })
        ));
    }
}
