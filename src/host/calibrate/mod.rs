//! `facelatch calibrate`: how safe this door is, with the people who are enrolled on it.
//!
//! Templates are biometric data and never leave the lock: the command runs where the flash and its key are, or on a
//! folder of pictures of people who could be enrolled.

pub mod cohort;
pub mod enrolled;
pub mod probes;
mod report;
pub mod strangers;

use core::fmt::Debug;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use embedded_storage_async::nor_flash::NorFlash;
use serde::Serialize;
use thiserror::Error;

use self::cohort::{Cohort, CohortError};
use self::enrolled::{LookAlikes, look_alikes, person, self_rejections};
use self::probes::{Probe, Probes};
use self::strangers::{Proposal, Strangers, computed_upper_bound, propose};
use super::arguments::share;
use super::collection::{Collection, CollectionError};
use super::lock::{NoLock, flash_in};
use super::looked::{Looked, LooksError};
use super::models;
use super::reader::{FaceReader, Looking, ReaderError};
use super::statistics::Rate;
use crate::board::BOARD;
use crate::face::models::EmbedderManifest;
use crate::face::template::Template;
use crate::flash::MapError;
use crate::gallery::{Calibrated, FarTable, FarTableError, Gallery, GalleryError, MatchPolicy, Person};

/// Rates for which a threshold is proposed, besides the one that is asked for.
const WANTED: [f64; 4] = [1e-3, 1e-4, 1e-5, 1e-6];

/// Why nothing could be calibrated.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// The pictures.
    #[error(transparent)]
    Collection(#[from] CollectionError),
    /// Models, networks, or no face at all.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// The templates of nobody.
    #[error(transparent)]
    Cohort(#[from] CohortError),
    /// What distances mean.
    #[error("the embedder's manifest: {0}")]
    Far(#[from] FarTableError),
    /// There is no lock in a folder.
    #[error(transparent)]
    NoLock(#[from] NoLock),
    /// The threshold cannot be kept.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The lock's visitors cannot be read.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// Nobody is enrolled.
    #[error(
        "nobody is enrolled for embedder {embedding_id}: enrol the people of the door first, then calibrate"
    )]
    Nobody {
        /// The embedder in use.
        embedding_id: u32,
    },
    /// The rate cannot be promised.
    #[error(
        "no threshold is known to let in fewer than {wanted:.0e} of the strangers with this gallery: the released test was too small. Ask for more with --far, or enrol fewer people; nothing was written"
    )]
    Unsupported {
        /// The rate that was asked for.
        wanted: f64,
    },
    /// The output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl From<ReaderError> for CalibrateError {
    fn from(error: ReaderError) -> Self {
        Self::Looks(error.into())
    }
}

const EXAMPLES: &str = "Examples:
  facelatch calibrate --state lock/                how safe is this lock, and with which threshold
  facelatch calibrate --state lock/ --far 1e-5 --write
  facelatch calibrate --state lock/ --probes door/ pictures from the door, in folders with people's names
  facelatch calibrate --people family/             a family that is not enrolled yet: the first pictures of each
                                                   person are enrolled, the others try the door

A stranger is somebody who is not enrolled; the rates are for one look of one stranger at the whole gallery. The door asks for
three looks of five that agree, and for a living face, on top of that. A written threshold can make the door stricter than
its board file does, never laxer, and holds for this embedder only.";

fn released_cohort() -> PathBuf {
    Path::new(models::released()).join("cohort.bin")
}

