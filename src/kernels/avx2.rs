//! x86-64 with AVX2: `vpmaddwd` on inputs and weights widened to 16 bits.
//!
//! `vpmaddubsw` would take twice as many values, but saturates: 255 * 127 twice does not fit into 16 bits. 3x3 layers
//! with stride 1, where most of the work is, save multiplications by `winograd` instead.
//!
//! Sixteen output channels are two vectors whose lanes are ordered so that packing puts the channels back
//! in order: lane `l` of vector `v` is channel `8 * (l / 4) + 4 * v + l % 4`.

use std::arch::x86_64::*;
use std::ops::Range;

use super::add::AddSpec;
use super::avx2_winograd;
use super::conv::ConvSpec;
use super::depthwise::{self, Taps};
use super::gemm::{self, Band, Columns, Layout, Value};
use super::shape::ConvShape;
use super::winograd;

/// Proof that this CPU has AVX2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(());

impl Token {
    /// Asks the CPU.
    pub fn new() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// Channels of a block: two vectors of sums.
pub(super) const BLOCK: usize = 16;

/// Channels of one vector of sums.
pub(super) const LANES: usize = 8;

/// Pixels of a tile: with two vectors each, 12 of the 16 registers are sums.
pub(super) const TILE: usize = 6;

/// The channel of a block that lane `lane` of its 16 holds.
const fn channel(lane: usize) -> usize {
    let (vector, lane) = (lane / LANES, lane % LANES);
    8 * (lane / 4) + 4 * vector + lane % 4
}

/// Values of a pair that one multiplication takes.
pub(super) const GROUP: usize = 2;

/// The filter of each lane, block by block; a last block of at most [`LANES`] filters is one vector in their order.
pub(super) fn dense_columns(filters: usize) -> Vec<Option<usize>> {
    let mut columns = gemm::columns(filters, BLOCK, channel);
    let first = filters - filters % BLOCK;
    if (1..=LANES).contains(&(filters - first)) {
        columns.truncate(first);
        columns.extend((first..first + LANES).map(|filter| Some(filter).filter(|&filter| filter < filters)));
    }
    columns
}

/// Weights of all blocks of [`dense_columns`], each as `pack(lanes, columns)` packs it.
pub(super) fn by_block<T>(
    columns: &[Option<usize>],
    pack: impl Fn(usize, &[Option<usize>]) -> Vec<T>,
) -> Vec<T> {
    let whole = columns.len() - columns.len() % BLOCK;
    let mut packed = pack(BLOCK, &columns[..whole]);
    packed.extend(pack(LANES, &columns[whole..]));
    packed
}

/// i16, little-endian.
struct Wide;

impl Value for Wide {
    const BYTES: usize = 2;
    const PLAIN: bool = false;

    #[inline]
    fn put(from: &[i8], to: &mut [i8]) {
        for (from, to) in from.iter().zip(to.chunks_exact_mut(Self::BYTES)) {
            to.copy_from_slice(&i16::from(*from).to_le_bytes().map(|byte| byte as i8));
        }
    }

    fn fill(value: i8, to: &mut [i8]) {
        let [low, high] = i16::from(value).to_le_bytes();
        for word in to.chunks_exact_mut(Self::BYTES) {
            word.copy_from_slice(&[low as i8, high as i8]);
        }
    }
}

/// A convolution's weights for these kernels.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    weights: Vec<i16>,
    columns: Columns,
    form: Form,
}

/// How a convolution is computed.
#[derive(Debug, Clone)]
enum Form {
    Direct(Layout),
    Winograd,
    Depthwise,
}

impl Packed {
    pub(crate) fn new(spec: &ConvSpec) -> Self {
        let shape = &spec.shape;
        if shape.depthwise {
            let columns = gemm::columns(shape.filters, BLOCK, channel);
            return Self::with(spec, &columns, Form::Depthwise, wide(pack_depthwise(spec)));
        }
        let columns = dense_columns(shape.filters);
        if winograd::fits(shape, BLOCK) {
            return Self::with(spec, &columns, Form::Winograd, avx2_winograd::pack(spec, &columns));
        }
        let layout = Layout::new(shape, GROUP);
        let weights = by_block(&columns, |lanes, columns| gemm::pack(spec, columns, (lanes, GROUP), &layout));
        Self::with(spec, &columns, Form::Direct(layout), wide(weights))
    }

    fn with(spec: &ConvSpec, columns: &[Option<usize>], form: Form, weights: Vec<i16>) -> Self {
        Self { weights, columns: Columns::new(spec, columns, 0), form }
    }

