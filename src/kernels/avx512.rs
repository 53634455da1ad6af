//! x86-64 with AVX-512 VNNI: `vpdpbusd` multiplies u8 inputs by i8 weights, four at a time.
//!
//! Inputs are made u8 by adding 128, and `128 * sum(weights)` is taken off the bias: sums wrap, so the
//! result is exact. Output channels are taken in chunks of one to four vectors. In a chunk of four, lanes
//! are ordered so that the two pack instructions at the end put the channels back in order:
//! lane `l` of vector `j` is channel `16 * (l / 4) + 4 * j + l % 4`.

use std::arch::x86_64::*;
use std::ops::Range;

use super::add::AddSpec;
use super::conv::ConvSpec;
use super::depthwise::{self, Taps};
use super::gemm::{self, Band, Columns, Layout, Value};
use super::shape::ConvShape;

/// Proof that this CPU has AVX-512 F, BW, VL and VNNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(());

impl Token {
    /// Asks the CPU.
    pub fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(Self(()))
    }
}

/// Channels of a block whose four vectors end in one.
const BLOCK: usize = 64;

/// Channels of one vector of sums.
const LANES: usize = 16;

/// Values whose products one lane takes at a time.
const GROUP: usize = 4;

/// The channel of lane `lane` of vector `vector` in a block of 64.
const fn channel(vector: usize, lane: usize) -> usize {
    16 * (lane / 4) + 4 * vector + lane % 4
}

/// u8, 128 more than the i8: the sign bit flipped.
struct Flipped;

impl Value for Flipped {
    const BYTES: usize = 1;
    const PLAIN: bool = false;

    #[inline]
    fn put(from: &[i8], to: &mut [i8]) {
        for (from, to) in from.iter().zip(to) {
            *to = from ^ i8::MIN;
        }
    }