/// What to calibrate, and by what.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("gallery").required(true).args(["state", "people"])))]
pub struct CalibrateOptions {
    /// Folder of a lock's flash and key, as facelatchd has it; the lock must not be running.
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// The lock's flash, when it is not the file `flash` in that folder.
    #[arg(long, value_name = "FILE", requires = "state", conflicts_with = "people")]
    pub flash: Option<PathBuf>,
    /// Folder of people instead of a lock.
    #[arg(long, value_name = "FOLDER")]
    pub people: Option<PathBuf>,
    /// Folder of pictures from the door: folders with names of enrolled people, all others are strangers.
    #[arg(long, value_name = "FOLDER")]
    pub probes: Option<PathBuf>,
    /// Templates of nobody, as facelatch cohort makes them.
    #[arg(long, value_name = "FILE", default_value_os_t = released_cohort())]
    pub cohort: PathBuf,
    /// Strangers who may be let in at one look, such as 1e-4; without it, what the board file says.
    #[arg(long, value_name = "RATE", default_value_t = BOARD.recognition.false_accept_rate, value_parser = share, allow_negative_numbers = true)]
    pub far: f64,
    /// Write the threshold for that rate into the lock.
    #[arg(long, requires = "state", conflicts_with = "people")]
    pub write: bool,
    /// How pictures are looked at.
    #[command(flatten)]
    pub looking: Looking,
    /// Tell the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// All that a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The embedder.
    pub embedding_id: u32,
    /// People enrolled.
    pub people: usize,
    /// Their templates.
    pub templates: usize,
    /// The threshold in use.
    pub threshold: f32,
    /// By how much the second person must be farther.
    pub margin: f32,
    /// Templates of nobody that open at one look.
    pub nobody_accepted: Rate,
    /// Unknown visitors whom the lock kept, and who would open now; `None` when it kept none.
    pub visits_accepted: Option<Rate>,
    /// Upper bound of strangers that open at one look, by the released table.
    pub computed_upper_95: f64,
    /// Templates that the person's other templates do not recognise.
    pub self_rejections: Rate,
    /// People who are hard to tell apart.
    pub look_alikes: Vec<LookAlikes>,
    /// Pictures from the door.
    pub probes: Option<Probes>,
    /// Thresholds for wanted rates.
    pub proposals: Vec<Proposal>,
    /// The threshold that was written.
    pub written: Option<f32>,
}

impl CalibrateOptions {
    /// Folder and flash of the lock, if one is to be calibrated: whoever calls opens it.
    ///
    /// # Errors
    /// When there is none in that folder; opening would make an empty one.
    pub fn lock(&self) -> Result<Option<(&Path, PathBuf)>, CalibrateError> {
        let Some(state) = &self.state else { return Ok(None) };
        Ok(Some((state, flash_in(state, self.flash.as_deref())?)))
    }
}

/// Calibrates, prints, and writes the threshold if asked to. `lock` is who is enrolled on the lock that
/// [`CalibrateOptions::lock`] names.
///
/// # Errors
/// When lock, pictures, models or cohort cannot be used, nobody is enrolled, or the wanted rate cannot be promised
/// though it is to be written.
pub fn run<F: NorFlash<Error: Debug>>(
    options: &CalibrateOptions,
    mut lock: Option<Gallery<F>>,
    out: &mut dyn Write,
) -> Result<(), CalibrateError> {
    let mut reader = FaceReader::new(&options.looking)?;
    let manifest = reader.manifest().clone();
    let table = FarTable::of(&manifest)?;
    let cohort = Cohort::read(&options.cohort, manifest.embedding_id)?;
    let family = look(options.people.as_deref(), &mut reader)?;
    let from_door = look(options.probes.as_deref(), &mut reader)?;
    let mut threshold = table.threshold(BOARD.recognition.false_accept_rate).unwrap_or(0.0) as f32;
    let mut people = family.as_ref().map_or_else(Vec::new, enrol);
    let mut visits = Vec::new();
    if let Some(gallery) = &mut lock {
        people = gallery.people().to_vec();
        visits.extend(gallery.visits()?.into_iter().map(|visit| visit.template));
        visits.retain(|face| face.embedding_id == manifest.embedding_id);
        threshold = Calibrated::threshold_in(gallery.map(), manifest.embedding_id, threshold)?;
    }
    people.retain(|person| is_current(person, &manifest));
    if people.is_empty() {
        return Err(CalibrateError::Nobody { embedding_id: manifest.embedding_id });
    }
    let policy = MatchPolicy { threshold, margin: BOARD.recognition.margin as f32 };
    let mut found = calibrate(&people, &cohort, &table, &policy, options.far);
    found.visits_accepted =
        (!visits.is_empty()).then(|| Strangers::before(&people, &visits).accepted(&policy));
    found.probes = probes(&people, family.as_ref(), from_door.as_ref(), &policy);
    if let (true, Some(gallery)) = (options.write, &mut lock) {
        found.written = Some(write_threshold(&found, options.far, gallery)?);
    }
    report::tell(&found, options, out)
}

