//! AArch64 without dot product (Cortex-A53, A72): SMULL, SMLAL and SADALP.
//!
//! Two products of -128..=127 by -127..=127 fit into 16 bits, so each pair is summed there and then
//! added to 32-bit sums.

use std::arch::aarch64::*;
use std::ops::Range;

use super::add::AddSpec;
use super::conv::ConvSpec;
use super::depthwise::{self, Taps};
use super::gemm::{self, Band, Columns, Layout, Value};
use super::shape::ConvShape;

/// Proof that this CPU has NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(());

impl Token {
    /// Asks the CPU.
    pub fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// Channels of a depthwise block.
const BLOCK: usize = 16;

/// Pixels and channels of a tile: 16 of the 32 registers are sums.
const TILE: usize = 4;

/// Values of a whole vector, and of the half that may end a run.
const GROUP: usize = 16;
pub(super) const HALF: usize = 8;

/// i8 as it is.
pub(super) struct Plain;

impl Value for Plain {
    const BYTES: usize = 1;
    const PLAIN: bool = true;

    #[inline]
    fn put(from: &[i8], to: &mut [i8]) {
        copy(from, to);
    }

    fn fill(value: i8, to: &mut [i8]) {
        to.fill(value);
    }
}

/// Copies without a call for the short runs of small layers.
#[inline]
fn copy(from: &[i8], to: &mut [i8]) {
    const CHUNK: usize = 8;
    let len = from.len();
    if !(CHUNK..=8 * CHUNK).contains(&len) {
        return to.copy_from_slice(from);
    }
    for (from, to) in from.chunks_exact(CHUNK).zip(to.chunks_exact_mut(CHUNK)) {
        to.copy_from_slice(from);
    }
    to[len - CHUNK..].copy_from_slice(&from[len - CHUNK..]);
}

/// A convolution's weights for these kernels.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    weights: Vec<i8>,
    columns: Columns,
    layout: Layout,
}

impl Packed {
    pub(crate) fn new(spec: &ConvSpec) -> Self {
        let columns = gemm::columns(spec.shape.filters, BLOCK, |lane| lane);
        let layout = Layout::new(&spec.shape, HALF);
        let weights = if spec.shape.depthwise {
            pack_depthwise(spec, &columns)
        } else {
            gemm::pack(spec, &columns, (TILE, GROUP), &layout)
        };
        Self { weights, columns: Columns::new(spec, &columns, 0), layout }
    }

    pub(crate) fn scratch_len(&self, spec: &ConvSpec) -> usize {
        if spec.shape.depthwise {
            depthwise::scratch_len(spec)
        } else {
            gemm::scratch_len::<Plain>(spec, &self.layout)
        }
    }

    pub(crate) fn run(
        &self,
        _: Token,
        spec: &ConvSpec,
        input: &[i8],
        rows: Range<usize>,
        (scratch, out): (&mut [i8], &mut [i8]),
    ) {
        if spec.shape.depthwise {
            depthwise::for_rows(spec, input, rows, (scratch, out), |taps, out| {
                // SAFETY: the token proves that the CPU has the instructions.
                unsafe { self.depthwise(&spec.shape, &taps, out) }
            });
        } else {
            gemm::for_bands::<Plain>(spec, &self.layout, input, rows, (scratch, out), |band, out| {
                // SAFETY: the token proves that the CPU has the instructions.
                unsafe { self.gemm(&band, spec.shape.filters, out) }
            });
        }
    }

    #[target_feature(enable = "neon")]
    fn gemm(&self, band: &Band<'_>, filters: usize, out: &mut [i8]) {
        for first in (0..filters).step_by(TILE) {
            for (pixel, size) in gemm::tiles(band.count, TILE) {
                let place = (filters, first, pixel);
                match size {
                    1 => self.tile::<1>(band, place, out),
                    2 => self.tile::<2>(band, place, out),
                    3 => self.tile::<3>(band, place, out),
                    _ => self.tile::<TILE>(band, place, out),
                }
            }
        }
    }

