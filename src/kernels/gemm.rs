//! Dense convolutions as matrix products: patches of the input, and weights in panels.

use std::ops::Range;

use super::conv::ConvSpec;
use super::requant::Requant;

/// Output pixels that are worked on at once: a multiple of every kernel's tile, and few enough that
/// their patches stay in a first-level cache of 32 kB; a choice.
pub(crate) const BLOCK: usize = 24;

/// `count` patches, each `depth` values long (see [`for_patches`]), `step` bytes apart.
pub(crate) struct Patches<'a> {
    pub values: &'a [i8],
    pub step: usize,
    pub count: usize,
}

/// Bytes of scratch that [`for_patches`] needs.
pub(crate) fn scratch_len(spec: &ConvSpec, depth: usize) -> usize {
    if is_direct(spec, depth) { 0 } else { BLOCK * depth }
}

/// Whether the input already is the matrix of patches.
fn is_direct(spec: &ConvSpec, depth: usize) -> bool {
    spec.shape.is_pointwise() && spec.shape.channels == depth
}

/// Calls `run` with the patches of some output pixels and the place of their outputs, until all `rows`
/// are done.
///
/// A patch has the inputs of one output pixel in the order of the weights, padded to `depth` with
/// values that count for nothing because their weights are 0.
pub(crate) fn for_patches(
    spec: &ConvSpec,
    input: &[i8],
    rows: Range<usize>,
    depth: usize,
    (scratch, out): (&mut [i8], &mut [i8]),
    mut run: impl FnMut(Patches<'_>, &mut [i8]),
) {
    let filters = spec.shape.filters;
    let first = rows.start * spec.shape.output()[1];
    for (block, out) in out.chunks_mut(BLOCK * filters).enumerate() {
        let count = out.len() / filters;
        let pixel = first + block * BLOCK;
        if is_direct(spec, depth) {
            let values = &input[pixel * depth..][..count * depth];
            run(Patches { values, step: depth, count }, out);
        } else {
            let values = &mut scratch[..count * depth];
            for (index, patch) in values.chunks_exact_mut(depth).enumerate() {
                gather(spec, input, pixel + index, patch);
            }
            run(Patches { values, step: depth, count }, out);
        }
    }
}

/// Copies the inputs of one output pixel.
fn gather(spec: &ConvSpec, input: &[i8], pixel: usize, patch: &mut [i8]) {
    let shape = &spec.shape;
    let width = shape.output()[1];
    let (rows, top) = shape.taps(0, pixel / width);
    let (columns, left) = shape.taps(1, pixel % width);
    let row_len = shape.kernel[1] * shape.channels;
    let whole = rows.len() == shape.kernel[0] && columns.len() == shape.kernel[1];
    if !whole {
        patch.fill(spec.input_zero_point);
    }
    let len = columns.len() * shape.channels;
    for (index, row) in rows.enumerate() {
        let from = ((top + index) * shape.input[1] + left) * shape.channels;
        let to = row * row_len + columns.start * shape.channels;
        patch[to..to + len].copy_from_slice(&input[from..from + len]);
    }
}

/// Bias, scale and slope by lane, and where outputs lie.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub bias: Vec<i32>,
    pub scale: Vec<f32>,
    pub slope: Option<Vec<f32>>,
    pub zero_point: i8,
    pub low: i8,
}

impl Columns {
    /// `columns` names the filter of each lane; a lane without one gets zeros. Inputs are read as they
    /// are, plus `offset`: both this and the zero point go into the bias.
    pub(crate) fn new(spec: &ConvSpec, columns: &[Option<usize>], offset: i32) -> Self {
        let len = spec.shape.filter_len();
        let bias = |filter: usize| {
            let total: i32 = spec.weights[filter * len..][..len].iter().map(|&w| i32::from(w)).sum();
            spec.bias[filter] - (i32::from(spec.input_zero_point) + offset) * total
        };
        let Requant { scale, slope, zero_point, low } = &spec.requant;
        Self {
            bias: by_column(columns, bias),
            scale: by_column(columns, |filter| scale[filter]),
            slope: slope.as_ref().map(|slope| by_column(columns, |filter| slope[filter])),
            zero_point: *zero_point,
            low: *low,
        }
    }
}

fn by_column<T: Copy + Default>(columns: &[Option<usize>], value: impl Fn(usize) -> T) -> Vec<T> {
    columns.iter().map(|filter| filter.map(&value).unwrap_or_default()).collect()
}

/// The filters in blocks of `block` lanes, where lane `i` of a block is filter `order(i)` of it.
pub(crate) fn columns(filters: usize, block: usize, order: impl Fn(usize) -> usize) -> Vec<Option<usize>> {
    let firsts = (0..filters).step_by(block);
    let lanes = firsts.flat_map(|first| (0..block).map(move |lane| (first, lane)));
    lanes.map(|(first, lane)| Some(first + order(lane)).filter(|&filter| filter < filters)).collect()
}

/// Weights as `[panel][depth / group][lane][group]`: what a kernel of `lanes` columns that takes `group`
/// values of each at a time reads in a row. `columns` names the filter of each lane, panel by panel.
pub(crate) fn pack(
    spec: &ConvSpec,
    columns: &[Option<usize>],
    (lanes, group): (usize, usize),
    depth: usize,
) -> Vec<i8> {
    let len = spec.shape.filter_len();
    let mut packed = Vec::with_capacity(columns.len() * depth);
    for panel in columns.chunks_exact(lanes) {
        for start in (0..depth).step_by(group) {
            for filter in panel {
                packed.extend((start..start + group).map(|at| match filter {
                    Some(filter) if at < len => spec.weights[filter * len + at],
                    _ => 0,
                }));
            }
        }
    }
    packed
}