    fn fill(value: i8, to: &mut [i8]) {
        to.fill(value ^ i8::MIN);
    }
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
        let columns = lanes(&spec.shape);
        let layout = Layout::new(&spec.shape, GROUP);
        let weights = if spec.shape.depthwise {
            pack_depthwise(spec)
        } else {
            chunks(spec.shape.filters)
                .flat_map(|(first, vectors)| {
                    let lanes = vectors * LANES;
                    gemm::pack(spec, &columns[first..][..lanes], (lanes, GROUP), &layout)
                })
                .collect()
        };
        Self { weights, columns: Columns::new(spec, &columns, 128), layout }
    }

    pub(crate) fn scratch_len(&self, spec: &ConvSpec) -> usize {
        if spec.shape.depthwise {
            depthwise::scratch_len(spec)
        } else {
            gemm::scratch_len::<Flipped>(spec, &self.layout)
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
                unsafe { self.depthwise(spec, &taps, out) }
            });
        } else {
            gemm::for_bands::<Flipped>(spec, &self.layout, input, rows, (scratch, out), |band, out| {
                // SAFETY: the token proves that the CPU has the instructions.
                unsafe { self.gemm(&band, spec.shape.filters, out) }
            });
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn gemm(&self, band: &Band<'_>, filters: usize, out: &mut [i8]) {
        for (first, vectors) in chunks(filters) {
            match vectors {
                1 => self.chunk::<1>(band, (filters, first), out),
                2 => self.chunk::<2>(band, (filters, first), out),
                3 => self.chunk::<3>(band, (filters, first), out),
                _ => self.chunk::<4>(band, (filters, first), out),
            }
        }
    }

    /// All pixels, and `N` vectors of channels from `first`: up to 24 vectors of sums at a time.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn chunk<const N: usize>(&self, band: &Band<'_>, (filters, first): (usize, usize), out: &mut [i8]) {
        for (pixel, size) in gemm::tiles(band.count, [12, 12, 8, 6][N - 1]) {
            let place = (filters, first, pixel);
            match size {
                1 => self.tile::<1, N>(band, place, out),
                2 => self.tile::<2, N>(band, place, out),
                3 => self.tile::<3, N>(band, place, out),
                4 => self.tile::<4, N>(band, place, out),
                5 => self.tile::<5, N>(band, place, out),
                6 => self.tile::<6, N>(band, place, out),
                7 => self.tile::<7, N>(band, place, out),
                8 => self.tile::<8, N>(band, place, out),
                9 => self.tile::<9, N>(band, place, out),
                10 => self.tile::<10, N>(band, place, out),
                11 => self.tile::<11, N>(band, place, out),
                _ => self.tile::<12, N>(band, place, out),
            }
        }
    }

    /// `M` pixels from `pixel`, and `N` vectors of channels from `first`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn tile<const M: usize, const N: usize>(
        &self,
        band: &Band<'_>,
        (filters, first, pixel): (usize, usize, usize),
        out: &mut [i8],
    ) {
        let Layout { runs, run, row, .. } = band.layout;
        let depth = band.layout.depth();
        let starts = band.starts::<M>(pixel);
        assert!(starts[M - 1] + (runs - 1) * row + run <= band.values.len(), "all taps are in the copy");
        let mut weights = self.weights[first * depth..][..N * LANES * depth].as_ptr();
        let mut sums = [[_mm512_setzero_si512(); N]; M];
        for n in 0..N {
            let bias = self.bias(first + n * LANES);
            for sums in &mut sums {
                sums[n] = bias;
            }
        }
        for index in 0..runs {
            // SAFETY: pixels follow one another, so the last one's runs, which are inside, end last.
            let values = starts.map(|start| unsafe { band.values.as_ptr().add(start + index * row) });
            for at in (0..run).step_by(GROUP) {
                let mut w = [_mm512_setzero_si512(); N];
                for (n, w) in w.iter_mut().enumerate() {
                    // SAFETY: `weights` began with depth / GROUP steps of N vectors.
                    *w = unsafe { _mm512_loadu_si512(weights.add(n * LANES * GROUP).cast()) };
                }
                // SAFETY: as above; behind the last step it points to the end.
                weights = unsafe { weights.add(N * LANES * GROUP) };
                for (sums, values) in sums.iter_mut().zip(&values) {
                    // SAFETY: at + GROUP <= run.
                    let four = unsafe { values.add(at).cast::<i32>().read_unaligned() };
                    let x = _mm512_set1_epi32(four);
                    for n in 0..N {
                        sums[n] = _mm512_dpbusd_epi32(sums[n], x, w[n]);
                    }
                }
            }
        }
        // A copy that is indexed at run time, so that the sums above stay in registers.
        let done = sums;
        for (m, sums) in done.iter().enumerate() {
            let out = &mut out[(pixel + m) * filters + first..(pixel + m + 1) * filters];
            if let Ok(four) = <[__m512i; 4]>::try_from(&sums[..]) {
                self.finish_block(four, first, out);
            } else {
                self.finish_vectors(sums, first, out);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn bias(&self, first: usize) -> __m512i {
        // SAFETY: the slice is 16 values long.
        unsafe { _mm512_loadu_si512(self.columns.bias[first..][..LANES].as_ptr().cast()) }
    }

    /// Scaled and rounded sums of the 16 lanes from `first`, without zero point.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn rounded(&self, sums: __m512i, first: usize) -> __m512i {
        // SAFETY: the slice is 16 values long.
        let load = |values: &[f32]| unsafe { _mm512_loadu_ps(values[first..][..LANES].as_ptr()) };
        let mut factor = load(&self.columns.scale);
        if let Some(slope) = &self.columns.slope {
            factor = _mm512_mask_mov_ps(
                factor,
                _mm512_cmplt_epi32_mask(sums, _mm512_setzero_si512()),
                load(slope),
            );
        }
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), factor))
    }

    /// Writes up to 64 channels from lane `first`, whose vectors are in the order of [`channel`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn finish_block(&self, sums: [__m512i; 4], first: usize, out: &mut [i8]) {
        let mut q = sums;
        for (n, q) in q.iter_mut().enumerate() {
            *q = self.rounded(*q, first + n * LANES);
        }
        let zero_point = _mm512_set1_epi16(i16::from(self.columns.zero_point));
        let front = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), zero_point);
        let back = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), zero_point);
        let bytes = _mm512_max_epi8(_mm512_packs_epi16(front, back), _mm512_set1_epi8(self.columns.low));
        let len = out.len().min(BLOCK);
        // SAFETY: only the first `len` bytes are written, and `out` is that long.
        unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr(), u64::MAX >> (BLOCK - len), bytes) };
    }

    /// Writes channels of vectors in their natural order.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn finish_vectors(&self, sums: &[__m512i], first: usize, out: &mut [i8]) {
        let zero_point = _mm512_set1_epi32(i32::from(self.columns.zero_point));
        let low = _mm_set1_epi8(self.columns.low);
        for (n, (&sums, out)) in sums.iter().zip(out.chunks_mut(LANES)).enumerate() {
            let q = _mm512_add_epi32(self.rounded(sums, first + n * LANES), zero_point);
            let bytes = _mm_max_epi8(_mm512_cvtsepi32_epi8(q), low);
            // SAFETY: only the first out.len() <= 16 bytes are written.
            unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr(), u16::MAX >> (LANES - out.len()), bytes) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn depthwise(&self, spec: &ConvSpec, taps: &Taps<'_>, out: &mut [i8]) {
        for first in (0..spec.shape.channels).step_by(BLOCK) {
            if spec.shape.kernel == [3, 3] && spec.shape.stride[1] == 1 {
                self.depthwise_3x3(&spec.shape, taps, first, out);
            } else {
                self.depthwise_any(&spec.shape, taps, first, out);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn biases(&self, first: usize) -> [__m512i; 4] {
        [0, 1, 2, 3].map(|n| self.bias(first + n * LANES))
    }

    /// The weights of group `group` of block `first`: four vectors in the order of [`columns_of`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn group(&self, first: usize, groups: usize, group: usize) -> [__m512i; 4] {
        let at = (first / BLOCK * groups + group) * 4 * BLOCK;
        let weights = &self.weights[at..][..4 * BLOCK];
        let mut vectors = [_mm512_setzero_si512(); 4];
        for (n, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: the slice holds four vectors.
            *vector = unsafe { _mm512_loadu_si512(weights.as_ptr().add(n * BLOCK).cast()) };
        }
        vectors
    }

    /// One block of 64 channels of any kernel.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn depthwise_any(&self, shape: &ConvShape, taps: &Taps<'_>, first: usize, out: &mut [i8]) {
        let row_groups = shape.kernel[0].div_ceil(4);
        let len = (shape.channels - first).min(BLOCK);
        for pixel in 0..taps.count {
            let mut sums = self.biases(first);
            for column in 0..shape.kernel[1] {
                let at = pixel * taps.step + column * shape.channels + first;
                for group in 0..row_groups {
                    let rows = &taps.rows[4 * group..(4 * group + 4).min(taps.rows.len())];
                    let x = interleaved(rows, at, len);
                    let w = self.group(first, shape.kernel[1] * row_groups, column * row_groups + group);
                    accumulate(&mut sums, &x, &w);
                }
            }
            let out = &mut out[pixel * shape.channels + first..][..len];
            self.finish_block(sums, first, out);
        }
    }

    /// One block of 64 channels of a 3x3 kernel with stride 1: each input column is read once.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn depthwise_3x3(&self, shape: &ConvShape, taps: &Taps<'_>, first: usize, out: &mut [i8]) {
        let channels = shape.channels;
        let len = (channels - first).min(BLOCK);
        let w = [self.group(first, 3, 0), self.group(first, 3, 1), self.group(first, 3, 2)];
        let bias = self.biases(first);
        let mut left = interleaved(&taps.rows[..3], first, len);
        let mut middle = interleaved(&taps.rows[..3], channels + first, len);
        for pixel in 0..taps.count {
            let right = interleaved(&taps.rows[..3], (pixel + 2) * channels + first, len);
            let mut sums = bias;
            accumulate(&mut sums, &left, &w[0]);
            accumulate(&mut sums, &middle, &w[1]);
            accumulate(&mut sums, &right, &w[2]);
            self.finish_block(sums, first, &mut out[pixel * channels + first..][..len]);
            left = middle;
            middle = right;
        }
    }
}

