//! The three model files with their manifests, checked and compiled into an analyzer.
//!
//! ```text
//! detector.toml + detector.onnx  \
//! liveness.toml + liveness.onnx   > digest, shapes, compile --> FaceAnalyzer
//! embedder.toml + embedder.onnx  /                         '--> EmbedderManifest (what distances mean)
//! ```
//!
//! A manifest may have more keys than are read here: figures for people, or for other rooms.

use super::analyze::FaceAnalyzer;
use super::detect::{Detector, DetectorSettings, LevelOutputs};
use super::embed::{EmbedError, Embedder};
use super::liveness::{LivenessJudge, LivenessSettings};
use super::network::NetworkError;
use super::template::DIMENSIONS;
use crate::inference::{LoadError, LoadOptions, MAX_MODEL_BYTES, Network, Output};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest manifest that is read, bytes. A choice, far above any.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Why models cannot be used. The door stays locked until they can.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file cannot be read.
    #[error("cannot read {}; put the released models there, or name another folder", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// A file is too large to be what it should be.
    #[error("{} is larger than {max} bytes: it is no model or manifest of this lock", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit in bytes.
        max: usize,
    },
    /// A manifest is not as it should be.
    #[error("the manifest of the {model}: {reason}")]
    Manifest {
        /// Detector, liveness network or embedder.
        model: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// The model file is not the one that the manifest is for.
    #[error(
        "the {model} is damaged, or not the one of its manifest (SHA-256 {found}, expected {expected}); install the models again"
    )]
    Digest {
        /// Which model.
        model: &'static str,
        /// Of the manifest.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// The model cannot be compiled.
    #[error("the {model} cannot be used; install the models again")]
    Compile {
        /// Which model.
        model: &'static str,
        /// What is wrong with it.
        #[source]
        source: LoadError,
    },
    /// The model does not fit its manifest.
    #[error("the {model} has no output {output} of {expected}")]
    NoOutput {
        /// Which model.
        model: &'static str,
        /// Name of the output.
        output: String,
        /// Height, width, channels.
        expected: String,
    },
    /// The model reads pictures of another size than its manifest says, or than it may.
    #[error("the {model} reads {found:?} (height, width, channels), expected {expected:?}")]
    Input {
        /// Which model.
        model: &'static str,
        /// Its input.
        found: [usize; 3],
        /// What it should be.
        expected: [usize; 3],
    },
    /// The compiled network cannot be used.
    #[error("the {model} cannot be used: {source}")]
    Network {
        /// Which model.
        model: &'static str,
        /// What is wrong with it.
        source: NetworkError,
    },
    /// The compiled embedder cannot be used.
    #[error("the embedder cannot be used: {0}")]
    Embedder(#[from] EmbedError),
}

/// One model: its manifest and its ONNX file, wherever they came from.
#[derive(Debug, Clone, Copy)]
pub struct ModelFile<'a> {
    /// The TOML manifest.
    pub manifest: &'a str,
    /// The ONNX file.
    pub onnx: &'a [u8],
}

impl ModelFile<'_> {
    /// Height, width and channels of the input as the manifest has them. `model` names it in errors.
    ///
    /// # Errors
    /// When the manifest does not say.
    pub fn input(&self, model: &'static str) -> Result<[usize; 3], ModelError> {
        Ok(parse::<Common>(model, self)?.input)
    }
}

/// The three models that the room needs.
#[derive(Debug, Clone, Copy)]
pub struct ModelFiles<'a> {
    /// Finds faces.
    pub detector: ModelFile<'a>,
    /// Tells a living face from a picture of one.
    pub liveness: ModelFile<'a>,
    /// Makes templates.
    pub embedder: ModelFile<'a>,
}

/// What every manifest says of its model file.
#[derive(Debug, Clone, Deserialize)]
struct Common {
    sha256: String,
    input: [usize; 3],
}

#[derive(Debug, Deserialize)]
struct DetectorManifest {
    #[serde(flatten)]
    common: Common,
    cell_offset: f32,
    least_score: f32,
    most_overlap: f32,
    #[serde(default = "blend_overlap")]
    blend_overlap: f32,
    refine: bool,
    level: Vec<LevelManifest>,
}

/// Where a manifest does not say: measured to give the steadiest landmarks (0.4 to 0.8 were tried).
fn blend_overlap() -> f32 {
    0.8
}

