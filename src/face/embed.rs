//! The embedder: an aligned crop to a template.

use super::align::{CROP_BYTES, CROP_SIDE};
use super::network::{Network, NetworkError, output_of};
use super::template::{DIMENSIONS, Template, TemplateError};
use thiserror::Error;

/// Why a crop has no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EmbedError {
    /// The network failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Its output has no direction.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The network reads pictures of another size.
    #[error("the embedder reads {width}x{height} pixels, but aligned faces have {CROP_SIDE}x{CROP_SIDE}")]
    InputSize {
        /// Width of its input.
        width: usize,
        /// Height of its input.
        height: usize,
    },
}

/// The embedder network.
pub struct Embedder {
    network: Box<dyn Network>,
    embedding_id: u32,
}

impl Embedder {
    /// An embedder of a compiled network; its templates carry `embedding_id`.
    ///
    /// # Errors
    /// When the network does not read aligned crops.
    pub fn new(network: Box<dyn Network>, embedding_id: u32) -> Result<Self, EmbedError> {
        let (height, width) = network.input_size();
        if (height, width) != (CROP_SIDE, CROP_SIDE) {
            return Err(EmbedError::InputSize { width, height });
        }
        Ok(Self { network, embedding_id })
    }

    /// The number that its templates carry.
    #[must_use]
    pub fn embedding_id(&self) -> u32 {
        self.embedding_id
    }

    /// The template of an aligned crop, `[112, 112, 3]` u8 RGB, which has the given quality.
    ///
    /// # Errors
    /// When the network fails, or says nothing about the crop.
    pub fn embed(&mut self, crop: &[u8; CROP_BYTES], quality: u8) -> Result<Template, EmbedError> {
        self.network.run(crop)?;
        let output = output_of(&*self.network, 0, (1, 1, DIMENSIONS))?;
        Ok(Template::from_output(output.values, output.zero_point, quality, self.embedding_id)?)
    }
}