/// The chunks of a dense layer: the first filter and the number of vectors of each, as equal as can be.
fn chunks(filters: usize) -> impl Iterator<Item = (usize, usize)> {
    let vectors = filters.div_ceil(LANES);
    let count = vectors.div_ceil(4);
    let ends = (1..=count).map(move |chunk| (vectors * chunk).div_ceil(count));
    ends.scan(0, |start, end| Some((std::mem::replace(start, end) * LANES, end)))
        .map(|(first, end)| (first, end - first / LANES))
}

/// The filter of each lane: in the order of [`channel`] where four vectors end in one, else as they are.
fn lanes(shape: &ConvShape) -> Vec<Option<usize>> {
    if shape.depthwise {
        return gemm::columns(shape.filters, BLOCK, |lane| channel(lane / LANES, lane % LANES));
    }
    let lanes = chunks(shape.filters).flat_map(|(first, vectors)| {
        (0..vectors * LANES)
            .map(move |lane| first + if vectors == 4 { channel(lane / LANES, lane % LANES) } else { lane })
    });
    lanes.map(|filter| (filter < shape.filters).then_some(filter)).collect()
}

/// Depthwise weights as `[block][kernel column][4 rows][vector][lane][row]`.
fn pack_depthwise(spec: &ConvSpec) -> Vec<i8> {
    let shape = &spec.shape;
    let [height, width] = shape.kernel;
    let mut packed = vec![];
    for first in (0..shape.channels).step_by(BLOCK) {
        for column in 0..width {
            for group in (0..height).step_by(4) {
                for lane in 0..BLOCK {
                    let filter = first + channel(lane / LANES, lane % LANES);
                    packed.extend((group..group + 4).map(|row| {
                        let inside = filter < shape.channels && row < height;
                        if inside { spec.weights[(filter * height + row) * width + column] } else { 0 }
                    }));
                }
            }
        }
    }
    packed
}