#[derive(Debug, Deserialize)]
struct LevelManifest {
    stride: usize,
    score: String,
    #[serde(rename = "box")]
    bounds: String,
    landmarks: String,
}

#[derive(Debug, Deserialize)]
struct LivenessManifest {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    settings: LivenessSettings,
}

/// What an embedder's templates and their distances mean.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EmbedderManifest {
    /// The number that its templates carry.
    pub embedding_id: u32,
    /// Squared distance up to which two faces are one person, `0.0..=4.0`.
    pub threshold: f32,
    /// The false accept rate measured at rising distances.
    pub distance_far: Vec<DistanceFar>,
}

/// How often two different people are this close.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct DistanceFar {
    /// Squared distance, `0.0..=4.0`.
    pub distance: f32,
    /// Measured share of pairs of different people at most this far apart.
    pub far: f64,
    /// Its upper bound at 95 % confidence.
    pub far_upper_95: f64,
}

/// Three models read from a folder.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    parts: [(String, Vec<u8>); 3],
}

impl ModelFolder {
    /// Reads `detector`, `liveness` and `embedder`, each `.toml` and `.onnx`, from `folder`.
    ///
    /// # Errors
    /// When one is missing, unreadable or too large; the error names it.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        Self::read_each(["detector", "liveness", "embedder"].map(|name| folder.join(name)))
    }

    /// Reads detector, liveness network and embedder from files that stand anywhere: each path with the
    /// extension `.onnx` and, beside it, with `.toml`.
    ///
    /// # Errors
    /// As [`ModelFolder::read`].
    pub fn read_each(paths: [PathBuf; 3]) -> Result<Self, ModelError> {
        let part = |path: &Path| -> Result<(String, Vec<u8>), ModelError> {
            let manifest = read_limited(&path.with_extension("toml"), MAX_MANIFEST_BYTES)?;
            let manifest = String::from_utf8_lossy(&manifest).into_owned();
            Ok((manifest, read_limited(&path.with_extension("onnx"), MAX_MODEL_BYTES)?))
        };
        let [detector, liveness, embedder] = &paths;
        Ok(Self { parts: [part(detector)?, part(liveness)?, part(embedder)?] })
    }

    /// The files, to compile or to pack.
    #[must_use]
    pub fn files(&self) -> ModelFiles<'_> {
        let [detector, liveness, embedder] =
            self.parts.each_ref().map(|(manifest, onnx)| ModelFile { manifest, onnx });
        ModelFiles { detector, liveness, embedder }
    }
}

/// The bytes of a file that may have `max` at most.
fn read_limited(path: &Path, max: usize) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max {
        return Err(ModelError::TooLarge { path: path.to_owned(), max });
    }
    Ok(bytes)
}

