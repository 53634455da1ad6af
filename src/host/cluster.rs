//! `facelatch cluster`: who was there, without anybody's name.
//!
//! Every picture gets the number of a cluster: all faces of one person, as far as the embedder can tell. Clusters
//! of people whose pictures are given get their names.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use clap::Args;
use serde::Serialize;
use thiserror::Error;

use super::arguments::{distance, share};
use super::collection::{Collection, CollectionError};
use super::contact_sheet::sheet;
use super::looked::{Looked, LooksError, PictureCounts};
use super::reader::{FaceReader, Looking, ReaderError};
use crate::face::models::EmbedderManifest;
use crate::face::template::Template;
use crate::gallery::cluster::{self, Agreement, by_corrected_linkage, by_k_means};
use crate::gallery::recognise::{Known, RecognitionPolicy, recognise};

/// Crops in a row of a contact sheet, and most on one.
const COLUMNS: usize = 8;
const MOST_ON_SHEET: usize = 64;
/// Nearest templates of known people that vote on a face.
const NEIGHBOURS: usize = 3;
/// Seed of k-means, so that a command gives the same clusters again.
const SEED: u64 = 2015;
/// Share of strangers at the distance up to which faces are joined. A choice, made on people of other pictures than
/// those by which it is reported.
pub(super) const JOINED: f64 = 1e-2;
const SECONDS_IN_DAY: u64 = 86_400;

/// Why nothing could be clustered.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// The pictures.
    #[error(transparent)]
    Collection(#[from] CollectionError),
    /// Models, networks, or no face at all.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// The number of faces.
    #[error(transparent)]
    Number(#[from] cluster::ClusterError),
    /// A contact sheet cannot be written.
    #[error("cannot write {}", path.display())]
    Sheet {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: image::ImageError,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl From<ReaderError> for ClusterError {
    fn from(error: ReaderError) -> Self {
        Self::Looks(error.into())
    }
}

const EXAMPLES: &str = "Examples:
  facelatch cluster visitors/                      whose faces are these?
  facelatch cluster visitors/ --known family/      and which of them are the family's?
  facelatch cluster party/ --people 12             twelve people, by k-means
  facelatch cluster people/ --labelled             how well it does, where folders say who is who

A cluster on five days is one unknown person who came on five days. Contact sheets show faces: keep them as you keep the
pictures.";

/// What to cluster, and how.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ClusterOptions {
    /// Folder or list of pictures; who is on them need not be known.
    pub pictures: PathBuf,
    /// Share of strangers that are as near as the farthest faces that are joined: more joins more.
    #[arg(long, value_name = "RATE", default_value_t = JOINED, value_parser = share, allow_negative_numbers = true)]
    pub rate: f64,
    /// Join faces up to this mean squared distance (0 to 4) instead.
    #[arg(long, value_name = "DISTANCE", conflicts_with = "rate", value_parser = distance, allow_negative_numbers = true)]
    pub cut: Option<f32>,
    /// So many people are there: k-means instead of average linkage.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["rate", "cut"])]
    pub people: Option<usize>,
    /// Folder of people who are known: clusters get their names.
    #[arg(long, value_name = "FOLDER")]
    pub known: Option<PathBuf>,
    /// The folders say who is who: tell how well the clusters agree with them.
    #[arg(long)]
    pub labelled: bool,
    /// How pictures are looked at.
    #[command(flatten)]
    pub looking: Looking,
    /// Tell the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Folder for contact sheets; they show faces.
    #[arg(long, value_name = "FOLDER", default_value = "target/facelatch/clusters")]
    pub out: PathBuf,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Who it is; `None` when no known person is.
    pub person: Option<String>,
    /// Faces in it.
    pub faces: usize,
    /// Days (UTC) on which its pictures were last written.
    pub days: usize,
    /// Its pictures.
    pub pictures: Vec<PathBuf>,
    /// Its contact sheet; `None` for a single face.
    pub sheet: Option<PathBuf>,
}

/// How clusters agree with the people of the folders.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// People of the folders.
    pub people: usize,
    /// Pairwise precision.
    pub precision: f64,
    /// Pairwise recall.
    pub recall: f64,
    /// Pairwise F measure.
    pub f: f64,
    /// Purity.
    pub purity: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clusters {
    /// The embedder.
    pub embedding_id: u32,
    /// The squared distance at which the tree was cut; `None` for k-means.
    pub cut: Option<f32>,
    /// What became of the pictures.
    pub pictures: PictureCounts,
    /// The clusters, largest first.
    pub groups: Vec<Group>,
    /// Agreement with the folders, if they are the people's.
    pub agreement: Option<Measured>,
}

/// Clusters, prints, and writes contact sheets.
///
/// # Errors
/// When pictures or models cannot be used, there are too many faces, or results cannot be written.
pub fn run(options: &ClusterOptions, out: &mut dyn Write) -> Result<(), ClusterError> {
    let collection = Collection::read(&options.pictures)?;
    let known = options.known.as_deref().map(Collection::read).transpose()?;
    let mut reader = FaceReader::new(&options.looking)?;
    let looked = Looked::at(collection, &mut reader)?;
    let known = known.map(|collection| Looked::at(collection, &mut reader)).transpose()?;
    let cut = cut(options, &reader);
    let faces = looked.faces();
    let templates: Vec<&Template> = faces.iter().map(|(_, template)| *template).collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    let numbers = match (options.people, cut) {
        (Some(people), _) => by_k_means(&templates, people, &mut || random.f64())?,
        (None, cut) => by_corrected_linkage(&templates, cut.unwrap_or_default())?,
    };
    let mut groups = groups(&looked, &numbers, &reader, known.as_ref());
    write_sheets(&options.out, &mut groups, &mut reader)?;
    let clusters = Clusters {
        embedding_id: reader.manifest().embedding_id,
        cut,
        pictures: looked.count(),
        agreement: options.labelled.then(|| measure(&numbers, &faces)),
        groups,
    };
    tell(&clusters, options, out)
}

/// The distance at which the tree is cut; `None` for k-means.
fn cut(options: &ClusterOptions, reader: &FaceReader) -> Option<f32> {
    match options {
        ClusterOptions { people: Some(_), .. } => None,
        ClusterOptions { cut: Some(distance), .. } => Some(*distance),
        _ => Some(distance_at(reader.manifest(), options.rate)),
    }
}

/// The distance at which this share of strangers is as near.
#[must_use]
pub fn distance_at(manifest: &EmbedderManifest, rate: f64) -> f32 {
    let row = manifest.distance_far.iter().take_while(|row| row.far <= rate).last();
    row.map_or(manifest.threshold, |row| row.distance)
}

fn groups(looked: &Looked, numbers: &[usize], reader: &FaceReader, known: Option<&Looked>) -> Vec<Group> {
    let usable = looked.collection.pictures.iter().zip(&looked.looks);
    let usable = usable.filter_map(|(picture, look)| Some((&picture.path, look.template()?)));
    let count = numbers.iter().max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<(&PathBuf, &Template)>> = vec![Vec::new(); count];
    usable.zip(numbers).for_each(|(face, number)| members[*number].push(face));
    let policy = RecognitionPolicy { neighbours: NEIGHBOURS, threshold: reader.manifest().threshold };
    let group = |faces: &Vec<(&PathBuf, &Template)>| Group {
        person: known.and_then(|known| name(faces, known, &policy)),
        faces: faces.len(),
        days: faces.iter().filter_map(|(path, _)| day(path)).collect::<BTreeSet<_>>().len(),
        pictures: faces.iter().map(|(path, _)| (*path).clone()).collect(),
        sheet: None,
    };
    members.iter().map(group).collect()
}

/// The known person whom more than half of the faces are recognised as.
fn name(faces: &[(&PathBuf, &Template)], known: &Looked, policy: &RecognitionPolicy) -> Option<String> {
    let templates = known.faces();
    let gallery: Vec<Known<'_>> =
        templates.iter().map(|(person, template)| Known { person: *person, template }).collect();
    let found: Vec<usize> =
        faces.iter().filter_map(|(_, face)| recognise(&gallery, face, policy).person()).collect();
    let votes = |person: usize| found.iter().filter(|voted| **voted == person).count();
    let person = found.iter().copied().find(|person| 2 * votes(*person) > faces.len())?;
    Some(known.collection.people[person].clone())
}

fn day(path: &Path) -> Option<u64> {
    let written = std::fs::metadata(path).and_then(|file| file.modified()).ok()?;
    written.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs() / SECONDS_IN_DAY)
}

fn write_sheets(folder: &Path, groups: &mut [Group], reader: &mut FaceReader) -> Result<(), ClusterError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| ClusterError::Write { path: folder.to_owned(), source })?;
    for (number, group) in groups.iter_mut().enumerate().filter(|(_, group)| group.faces > 1) {
        let mut crops = Vec::new();
        for picture in group.pictures.iter().take(MOST_ON_SHEET) {
            reader.look(picture)?;
            crops.push(Box::new(*reader.crop()));
        }
        let path = folder.join(format!("cluster-{:03}.png", number + 1));
        sheet(&crops, COLUMNS)
            .save(&path)
            .map_err(|source| ClusterError::Sheet { path: path.clone(), source })?;
        group.sheet = Some(path);
    }
    Ok(())
}