/// The pictures of a folder, looked at.
fn look(folder: Option<&Path>, reader: &mut FaceReader) -> Result<Option<Looked>, CalibrateError> {
    let Some(folder) = folder else { return Ok(None) };
    Ok(Some(Looked::at(Collection::read(folder)?, reader)?))
}

fn is_current(person: &Person, manifest: &EmbedderManifest) -> bool {
    person.templates.iter().all(|template| template.embedding_id == manifest.embedding_id)
}

fn calibrate(
    people: &[Person],
    cohort: &Cohort,
    table: &FarTable,
    policy: &MatchPolicy,
    far: f64,
) -> Calibration {
    let strangers = Strangers::before(people, &cohort.templates);
    let templates = people.iter().map(|person| person.templates.len()).sum();
    let mut wanted: Vec<f64> = WANTED.into_iter().chain([far]).collect();
    wanted.sort_by(|a, b| b.total_cmp(a));
    wanted.dedup();
    let proposal = |wanted: &f64| propose(*wanted, table, &strangers, templates, policy.margin);
    Calibration {
        embedding_id: cohort.embedding_id,
        people: people.len(),
        templates,
        threshold: policy.threshold,
        margin: policy.margin,
        nobody_accepted: strangers.accepted(policy),
        visits_accepted: None,
        computed_upper_95: computed_upper_bound(table, policy.threshold, templates),
        self_rejections: self_rejections(people, policy.threshold),
        look_alikes: look_alikes(people, policy),
        probes: None,
        proposals: wanted.iter().map(proposal).collect(),
        written: None,
    }
}

/// The first pictures of each person, as many as the door takes.
fn enrol(family: &Looked) -> Vec<Person> {
    let faces = family.faces();
    let one = |pictures: &[(usize, &Template)]| {
        let templates: Vec<_> = pictures.iter().map(|(_, template)| (*template).clone()).collect();
        let number = pictures[0].0;
        let count = templates.len().min(BOARD.enrolment.templates as usize);
        person(number as u32 + 1, &family.collection.people[number], &templates[..count])
    };
    faces.chunk_by(|a, b| a.0 == b.0).map(one).collect()
}

/// Puts pictures before the gallery: what was not enrolled of a family, and what came from the door.
fn probes(
    people: &[Person],
    family: Option<&Looked>,
    from_door: Option<&Looked>,
    policy: &MatchPolicy,
) -> Option<Probes> {
    let enrolled = |name: &str| people.iter().find(|person| person.name == name).map(|person| person.id);
    let mut probes = Vec::new();
    let mut known = 0;
    if let Some(family) = family {
        known = family.collection.people.len();
        let faces = family.faces();
        for pictures in faces.chunk_by(|a, b| a.0 == b.0) {
            let rest = pictures.iter().skip(BOARD.enrolment.templates as usize);
            let id = enrolled(&family.collection.people[pictures[0].0]);
            probes.extend(rest.map(|(person, template)| Probe { person: *person, enrolled: id, template }));
        }
    }
    let mut all = known;
    if let Some(from_door) = from_door {
        all += from_door.collection.people.len();
        probes.extend(from_door.faces().into_iter().map(|(person, template)| Probe {
            person: known + person,
            enrolled: enrolled(&from_door.collection.people[person]),
            template,
        }));
    }
    (!probes.is_empty()).then(|| Probes::before(people, &probes, all, policy))
}

fn write_threshold<F: NorFlash<Error: Debug>>(
    found: &Calibration,
    wanted: f64,
    gallery: &mut Gallery<F>,
) -> Result<f32, CalibrateError> {
    let proposal = found.proposals.iter().find(|proposal| proposal.wanted == wanted);
    let threshold = proposal.and_then(|p| p.threshold).ok_or(CalibrateError::Unsupported { wanted })?;
    Calibrated { embedding_id: found.embedding_id, threshold }.write(gallery.map())?;
    Ok(threshold)
}
