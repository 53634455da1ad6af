//! `facelatch faces`: what the lock sees in pictures, for people and (as CSV) for programs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::models;
use crate::face::analyze::{AnalyzeError, Close, FaceAnalyzer, Observation};
use crate::face::decode::sigmoid;
use crate::face::image::{PictureError as SizeError, RgbImage};
use crate::face::models::{ModelError, ModelFolder};
use crate::face::quality::Gate;
use clap::Args;
use image::ImageReader;
use thiserror::Error;

/// Names of pictures that are looked for in a folder.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "ppm"];

const EXAMPLES: &str = "Examples:
  facelatch faces me.jpg                   is this picture good enough to be enrolled?
  facelatch faces photographs/ --csv       a row for each face, for a spreadsheet
  facelatch faces me.jpg --grey            as an infrared camera sees it

A face that is not usable is told with the reason. A damaged picture is named and passed over.";

/// What to look at, and how to tell.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct FacesOptions {
    /// Pictures, or folders of pictures.
    #[arg(required = true, value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
    /// Print comma-separated values, one row for each face.
    #[arg(long)]
    pub csv: bool,
    /// Print templates as well: biometric data, treat them so.
    #[arg(long, requires = "csv")]
    pub templates: bool,
    /// Compute liveness and template also for faces that are too small, dark or blurred to be used.
    #[arg(long)]
    pub ungated: bool,
    /// Take the colours away first, as for a grey or infrared camera.
    #[arg(long)]
    pub grey: bool,
}

/// Why pictures could not be looked at.
#[derive(Debug, Error)]
pub enum FacesError {
    /// The models cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A folder cannot be read.
    #[error("cannot read the folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// There is no such picture.
    #[error("there is no {}; check the path", path.display())]
    Missing {
        /// What was named.
        path: PathBuf,
    },
    /// Nothing to look at.
    #[error("no pictures ({}) in what was named: name pictures, or a folder of them", ENDINGS.join(", "))]
    Nothing,
    /// Not one can be read.
    #[error("nothing could be looked at: give JPEG, PNG, WebP, BMP or PPM pictures")]
    Unreadable,
    /// A network failed.
    #[error("{}", picture.display())]
    Analyze {
        /// On which picture.
        picture: PathBuf,
        /// How.
        #[source]
        source: AnalyzeError,
    },
    /// The output is gone.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
    /// The output is gone, or a row is not writable.
    #[error("cannot write the output")]
    Csv(#[from] csv::Error),
}

/// Why one picture is passed over.
#[derive(Debug, Error)]
enum PictureError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is no picture: {0}")]
    Decode(#[from] image::ImageError),
    #[error("cannot be analysed: {0}")]
    Size(#[from] SizeError),
}

/// Looks at every picture and writes what is seen to `out`; pictures that cannot be read are named in `notes` and passed
/// over.
///
/// # Errors
/// When the models cannot be used, nothing can be looked at, a network fails or the output is gone.
pub fn run(options: &FacesOptions, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), FacesError> {
    let (mut analyzer, _) = ModelFolder::read(&options.models)?.files().compile()?;
    if options.ungated {
        analyzer.set_gate(Gate::OPEN);
    }
    let pictures = pictures_of(&options.pictures)?;
    let mut teller: Box<dyn Teller> =
        if options.csv { Box::new(Table::new(out, options.templates)?) } else { Box::new(Sentences { out }) };
    let (mut seen, mut with_face) = (0_u32, 0_u32);
    for path in &pictures {
        let mut picture = match read(path) {
            Ok(picture) => picture,
            Err(error) => {
                writeln!(notes, "{} {error}", path.display())?;
                continue;
            }
        };
        if options.grey {
            picture.make_grey();
        }
        let faces = look(&mut analyzer, &picture)
            .map_err(|source| FacesError::Analyze { picture: path.clone(), source })?;
        seen += 1;
        with_face += u32::from(!faces.is_empty());
        teller.tell(path, &faces)?;
    }
    drop(teller);
    writeln!(
        notes,
        "{seen} pictures, {with_face} with a face, {} not readable",
        pictures.len() as u32 - seen
    )?;
    if seen == 0 { Err(FacesError::Unreadable) } else { Ok(()) }
}

/// The faces of one picture on its own, the largest first.
fn look(analyzer: &mut FaceAnalyzer, picture: &RgbImage) -> Result<Vec<Observation>, AnalyzeError> {
    analyzer.forget_tracks();
    Ok(analyzer.analyze(&picture.view(), Duration::ZERO)?.into_iter().collect())
}

fn read(path: &Path) -> Result<RgbImage, PictureError> {
    let decoded = ImageReader::open(path)?.with_guessed_format()?.decode()?.into_rgb8();
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    Ok(RgbImage::from_pixels(decoded.into_raw(), width, height)?)
}

/// The named pictures, and those of named folders in the order of their names.
fn pictures_of(named: &[PathBuf]) -> Result<Vec<PathBuf>, FacesError> {
    let mut found = Vec::new();
    for path in named {
        if path.is_dir() {
            let failed = |source| FacesError::Folder { path: path.clone(), source };
            let mut inside: Vec<PathBuf> = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)? {
                inside.push(entry.map_err(failed)?.path());
            }
            inside.retain(|path| has_ending(path));
            inside.sort();
            found.append(&mut inside);
        } else if path.exists() {
            found.push(path.clone());
        } else {
            return Err(FacesError::Missing { path: path.clone() });
        }
    }
    if found.is_empty() { Err(FacesError::Nothing) } else { Ok(found) }
}

fn has_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Somebody who tells what is seen.
trait Teller {
    fn tell(&mut self, path: &Path, faces: &[Observation]) -> Result<(), FacesError>;
}

/// For people.
struct Sentences<'a> {
    out: &'a mut dyn Write,
}

