//! [`winograd`] with AVX2: the products of transformed inputs and weights by `vpmaddwd`, sixteen small matrix products.

use std::arch::x86_64::*;
use std::ops::Range;

use super::avx2::{BLOCK, GROUP, LANES, TILE, biases, by_block, finish, load, multiply};
use super::conv::ConvSpec;
use super::gemm::{self, Columns};
use super::shape::ConvShape;
use super::winograd::{self, Band, INPUTS, OUTPUTS, POSITIONS};

/// Bytes of a transformed value, and of a sum.
const VALUE: usize = size_of::<i16>();
const SUM: usize = size_of::<i32>();

/// Transformed weights as `[block][position][channel pair][lane][channel]`.
pub(super) fn pack(spec: &ConvSpec, columns: &[Option<usize>]) -> Vec<i16> {
    let channels = spec.shape.channels;
    by_block(columns, |lanes, columns| {
        let mut packed = Vec::with_capacity(POSITIONS * channels * columns.len());
        for block in columns.chunks_exact(lanes) {
            let transformed = |filter: &Option<usize>| -> Vec<[i16; POSITIONS]> {
                let weights =
                    |channel| filter.map_or([0; POSITIONS], |f| winograd::weights(spec, f, channel));
                (0..channels).map(weights).collect()
            };
            let block: Vec<_> = block.iter().map(transformed).collect();
            for position in 0..POSITIONS {
                for first in (0..channels).step_by(GROUP) {
                    packed.extend(
                        block.iter().flat_map(|lane| [lane[first][position], lane[first + 1][position]]),
                    );
                }
            }
        }
        packed
    })
}

/// Bytes of scratch that [`run`] needs.
pub(super) fn scratch_len(shape: &ConvShape) -> usize {
    winograd::scratch_len(shape, BLOCK).iter().sum()
}

/// Computes `rows` of the output into `out`, with weights of [`pack`].
#[target_feature(enable = "avx2")]
pub(super) fn run(
    spec: &ConvSpec,
    (weights, columns): (&[i16], &Columns),
    input: &[i8],
    rows: Range<usize>,
    (scratch, out): (&mut [i8], &mut [i8]),
) {
    let (shape, top) = (&spec.shape, rows.start);
    let (values, sums) = scratch.split_at_mut(winograd::scratch_len(shape, BLOCK)[0]);
    for band in winograd::bands(shape, rows) {
        transform(spec, input, &band, values);
        let out = &mut out[(band.top - top) * shape.output_row()..][..band.rows * shape.output_row()];
        for first in (0..shape.filters).step_by(BLOCK) {
            let weights = &weights[POSITIONS * shape.channels * first..];
            if shape.filters - first > LANES {
                products::<2>(shape.channels, weights, &band, values, sums);
                outputs::<2>((shape, columns, first), &band, sums, out);
            } else {
                products::<1>(shape.channels, weights, &band, values, sums);
                outputs::<1>((shape, columns, first), &band, sums, out);
            }
        }
    }
}

/// `B^T d B` of every tile of `band`, as `[position][tile][channel]`.
#[target_feature(enable = "avx2")]
fn transform(spec: &ConvSpec, input: &[i8], band: &Band, values: &mut [i8]) {
    let (shape, channels) = (&spec.shape, spec.shape.channels);
    let plane = band.plane(VALUE * channels);
    let line = shape.input[1] * channels;
    let zero_point = _mm256_set1_epi16(i16::from(spec.input_zero_point));
    for y in 0..band.down() {
        let rows: [Option<&[i8]>; INPUTS] = std::array::from_fn(|row| {
            let y = (band.top + OUTPUTS * y + row).checked_sub(shape.pad_before[0])?;
            (y < shape.input[0]).then(|| &input[y * line..][..line])
        });
        // The last channels may be done twice, so that all loads are whole.
        for first in (0..channels).step_by(BLOCK).map(|first| first.min(channels - BLOCK)) {
            let column = |x: usize| {
                let x = x.checked_sub(shape.pad_before[1]).filter(|&x| x < shape.input[1]);
                let d = rows.map(|row| match (row, x) {
                    (Some(row), Some(x)) => _mm256_cvtepi8_epi16(load(&row[x * channels + first..][..BLOCK])),
                    _ => zero_point,
                });
                times_b(d)
            };
            let mut left = [column(0), column(1)];
            for x in 0..band.across {
                let right = [column(OUTPUTS * x + 2), column(OUTPUTS * x + 3)];
                let at = VALUE * ((y * band.across + x) * channels + first);
                for row in 0..INPUTS {
                    let four = times_b([left[0][row], left[1][row], right[0][row], right[1][row]]);
                    for (column, value) in four.into_iter().enumerate() {
                        let to = &mut values[(row * INPUTS + column) * plane + at..][..VALUE * BLOCK];
                        // SAFETY: the slice is one vector.
                        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), value) };
                    }
                }
                left = right;
            }
        }
    }
}

