//! Convolutions: checked and packed once, then run by rows.

use std::ops::Range;

use thiserror::Error;

use super::isa::Isa;
use super::requant::Requant;
use super::scalar;
use super::shape::ConvShape;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
#[cfg(target_arch = "aarch64")]
use super::{neon, neon_dot};

/// Largest height, width, channel count, stride or padding; a choice that keeps all products in range.
pub const MAX_SIDE: usize = 1 << 14;

/// Tallest kernel of a depthwise convolution; a choice, twice what a 112-pixel network ends in.
pub const MAX_DEPTHWISE_ROWS: usize = 16;

/// Why a convolution cannot be computed exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConvError {
    /// The kernel does not fit into the padded input, or a size is zero.
    #[error("the output would be empty")]
    Empty,
    /// A size is beyond what any picture network has.
    #[error("a size of {size} (at most {MAX_SIDE})")]
    TooLarge {
        /// The size.
        size: usize,
    },
    /// The kernel of a depthwise convolution is too tall.
    #[error("a depthwise kernel of {rows} rows (at most {MAX_DEPTHWISE_ROWS})")]
    TooTall {
        /// Its rows.
        rows: usize,
    },
    /// Weights, biases or scales do not belong to the shape.
    #[error("{what}: {len} values instead of {needed}")]
    Length {
        /// Which values.
        what: &'static str,
        /// How many there are.
        len: usize,
        /// How many there should be.
        needed: usize,
    },
    /// -128 would overflow pairs of products in 16 bits; weights are symmetric, -127 to 127.
    #[error("filter {filter} has a weight of -128")]
    Weight {
        /// The filter.
        filter: usize,
    },
    /// The largest sum of this filter does not fit, before or after scaling.
    #[error("filter {filter} can overflow")]
    Overflow {
        /// The filter.
        filter: usize,
    },
}

/// What a convolution computes.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvSpec {
    /// Its geometry.
    pub shape: ConvShape,
    /// `[filters, kernel height, kernel width, channels]`, or `[filters, kernel height, kernel width]` when
    /// depthwise; -127..=127.
    pub weights: Vec<i8>,
    /// By filter, in units of `input_scale * weight_scale`.
    pub bias: Vec<i32>,
    /// Zero point of the input, also the value of its padding.
    pub input_zero_point: i8,
    /// From sums to the output.
    pub requant: Requant,
}

impl ConvSpec {
    /// Checks that lengths agree and that nothing can overflow.
    ///
    /// # Errors
    /// The first thing found wrong.
    pub fn check(&self) -> Result<(), ConvError> {
        let shape = &self.shape;
        if let Some(size) = shape.sizes().find(|&size| size > MAX_SIDE) {
            return Err(ConvError::TooLarge { size });
        }
        if shape.output_len() == 0 || (shape.depthwise && shape.filters != shape.channels) {
            return Err(ConvError::Empty);
        }
        if shape.depthwise && shape.kernel[0] > MAX_DEPTHWISE_ROWS {
            return Err(ConvError::TooTall { rows: shape.kernel[0] });
        }
        let expect = |what, len, needed| {
            if len == needed { Ok(()) } else { Err(ConvError::Length { what, len, needed }) }
        };
        expect("weights", self.weights.len(), shape.filters * shape.filter_len())?;
        expect("biases", self.bias.len(), shape.filters)?;
        expect("scales", self.requant.scale.len(), shape.filters)?;
        if let Some(slope) = &self.requant.slope {
            expect("slopes", slope.len(), shape.filters)?;
        }
        self.filters().enumerate().try_for_each(|(filter, weights)| self.check_filter(filter, weights))
    }

    fn check_filter(&self, filter: usize, weights: &[i8]) -> Result<(), ConvError> {
        if weights.contains(&-128) {
            return Err(ConvError::Weight { filter });
        }
        let total: u64 = weights.iter().map(|w| u64::from(w.unsigned_abs())).sum();
        // 255 steps at most from the zero point, and as much again for what kernels fold into the bias.
        let largest = 2 * 255 * total + u64::from(self.bias[filter].unsigned_abs());
        let fits = largest < i32::MAX as u64 && self.requant.fits(largest as f64, filter);
        if fits { Ok(()) } else { Err(ConvError::Overflow { filter }) }
    }

