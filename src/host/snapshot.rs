//! `facelatch snapshot`: what a lock's camera sees, with what this computer makes of it drawn in. For the owner only:
//! the picture is ordered with the owner's key and comes sealed for it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use embedded_graphics::pixelcolor::Rgb888;
use image::ImageFormat;
use thiserror::Error;

use super::cable::{Cable, CableError};
use super::faces::verdict;
use super::keygen::Owner;
use super::models;
use crate::face::analyze::{AnalyzeError, FaceAnalyzer, Observation};
use crate::face::canvas::{Canvas, LINE_HEIGHT};
use crate::face::convert::{ConvertError, EncodedFrame, Encoding, to_rgb};
use crate::face::image::{PictureError, RgbImage};
use crate::face::models::{ModelError, ModelFolder};

/// A face by which somebody can be recognised.
const USABLE: Rgb888 = Rgb888::new(60, 220, 90);
/// A face that is seen, but not well enough.
const UNUSABLE: Rgb888 = Rgb888::new(250, 190, 40);
const BACKGROUND: Rgb888 = Rgb888::new(20, 20, 24);
const WORDS: Rgb888 = Rgb888::new(235, 235, 235);
/// Pixels around the captions.
const MARGIN: i32 = 4;
/// Pixels of a letter of [`Canvas::text`].
const TEXT_WIDTH: i32 = 7;

/// Why there is no picture.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The lock or the cable.
    #[error(transparent)]
    Cable(#[from] CableError),
    /// The models that look at the picture.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network failed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// What came is no picture.
    #[error("what the lock sent is no picture")]
    NoPicture(#[source] image::ImageError),
    /// What came is a damaged picture.
    #[error("the picture that the lock sent is damaged")]
    Damaged(#[from] ConvertError),
    /// The sizes of the picture.
    #[error(transparent)]
    Size(#[from] PictureError),
    /// The file cannot be written.
    #[error("cannot write {}; name another file with --out", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written as a picture.
    #[error("cannot write {}: its name must end in .png, .jpg, .webp, .bmp or .ppm", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: image::ImageError,
    },
}

impl SnapshotError {
    /// What the program ends with, as [`CableError::exit_status`].
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        if let Self::Cable(error) = self { error.exit_status() } else { 2 }
    }
}

const EXAMPLES: &str = "Examples:
  facelatch snapshot                           the lock at the only serial port: door.png
  facelatch snapshot --port lock.tty --out camera.png
  facelatch snapshot --plain                   as the camera took it, nothing drawn in

Green: a face by which somebody can be recognised. Yellow: a face that is not seen well enough, and why. At 115,200 bits a
second a picture takes some seconds. It shows whoever stands at your door: keep it no longer than you need it.";

/// Of which lock, and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SnapshotOptions {
    /// The lock.
    #[command(flatten)]
    pub cable: Cable,
    /// The owner.
    #[command(flatten)]
    pub owner: Owner,
    /// The picture to write; only you may read it.
    #[arg(short, long, value_name = "FILE", default_value = "door.png")]
    pub out: PathBuf,
    /// Draw nothing in.
    #[arg(long)]
    pub plain: bool,
    /// Folder of the models that look at the picture.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
}

/// Fetches the newest frame, looks at it, and writes it with what is seen.
///
/// # Errors
/// When the lock refuses, the line breaks off, or the picture cannot be read or written.
pub fn run(options: &SnapshotOptions, out: &mut dyn Write) -> Result<(), SnapshotError> {
    let key = options.owner.read().map_err(CableError::from)?;
    let format = ImageFormat::from_path(&options.out)
        .map_err(|source| SnapshotError::Format { path: options.out.clone(), source })?;
    let (mut analyzer, _) = ModelFolder::read(&options.models)?.files().compile()?;
    let jpeg = options.cable.with(|client| Ok(client.snapshot(&key)?))?;
    let picture = decoded(&jpeg)?;
    let seen = look(&mut analyzer, &picture)?;
    let drawn = if options.plain { as_it_is(&picture) } else { annotated(&picture, &seen) };
    write(&drawn, format, &options.out)?;
    Ok(tell(&picture, &seen, &options.out, out).map_err(CableError::from)?)
}

fn tell(picture: &RgbImage, seen: &[Observation], path: &Path, out: &mut dyn Write) -> io::Result<()> {
    let (width, height) = (picture.width(), picture.height());
    let faces = match seen.len() {
        1 => "1 face".to_owned(),
        count => format!("{count} faces"),
    };
    writeln!(out, "{width}x{height} pixels, {faces}: {}", path.display())?;
    let mut numbered = seen.iter().enumerate().map(|(index, face)| (index + 1, words(face)));
    numbered.try_for_each(|(number, words)| writeln!(out, "  {number}: {words}"))
}

/// The pixels of a JPEG picture.
fn decoded(jpeg: &[u8]) -> Result<RgbImage, SnapshotError> {
    let reader = image::ImageReader::with_format(io::Cursor::new(jpeg), ImageFormat::Jpeg);
    let (width, height) = reader.into_dimensions().map_err(SnapshotError::NoPicture)?;
    let (width, height) = (width as usize, height as usize);
    let mut picture = RgbImage::new(width, height)?;
    to_rgb(&EncodedFrame { bytes: jpeg, encoding: Encoding::Jpeg, width, height, stride: 0 }, &mut picture)?;
    Ok(picture)
}