/// `B^T d`.
#[target_feature(enable = "avx2")]
#[inline]
fn times_b(d: [__m256i; INPUTS]) -> [__m256i; INPUTS] {
    [
        _mm256_sub_epi16(d[0], d[2]),
        _mm256_add_epi16(d[1], d[2]),
        _mm256_sub_epi16(d[2], d[1]),
        _mm256_sub_epi16(d[1], d[3]),
    ]
}

/// Sums of products of a block of `V` vectors of filters, as `[position][tile][lane]`.
#[target_feature(enable = "avx2")]
fn products<const V: usize>(channels: usize, weights: &[i16], band: &Band, values: &[i8], sums: &mut [i8]) {
    let run = VALUE * channels;
    let each = channels * V * LANES;
    for (position, weights) in weights[..POSITIONS * each].chunks_exact(each).enumerate() {
        let values = &values[position * band.plane(run)..][..band.tiles() * run];
        let sums = &mut sums[position * band.plane(SUM * V * LANES)..][..band.tiles() * SUM * V * LANES];
        for (tile, size) in gemm::tiles(band.tiles(), TILE) {
            let values = &values[tile * run..][..size * run];
            let sums = &mut sums[tile * SUM * V * LANES..];
            match size {
                1 => product::<1, V>(weights, values, sums),
                2 => product::<2, V>(weights, values, sums),
                3 => product::<3, V>(weights, values, sums),
                4 => product::<4, V>(weights, values, sums),
                5 => product::<5, V>(weights, values, sums),
                _ => product::<TILE, V>(weights, values, sums),
            }
        }
    }
}

/// The sums of `M` tiles at one position.
#[target_feature(enable = "avx2")]
fn product<const M: usize, const V: usize>(weights: &[i16], values: &[i8], sums: &mut [i8]) {
    let run = values.len() / M;
    assert!(run * V * LANES == VALUE * weights.len(), "weights of each value");
    let starts: [*const i8; M] = std::array::from_fn(|m| values[m * run..].as_ptr());
    let mut all = [[_mm256_setzero_si256(); V]; M];
    // SAFETY: each run has as many values as there are weights for a lane, two for each pair.
    unsafe { multiply(&mut all, starts, weights) };
    let to = &mut sums[..M * V * LANES * SUM];
    for (to, vector) in to.chunks_exact_mut(LANES * SUM).zip(all.as_flattened()) {
        // SAFETY: the slice is one vector.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), *vector) };
    }
}

/// `A^T M A / 4` of every tile, finished and written.
#[target_feature(enable = "avx2")]
fn outputs<const V: usize>(
    (shape, columns, first): (&ConvShape, &Columns, usize),
    band: &Band,
    sums: &[i8],
    out: &mut [i8],
) {
    let (width, filters) = (shape.output()[1], shape.filters);
    let len = (filters - first).min(V * LANES);
    let plane = band.plane(SUM * V * LANES);
    let biases = biases::<V>(columns, first);
    for tile in 0..band.tiles() {
        let mut four = [[[_mm256_setzero_si256(); V]; OUTPUTS]; OUTPUTS];
        for vector in 0..V {
            let at = SUM * LANES * (tile * V + vector);
            let row = |row: usize| {
                times_a(std::array::from_fn(|column| {
                    let from = &sums[(row * INPUTS + column) * plane + at..][..SUM * LANES];
                    // SAFETY: the slice is one vector.
                    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
                }))
            };
            let rows = [row(0), row(1), row(2), row(3)];
            for column in 0..OUTPUTS {
                let both = times_a(rows.map(|row| row[column]));
                for (line, sum) in four.iter_mut().zip(both) {
                    line[column][vector] = _mm256_add_epi32(_mm256_srai_epi32::<2>(sum), biases[vector]);
                }
            }
        }
        let (y, x) = (OUTPUTS * (tile / band.across), OUTPUTS * (tile % band.across));
        for (y, line) in (y..band.rows).zip(four) {
            for (x, sums) in (x..width).zip(line) {
                finish(columns, sums, first, &mut out[(y * width + x) * filters + first..][..len]);
            }
        }
    }
}

/// `A^T m`.
#[target_feature(enable = "avx2")]
#[inline]
fn times_a(m: [__m256i; INPUTS]) -> [__m256i; OUTPUTS] {
    let (both, apart) = (_mm256_add_epi32(m[1], m[2]), _mm256_sub_epi32(m[1], m[2]));
    [_mm256_add_epi32(m[0], both), _mm256_sub_epi32(apart, m[3])]
}