    /// `M` pixels from `pixel`, and four channels from `first`.
    #[target_feature(enable = "neon")]
    fn tile<const M: usize>(
        &self,
        band: &Band<'_>,
        (filters, first, pixel): (usize, usize, usize),
        out: &mut [i8],
    ) {
        let Layout { runs, run, row, .. } = band.layout;
        let depth = band.layout.depth();
        let starts = band.starts::<M>(pixel);
        assert!(starts[M - 1] + (runs - 1) * row + run <= band.values.len(), "all taps are in the copy");
        let mut weights = self.weights[first * depth..][..TILE * depth].as_ptr();
        let mut sums = [[vdupq_n_s32(0); TILE]; M];
        for index in 0..runs {
            // SAFETY: pixels follow one another, so the last one's runs, which are inside, end last.
            let values = starts.map(|start| unsafe { band.values.as_ptr().add(start + index * row) });
            for at in (0..run - run % GROUP).step_by(GROUP) {
                // SAFETY: at + GROUP <= run, and so many of each of TILE filters are left of `weights`.
                unsafe {
                    whole(&mut sums, values.map(|values| vld1q_s8(values.add(at))), weights);
                    weights = weights.add(TILE * GROUP);
                }
            }
            if run % GROUP != 0 {
                // SAFETY: HALF values of the run are left, and so many of each of TILE filters.
                unsafe {
                    half(&mut sums, values.map(|values| vld1_s8(values.add(run - HALF))), weights);
                    weights = weights.add(TILE * HALF);
                }
            }
        }
        let bias = bias(&self.columns, first);
        let totals = sums.map(|sums| {
            let pairs = vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
            vaddq_s32(pairs, bias)
        });
        let finish = Finish::four(&self.columns, first);
        let len = TILE.min(filters - first);
        let out = &mut out[pixel * filters + first..(pixel + M - 1) * filters + first + len];
        for m in (0..M).step_by(2) {
            let other = (m + 1).min(M - 1);
            let words = vreinterpret_u32_s8(finish.apply([totals[m], totals[other]]));
            store_four(vget_lane_u32::<0>(words), &mut out[m * filters..][..len]);
            store_four(vget_lane_u32::<1>(words), &mut out[other * filters..][..len]);
        }
    }

    #[target_feature(enable = "neon")]
    fn depthwise(&self, shape: &ConvShape, taps: &Taps<'_>, out: &mut [i8]) {
        for first in (0..shape.channels).step_by(BLOCK) {
            if shape.kernel == [3, 3] {
                self.depthwise_block::<9>(shape, taps, first, out);
            } else {
                self.depthwise_any(shape, taps, first, out);
            }
        }
    }

    /// One block of 16 channels of a kernel of `N` taps, whose weights stay in registers.
    #[target_feature(enable = "neon")]
    fn depthwise_block<const N: usize>(
        &self,
        shape: &ConvShape,
        taps: &Taps<'_>,
        first: usize,
        out: &mut [i8],
    ) {
        let len = (shape.channels - first).min(BLOCK);
        let width = shape.kernel[1];
        let mut w = [vdupq_n_s8(0); N];
        for (tap, w) in w.iter_mut().enumerate() {
            *w = load(&self.weights[first * N + tap * BLOCK..][..BLOCK]);
        }
        for pixel in 0..taps.count {
            let at = pixel * taps.step + first;
            let x = |tap: usize| load(&taps.rows[tap / width][at + tap % width * shape.channels..][..len]);
            let mut sums = biases(&self.columns, first);
            for tap in (0..N - 1).step_by(2) {
                accumulate(&mut sums, [x(tap), x(tap + 1)], [w[tap], w[tap + 1]]);
            }
            if N % 2 == 1 {
                accumulate(&mut sums, [x(N - 1), vdupq_n_s8(0)], [w[N - 1], vdupq_n_s8(0)]);
            }
            finish_block(&self.columns, sums, first, &mut out[pixel * shape.channels + first..][..len]);
        }
    }

    /// One block of 16 channels of any kernel.
    #[target_feature(enable = "neon")]
    fn depthwise_any(&self, shape: &ConvShape, taps: &Taps<'_>, first: usize, out: &mut [i8]) {
        let len = (shape.channels - first).min(BLOCK);
        let [height, width] = shape.kernel;
        let weights = &self.weights[first * height * width..][..BLOCK * height * width];
        for pixel in 0..taps.count {
            let mut sums = biases(&self.columns, first);
            for (row, weights) in taps.rows.iter().zip(weights.chunks_exact(BLOCK * width)) {
                for (column, w) in weights.chunks_exact(BLOCK).enumerate() {
                    let at = pixel * taps.step + column * shape.channels + first;
                    let x = load(&row[at..][..len]);
                    accumulate(&mut sums, [x, vdupq_n_s8(0)], [load(w), vdupq_n_s8(0)]);
                }
            }
            finish_block(&self.columns, sums, first, &mut out[pixel * shape.channels + first..][..len]);
        }
    }
}

