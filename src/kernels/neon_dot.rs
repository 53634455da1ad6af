//! AArch64 with dot product (Cortex-A55, A76): SDOT by lane for dense layers.
//!
//! Depthwise layers run on the kernels of [`super::neon`].

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::conv::ConvSpec;
use super::gemm::{self, Columns, Patches};
use super::neon;

/// Proof that this CPU has NEON and the dot product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(neon::Token);

impl Token {
    /// Asks the CPU.
    pub fn new() -> Option<Self> {
        let neon = neon::Token::new()?;
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Self(neon))
    }

    /// The proof of NEON alone.
    pub fn neon(self) -> neon::Token {
        self.0
    }
}

/// Channels of a tile: two vectors of sums.
const BLOCK: usize = 8;

/// Pixels of a tile: 12 of the 32 registers are sums, 14 hold inputs and weights.
const TILE: usize = 6;

/// A convolution's weights for these kernels.
#[derive(Debug, Clone)]
pub(crate) enum Packed {
    Depthwise(neon::Packed),
    Dense { weights: Vec<i8>, columns: Columns },
}

impl Packed {
    pub(crate) fn new(spec: &ConvSpec) -> Self {
        if spec.shape.depthwise {
            return Self::Depthwise(neon::Packed::new(spec));
        }
        let columns = gemm::columns(spec.shape.filters, BLOCK, |lane| lane);
        let weights = gemm::pack(spec, &columns, (BLOCK, 4), depth(spec));
        Self::Dense { weights, columns: Columns::new(spec, &columns, 0) }
    }

    pub(crate) fn scratch_len(&self, spec: &ConvSpec) -> usize {
        match self {
            Self::Depthwise(packed) => packed.scratch_len(spec),
            Self::Dense { .. } => gemm::scratch_len(spec, depth(spec)),
        }
    }

    pub(crate) fn run(
        &self,
        token: Token,
        spec: &ConvSpec,
        input: &[i8],
        rows: Range<usize>,
        (scratch, out): (&mut [i8], &mut [i8]),
    ) {
        match self {
            Self::Depthwise(packed) => packed.run(token.neon(), spec, input, rows, (scratch, out)),
            Self::Dense { weights, columns } => {
                gemm::for_patches(spec, input, rows, depth(spec), (scratch, out), |patches, out| {
                    let dense = Dense { weights, columns, filters: spec.shape.filters };
                    // SAFETY: the token proves that the CPU has the instructions.
                    unsafe { dense.run(&patches, out) }
                });
            }
        }
    }
}

/// Values of a patch, padded to whole vectors.
fn depth(spec: &ConvSpec) -> usize {
    spec.shape.filter_len().next_multiple_of(16)
}

/// A dense layer at work.
struct Dense<'a> {
    weights: &'a [i8],
    columns: &'a Columns,
    filters: usize,
}

impl Dense<'_> {
    #[target_feature(enable = "neon,dotprod")]
    fn run(&self, patches: &Patches<'_>, out: &mut [i8]) {
        for first in (0..self.filters).step_by(BLOCK) {
            for pixel in (0..patches.count).step_by(TILE) {
                match patches.count - pixel {
                    1 => self.tile::<1>(patches, (first, pixel), out),
                    2 => self.tile::<2>(patches, (first, pixel), out),
                    3 => self.tile::<3>(patches, (first, pixel), out),
                    4 => self.tile::<4>(patches, (first, pixel), out),
                    5 => self.tile::<5>(patches, (first, pixel), out),
                    _ => self.tile::<TILE>(patches, (first, pixel), out),
                }
            }
        }
    }

    /// `M` pixels from `pixel`, and eight channels from `first`.
    #[target_feature(enable = "neon,dotprod")]
    fn tile<const M: usize>(&self, patches: &Patches<'_>, (first, pixel): (usize, usize), out: &mut [i8]) {
        let depth = patches.step;
        let values = &patches.values[pixel * depth..][..M * depth];
        let weights = &self.weights[first * depth..][..BLOCK * depth];
        let mut sums = [[neon::bias(self.columns, first), neon::bias(self.columns, first + 4)]; M];
        for at in (0..depth).step_by(16) {
            let mut x = [vdupq_n_s8(0); M];
            for (m, x) in x.iter_mut().enumerate() {
                // SAFETY: `values` holds M rows of depth bytes, and at + 16 <= depth.
                *x = unsafe { vld1q_s8(values.as_ptr().add(m * depth + at)) };
            }
            let mut w = [vdupq_n_s8(0); 8];
            for (i, w) in w.iter_mut().enumerate() {
                // SAFETY: `weights` holds depth / 4 groups of two vectors, and at + 16 <= depth.
                *w = unsafe { vld1q_s8(weights.as_ptr().add(at * BLOCK + i * 16)) };
            }
            for (sums, &x) in sums.iter_mut().zip(&x) {
                for v in 0..2 {
                    sums[v] = sdot::<0>(sums[v], w[v], x);
                    sums[v] = sdot::<1>(sums[v], w[2 + v], x);
                    sums[v] = sdot::<2>(sums[v], w[4 + v], x);
                    sums[v] = sdot::<3>(sums[v], w[6 + v], x);
                }
            }
        }
        for (m, &sums) in sums.iter().enumerate() {
            let at = (pixel + m) * self.filters;
            let out = &mut out[at + first..at + self.filters.min(first + BLOCK)];
            store(neon::eight(self.columns, sums, first), out);
        }
    }
}

/// Adds to each of four sums the products of its four weights with the four inputs of lane `LANE`.
///
/// Written in assembler because the intrinsic is not stable.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn sdot<const LANE: i32>(mut sums: int32x4_t, weights: int8x16_t, inputs: int8x16_t) -> int32x4_t {
    // SAFETY: the function's target feature is the instruction's only requirement; it touches registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {inputs:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            inputs = in(vreg) inputs,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Writes as many bytes as `out` takes, at most eight.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn store(bytes: int8x8_t, out: &mut [i8]) {
    if let Some(out) = out.first_chunk_mut::<BLOCK>() {
        // SAFETY: the array is eight bytes long.
        unsafe { vst1_s8(out.as_mut_ptr(), bytes) };
    } else {
        let mut buffer = [0_i8; BLOCK];
        // SAFETY: the array is eight bytes long.
        unsafe { vst1_s8(buffer.as_mut_ptr(), bytes) };
        out.copy_from_slice(&buffer[..out.len()]);
    }
}
