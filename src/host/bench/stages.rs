//! The stages of a frame, each by itself, on one frame of a film with a face.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::BenchError;
use crate::camera::replay::{Replay, ReplayOptions};
use crate::camera::{Camera, CameraError, PixelFormat};
use crate::face::align::{CROP_BYTES, align};
use crate::face::analyze::{FaceAnalyzer, LEAST_SIDE};
use crate::face::convert::{EncodedFrame, Encoding, to_rgb};
use crate::face::crop::{Layers, Pyramid};
use crate::face::detect::Detector;
use crate::face::embed::Embedder;
use crate::face::image::RgbImage;
use crate::face::liveness::LivenessJudge;
use crate::face::models::{ModelFiles, ModelFolder};
use crate::face::nms::Detection;
use crate::face::quality::Measures;
use crate::face::template::Template;
use crate::gallery::matching::Index;
use crate::gallery::{Access, Person, Role};
use crate::host::info;
use crate::inference::{LoadOptions, Network};

/// People of the gallery that a probe is matched with: as many as fit.
pub const PEOPLE: u32 = 1_000;
/// Templates of each of them.
const TEMPLATES: u32 = 5;
/// Quality that is written into templates here, whose worth nobody asks.
const QUALITY: u8 = 128;

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// JPEG to pixels.
    Decode,
    /// Halved copies.
    Halve,
    /// The detector.
    Detect,
    /// The detector again, close to the face, twice.
    Refine,
    /// 112x112 pixels around the landmarks.
    Align,
    /// Size, blur, pose, light.
    Measure,
    /// The liveness network.
    Live,
    /// The embedder.
    Embed,
    /// The nearest of everybody.
    Match,
    /// All but the last, with decoding, as the lock does it.
    Frame,
}

impl Stage {
    /// In their order.
    pub const ALL: [Self; 10] = [
        Self::Decode,
        Self::Halve,
        Self::Detect,
        Self::Refine,
        Self::Align,
        Self::Measure,
        Self::Live,
        Self::Embed,
        Self::Match,
        Self::Frame,
    ];

    /// The stage in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Decode => "decode the JPEG picture",
            Self::Halve => "halve it",
            Self::Detect => "find faces (detector)",
            Self::Refine => "look closely (detector twice)",
            Self::Align => "align to 112x112",
            Self::Measure => "measure its quality",
            Self::Live => "is it alive? (liveness)",
            Self::Embed => "template (embedder)",
            Self::Match => "match with 1,000 people",
            Self::Frame => "a whole frame, one face",
        }
    }
}

/// A set of networks, ready to run.
pub struct Subject {
    /// Where it came from.
    pub name: PathBuf,
    /// Its embedder's number.
    pub embedding_id: u32,
    /// From files to networks that run.
    pub start_up: Duration,
    /// Multiply-accumulates of detector, liveness network and embedder.
    pub macs: [usize; 3],
    detector: Detector,
    liveness: LivenessJudge,
    embedder: Embedder,
    analyzer: FaceAnalyzer,
    pyramid: Pyramid,
    picture: RgbImage,
    crop: Box<[u8; CROP_BYTES]>,
    frames: u32,
}

impl Subject {
    /// The networks of `path`: a folder, a package (`.flm`), or an embedder (`.onnx`) that runs with the other
    /// networks of `folder`.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn read(path: &Path, folder: &Path) -> Result<Self, BenchError> {
        let start = Instant::now();
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending {
            Some("onnx") => {
                let others = |name: &str| folder.join(name);
                let models =
                    ModelFolder::read_each([others("detector"), others("liveness"), path.to_owned()])?;
                Self::of(path, &models.files(), start)
            }
            Some("flm") => info::with_files(path, |files| Self::of(path, files, start))?,
            _ => Self::of(path, &ModelFolder::read(path)?.files(), start),
        }
    }

    fn of(name: &Path, files: &ModelFiles<'_>, start: Instant) -> Result<Self, BenchError> {
        let (analyzer, manifest) = files.compile()?;
        let start_up = start.elapsed();
        let macs = |onnx: &[u8]| Network::load(onnx, LoadOptions::default()).map(|network| network.macs());
        Ok(Self {
            name: name.to_owned(),
            embedding_id: manifest.embedding_id,
            start_up,
            macs: [macs(files.detector.onnx)?, macs(files.liveness.onnx)?, macs(files.embedder.onnx)?],
            detector: files.compile_detector()?,
            liveness: files.compile_liveness()?,
            embedder: files.compile_embedder()?.0,
            analyzer,
            pyramid: Pyramid::default(),
            picture: RgbImage::new(1, 1)?,
            crop: Box::new([0; CROP_BYTES]),
            frames: 0,
        })
    }

    /// Runs `stage` once on the sample.
    ///
    /// # Errors
    /// When a network fails.
    pub fn run(&mut self, stage: Stage, sample: &Sample, layers: &Layers<'_>) -> Result<(), BenchError> {
        match stage {
            Stage::Decode => to_rgb(&sample.encoded(), &mut self.picture)?,
            Stage::Halve => done(self.pyramid.build(layers.picture(), LEAST_SIDE)),
            Stage::Detect => done(self.detector.detect(layers)?),
            Stage::Refine => done(self.detector.refine(layers, &sample.face)?),
            Stage::Align => done(align(layers, &sample.face.landmarks, &mut self.crop)?),
            Stage::Measure => done(Measures::of(&sample.crop, &sample.face.landmarks, 0.0)),
            Stage::Live => done(self.liveness.logit(layers, &sample.face.bounds)?),
            Stage::Embed => done(self.embedder.embed(&sample.crop, QUALITY)?),
            Stage::Match => done(sample.everybody.nearest(&sample.probe)),
            Stage::Frame => {
                to_rgb(&sample.encoded(), &mut self.picture)?;
                self.frames += 1;
                self.analyzer.analyze(&self.picture.view(), sample.period * self.frames)?;
            }
        }
        Ok(())
    }
}

