//! `facelatch pack`: three networks with their contracts become a signed package that a lock can run.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::info::hexadecimal;
use super::output::Form;
use crate::face::models::{ModelError, ModelFile, ModelFolder};
use crate::inference::{Isa, LoadOptions, RunError};
use crate::update::acceptance::{self, Refusal};
use crate::update::golden::{self, SEEDS};
use crate::update::owner::OwnerKey;
use crate::update::package::{self, Golden, Manifest, Model, PackageError, Part};

/// What goes into a package.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Folder of the networks: `detector`, `liveness` and `embedder`, each `.onnx` and `.toml`.
    pub models: PathBuf,
    /// ONNX files to take instead, their contracts beside them as `.toml`: detector, liveness, embedder.
    pub instead: [Option<PathBuf>; 3],
    /// Version of the package, from 1 up.
    pub version: u32,
    /// Boards that it is for; empty: all.
    pub boards: Vec<String>,
    /// A line for people.
    pub note: String,
    /// The package to write.
    pub out: PathBuf,
}

/// Why there is no package.
#[derive(Debug, Error)]
pub enum PackError {
    /// A network or its contract is not what the device takes.
    #[error("a lock could not run these models")]
    Model(#[from] ModelError),
    /// A network is not what a lock would accept.
    #[error("a lock would refuse this package")]
    Refused(#[from] Refusal),
    /// A network did not run.
    #[error("the {model} does not run")]
    Run {
        /// Which.
        model: Model,
        /// Why.
        #[source]
        source: RunError,
    },
    /// The package does not hold together.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Packed {
    file: PathBuf,
    bytes: usize,
    version: u32,
    embedding_id: u32,
    signer: String,
    sha256: String,
}

impl fmt::Display for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, bytes, version, embedding_id, signer, .. } = self;
        write!(
            f,
            "{}: version {version}, embedder {embedding_id}, {} KiB, signed by {signer}",
            file.display(),
            bytes / 1024
        )
    }
}

/// Checks the networks as the device does, computes their golden answers, signs, and writes the package.
///
/// # Errors
/// When a lock could not run or would refuse a network (the error names the network, and the node if there is
/// one), or the file cannot be written.
pub fn run(options: &PackOptions, key: &OwnerKey, form: Form, out: &mut dyn Write) -> Result<(), PackError> {
    let bytes = build(options, key)?;
    let failed = |path: &Path, source| PackError::Write { path: path.to_owned(), source };
    let draft = options.out.with_extension("flm.new");
    fs::write(&draft, &bytes).map_err(|source| failed(&draft, source))?;
    fs::rename(&draft, &options.out).map_err(|source| failed(&options.out, source))?;
    let manifest = package::unseal(&bytes, &key.public())?.manifest;
    let packed = Packed {
        file: options.out.clone(),
        bytes: bytes.len(),
        version: manifest.version,
        embedding_id: manifest.embedding_id,
        signer: key.public().to_string(),
        sha256: hexadecimal(&Sha256::digest(&bytes)),
    };
    form.tell(&packed, out).map_err(|source| failed(Path::new("the output"), source))
}

/// The bytes of the package.
///
/// # Errors
/// As [`run`].
pub fn build(options: &PackOptions, key: &OwnerKey) -> Result<Vec<u8>, PackError> {
    let mut paths = Model::ALL.map(|model| options.models.join(model.name()));
    for (path, instead) in paths.iter_mut().zip(&options.instead) {
        if let Some(instead) = instead {
            path.clone_from(instead);
        }
    }
    let folder = ModelFolder::read_each(paths)?;
    let files = folder.files();
    let (_, embedder) = files.compile()?;
    let mut parts = Vec::new();
    let networks = [files.detector, files.liveness, files.embedder];
    for (model, file) in Model::ALL.into_iter().zip(&networks) {
        parts.push(part(model, file)?);
    }
    let manifest = Manifest {
        version: options.version,
        embedding_id: embedder.embedding_id,
        minimum_firmware: acceptance::firmware_version(),
        boards: options.boards.clone(),
        note: options.note.clone(),
        parts,
    };
    Ok(package::seal(&manifest, &networks.map(|file| file.onnx), key)?)
}

/// A network's part of the manifest. Its golden answers come from the slowest kernels, and all others that this
/// computer has must give the same.
fn part(model: Model, file: &ModelFile<'_>) -> Result<Part, PackError> {
    let mut part = Part {
        model,
        input: file.input(model.name())?.map(|side| side as u32),
        contract: file.manifest.to_owned(),
        bytes: file.onnx.len() as u32,
        sha256: Sha256::digest(file.onnx).into(),
        goldens: Vec::new(),
    };
    let with = |isa| LoadOptions { isa, ..LoadOptions::default() };
    let mut network = acceptance::load(&part, file.onnx, with(Isa::Scalar))?;
    for seed in SEEDS {
        let answer = golden::answer(&mut network, seed).map_err(|source| PackError::Run { model, source })?;
        part.goldens.push(Golden { seed, answer });
    }
    for isa in Isa::available() {
        acceptance::check_network(&part, file.onnx, with(isa))?;
    }
    Ok(part)
}
