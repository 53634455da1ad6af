//! Three networks that are compiled, and what the embedder's distances mean.

use thiserror::Error;

use crate::face::analyze::FaceAnalyzer;
use crate::face::models::{ModelError, ModelFile, ModelFiles};
use crate::gallery::{FarTable, FarTableError};
use crate::update::package::Package;

/// Why networks cannot be used.
#[derive(Debug, Error)]
pub enum ReadyError {
    /// The models.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// What distances mean.
    #[error("the embedder's manifest: {0}")]
    Far(#[from] FarTableError),
    /// No distance of the table promises the wanted rate.
    #[error(
        "the embedder was not tested well enough for a false accept rate of {wanted}; set recognition.false_accept_rate higher"
    )]
    Promise {
        /// Rate of the board file.
        wanted: f64,
    },
}

/// Networks that can look at frames.
pub struct Ready {
    /// The networks.
    pub analyzer: FaceAnalyzer,
    /// The embedder's number.
    pub embedding_id: u32,
    /// What its distances mean.
    pub far: FarTable,
    /// Greatest squared distance that keeps the wanted false accept rate, `0.0..=4.0`.
    pub threshold: f64,
}

impl Ready {
    /// Compiles `files`. `wanted`: false accept rate of one comparison.
    ///
    /// # Errors
    /// When a network is damaged, or the embedder does not promise that rate at any distance.
    pub fn of(files: &ModelFiles<'_>, wanted: f64) -> Result<Self, ReadyError> {
        let (analyzer, manifest) = files.compile()?;
        let far = FarTable::of(&manifest)?;
        let threshold = far.threshold(wanted).ok_or(ReadyError::Promise { wanted })?;
        Ok(Self { analyzer, embedding_id: manifest.embedding_id, far, threshold })
    }
}

/// The networks of a package as the face room takes them.
#[must_use]
pub fn files_of<'a>(package: &'a Package<'a>) -> ModelFiles<'a> {
    let mut files = package.parts().map(|(part, onnx)| ModelFile { manifest: &part.contract, onnx });
    let mut next = || files.next().expect("an opened package has three networks");
    ModelFiles { detector: next(), liveness: next(), embedder: next() }
}