    pub(crate) fn scratch_len(&self, spec: &ConvSpec) -> usize {
        match &self.form {
            Form::Direct(layout) => gemm::scratch_len::<Wide>(spec, layout),
            Form::Winograd => avx2_winograd::scratch_len(&spec.shape),
            Form::Depthwise => depthwise::scratch_len(spec),
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
        match &self.form {
            Form::Direct(layout) => {
                gemm::for_bands::<Wide>(spec, layout, input, rows, (scratch, out), |band, out| {
                    // SAFETY: the token proves that the CPU has the instructions.
                    unsafe { self.gemm(&band, spec.shape.filters, out) }
                });
            }
            Form::Winograd => {
                let packed = (&self.weights[..], &self.columns);
                // SAFETY: the token proves that the CPU has the instructions.
                unsafe { avx2_winograd::run(spec, packed, input, rows, (scratch, out)) }
            }
            Form::Depthwise => depthwise::for_rows(spec, input, rows, (scratch, out), |taps, out| {
                // SAFETY: the token proves that the CPU has the instructions.
                unsafe { self.depthwise(&spec.shape, &taps, out) }
            }),
        }
    }

    #[target_feature(enable = "avx2")]
    fn gemm(&self, band: &Band<'_>, filters: usize, out: &mut [i8]) {
        for first in (0..filters).step_by(BLOCK) {
            if filters - first > LANES {
                self.block::<2>(band, (filters, first), out);
            } else {
                self.block::<1>(band, (filters, first), out);
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn block<const V: usize>(&self, band: &Band<'_>, place: (usize, usize), out: &mut [i8]) {
        for (pixel, size) in gemm::tiles(band.count, TILE) {
            match size {
                1 => self.tile::<1, V>(band, place, pixel, out),
                2 => self.tile::<2, V>(band, place, pixel, out),
                3 => self.tile::<3, V>(band, place, pixel, out),
                4 => self.tile::<4, V>(band, place, pixel, out),
                5 => self.tile::<5, V>(band, place, pixel, out),
                _ => self.tile::<TILE, V>(band, place, pixel, out),
            }
        }
    }

    /// `M` pixels from `pixel`, and `V` vectors of channels from `first`.
    #[target_feature(enable = "avx2")]
    fn tile<const M: usize, const V: usize>(
        &self,
        band: &Band<'_>,
        (filters, first): (usize, usize),
        pixel: usize,
        out: &mut [i8],
    ) {
        let Layout { runs, run, row, .. } = band.layout;
        let depth = band.layout.depth();
        let starts = band.starts::<M>(pixel);
        let end = starts[M - 1] + (runs - 1) * row + run;
        assert!(Wide::BYTES * end <= band.values.len(), "all taps are in the copy");
        let weights = &self.weights[first * depth..][..V * LANES * depth];
        let mut sums = [biases::<V>(&self.columns, first); M];
        for (index, weights) in weights.chunks_exact(V * LANES * run).enumerate() {
            let values = starts.map(|start| {
                // SAFETY: pixels follow one another, so the last one's runs, which are inside, end last.
                unsafe { band.values.as_ptr().add(Wide::BYTES * (start + index * row)) }
            });
            // SAFETY: runs and weights are `run` values long, an even number.
            unsafe { multiply(&mut sums, values, weights) };
        }
        // A copy that is indexed at run time, so that the sums above stay in registers.
        let done = sums;
        let len = (filters - first).min(V * LANES);
        for (m, &sums) in done.iter().enumerate() {
            finish(&self.columns, sums, first, &mut out[(pixel + m) * filters + first..][..len]);
        }
    }

    #[target_feature(enable = "avx2")]
    fn depthwise(&self, shape: &ConvShape, taps: &Taps<'_>, out: &mut [i8]) {
        for first in (0..shape.channels).step_by(BLOCK) {
            if shape.kernel == [3, 3] && shape.stride[1] == 1 {
                self.depthwise_3x3(shape.channels, taps, first, out);
            } else {
                self.depthwise_any(shape, taps, first, out);
            }
        }
    }

    /// The weights of row pair `group` of block `first`, in pairs.
    #[target_feature(enable = "avx2")]
    fn group(&self, first: usize, groups: usize, group: usize) -> [__m256i; 2] {
        let weights = &self.weights[(first / BLOCK * groups + group) * 2 * BLOCK..][..2 * BLOCK];
        // SAFETY: the slice holds two vectors of 16 values.
        let load = |at: usize| unsafe { _mm256_loadu_si256(weights[at..][..BLOCK].as_ptr().cast()) };
        [load(0), load(BLOCK)]
    }

    /// One block of 16 channels of any kernel.
    #[target_feature(enable = "avx2")]
    fn depthwise_any(&self, shape: &ConvShape, taps: &Taps<'_>, first: usize, out: &mut [i8]) {
        let pairs = shape.kernel[0].div_ceil(2);
        let len = (shape.channels - first).min(BLOCK);
        for pixel in 0..taps.count {
            let mut sums = biases(&self.columns, first);
            for column in 0..shape.kernel[1] {
                let at = pixel * taps.step + column * shape.channels + first;
                for pair in 0..pairs {
                    let rows = &taps.rows[2 * pair..(2 * pair + 2).min(taps.rows.len())];
                    let x = interleaved(rows, at, len);
                    let w = self.group(first, shape.kernel[1] * pairs, column * pairs + pair);
                    accumulate(&mut sums, &x, &w);
                }
            }
            finish(&self.columns, sums, first, &mut out[pixel * shape.channels + first..][..len]);
        }
    }

    /// One block of 16 channels of a 3x3 kernel with stride 1: each input column is read once.
    #[target_feature(enable = "avx2")]
    fn depthwise_3x3(&self, channels: usize, taps: &Taps<'_>, first: usize, out: &mut [i8]) {
        let len = (channels - first).min(BLOCK);
        let mut w = [[_mm256_setzero_si256(); 2]; 6];
        for (group, w) in w.iter_mut().enumerate() {
            *w = self.group(first, 6, group);
        }
        let column = |x: usize| {
            let at = x * channels + first;
            [interleaved(&taps.rows[..2], at, len), interleaved(&taps.rows[2..3], at, len)]
        };
        let (mut left, mut middle) = (column(0), column(1));
        for pixel in 0..taps.count {
            let right = column(pixel + 2);
            let mut sums = biases(&self.columns, first);
            for (index, x) in [&left, &middle, &right].into_iter().enumerate() {
                accumulate(&mut sums, &x[0], &w[2 * index]);
                accumulate(&mut sums, &x[1], &w[2 * index + 1]);
            }
            finish(&self.columns, sums, first, &mut out[pixel * channels + first..][..len]);
            left = middle;
            middle = right;
        }
    }
}

/// Adds the products of `M` runs of values, of as many of them as there are weights for a lane, with the weights of `V` vectors.
///
/// # Safety
/// So many values can be read, an even number.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) unsafe fn multiply<const M: usize, const V: usize>(
    sums: &mut [[__m256i; V]; M],
    values: [*const i8; M],
    weights: &[i16],
) {
    for (pair, weights) in weights.chunks_exact(GROUP * V * LANES).enumerate() {
        let mut w = [_mm256_setzero_si256(); V];
        for (w, weights) in w.iter_mut().zip(weights.chunks_exact(GROUP * LANES)) {
            // SAFETY: the slice is one vector.
            *w = unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) };
        }
        for (sums, values) in sums.iter_mut().zip(&values) {
            // SAFETY: the caller's promise.
            let two = unsafe { values.cast::<i32>().add(pair).read_unaligned() };
            let x = _mm256_set1_epi32(two);
            for (sum, &w) in sums.iter_mut().zip(&w) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w));
            }
        }
    }
}

