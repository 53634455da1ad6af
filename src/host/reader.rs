//! Pictures to templates with the device's own code: detector, alignment, quality, int8 network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use thiserror::Error;

use super::models;
use crate::camera::replay::{Replay, ReplayOptions};
use crate::camera::{Camera, CameraError, PixelFormat};
use crate::face::align::{CROP_BYTES, CROP_SIDE};
use crate::face::analyze::{AnalyzeError, Close, FaceAnalyzer, Observation};
use crate::face::embed::EmbedError;
use crate::face::image::RgbImage;
use crate::face::models::{EmbedderManifest, ModelError, ModelFolder};
use crate::face::quality::{Flaw, Gate};
use crate::face::template::Template;

/// Quality that templates of crops carry, whose pictures were never judged: the middle of its range.
const UNJUDGED: u8 = 128;

/// Why no picture at all can be looked at.
#[derive(Debug, Error)]
pub enum ReaderError {
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network failed.
    #[error(transparent)]
    Analyze(#[from] AnalyzeError),
    /// The embedder failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

/// Which face of a picture counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The largest, as at the door.
    Largest,
    /// The one nearest to the middle: in collections that were cut around the person of the label.
    Central,
}

/// How pictures are looked at.
#[derive(Debug, Clone, Args)]
pub struct Looking {
    /// Folder of the models.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
    /// The pictures are aligned crops of 112x112 pixels already.
    #[arg(long)]
    pub aligned: bool,
    /// Which face of a picture counts.
    #[arg(long, value_enum, value_name = "WHICH", default_value = "largest", conflicts_with = "aligned")]
    pub face: Choice,
    /// Take every face that is found, however blurred, dark or turned.
    #[arg(long, conflicts_with = "aligned")]
    pub any_quality: bool,
}

/// What a picture came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// A face that can be compared.
    Face(Template),
    /// A face that is not good enough.
    Unfit(Flaw),
    /// No face.
    Nobody,
    /// The picture cannot be read, or is no aligned crop.
    Damaged(String),
}

impl Look {
    /// The template, if there is one.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        if let Self::Face(template) = self { Some(template) } else { None }
    }
}

/// Looks at one picture after another.
pub struct FaceReader {
    analyzer: FaceAnalyzer,
    manifest: EmbedderManifest,
    looking: Looking,
    picture: RgbImage,
    crop: Box<[u8; CROP_BYTES]>,
}

impl FaceReader {
    /// A reader with the models of a folder.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn new(looking: &Looking) -> Result<Self, ReaderError> {
        let (mut analyzer, manifest) = ModelFolder::read(&looking.models)?.files().compile()?;
        if looking.any_quality {
            analyzer.set_gate(Gate::OPEN);
        }
        let picture = RgbImage::new(1, 1).expect("one pixel is a picture");
        let looking = looking.clone();
        Ok(Self { analyzer, manifest, looking, picture, crop: Box::new([0; CROP_BYTES]) })
    }

    /// What the embedder's distances mean.
    #[must_use]
    pub fn manifest(&self) -> &EmbedderManifest {
        &self.manifest
    }

    /// Looks at a picture file.
    ///
    /// # Errors
    /// When a network fails; what is wrong with the picture itself is part of the [`Look`].
    pub fn look(&mut self, path: &Path) -> Result<Look, ReaderError> {
        if let Err(reason) = self.load(path) {
            return Ok(Look::Damaged(reason));
        }
        if self.looking.aligned {
            return self.embed_crop();
        }
        self.analyzer.forget_tracks();
        let found = self.analyzer.analyze(&self.picture.view(), Duration::ZERO)?;
        let Some((index, close)) = self.chosen(&found) else { return Ok(Look::Nobody) };
        Ok(match (&close.template, close.flaw) {
            (Some(template), _) => {
                self.crop.copy_from_slice(self.analyzer.crop(index).expect("a close look has a crop"));
                Look::Face(template.clone())
            }
            (None, flaw) => Look::Unfit(flaw.unwrap_or(Flaw::Covered)),
        })
    }

    /// The aligned crop of the last [`Look::Face`], `[112, 112, 3]` u8 RGB.
    #[must_use]
    pub fn crop(&self) -> &[u8; CROP_BYTES] {
        &self.crop
    }

    fn embed_crop(&mut self) -> Result<Look, ReaderError> {
        let (width, height) = (self.picture.width(), self.picture.height());
        if (width, height) != (CROP_SIDE, CROP_SIDE) {
            return Ok(Look::Damaged(format!(
                "{width}x{height} pixels, but aligned crops have {CROP_SIDE}x{CROP_SIDE}: leave --aligned out"
            )));
        }
        self.crop.copy_from_slice(self.picture.pixels());
        Ok(match self.analyzer.embed(&self.crop, UNJUDGED) {
            Err(EmbedError::Template(_)) => Look::Unfit(Flaw::Covered),
            embedded => Look::Face(embedded?),
        })
    }

    fn load(&mut self, path: &Path) -> Result<(), String> {
        let mut file = Replay::open(path, ReplayOptions::default()).map_err(|error| error.to_string())?;
        let frame = file.next_frame(Duration::ZERO).map_err(|error| match error {
            CameraError::Skipped { reason, .. } => reason,
            error => error.to_string(),
        })?;
        debug_assert_eq!(frame.format, PixelFormat::Rgb8, "picture files are replayed as RGB");
        self.picture = RgbImage::from_pixels(frame.bytes.to_vec(), frame.width, frame.height)
            .map_err(|e| e.to_string())?;
        Ok(())
    }

    fn chosen<'a>(&self, found: &'a [Observation]) -> Option<(usize, &'a Close)> {
        let close = |(index, face): (usize, &'a Observation)| Some((index, face, face.close.as_ref()?));
        let seen = found.iter().enumerate().filter_map(close);
        let middle = (self.picture.width() as f32 / 2.0, self.picture.height() as f32 / 2.0);
        let from_middle = |face: &Observation| {
            let centre = face.bounds.centre();
            (centre.x - middle.0).hypot(centre.y - middle.1)
        };
        let nearest = match self.looking.face {
            Choice::Largest => seen.into_iter().next(),
            Choice::Central => seen.into_iter().min_by(|a, b| from_middle(a.1).total_cmp(&from_middle(b.1))),
        };
        nearest.map(|(index, _, close)| (index, close))
    }
}
