//! AArch64 with dot product (Cortex-A55, A76): SDOT by lane for dense layers.
//!
//! Depthwise layers run on the kernels of [`super::neon`].

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::conv::ConvSpec;
use super::gemm::{self, Band, Columns, Layout};
use super::neon::{self, Finish, Plain};

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

/// Pixels of a tile: 16 of the 32 registers are sums, 10 hold inputs and weights.
const TILE: usize = 8;

/// Values of one channel that an SDOT takes.
const GROUP: usize = 4;

/// Values of a whole vector; half as many may end a run.
const WHOLE: usize = 16;

/// A convolution's weights for these kernels.
#[derive(Debug, Clone)]
pub(crate) enum Packed {
    Depthwise(neon::Packed),
    Dense(Dense),
}

impl Packed {
    pub(crate) fn new(spec: &ConvSpec) -> Self {
        if spec.shape.depthwise {
            return Self::Depthwise(neon::Packed::new(spec));
        }
        let columns = gemm::columns(spec.shape.filters, BLOCK, |lane| lane);
        let layout = Layout::new(&spec.shape, neon::HALF);
        let weights = gemm::pack(spec, &columns, (BLOCK, GROUP), &layout);
        let filters = spec.shape.filters;
        Self::Dense(Dense { weights, columns: Columns::new(spec, &columns, 0), layout, filters })
    }

    pub(crate) fn scratch_len(&self, spec: &ConvSpec) -> usize {
        match self {
            Self::Depthwise(packed) => packed.scratch_len(spec),
            Self::Dense(dense) => gemm::scratch_len::<Plain>(spec, &dense.layout),
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
            Self::Dense(dense) => {
                gemm::for_bands::<Plain>(spec, &dense.layout, input, rows, (scratch, out), |band, out| {
                    // SAFETY: the token proves that the CPU has the instructions.
                    unsafe { dense.run(&band, out) }
                });
            }
        }
    }
}

/// A dense layer.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    weights: Vec<i8>,
    columns: Columns,
    layout: Layout,
    filters: usize,
}

impl Dense {
    #[target_feature(enable = "neon,dotprod")]
    fn run(&self, band: &Band<'_>, out: &mut [i8]) {
        for first in (0..self.filters).step_by(BLOCK) {
            for (pixel, size) in gemm::tiles(band.count, TILE) {
                match size {
                    1 => self.tile::<1>(band, (first, pixel), out),
                    2 => self.tile::<2>(band, (first, pixel), out),
                    3 => self.tile::<3>(band, (first, pixel), out),
                    4 => self.tile::<4>(band, (first, pixel), out),
                    5 => self.tile::<5>(band, (first, pixel), out),
                    6 => self.tile::<6>(band, (first, pixel), out),
                    7 => self.tile::<7>(band, (first, pixel), out),
                    _ => self.tile::<TILE>(band, (first, pixel), out),
                }
            }
        }
    }

    /// `M` pixels from `pixel`, and eight channels from `first`.
    #[target_feature(enable = "neon,dotprod")]
    fn tile<const M: usize>(&self, band: &Band<'_>, (first, pixel): (usize, usize), out: &mut [i8]) {
        let Layout { runs, run, row, .. } = band.layout;
        let depth = band.layout.depth();
        let starts = band.starts::<M>(pixel);
        assert!(starts[M - 1] + (runs - 1) * row + run <= band.values.len(), "all taps are in the copy");
        let mut weights = self.weights[first * depth..][..BLOCK * depth].as_ptr();
        let mut sums = [[neon::bias(&self.columns, first), neon::bias(&self.columns, first + 4)]; M];
        for index in 0..runs {
            // SAFETY: pixels follow one another, so the last one's runs, which are inside, end last.
            let values = starts.map(|start| unsafe { band.values.as_ptr().add(start + index * row) });
            for at in (0..run - run % WHOLE).step_by(WHOLE) {
                // SAFETY: at + WHOLE <= run, and so many of each of BLOCK filters are left of `weights`.
                unsafe {
                    let x = values.map(|values| vld1q_s8(values.add(at)));
                    group::<0, M>(&mut sums, &x, weights);
                    group::<1, M>(&mut sums, &x, weights.add(GROUP * BLOCK));
                    group::<2, M>(&mut sums, &x, weights.add(2 * GROUP * BLOCK));
                    group::<3, M>(&mut sums, &x, weights.add(3 * GROUP * BLOCK));
                    weights = weights.add(WHOLE * BLOCK);
                }
            }
            if run % WHOLE != 0 {
                // SAFETY: HALF values of the run are left, and so many of each of BLOCK filters.
                unsafe {
                    let half = |values: *const i8| vld1_s8(values.add(run - neon::HALF));
                    let x = values.map(|values| vcombine_s8(half(values), vdup_n_s8(0)));
                    group::<0, M>(&mut sums, &x, weights);
                    group::<1, M>(&mut sums, &x, weights.add(GROUP * BLOCK));
                    weights = weights.add(neon::HALF * BLOCK);
                }
            }
        }
        let finish = Finish::eight(&self.columns, first);
        let channels = first..self.filters.min(first + BLOCK);
        let out = &mut out[pixel * self.filters..][..M * self.filters];
        for (&sums, out) in sums.iter().zip(out.chunks_exact_mut(self.filters)) {
            store(finish.apply(sums), &mut out[channels.clone()]);
        }
    }
}

/// Adds the products of the four inputs of lane `LANE` of each pixel with those of eight filters.
///
/// # Safety
/// 32 weights can be read.
#[target_feature(enable = "neon,dotprod")]
#[inline]
unsafe fn group<const LANE: i32, const M: usize>(
    sums: &mut [[int32x4_t; 2]; M],
    x: &[int8x16_t; M],
    weights: *const i8,
) {
    // SAFETY: the caller's promise.
    let w = unsafe { [vld1q_s8(weights), vld1q_s8(weights.add(GROUP * 4))] };
    for (sums, &x) in sums.iter_mut().zip(x) {
        for (sum, w) in sums.iter_mut().zip(w) {
            *sum = sdot::<LANE>(*sum, w, x);
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