/// The biases of `V` vectors from lane `first`.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn biases<const V: usize>(columns: &Columns, first: usize) -> [__m256i; V] {
    let mut all = [_mm256_setzero_si256(); V];
    for (vector, bias) in all.iter_mut().zip(columns.bias[first..].chunks_exact(LANES)) {
        // SAFETY: the slice is eight values long.
        *vector = unsafe { _mm256_loadu_si256(bias.as_ptr().cast()) };
    }
    all
}

/// Scaled and rounded sums of the eight lanes from `first`, without zero point.
#[target_feature(enable = "avx2")]
#[inline]
fn rounded(columns: &Columns, sums: __m256i, first: usize) -> __m256i {
    // SAFETY: the slice is eight values long.
    let load = |values: &[f32]| unsafe { _mm256_loadu_ps(values[first..][..LANES].as_ptr()) };
    let mut factor = load(&columns.scale);
    if let Some(slope) = &columns.slope {
        // The blend looks at sign bits only.
        factor = _mm256_blendv_ps(factor, load(slope), _mm256_castsi256_ps(sums));
    }
    _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), factor))
}

/// Writes the channels of a block of `V` vectors from lane `first`, as many as `out` takes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn finish<const V: usize>(columns: &Columns, sums: [__m256i; V], first: usize, out: &mut [i8]) {
    let front = rounded(columns, sums[0], first);
    let words = if V == 1 {
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(front, front))
    } else {
        _mm256_packs_epi32(front, rounded(columns, sums[V - 1], first + LANES))
    };
    let zero_point = _mm256_set1_epi16(i16::from(columns.zero_point));
    store(_mm256_adds_epi16(words, zero_point), columns.low, out);
}