    /// The weights of each filter.
    pub fn filters(&self) -> impl Iterator<Item = &[i8]> {
        self.weights.chunks_exact(self.shape.filter_len().max(1))
    }
}

/// Weights in the order in which the kernels of one instruction set read them.
#[derive(Debug, Clone)]
enum Packed {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Token, avx2::Packed),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Token, avx512::Packed),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Token, neon::Packed),
    #[cfg(target_arch = "aarch64")]
    NeonDot(neon_dot::Token, neon_dot::Packed),
}

/// A convolution, ready to run.
#[derive(Debug, Clone)]
pub struct Conv {
    spec: ConvSpec,
    packed: Packed,
}

impl Conv {
    /// Checks `spec` and packs its weights for `isa`.
    ///
    /// # Errors
    /// As [`ConvSpec::check`].
    pub fn new(spec: ConvSpec, isa: Isa) -> Result<Self, ConvError> {
        spec.check()?;
        let packed = match isa {
            Isa::Scalar => Packed::Scalar,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => Packed::Avx2(token, avx2::Packed::new(&spec)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(token) => Packed::Avx512(token, avx512::Packed::new(&spec)),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(token) => Packed::Neon(token, neon::Packed::new(&spec)),
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot(token) => Packed::NeonDot(token, neon_dot::Packed::new(&spec)),
        };
        Ok(Self { spec, packed })
    }

    /// Its geometry.
    pub fn shape(&self) -> &ConvShape {
        &self.spec.shape
    }

    /// Bytes of scratch that [`Conv::run_rows`] needs.
    pub fn scratch_len(&self) -> usize {
        match &self.packed {
            Packed::Scalar => 0,
            #[cfg(target_arch = "x86_64")]
            Packed::Avx2(_, packed) => packed.scratch_len(&self.spec),
            #[cfg(target_arch = "x86_64")]
            Packed::Avx512(_, packed) => packed.scratch_len(&self.spec),
            #[cfg(target_arch = "aarch64")]
            Packed::Neon(_, packed) => packed.scratch_len(&self.spec),
            #[cfg(target_arch = "aarch64")]
            Packed::NeonDot(_, packed) => packed.scratch_len(&self.spec),
        }
    }

    /// Computes `rows` of the output into `out`, which holds exactly these rows.
    ///
    /// # Panics
    /// When a buffer has another length than the shape says, or `rows` leaves the output.
    pub fn run_rows(&self, input: &[i8], rows: Range<usize>, scratch: &mut [i8], out: &mut [i8]) {
        let shape = &self.spec.shape;
        assert!(rows.start <= rows.end && rows.end <= shape.output()[0], "rows {rows:?}");
        assert_eq!(input.len(), shape.input_len(), "input");
        assert_eq!(out.len(), rows.len() * shape.output_row(), "output");
        assert!(scratch.len() >= self.scratch_len(), "scratch");
        match &self.packed {
            Packed::Scalar => scalar::conv_rows(&self.spec, input, rows, out),
            #[cfg(target_arch = "x86_64")]
            Packed::Avx2(token, packed) => packed.run(*token, &self.spec, input, rows, (scratch, out)),
            #[cfg(target_arch = "x86_64")]
            Packed::Avx512(token, packed) => packed.run(*token, &self.spec, input, rows, (scratch, out)),
            #[cfg(target_arch = "aarch64")]
            Packed::Neon(token, packed) => packed.run(*token, &self.spec, input, rows, (scratch, out)),
            #[cfg(target_arch = "aarch64")]
            Packed::NeonDot(token, packed) => packed.run(*token, &self.spec, input, rows, (scratch, out)),
        }
    }
}