/// Takes a result as if somebody needed it, so that it is computed.
fn done<T>(result: T) {
    std::hint::black_box(result);
}

/// One frame with a face, and what the stages behind its finding work on.
pub struct Sample {
    jpeg: Vec<u8>,
    width: usize,
    height: usize,
    period: Duration,
    picture: RgbImage,
    face: Detection,
    crop: Box<[u8; CROP_BYTES]>,
    everybody: Index,
    probe: Template,
}

impl Sample {
    /// The first frame of `film` in which `subject` finds a face that it could recognise.
    ///
    /// # Errors
    /// When the film cannot be read, is not of JPEG pictures, or has no such face.
    pub fn of(film: &Path, subject: &mut Subject) -> Result<Self, BenchError> {
        let mut camera = Replay::open(film, ReplayOptions::default())?;
        let mut picture = RgbImage::new(1, 1)?;
        let period = camera.period();
        loop {
            let frame = match camera.next_frame(Duration::ZERO) {
                Err(CameraError::Ended { .. }) => return Err(BenchError::NoFace { path: film.to_owned() }),
                frame => frame?,
            };
            if frame.format != PixelFormat::Mjpeg {
                return Err(BenchError::NoJpeg { path: film.to_owned() });
            }
            let (width, height) = (frame.width, frame.height);
            let encoded =
                EncodedFrame { bytes: frame.bytes, encoding: Encoding::Jpeg, width, height, stride: 0 };
            to_rgb(&encoded, &mut picture)?;
            let seen = subject.analyzer.analyze(&picture.view(), frame.captured_at)?;
            let usable = seen.first().and_then(|face| Some((face, face.close.as_ref()?.template.clone()?)));
            let Some((face, probe)) = usable else { continue };
            let face = Detection { bounds: face.bounds, landmarks: face.landmarks, score: face.score };
            let crop = Box::new(*subject.analyzer.crop(0).expect("the largest face was looked at closely"));
            let (jpeg, everybody) = (frame.bytes.to_vec(), everybody());
            return Ok(Self { jpeg, width, height, period, picture, face, crop, everybody, probe });
        }
    }

    /// The picture's layers, in `pyramid`.
    pub fn layers<'a>(&'a self, pyramid: &'a mut Pyramid) -> Layers<'a> {
        pyramid.build(self.picture.view(), LEAST_SIDE)
    }

    /// Width and height of the frame in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn encoded(&self) -> EncodedFrame<'_> {
        let (width, height) = (self.width, self.height);
        EncodedFrame { bytes: &self.jpeg, encoding: Encoding::Jpeg, width, height, stride: 0 }
    }
}

/// A full gallery of people who do not exist.
fn everybody() -> Index {
    let mut random = fastrand::Rng::with_seed(1);
    let mut template = || {
        let output: Vec<i8> = (0..128).map(|_| random.i8(-50..50)).collect();
        Template::from_output(&output, 0, QUALITY, 0).expect("has a direction")
    };
    let mut person = |id: u32| {
        let templates = (0..TEMPLATES).map(|_| template()).collect();
        Person {
            id,
            name: heapless::String::new(),
            role: Role::Resident,
            templates,
            crops: None,
            access: Access::default(),
        }
    };
    let people: Vec<Person> = (1..=PEOPLE).map(&mut person).collect();
    Index::of(&people)
}
