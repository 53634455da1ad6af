//! `facelatch models`: what a folder of models is, and whether it can be used.

use std::io::{self, Write};
use std::path::Path;

use crate::face::models::{EmbedderManifest, ModelError, ModelFolder};
use crate::inference::{LoadError, LoadOptions, Network};
use thiserror::Error;

/// Folder of the released models: beside the sources where these are, else where the package puts them.
#[must_use]
pub fn released() -> &'static str {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/model/release");
    if Path::new(sources).is_dir() { sources } else { "/usr/share/facelatch/models" }
}

/// What distances of the embedder in `folder` mean, without its network.
///
/// # Errors
/// When its manifest is missing or damaged.
pub fn embedder_manifest(folder: &Path) -> Result<EmbedderManifest, ModelError> {
    let path = folder.join("embedder.toml");
    let text = std::fs::read_to_string(&path).map_err(|source| ModelError::Read { path, source })?;
    toml::from_str(&text).map_err(|error| ModelError::Manifest {
        model: "embedder",
        reason: error.to_string().trim().to_owned(),
    })
}

/// Why the models could not be shown.
#[derive(Debug, Error)]
pub enum ModelsError {
    /// They cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// One of them cannot be loaded.
    #[error("the {model} cannot be loaded")]
    Load {
        /// Which.
        model: &'static str,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// The output is gone.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
}

/// Checks the models in `folder` as the device does, and prints what they are and what distances mean.
///
/// # Errors
/// When a model is missing, damaged or cannot be run, named with what to do.
pub fn run(folder: &Path, out: &mut dyn Write) -> Result<(), ModelsError> {
    let models = ModelFolder::read(folder)?;
    let files = models.files();
    let (_, manifest) = files.compile()?;
    for (model, file) in
        [("detector", files.detector), ("liveness", files.liveness), ("embedder", files.embedder)]
    {
        let network = Network::load(file.onnx, LoadOptions::default())
            .map_err(|source| ModelsError::Load { model, source })?;
        let [height, width, _] = network.input_shape();
        writeln!(
            out,
            "{model:<9} {width}x{height} pixels, {:.1} million multiply-accumulates, {} KiB of file, {} KiB to work in",
            network.macs() as f64 / 1e6,
            file.onnx.len() / 1024,
            network.memory() / 1024,
        )?;
    }
    writeln!(out, "\nembedder {}: how often two different people are this near", manifest.embedding_id)?;
    writeln!(out, "distance  false accept rate  upper 95 % bound")?;
    for row in &manifest.distance_far {
        writeln!(out, "{:8.2}  {:17.1e}  {:16.1e}", row.distance, row.far, row.far_upper_95)?;
    }
    Ok(())
}
