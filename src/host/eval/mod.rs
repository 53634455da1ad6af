//! `facelatch eval`: how well the device tells people apart, on pictures of yours.
//!
//! The device's own code looks at every picture; what has no template counts as refused, as at the door.

pub mod all_pairs;
pub mod curve;
pub mod identification;
pub mod pairs;
pub mod plots;
pub mod report;
pub mod verification;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use thiserror::Error;

use self::all_pairs::AllPairs;
use self::identification::Identification;
use self::pairs::{Pair, Pairs, PairsError};
use self::plots::PlotError;
use self::report::{Figures, WorstPairs};
use self::verification::{Scored, Verification};
use super::collection::{Collection, CollectionError, stem};
use super::contact_sheet::sheet;
use super::looked::{Looked, LooksError, PictureCounts};
use super::reader::{FaceReader, Looking};
use crate::face::template::FARTHEST;
use crate::gallery::recognise::RecognitionPolicy;

/// Pairs of each kind that are shown as the worst.
const WORST: usize = 10;
/// Seed by which pairs are made where no file gives them.
const SEED: u64 = 2007;
/// Nearest templates that vote on who somebody is.
const NEIGHBOURS: usize = 3;

/// Why nothing could be evaluated.
#[derive(Debug, Error)]
pub enum EvalError {
    /// The pictures.
    #[error(transparent)]
    Collection(#[from] CollectionError),
    /// The pairs.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// Models, networks, or no face at all.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// A plot.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A picture for the page.
    #[error("a picture cannot be encoded")]
    Picture(#[from] image::ImageError),
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

const EXAMPLES: &str = "Examples:
  facelatch eval lfw/ --pairs pairs.txt            Labeled Faces in the Wild and its 6,000 pairs
  facelatch eval crops/ --pairs pairs.txt --aligned
  facelatch eval family/                           a folder of people: pairs are drawn from it
  facelatch eval family/ --json > family.json

A folder has one folder for each person (anna/1.jpg), or pictures called Anna_0001.jpg. A text file lists pictures, one in a
line, each with a tab and who is on it. Pairs: NAME NUMBER NUMBER, NAME NUMBER NAME NUMBER, or PICTURE PICTURE 1-if-the-same.";

/// What to evaluate, and how.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct EvalOptions {
    /// Folder of people, or a list of pictures.
    pub pictures: PathBuf,
    /// Pairs to compare; without it they are drawn from the folder, the same ones every time.
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    /// Leave out pairs whose pictures are not there.
    #[arg(long, requires = "pairs")]
    pub allow_missing: bool,
    /// How pictures are looked at.
    #[command(flatten)]
    pub looking: Looking,
    /// Tell the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Where the page with plots and the worst pairs is written; it shows faces.
    #[arg(long, value_name = "FILE", default_value = "target/facelatch/eval.html")]
    pub page: PathBuf,
}

/// All that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// What was evaluated, in words.
    pub source: String,
    /// The embedder.
    pub embedding_id: u32,
    /// Threshold of its release.
    pub threshold: f32,
    /// What became of the pictures.
    pub pictures: PictureCounts,
    /// The pairs.
    pub pairs: Verification,
    /// All comparisons.
    pub all: AllPairs,
    /// The open set; `None` when nobody has two pictures.
    pub identification: Option<Identification>,
}

/// Evaluates, prints, and writes the page.
///
/// # Errors
/// When pictures, pairs or models cannot be used, or results not be written.
pub fn run(options: &EvalOptions, out: &mut dyn Write) -> Result<(), EvalError> {
    let collection = Collection::read(&options.pictures)?;
    let pairs = match &options.pairs {
        Some(file) => Pairs::read(file, &collection, options.allow_missing)?,
        None => Pairs::of(&collection, SEED)?,
    };
    let mut reader = FaceReader::new(&options.looking).map_err(LooksError::from)?;
    let looked = Looked::at(collection, &mut reader)?;
    let (evaluation, mut figures) = evaluate(options, &pairs, &looked, &reader)?;
    figures.worst = worst(&pairs, &looked, &mut reader)?;
    write_page(&options.page, &report::page(&evaluation, &figures)?)?;
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &evaluation).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report::text(&evaluation, out)?;
        writeln!(out, "\nthe page is {}", options.page.display())?;
    }
    Ok(())
}

