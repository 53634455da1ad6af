//! `facelatch cohort`: templates that belong to nobody, drawn from many people's faces.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use thiserror::Error;

use super::calibrate::cohort::{Cohort, CohortError};
use super::collection::{Collection, CollectionError};
use super::looked::{Looked, LooksError};
use super::reader::{FaceReader, Looking, ReaderError};
use crate::face::template::{FARTHEST, Template};

/// Seed of the draw, so that a command gives the same cohort again.
const SEED: u64 = 64;
/// Faces that the cohort is compared with for the report, at most.
const COMPARED: usize = 2_000;

/// Why there is no cohort.
#[derive(Debug, Error)]
pub enum CohortCommandError {
    /// The pictures.
    #[error(transparent)]
    Collection(#[from] CollectionError),
    /// Models, networks, or no face at all.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// Drawing or writing.
    #[error(transparent)]
    Cohort(#[from] CohortError),
    /// The output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

const EXAMPLES: &str = "Examples:
  facelatch cohort faces/ --out cohort.bin                    from a folder with pictures of thousands of people
  facelatch cohort photos/ --out model/release/cohort.bin     the one that calibrate takes by default

A cohort is for one embedder. Make it again when the models change. The people whose faces it is drawn from cannot be found in
it: each template is a random mixture of 32. Give pictures that the embedder was not trained on: those it was trained on lie
apart from everybody else.";

/// From what to draw.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct CohortOptions {
    /// Folder or list of pictures of many people, best one of each.
    pub pictures: PathBuf,
    /// Templates to draw.
    #[arg(long, value_name = "NUMBER", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub number: u32,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "cohort.bin")]
    pub out: PathBuf,
    /// How pictures are looked at.
    #[command(flatten)]
    pub looking: Looking,
}

/// Draws a cohort, writes it, and tells how it compares with people.
///
/// # Errors
/// When pictures or models cannot be used, there are too few faces, or the file cannot be written.
pub fn run(options: &CohortOptions, out: &mut dyn Write) -> Result<(), CohortCommandError> {
    let collection = Collection::read(&options.pictures)?;
    let mut reader =
        FaceReader::new(&options.looking).map_err(|error: ReaderError| LooksError::from(error))?;
    let looked = Looked::at(collection, &mut reader)?;
    let faces: Vec<&Template> = looked.faces().into_iter().map(|(_, template)| template).collect();
    let cohort = Cohort::drawn(&faces, options.number as usize, &mut fastrand::Rng::with_seed(SEED))?;
    cohort.write(&options.out)?;
    let Cohort { embedding_id, faces: drawn_from, ref templates } = cohort;
    writeln!(
        out,
        "{} templates of nobody for embedder {embedding_id}, drawn from {drawn_from} faces, are in {}",
        templates.len(),
        options.out.display()
    )?;
    let stride = faces.len().div_ceil(COMPARED);
    let compared: Vec<&Template> = faces.iter().copied().step_by(stride).collect();
    let nobody = nearest_to(templates.iter(), &compared);
    let somebody = nearest_to(compared.iter().copied(), &compared);
    writeln!(out, "nearest of {} of these faces, squared distance:   5 %   50 %", compared.len())?;
    for (who, distances) in [("to nobody of the cohort", nobody), ("to another of these faces", somebody)] {
        let at = |share: f64| distances[((distances.len() - 1) as f64 * share) as usize];
        writeln!(out, "  {who:<45} {:.3}  {:.3}", at(0.05), at(0.5))?;
    }
    Ok(())
}

/// For each of `from` the distance to the nearest of `to` that is not itself, in growing order.
fn nearest_to<'a>(from: impl Iterator<Item = &'a Template>, to: &[&'a Template]) -> Vec<f32> {
    let nearest = |face: &'a Template| {
        let others = to.iter().filter(|other| !std::ptr::eq(**other, face));
        others.map(|other| other.distance(face)).fold(FARTHEST, f32::min)
    };
    let mut distances: Vec<f32> = from.map(nearest).collect();
    distances.sort_by(f32::total_cmp);
    distances
}