impl Teller for Sentences<'_> {
    fn tell(&mut self, path: &Path, faces: &[Observation]) -> Result<(), FacesError> {
        if faces.is_empty() {
            writeln!(self.out, "{}: no face", path.display())?;
        }
        for face in faces {
            let [left, top, _, _] = face.bounds.edges();
            let (width, height) = (face.bounds.width(), face.bounds.height());
            write!(self.out, "{}: face of {width:.0}x{height:.0} at {left:.0},{top:.0}", path.display())?;
            match &face.close {
                None => writeln!(self.out, ", one of too many to look at closely")?,
                Some(close) => writeln!(self.out, ", {}", verdict(close))?,
            }
        }
        Ok(())
    }
}

/// What a close look says.
pub(super) fn verdict(close: &Close) -> String {
    let measured = close.measures;
    let size = format!("eyes {:.0} pixels apart, quality {}", measured.eye_distance, measured.quality());
    let flaw = Gate::RECOGNITION.flaw(&measured).or(close.flaw);
    let usable = flaw.map_or_else(|| "usable".to_owned(), |flaw| format!("not usable: {flaw}"));
    let alive = close.liveness_logit.map(|logit| format!(", liveness {:.2}", sigmoid(logit)));
    format!("{size}, {usable}{}", alive.unwrap_or_default())
}

/// For programs: one row for each face.
struct Table<'a> {
    rows: csv::Writer<&'a mut dyn Write>,
    templates: bool,
}

const COLUMNS: [&str; 31] = [
    "picture",
    "face",
    "left",
    "top",
    "right",
    "bottom",
    "left_eye_x",
    "left_eye_y",
    "right_eye_x",
    "right_eye_y",
    "nose_x",
    "nose_y",
    "left_mouth_x",
    "left_mouth_y",
    "right_mouth_x",
    "right_mouth_y",
    "score",
    "eye_distance",
    "sharpness",
    "brightness",
    "contrast",
    "clipped",
    "side_light",
    "yaw",
    "pitch",
    "roll",
    "misfit",
    "disagreement",
    "flaw",
    "liveness_logit",
    "template",
];

impl<'a> Table<'a> {
    fn new(out: &'a mut dyn Write, templates: bool) -> Result<Self, FacesError> {
        let mut rows = csv::Writer::from_writer(out);
        rows.write_record(COLUMNS)?;
        Ok(Self { rows, templates })
    }