fn evaluate(
    options: &EvalOptions,
    pairs: &Pairs,
    looked: &Looked,
    reader: &FaceReader,
) -> Result<(Evaluation, Figures), EvalError> {
    let people = looked.collection.people.len();
    let scored: Vec<Scored> = pairs.pairs.iter().map(|pair| score(pair, looked)).collect();
    let (mut verification, curve) = Verification::of(&scored, people);
    verification.without_template = pairs.pairs.iter().filter(|pair| !is_compared(pair, looked)).count();
    verification.left_out = pairs.left_out;
    let faces = looked.faces();
    let (all, all_curve) = AllPairs::of(&faces, people);
    let threshold = reader.manifest().threshold;
    let policy = RecognitionPolicy { neighbours: NEIGHBOURS, threshold };
    let curves = [("the pairs", &curve), ("all comparisons", &all_curve)];
    let plots = vec![
        ("ROC: true accepts over strangers accepted", plots::roc(&curves)?),
        ("DET: both errors", plots::det(&curves)?),
        ("distances of one person (blue) and of two (red)", plots::distances(&scored)?),
    ];
    let evaluation = Evaluation {
        source: source(options),
        embedding_id: reader.manifest().embedding_id,
        threshold,
        pictures: looked.count(),
        pairs: verification,
        all,
        identification: Identification::of(&faces, &policy),
    };
    Ok((evaluation, Figures { plots, worst: Vec::new() }))
}

fn source(options: &EvalOptions) -> String {
    let pairs = match &options.pairs {
        Some(file) => format!("pairs of {}", file.display()),
        None => "pairs drawn from them".to_owned(),
    };
    format!("Pictures of {}, {pairs}", options.pictures.display())
}

fn is_compared(pair: &Pair, looked: &Looked) -> bool {
    pair.pictures.iter().all(|&picture| looked.looks[picture].template().is_some())
}

fn score(pair: &Pair, looked: &Looked) -> Scored {
    let distance = match pair.pictures.map(|i| looked.looks[i].template()) {
        [Some(a), Some(b)] => a.distance(b),
        _ => FARTHEST,
    };
    let people = pair.pictures.map(|i| looked.collection.pictures[i].person);
    Scored { distance, same: pair.same, fold: pair.fold, people }
}

/// The pairs of two people that are nearest, and those of one that are farthest apart.
fn worst(pairs: &Pairs, looked: &Looked, reader: &mut FaceReader) -> Result<Vec<WorstPairs>, EvalError> {
    let mut kinds = Vec::new();
    for (title, same) in [("Two people, taken for one", false), ("One person, taken for two", true)] {
        let (mut crops, mut captions) = (Vec::new(), Vec::new());
        for (distance, pair) in farthest_wrong(pairs, looked, same) {
            let paths = pair.pictures.map(|i| looked.collection.pictures[i].path.as_path());
            for path in paths {
                reader.look(path).map_err(LooksError::from)?;
                crops.push(Box::new(*reader.crop()));
            }
            captions.push(format!("{} and {}: {distance:.2}", stem(paths[0]), stem(paths[1])));
        }
        if !crops.is_empty() {
            kinds.push(WorstPairs { title, sheet: sheet(&crops, 2), captions });
        }
    }
    Ok(kinds)
}

fn farthest_wrong<'a>(pairs: &'a Pairs, looked: &Looked, same: bool) -> Vec<(f32, &'a Pair)> {
    let of_kind = pairs.pairs.iter().filter(|pair| pair.same == same && is_compared(pair, looked));
    let mut scored: Vec<(f32, &Pair)> = of_kind.map(|pair| (score(pair, looked).distance, pair)).collect();
    scored.sort_by(|a, b| if same { b.0.total_cmp(&a.0) } else { a.0.total_cmp(&b.0) });
    scored.truncate(WORST);
    scored
}

fn write_page(path: &Path, page: &str) -> Result<(), EvalError> {
    let failed = |source| EvalError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, page).map_err(failed)
}
