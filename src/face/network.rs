//! What this room asks of a compiled network: u8 pixels in, int8 tensors out.
//!
//! The real one is in [`inference`]; tests stand in with tables.

use crate::inference;
use thiserror::Error;

/// Why a network gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// It did not run.
    #[error("the network did not run: {reason}")]
    Run {
        /// Its own words.
        reason: String,
    },
    /// An output is missing, or has another shape than the manifest says.
    #[error("output {index} of the network is {found}, but the manifest says {expected}")]
    Output {
        /// Which output.
        index: usize,
        /// Its shape, or that there is none.
        found: String,
        /// What it should be.
        expected: String,
    },
}

/// An int8 tensor `[rows, columns, channels]`, row-major; the number is `(value - zero_point) * scale`.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// `rows * columns * channels` numbers.
    pub values: &'a [i8],
    /// Rows of cells; 1 for a vector.
    pub rows: usize,
    /// Cells in a row; 1 for a vector.
    pub columns: usize,
    /// Numbers in a cell.
    pub channels: usize,
    /// What a step is worth.
    pub scale: f32,
    /// The value of zero.
    pub zero_point: i8,
}

impl Output<'_> {
    /// The number that `value` stands for.
    #[must_use]
    pub fn number(&self, value: i8) -> f32 {
        f32::from(i16::from(value) - i16::from(self.zero_point)) * self.scale
    }

    /// The numbers of one cell.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> &[i8] {
        &self.values[(row * self.columns + column) * self.channels..][..self.channels]
    }

    /// Its shape in words.
    fn shape(&self) -> String {
        format!("{}x{}x{}", self.rows, self.columns, self.channels)
    }
}

/// A compiled network.
pub trait Network: Send {
    /// Height and width of its input, `[1, height, width, 3]` u8 RGB.
    fn input_size(&self) -> (usize, usize);

    /// Runs it on `pixels`, `[height, width, 3]`.
    ///
    /// # Errors
    /// When `pixels` has another length than its input, or it fails; then the outputs are undefined.
    fn run(&mut self, pixels: &[u8]) -> Result<(), NetworkError>;

    /// Output `index` of the last run, in the order of the model file; `None` behind the last.
    fn output(&self, index: usize) -> Option<Output<'_>>;
}

impl Network for inference::Network {
    fn input_size(&self) -> (usize, usize) {
        let [height, width, _] = self.input_shape();
        (height, width)
    }

    fn run(&mut self, pixels: &[u8]) -> Result<(), NetworkError> {
        inference::Network::run(self, pixels).map_err(|error| NetworkError::Run { reason: error.to_string() })
    }

    fn output(&self, index: usize) -> Option<Output<'_>> {
        let meaning = self.outputs().get(index)?;
        let [rows, columns, channels] = meaning.shape;
        Some(Output {
            values: inference::Network::output(self, index),
            rows,
            columns,
            channels,
            scale: meaning.scale,
            zero_point: meaning.zero_point,
        })
    }
}

/// Output `index`, which must have `shape` (rows, columns, channels).
pub(super) fn output_of<'a>(
    network: &'a dyn Network,
    index: usize,
    shape: (usize, usize, usize),
) -> Result<Output<'a>, NetworkError> {
    let expected = || format!("{}x{}x{}", shape.0, shape.1, shape.2);
    let found = network.output(index);
    match found {
        Some(output) if (output.rows, output.columns, output.channels) == shape => Ok(output),
        Some(output) => Err(NetworkError::Output { index, found: output.shape(), expected: expected() }),
        None => Err(NetworkError::Output { index, found: "missing".into(), expected: expected() }),
    }
}