    fn row(&self, path: &Path, index: usize, face: &Observation) -> Vec<String> {
        let mut row = vec![path.display().to_string(), index.to_string()];
        row.extend(face.bounds.edges().map(number));
        row.extend(face.landmarks.0.iter().flat_map(|point| [number(point.x), number(point.y)]));
        row.push(number(face.score));
        let Some(close) = &face.close else {
            row.resize(COLUMNS.len(), String::new());
            return row;
        };
        let m = &close.measures;
        let light = [m.eye_distance, m.sharpness, m.brightness, m.contrast, m.clipped, m.side_light];
        row.extend(
            light
                .into_iter()
                .chain([m.pose.yaw, m.pose.pitch, m.pose.roll, m.misfit, m.disagreement])
                .map(number),
        );
        let flaw = Gate::RECOGNITION.flaw(m).or(close.flaw);
        row.push(flaw.map_or_else(String::new, |flaw| format!("{flaw:?}")));
        row.push(close.liveness_logit.map_or_else(String::new, number));
        let template = close.template.as_ref().filter(|_| self.templates);
        row.push(template.map_or_else(String::new, |t| t.embedding.map(|value| value.to_string()).join(" ")));
        row
    }
}

impl Teller for Table<'_> {
    fn tell(&mut self, path: &Path, faces: &[Observation]) -> Result<(), FacesError> {
        for (index, face) in faces.iter().enumerate() {
            let row = self.row(path, index, face);
            self.rows.write_record(row)?;
        }
        Ok(self.rows.flush()?)
    }
}

/// A number as a column has it: the shortest that reads back as the same.
fn number(value: f32) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pictures: &Path) -> FacesOptions {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/release");
        FacesOptions {
            models,
            pictures: vec![pictures.into()],
            csv: true,
            templates: false,
            grey: false,
            ungated: false,
        }
    }

    fn told(options: &FacesOptions) -> (String, String) {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        run(options, &mut out, &mut notes).expect("the models are released");
        (String::from_utf8(out).expect("text"), String::from_utf8(notes).expect("text"))
    }

    #[test]
    fn a_damaged_picture_is_named_and_the_others_are_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.png"), b"no picture").expect("written");
        image::RgbImage::new(64, 48).save(folder.path().join("b.png")).expect("written");
        fs::write(folder.path().join("notes.txt"), b"not looked at").expect("written");
        let (out, notes) = told(&options(folder.path()));
        assert_eq!(out.lines().count(), 1, "{out}");
        assert!(notes.contains("a.png is no picture"), "{notes}");
        assert!(notes.contains("1 pictures, 0 with a face, 1 not readable"), "{notes}");
    }

    #[test]
    fn a_row_has_as_many_values_as_there_are_columns_and_a_template_only_when_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/sim/scene.mjpeg");
        let bytes = fs::read(film).expect("the scene is bundled");
        let ends: Vec<usize> =
            (1..bytes.len()).filter(|&at| bytes[at - 1..=at] == [0xFF, 0xD9]).map(|at| at + 1).collect();
        fs::write(folder.path().join("owner.jpg"), &bytes[ends[59]..ends[60]]).expect("written");
        for templates in [false, true] {
            let (out, _) = told(&FacesOptions { templates, ..options(folder.path()) });
            let mut rows = csv::Reader::from_reader(out.as_bytes());
            let row = rows.records().next().expect("a face").expect("as many values as columns");
            let cell = |name| &row[COLUMNS.iter().position(|column| *column == name).expect("a column")];
            assert_eq!(cell("flaw"), "", "no flaw");
            assert_eq!(cell("template").split_whitespace().count(), if templates { 128 } else { 0 });
        }
    }

    #[test]
    fn nothing_to_look_at_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = run(&options(folder.path()), &mut Vec::new(), &mut Vec::new()).expect_err("no picture");
        assert!(error.to_string().contains("no pictures (jpg"), "{error}");
    }
}