/// Adds the products of 16 values of each pixel with those of four filters, which lie one behind another.
///
/// # Safety
/// 64 weights can be read.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn whole<const M: usize>(sums: &mut [[int32x4_t; TILE]; M], x: [int8x16_t; M], weights: *const i8) {
    for n in 0..TILE {
        // SAFETY: the caller's promise.
        let w = unsafe { vld1q_s8(weights.add(n * GROUP)) };
        for (sums, &x) in sums.iter_mut().zip(&x) {
            let front = vmull_s8(vget_low_s8(x), vget_low_s8(w));
            sums[n] = vpadalq_s16(sums[n], vmlal_high_s8(front, x, w));
        }
    }
}

/// Adds the products of eight values, as [`whole`].
///
/// # Safety
/// 32 weights can be read.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn half<const M: usize>(sums: &mut [[int32x4_t; TILE]; M], x: [int8x8_t; M], weights: *const i8) {
    for n in 0..TILE {
        // SAFETY: the caller's promise.
        let w = unsafe { vld1_s8(weights.add(n * HALF)) };
        for (sums, &x) in sums.iter_mut().zip(&x) {
            sums[n] = vpadalq_s16(sums[n], vmull_s8(x, w));
        }
    }
}

/// Depthwise weights as `[block][tap][lane]`.
fn pack_depthwise(spec: &ConvSpec, columns: &[Option<usize>]) -> Vec<i8> {
    let taps = spec.shape.filter_len();
    let mut packed = vec![];
    for block in columns.chunks_exact(BLOCK) {
        for tap in 0..taps {
            packed.extend(block.iter().map(|filter| filter.map_or(0, |f| spec.weights[f * taps + tap])));
        }
    }
    packed
}

/// Adds the products of two taps of 16 channels.
#[target_feature(enable = "neon")]
#[inline]
fn accumulate(sums: &mut [int32x4_t; 4], x: [int8x16_t; 2], w: [int8x16_t; 2]) {
    let low = vget_low_s8;
    let front = vmlal_s8(vmull_s8(low(x[0]), low(w[0])), low(x[1]), low(w[1]));
    let back = vmlal_high_s8(vmull_high_s8(x[0], w[0]), x[1], w[1]);
    sums[0] = vaddw_s16(sums[0], vget_low_s16(front));
    sums[1] = vaddw_high_s16(sums[1], front);
    sums[2] = vaddw_s16(sums[2], vget_low_s16(back));
    sums[3] = vaddw_high_s16(sums[3], back);
}

/// Four biases from lane `first`.
#[target_feature(enable = "neon")]
#[inline]
pub(super) fn bias(columns: &Columns, first: usize) -> int32x4_t {
    // SAFETY: the slice is four values long.
    unsafe { vld1q_s32(columns.bias[first..][..4].as_ptr()) }
}

/// Sixteen biases from lane `first`.
#[target_feature(enable = "neon")]
#[inline]
fn biases(columns: &Columns, first: usize) -> [int32x4_t; 4] {
    [bias(columns, first), bias(columns, first + 4), bias(columns, first + 8), bias(columns, first + 12)]
}

/// From sums to outputs for eight lanes, loaded once for many pixels.
pub(super) struct Finish {
    scale: [float32x4_t; 2],
    slope: Option<[float32x4_t; 2]>,
    zero_point: int16x8_t,
    low: int8x8_t,
}

impl Finish {
    /// For the eight lanes from `first`.
    #[target_feature(enable = "neon")]
    #[inline]
    pub(super) fn eight(columns: &Columns, first: usize) -> Self {
        Self::new(columns, [first, first + 4])
    }