impl ModelFiles<'_> {
    /// Checks and compiles the models.
    ///
    /// # Errors
    /// When a model is damaged, does not fit its manifest, or cannot be compiled; the error names it.
    pub fn compile(&self) -> Result<(FaceAnalyzer, EmbedderManifest), ModelError> {
        let detector = self.compile_detector()?;
        let liveness = self.compile_liveness()?;
        let (embedder, manifest) = self.compile_embedder()?;
        Ok((FaceAnalyzer::new(detector, liveness, embedder), manifest))
    }

    /// Checks and compiles the detector alone.
    ///
    /// # Errors
    /// As [`ModelFiles::compile`].
    pub fn compile_detector(&self) -> Result<Detector, ModelError> {
        const MODEL: &str = "detector";
        let manifest: DetectorManifest = parse(MODEL, &self.detector)?;
        let network = compile(MODEL, &self.detector, &manifest.common)?;
        let [height, width, _] = manifest.common.input;
        let levels = manifest.level.iter().map(|level| {
            let cells = |side: usize| side.div_ceil(level.stride.max(1));
            let find = |name: &str, channels: usize| {
                output_index(MODEL, &network, name, [cells(height), cells(width), channels])
            };
            let (score, bounds) = (find(&level.score, 1)?, find(&level.bounds, 4)?);
            Ok(LevelOutputs { stride: level.stride, score, bounds, landmarks: find(&level.landmarks, 10)? })
        });
        let settings = DetectorSettings {
            levels: levels.collect::<Result<_, ModelError>>()?,
            cell_offset: manifest.cell_offset,
            least_score: manifest.least_score,
            most_overlap: manifest.most_overlap,
            blend_overlap: manifest.blend_overlap,
            refine: manifest.refine,
        };
        Detector::new(Box::new(network), settings)
            .map_err(|source| ModelError::Network { model: MODEL, source })
    }

    /// Checks and compiles the liveness network alone.
    ///
    /// # Errors
    /// As [`ModelFiles::compile`].
    pub fn compile_liveness(&self) -> Result<LivenessJudge, ModelError> {
        const MODEL: &str = "liveness network";
        let LivenessManifest { common, settings } = parse(MODEL, &self.liveness)?;
        let wrong = |reason: &str| ModelError::Manifest { model: MODEL, reason: reason.into() };
        if !(1..=2).contains(&settings.outputs) || settings.live_index >= settings.outputs {
            return Err(wrong("`outputs` must be 1 or 2, and `live_index` below it"));
        }
        if !(0.5..=8.0).contains(&settings.crop_factor) || !(0.0..=1.0).contains(&settings.least_score) {
            return Err(wrong("`crop_factor` must be within 0.5 to 8, `least_score` within 0 to 1"));
        }
        if !(-10.0..=10.0).contains(&settings.full_detail) || !(0.0..=100.0).contains(&settings.detail_weight)
        {
            return Err(wrong("`full_detail` must be within -10 to 10, `detail_weight` within 0 to 100"));
        }
        let network = compile(MODEL, &self.liveness, &common)?;
        check_vector(MODEL, &network, settings.outputs)?;
        LivenessJudge::new(Box::new(network), settings)
            .map_err(|source| ModelError::Network { model: MODEL, source })
    }

    /// Checks and compiles the embedder alone.
    ///
    /// # Errors
    /// As [`ModelFiles::compile`].
    pub fn compile_embedder(&self) -> Result<(Embedder, EmbedderManifest), ModelError> {
        const MODEL: &str = "embedder";
        let common: Common = parse(MODEL, &self.embedder)?;
        let manifest: EmbedderManifest = parse(MODEL, &self.embedder)?;
        let network = compile(MODEL, &self.embedder, &common)?;
        check_vector(MODEL, &network, DIMENSIONS)?;
        Ok((Embedder::new(Box::new(network), manifest.embedding_id)?, manifest))
    }
}

/// A manifest's keys.
fn parse<T: DeserializeOwned>(model: &'static str, file: &ModelFile<'_>) -> Result<T, ModelError> {
    toml::from_str(file.manifest)
        .map_err(|error| ModelError::Manifest { model, reason: error.to_string().trim().to_owned() })
}

/// A model file of the right digest, compiled for the input that its manifest says.
fn compile(model: &'static str, file: &ModelFile<'_>, manifest: &Common) -> Result<Network, ModelError> {
    let found = hexadecimal(&Sha256::digest(file.onnx));
    if !found.eq_ignore_ascii_case(&manifest.sha256) {
        return Err(ModelError::Digest { model, expected: manifest.sha256.clone(), found });
    }
    let [height, width, _] = manifest.input;
    let options =
        LoadOptions { input_size: Some([height, width]), threads: threads(), ..LoadOptions::default() };
    let network =
        Network::load(file.onnx, options).map_err(|source| ModelError::Compile { model, source })?;
    if network.input_shape() != manifest.input {
        return Err(ModelError::Input { model, found: network.input_shape(), expected: manifest.input });
    }
    Ok(network)
}

/// Threads of each network: half of the cores, so that the camera and the rest of the system keep theirs.
pub fn threads() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN)
}

/// Index of the output `name`, which must have `shape`.
fn output_index(
    model: &'static str,
    network: &Network,
    name: &str,
    shape: [usize; 3],
) -> Result<usize, ModelError> {
    let fits = |output: &Output| output.name == name && output.shape == shape;
    network.outputs().iter().position(fits).ok_or_else(|| ModelError::NoOutput {
        model,
        output: name.to_owned(),
        expected: format!("{shape:?} (height, width, channels)"),
    })
}

/// Checks that the first output is a vector of `length`.
fn check_vector(model: &'static str, network: &Network, length: usize) -> Result<(), ModelError> {
    if network.outputs().first().is_some_and(|output| output.shape == [1, 1, length]) {
        return Ok(());
    }
    Err(ModelError::NoOutput { model, output: "0".into(), expected: format!("{length} numbers") })
}

/// Bytes as lower-case hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}
