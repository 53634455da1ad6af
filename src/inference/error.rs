//! Why a network is refused.

use thiserror::Error;

use crate::kernels::conv::ConvError;

/// Why a model file is not a network that can be run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file is larger than any model of a face lock.
    #[error("the model has {len} bytes, more than {max}")]
    TooLarge {
        /// Its bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// It is no ONNX file, is damaged, or its graph does not hold together.
    #[error("no valid ONNX model: {reason}")]
    Damaged {
        /// What tract said.
        reason: String,
    },
    /// An operator that has no int8 form here.
    #[error("node {node}: {reason}")]
    Unsupported {
        /// Name of the node in the ONNX file.
        node: String,
        /// What is not supported.
        reason: String,
    },
    /// A convolution that cannot be computed exactly.
    #[error("node {node}: {source}")]
    Conv {
        /// Name of the node in the ONNX file.
        node: String,
        /// What is wrong with it.
        source: ConvError,
    },
    /// The input or output does not follow the contract.
    #[error("{what}")]
    Contract {
        /// What is expected.
        what: String,
    },
    /// Activations would need more memory than allowed.
    #[error("the network needs {needed} bytes of memory, more than {max}")]
    Memory {
        /// Bytes needed.
        needed: usize,
        /// The limit.
        max: usize,
    },
    /// The threads could not be started.
    #[error("cannot start threads")]
    Threads {
        /// Why not.
        source: std::io::Error,
    },
}

/// Why a run did not happen.
#[derive(Debug, Error)]
pub enum RunError {
    /// The picture has another size than the network's input.
    #[error("{len} bytes of pixels instead of {needed}")]
    Pixels {
        /// Bytes given.
        len: usize,
        /// Bytes of the input.
        needed: usize,
    },
    /// tract failed on an unfused network.
    #[error("tract: {reason}")]
    Tract {
        /// What tract said.
        reason: String,
    },
}