    /// For the four lanes from `first`, of two pixels.
    #[target_feature(enable = "neon")]
    #[inline]
    fn four(columns: &Columns, first: usize) -> Self {
        Self::new(columns, [first, first])
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn new(columns: &Columns, firsts: [usize; 2]) -> Self {
        // SAFETY: each slice is four values long.
        let load = |values: &[f32]| firsts.map(|first| unsafe { vld1q_f32(values[first..][..4].as_ptr()) });
        Self {
            scale: load(&columns.scale),
            slope: columns.slope.as_deref().map(load),
            zero_point: vdupq_n_s16(i16::from(columns.zero_point)),
            low: vdup_n_s8(columns.low),
        }
    }

    #[target_feature(enable = "neon")]
    #[inline]
    pub(super) fn apply(&self, sums: [int32x4_t; 2]) -> int8x8_t {
        let mut words = [vdup_n_s16(0); 2];
        for (half, words) in words.iter_mut().enumerate() {
            let (sums, mut factor) = (sums[half], self.scale[half]);
            if let Some(slope) = &self.slope {
                factor = vbslq_f32(vcltzq_s32(sums), slope[half], factor);
            }
            *words = vqmovn_s32(vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums), factor)));
        }
        let words = vqaddq_s16(vcombine_s16(words[0], words[1]), self.zero_point);
        vmax_s8(vqmovn_s16(words), self.low)
    }
}

/// Writes the first channels of `bytes`, at most four, to `out`.
#[inline]
fn store_four(bytes: u32, out: &mut [i8]) {
    let four = bytes.to_le_bytes().map(|byte| byte as i8);
    match out.first_chunk_mut() {
        Some(out) => *out = four,
        None => out.copy_from_slice(&four[..out.len()]),
    }
}

/// Writes up to 16 channels from lane `first`.
#[target_feature(enable = "neon")]
#[inline]
fn finish_block(columns: &Columns, sums: [int32x4_t; 4], first: usize, out: &mut [i8]) {
    let front = Finish::eight(columns, first).apply([sums[0], sums[1]]);
    let back = Finish::eight(columns, first + 8).apply([sums[2], sums[3]]);
    store(vcombine_s8(front, back), out);
}

/// Up to 16 values, and zeros behind.
#[target_feature(enable = "neon")]
#[inline]
fn load(values: &[i8]) -> int8x16_t {
    let mut buffer = [0; BLOCK];
    let whole = match values.first_chunk::<BLOCK>() {
        Some(whole) => whole,
        None => {
            buffer[..values.len()].copy_from_slice(values);
            &buffer
        }
    };
    // SAFETY: the array is 16 bytes long.
    unsafe { vld1q_s8(whole.as_ptr()) }
}

/// Writes as many bytes as `out` takes, at most 16.
#[target_feature(enable = "neon")]
#[inline]
fn store(bytes: int8x16_t, out: &mut [i8]) {
    if let Some(out) = out.first_chunk_mut::<BLOCK>() {
        // SAFETY: the array is 16 bytes long.
        unsafe { vst1q_s8(out.as_mut_ptr(), bytes) };
    } else {
        let mut buffer = [0_i8; BLOCK];
        // SAFETY: the array is 16 bytes long.
        unsafe { vst1q_s8(buffer.as_mut_ptr(), bytes) };
        out.copy_from_slice(&buffer[..out.len()]);
    }
}

/// The residual addition without PReLU.
pub(crate) fn add(_: Token, spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    // SAFETY: the token proves that the CPU has the instructions.
    unsafe { add_all(spec, a, b, out) }
}

#[target_feature(enable = "neon")]
fn add_all(spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    let zero_point = vdupq_n_s16(i16::from(spec.zero_point));
    let eight = |a: int8x8_t, b: int8x8_t| {
        let from_zero = |x: int8x8_t, input: usize| vsubl_s8(x, vdup_n_s8(spec.zero_points[input]));
        let steps = |words: int16x4_t, input: usize| {
            vmulq_f32(vcvtq_f32_s32(vmovl_s16(words)), vdupq_n_f32(spec.factors[input]))
        };
        let four =
            |a: int16x4_t, b: int16x4_t| vqmovn_s32(vcvtnq_s32_f32(vaddq_f32(steps(a, 0), steps(b, 1))));
        let (a, b) = (from_zero(a, 0), from_zero(b, 1));
        let front = four(vget_low_s16(a), vget_low_s16(b));
        let back = four(vget_high_s16(a), vget_high_s16(b));
        vqmovn_s16(vqaddq_s16(vcombine_s16(front, back), zero_point))
    };
    for ((a, b), out) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(out.chunks_mut(BLOCK)) {
        let (a, b) = (load(a), load(b));
        let front = eight(vget_low_s8(a), vget_low_s8(b));
        let back = eight(vget_high_s8(a), vget_high_s8(b));
        store(vmaxq_s8(vcombine_s8(front, back), vdupq_n_s8(spec.low)), out);
    }
}