fn measure(numbers: &[usize], faces: &[(usize, &Template)]) -> Measured {
    let people: Vec<usize> = faces.iter().map(|(person, _)| *person).collect();
    let agreement = Agreement::of(numbers, &people);
    Measured {
        people: people.iter().collect::<BTreeSet<_>>().len(),
        precision: agreement.precision,
        recall: agreement.recall,
        f: agreement.f(),
        purity: agreement.purity,
    }
}

fn tell(clusters: &Clusters, options: &ClusterOptions, out: &mut dyn Write) -> Result<(), ClusterError> {
    if options.json {
        serde_json::to_writer_pretty(&mut *out, clusters).map_err(io::Error::from)?;
        return Ok(writeln!(out)?);
    }
    writeln!(out, "embedder {}, {}", clusters.embedding_id, clusters.pictures)?;
    match clusters.cut {
        Some(cut) => writeln!(out, "average linkage in two passes, cut at distance {cut:.2}")?,
        None => writeln!(out, "k-means")?,
    }
    let alone = clusters.groups.iter().filter(|group| group.faces == 1).count();
    writeln!(
        out,
        "\n{} people with several faces, {alone} faces like no other",
        clusters.groups.len() - alone
    )?;
    for (number, group) in clusters.groups.iter().enumerate().filter(|(_, group)| group.faces > 1) {
        let who = group.person.as_deref().unwrap_or("unknown");
        let days = if group.days == 1 { "one day".to_owned() } else { format!("{} days", group.days) };
        writeln!(out, "{:>4}  {:>4} faces  on {days:<8}  {who}", number + 1, group.faces)?;
    }
    if let Some(measured) = &clusters.agreement {
        let Measured { people, precision, recall, f, purity } = measured;
        writeln!(out, "\nagainst the {people} people of the folders:")?;
        writeln!(
            out,
            "  pairwise F {f:.3} (precision {precision:.3}, recall {recall:.3}), purity {purity:.3}"
        )?;
    }
    Ok(writeln!(out, "\ncontact sheets are in {}", options.out.display())?)
}
