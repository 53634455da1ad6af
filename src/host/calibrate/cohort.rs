//! Templates that belong to nobody, for strangers at a door whose owner has none at hand.
//!
//! ```text
//! cohort file: version 1 | postcard of (embedding id, faces, templates) | CRC-32
//! ```
//!
//! Templates of many people are grouped, and each template of the cohort is drawn from the normal distribution
//! that one group has:
//!
//! ```text
//! x = mean + sum over m members of g[i] (member[i] - mean) / sqrt(m),   g[i] normal, m at least 64
//! ```
//!
//! No picture belongs to such a point, and no member weighs more than a sixth in it; but cohorts stand to each
//! other, and to real people, at the distances at which people do. That is what a calibration asks of them, and
//! what `facelatch calibrate --probes` checks. Templates of one embedder say nothing about another's: a cohort
//! is made again for each, by `facelatch cohort`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::face::template::{DIMENSIONS, Template};
use crate::gallery::cluster::{ClusterError, by_k_means};

const VERSION: u8 = 1;
/// Quality of templates that come from no picture: the middle of its range.
const UNJUDGED: u8 = 128;
/// Members of a group, at least, that a template is drawn from: nobody shows through.
const LEAST_MEMBERS: usize = 64;
/// Members that a template is drawn from, at most. A choice: the spread of so many is that of the group.
const MOST_MEMBERS: usize = 512;
/// Faces for each group, on average. A choice: fewer groups blur the places where many people look alike.
const FACES_IN_GROUP: usize = 600;

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
    #[error(
        "{faces} faces are too few to draw nobody from: give at least {LEAST_MEMBERS}, of as many people"
    )]
    TooFew {
        /// Faces that were given.
        faces: usize,
    },
    /// The faces cannot be grouped.
    #[error(transparent)]
    Group(#[from] ClusterError),
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
    /// When there are fewer than 64 faces.
    pub fn drawn(
        faces: &[&Template],
        number: usize,
        random: &mut fastrand::Rng,
    ) -> Result<Self, CohortError> {
        if faces.len() < LEAST_MEMBERS {
            return Err(CohortError::TooFew { faces: faces.len() });
        }
        let groups = (faces.len() / FACES_IN_GROUP).max(1);
        let numbers = by_k_means(faces, groups, &mut || random.f64())?;
        let mut members: Vec<Vec<&Template>> = vec![Vec::new(); groups];
        numbers.iter().zip(faces).for_each(|(group, face)| members[*group].push(face));
        members.retain(|group| group.len() >= LEAST_MEMBERS);
        let all: usize = members.iter().map(Vec::len).sum();
        let mut templates = Vec::with_capacity(number);
        while templates.len() < number {
            let mut left = random.usize(0..all);
            let group = members.iter_mut().find(|group| {
                let found = left < group.len();
                left = left.saturating_sub(group.len());
                found
            });
            let group = group.expect("the number drawn is below the sum of the groups' sizes");
            templates.extend(one(group, random));
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

/// A template drawn from the distribution of `group`; `None` when it has no direction. The group's order changes.
fn one(group: &mut [&Template], random: &mut fastrand::Rng) -> Option<Template> {
    let count = group.len().min(MOST_MEMBERS);
    for index in 0..count {
        let other = random.usize(index..group.len());
        group.swap(index, other);
    }
    let members = &group[..count];
    let mean: [f64; DIMENSIONS] = std::array::from_fn(|i| {
        members.iter().map(|member| f64::from(member.embedding[i])).sum::<f64>() / count as f64
    });
    let mut point = mean;
    for member in members {
        let weight = normal(random) / (count as f64).sqrt();
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
        assert!((nobody - people).abs() < 0.02, "{nobody} {people}");
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