fn look(analyzer: &mut FaceAnalyzer, picture: &RgbImage) -> Result<Vec<Observation>, SnapshotError> {
    Ok(analyzer.analyze(&picture.view(), Duration::ZERO)?.into_iter().collect())
}

/// What is seen of a face, in a line.
fn words(face: &Observation) -> String {
    face.close.as_ref().map_or_else(|| "one of too many to look at closely".to_owned(), verdict)
}

/// The picture with a box, five dots and a number for each face, and a line for each beneath.
fn annotated(picture: &RgbImage, seen: &[Observation]) -> image::RgbImage {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let captions = captions(seen, (width as i32 - 2 * MARGIN) / TEXT_WIDTH);
    let beneath = captions.len() as u32 * LINE_HEIGHT as u32 + 2 * MARGIN as u32;
    let mut canvas = Canvas::new(width, height + beneath, BACKGROUND);
    let frame = Canvas::from_pixels(width, height, picture.pixels().to_vec())
        .expect("as many pixels as its sides say");
    canvas.paste(&frame, 0, 0);
    for (line, (words, colour)) in captions.iter().enumerate() {
        canvas.text(words, MARGIN, height as i32 + MARGIN + line as i32 * LINE_HEIGHT, *colour);
    }
    for (index, face) in seen.iter().enumerate() {
        let colour = colour_of(face);
        let bounds = face.bounds.edges();
        canvas.outline(bounds, colour);
        face.landmarks.0.iter().for_each(|point| canvas.dot(point.x, point.y, colour));
        canvas.text(&format!("{}", index + 1), bounds[0] as i32 + 3, bounds[1] as i32 + 1, colour);
    }
    canvas.into_picture()
}

fn colour_of(face: &Observation) -> Rgb888 {
    let usable = face.close.as_ref().is_some_and(|close| close.template.is_some());
    if usable { USABLE } else { UNUSABLE }
}

/// What is written beneath the picture, in lines of so many letters at most.
fn captions(seen: &[Observation], letters: i32) -> Vec<(String, Rgb888)> {
    if seen.is_empty() {
        return vec![("nobody".to_owned(), WORDS)];
    }
    let of = |(index, face): (usize, &Observation)| {
        let lines = wrapped(&format!("{}: {}", index + 1, words(face)), letters.max(1) as usize);
        lines.into_iter().map(|line| (line, colour_of(face))).collect::<Vec<_>>()
    };
    seen.iter().enumerate().flat_map(of).collect()
}

/// `text` in lines of at most `letters` letters, cut between words where these are shorter.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > letters {
            lines.push(format!("   {word}"));
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

fn as_it_is(picture: &RgbImage) -> image::RgbImage {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    image::RgbImage::from_raw(width, height, picture.pixels().to_vec())
        .expect("as many pixels as its sides say")
}

fn write(picture: &image::RgbImage, format: ImageFormat, path: &Path) -> Result<(), SnapshotError> {
    let failed = |source| SnapshotError::Write { path: path.to_owned(), source };
    let mut bytes = io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, format)
        .map_err(|source| SnapshotError::Format { path: path.to_owned(), source })?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes.get_ref()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of the bundled scene in which a synthetic person looks into the camera.
    fn frame() -> RgbImage {
        let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/sim/scene.mjpeg");
        let bytes = std::fs::read(film).expect("the scene is bundled");
        let ends: Vec<usize> =
            (1..bytes.len()).filter(|&at| bytes[at - 1..=at] == [0xFF, 0xD9]).map(|at| at + 1).collect();
        decoded(&bytes[ends[59]..ends[60]]).expect("a JPEG")
    }

    #[test]
    fn a_face_is_boxed_and_told_and_the_file_is_the_owner_s() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (mut analyzer, _) = ModelFolder::read(Path::new(models::released()))
            .and_then(|m| m.files().compile())
            .expect("released");
        let picture = frame();
        let seen = look(&mut analyzer, &picture).expect("the networks run");
        assert_eq!(seen.len(), 1);
        assert!(words(&seen[0]).contains("usable, liveness"), "{}", words(&seen[0]));
        let drawn = annotated(&picture, &seen);
        let green = drawn.pixels().filter(|pixel| pixel.0 == [60, 220, 90]).count();
        assert!(green > 200, "{green} pixels of box, dots and words");
        assert_eq!(as_it_is(&picture).as_raw(), picture.pixels());
        let path = folder.path().join("door.png");
        write(&drawn, ImageFormat::Png, &path).expect("written");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_caption_is_wrapped_where_the_picture_ends() {
        assert_eq!(wrapped("1: usable, liveness 0.97", 14), ["1: usable,", "   liveness", "   0.97"]);
        assert_eq!(wrapped("", 5), [""]);
        let (mut analyzer, _) = ModelFolder::read(Path::new(models::released()))
            .and_then(|m| m.files().compile())
            .expect("released");
        let seen = look(&mut analyzer, &frame()).expect("the networks run");
        assert!(captions(&seen, 44).iter().all(|(line, _)| line.len() <= 44), "{:?}", captions(&seen, 44));
    }

    #[test]
    fn nobody_and_bytes_that_are_no_picture_are_told() {
        let empty = RgbImage::new(64, 48).expect("a picture");
        assert_eq!(annotated(&empty, &[]).height(), 48 + 14 + 8);
        assert!(matches!(decoded(b"no picture"), Err(SnapshotError::NoPicture(_))));
    }
}