/// Up to four rows of `len <= 64` channels at `at`, as u8, interleaved row by row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn interleaved(rows: &[&[i8]], at: usize, len: usize) -> [__m512i; 4] {
    let flip = _mm512_set1_epi8(-128);
    let mut r = [_mm512_setzero_si512(); 4];
    for (row, r) in rows.iter().zip(&mut r) {
        let row = &row[at..][..len];
        // SAFETY: only the first `len` bytes are read, and the slice is that long.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> (BLOCK - len), row.as_ptr()) };
        *r = _mm512_xor_si512(bytes, flip);
    }
    let (front01, back01) = (_mm512_unpacklo_epi8(r[0], r[1]), _mm512_unpackhi_epi8(r[0], r[1]));
    let (front23, back23) = (_mm512_unpacklo_epi8(r[2], r[3]), _mm512_unpackhi_epi8(r[2], r[3]));
    [
        _mm512_unpacklo_epi16(front01, front23),
        _mm512_unpackhi_epi16(front01, front23),
        _mm512_unpacklo_epi16(back01, back23),
        _mm512_unpackhi_epi16(back01, back23),
    ]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn accumulate(sums: &mut [__m512i; 4], x: &[__m512i; 4], w: &[__m512i; 4]) {
    for n in 0..4 {
        sums[n] = _mm512_dpbusd_epi32(sums[n], x[n], w[n]);
    }
}

/// The residual addition without PReLU.
pub(crate) fn add(_: Token, spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    // SAFETY: the token proves that the CPU has the instructions.
    unsafe { add_all(spec, a, b, out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn add_all(spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    let steps = |values: &[i8], input: usize| {
        let mask = u16::MAX >> (LANES - values.len());
        // SAFETY: only the first values.len() <= 16 bytes are read.
        let bytes = unsafe { _mm_maskz_loadu_epi8(mask, values.as_ptr()) };
        let zero_point = _mm512_set1_epi32(i32::from(spec.zero_points[input]));
        let from_zero = _mm512_sub_epi32(_mm512_cvtepi8_epi32(bytes), zero_point);
        _mm512_mul_ps(_mm512_cvtepi32_ps(from_zero), _mm512_set1_ps(spec.factors[input]))
    };
    let zero_point = _mm512_set1_epi32(i32::from(spec.zero_point));
    let low = _mm_set1_epi8(spec.low);
    for ((a, b), out) in a.chunks(LANES).zip(b.chunks(LANES)).zip(out.chunks_mut(LANES)) {
        let sum = _mm512_add_ps(steps(a, 0), steps(b, 1));
        let q = _mm512_add_epi32(_mm512_cvtps_epi32(sum), zero_point);
        let bytes = _mm_max_epi8(_mm512_cvtsepi32_epi8(q), low);
        // SAFETY: only the first out.len() <= 16 bytes are written.
        unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr(), u16::MAX >> (LANES - out.len()), bytes) };
    }
}