fn wide(weights: Vec<i8>) -> Vec<i16> {
    weights.into_iter().map(i16::from).collect()
}

/// Depthwise weights as `[block][kernel column][row pair][lane][row]`.
fn pack_depthwise(spec: &ConvSpec) -> Vec<i8> {
    let shape = &spec.shape;
    let [height, width] = shape.kernel;
    let mut packed = vec![];
    for block in gemm::columns(shape.filters, BLOCK, channel).chunks_exact(BLOCK) {
        for column in 0..width {
            for pair in (0..height).step_by(2) {
                for filter in block {
                    packed.extend((pair..pair + 2).map(|row| match filter {
                        Some(filter) if row < height => {
                            spec.weights[(filter * height + row) * width + column]
                        }
                        _ => 0,
                    }));
                }
            }
        }
    }
    packed
}

/// One or two rows of `len <= 16` channels at `at`, as i16, interleaved.
#[target_feature(enable = "avx2")]
#[inline]
fn interleaved(rows: &[&[i8]], at: usize, len: usize) -> [__m256i; 2] {
    let mut r = [_mm256_setzero_si256(); 2];
    for (row, r) in rows.iter().zip(&mut r) {
        *r = _mm256_cvtepi8_epi16(load(&row[at..][..len]));
    }
    [_mm256_unpacklo_epi16(r[0], r[1]), _mm256_unpackhi_epi16(r[0], r[1])]
}

/// Up to 16 values, and zeros behind.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn load(values: &[i8]) -> __m128i {
    let mut buffer = [0; BLOCK];
    let whole = match values.first_chunk::<BLOCK>() {
        Some(whole) => whole,
        None => {
            buffer[..values.len()].copy_from_slice(values);
            &buffer
        }
    };
    // SAFETY: the array is 16 bytes long.
    unsafe { _mm_loadu_si128(whole.as_ptr().cast()) }
}

/// Saturates 16 words to bytes, not below `low`, and writes as many as `out` takes, at most 16.
#[target_feature(enable = "avx2")]
#[inline]
fn store(words: __m256i, low: i8, out: &mut [i8]) {
    let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
    let bytes = _mm_max_epi8(bytes, _mm_set1_epi8(low));
    let len = out.len();
    if let Some(out) = out.first_chunk_mut::<BLOCK>() {
        // SAFETY: the array is 16 bytes long.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) };
    } else if let Some(out) = out.first_chunk_mut::<LANES>().filter(|_| len == LANES) {
        // SAFETY: the array is 8 bytes long.
        unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), bytes) };
    } else {
        let mut buffer = [0_i8; BLOCK];
        // SAFETY: the array is 16 bytes long.
        unsafe { _mm_storeu_si128(buffer.as_mut_ptr().cast(), bytes) };
        out.copy_from_slice(&buffer[..out.len()]);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn accumulate(sums: &mut [__m256i; 2], x: &[__m256i; 2], w: &[__m256i; 2]) {
    for v in 0..2 {
        sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(x[v], w[v]));
    }
}

/// The residual addition without PReLU.
pub(crate) fn add(_: Token, spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    // SAFETY: the token proves that the CPU has the instructions.
    unsafe { add_all(spec, a, b, out) }
}

#[target_feature(enable = "avx2")]
fn add_all(spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    let steps = |bytes: __m128i, input: usize| {
        let zero_point = _mm256_set1_epi32(i32::from(spec.zero_points[input]));
        let from_zero = _mm256_sub_epi32(_mm256_cvtepi8_epi32(bytes), zero_point);
        _mm256_mul_ps(_mm256_cvtepi32_ps(from_zero), _mm256_set1_ps(spec.factors[input]))
    };
    let sum = |a: __m128i, b: __m128i| _mm256_cvtps_epi32(_mm256_add_ps(steps(a, 0), steps(b, 1)));
    let zero_point = _mm256_set1_epi16(i16::from(spec.zero_point));
    for ((a, b), out) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).zip(out.chunks_mut(BLOCK)) {
        let (a, b) = (load(a), load(b));
        let front = sum(a, b);
        let back = sum(_mm_unpackhi_epi64(a, a), _mm_unpackhi_epi64(b, b));
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(front, back));
        store(_mm256_adds_epi16(words, zero_point), spec.low, out);
    }
}
