//! `facelatch info`: what a package is, and who signed it.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::output::Form;
use crate::face::models::{ModelError, ModelFile, ModelFiles};
use crate::update::acceptance::dotted;
use crate::update::owner::OwnerId;
use crate::update::package::{self, MAX_PACKAGE_BYTES, Package, PackageError};

/// Why a package cannot be shown.
#[derive(Debug, Error)]
pub enum InfoError {
    /// It cannot be read.
    #[error("cannot read {}; name a package that facelatch pack made", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// It is damaged or of somebody else.
    #[error("{}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: PackageError,
    },
    /// A network or its contract cannot be used.
    #[error("the package is signed, but its models cannot be used")]
    Model(#[from] ModelError),
    /// The output is gone.
    #[error("cannot write the output")]
    Write(#[source] io::Error),
}

/// What a package is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PackageInfo {
    version: u32,
    embedding_id: u32,
    signer: String,
    signed_by_owner: Option<bool>,
    minimum_firmware: String,
    boards: Vec<String>,
    note: String,
    bytes: usize,
    parts: Vec<PartInfo>,
    threshold: f32,
    distance_far: Vec<(f32, f64, f64)>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct PartInfo {
    model: &'static str,
    bytes: u32,
    input: [u32; 3],
    sha256: String,
    goldens: usize,
}

impl fmt::Display for PackageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boards = if self.boards.is_empty() { "all".to_owned() } else { self.boards.join(", ") };
        let signer = match self.signed_by_owner {
            Some(true) => "your key",
            Some(false) => "NOT your key",
            None => "you have no key here to compare with",
        };
        writeln!(f, "version {}, embedder {}, {} KiB", self.version, self.embedding_id, self.bytes / 1024)?;
        writeln!(f, "signed by {} ({signer}); the signature is good", self.signer)?;
        writeln!(f, "boards: {boards}; firmware {} or newer", self.minimum_firmware)?;
        if !self.note.is_empty() {
            writeln!(f, "note: {}", self.note)?;
        }
        for part in &self.parts {
            let PartInfo { model, bytes, input: [height, width, _], sha256, goldens } = part;
            writeln!(
                f,
                "{model:<9} {width}x{height}, {} KiB, {goldens} golden answers, SHA-256 {}...",
                bytes / 1024,
                &sha256[..16]
            )?;
        }
        writeln!(f, "distance  false accept rate  upper 95 % bound")?;
        for (distance, far, upper) in &self.distance_far {
            writeln!(f, "{distance:8.2}  {far:17.1e}  {upper:16.1e}")?;
        }
        write!(f, "two faces are one person up to {}", self.threshold)
    }
}

/// Reads a package file of at most [`MAX_PACKAGE_BYTES`].
///
/// # Errors
/// When it cannot be read or is longer.
pub fn read(path: &Path) -> Result<Vec<u8>, InfoError> {
    let failed = |source| InfoError::Read { path: path.to_owned(), source };
    let len = fs::metadata(path).map_err(failed)?.len() as usize;
    if len > MAX_PACKAGE_BYTES {
        let source = PackageError::TooLong { len, expected: MAX_PACKAGE_BYTES };
        return Err(InfoError::Package { path: path.to_owned(), source });
    }
    fs::read(path).map_err(failed)
}

/// Checks the package in `path` by the key that it carries, and tells what it is. `owner`: the key of this
/// computer, if there is one.
///
/// # Errors
/// When the package is damaged or its networks could not be used.
pub fn run(path: &Path, owner: Option<OwnerId>, form: Form, out: &mut dyn Write) -> Result<(), InfoError> {
    let bytes = read(path)?;
    form.tell(&describe(path, &bytes, owner)?, out).map_err(InfoError::Write)
}

/// Lets `work` use the networks of the package in `path`, checked by the key that it carries.
///
/// # Errors
/// When the package is damaged.
pub fn with_files<T>(path: &Path, work: impl FnOnce(&ModelFiles<'_>) -> T) -> Result<T, InfoError> {
    let bytes = read(path)?;
    let (_, package) = opened(path, &bytes)?;
    Ok(work(&files_of(&package)))
}

/// A package, and who signed it.
fn opened<'a>(path: &Path, bytes: &'a [u8]) -> Result<(OwnerId, Package<'a>), InfoError> {
    let (signer, _) = package::claims(bytes).map_err(|source| damaged(path, source))?;
    let package = Package::open(bytes, &signer).map_err(|source| damaged(path, source))?;
    Ok((signer, package))
}

fn damaged(path: &Path, source: PackageError) -> InfoError {
    InfoError::Package { path: path.to_owned(), source }
}

fn describe(path: &Path, bytes: &[u8], owner: Option<OwnerId>) -> Result<PackageInfo, InfoError> {
    let (signer, opened) = opened(path, bytes)?;
    let (_, embedder) = files_of(&opened).compile()?;
    let manifest = &opened.manifest;
    let part = |(part, _): (&package::Part, _)| PartInfo {
        model: part.model.name(),
        bytes: part.bytes,
        input: part.input,
        sha256: hexadecimal(&part.sha256),
        goldens: part.goldens.len(),
    };
    Ok(PackageInfo {
        version: manifest.version,
        embedding_id: manifest.embedding_id,
        signer: signer.to_string(),
        signed_by_owner: owner.map(|owner| owner == signer),
        minimum_firmware: dotted(manifest.minimum_firmware),
        boards: manifest.boards.clone(),
        note: manifest.note.clone(),
        bytes: bytes.len(),
        parts: opened.parts().map(part).collect(),
        threshold: embedder.threshold,
        distance_far: embedder.distance_far.iter().map(|r| (r.distance, r.far, r.far_upper_95)).collect(),
    })
}

/// The networks of a package as the face room takes them.
fn files_of<'a>(package: &'a Package<'a>) -> ModelFiles<'a> {
    let mut files = package.parts().map(|(part, onnx)| ModelFile { manifest: &part.contract, onnx });
    let mut next = || files.next().expect("an opened package has three networks");
    ModelFiles { detector: next(), liveness: next(), embedder: next() }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}
