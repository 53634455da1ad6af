//! Dense convolutions as matrix products, over copies of the input in which no tap is out of range.
//!
//! Some output rows at a time, a band, so that its copy stays in a first-level cache while all filters pass
//! over it. Two layouts of the copy:
//!
//! ```text
//! rows     the input's rows with their padding. A pixel sees one run of values in each kernel row:
//!          kernel width x channels, contiguous. Neighbours share what they both see.
//! patches  what each pixel sees, copied together as one run: for few channels, whose runs would be
//!          mostly padding.
//! ```
//!
//! Kernels take a run in groups of values; what is behind its end counts for nothing, because the packed
//! weights there are 0.

use std::ops::Range;

use super::conv::ConvSpec;
use super::requant::Requant;
use super::shape::ConvShape;

/// Bytes of a band's copy, unless one row needs more; a choice that leaves room for a panel of weights in
/// a cache of 32 kB.
const BAND_BYTES: usize = 20 << 10;

/// How much larger the padded weights of the layout by rows may be than those of patches; a choice.
const MOST_WASTE: f64 = 1.2;

/// How kernels want their inputs.
pub(crate) trait Value {
    /// Bytes of one value.
    const BYTES: usize;
    /// Whether values are copied as they are.
    const PLAIN: bool;
    /// Writes `from` as `from.len() * BYTES` bytes.
    fn put(from: &[i8], to: &mut [i8]);
    /// Fills `to` with one value.
    fn fill(value: i8, to: &mut [i8]);
}

/// How the copy of a band is laid out; all lengths in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether pixels have a patch each.
    patches: bool,
    /// Runs of each pixel: kernel rows, or one patch.
    pub runs: usize,
    /// Values of a run that count.
    used: usize,
    /// Values of a run with what fills its last group.
    pub run: usize,
    /// From a run of a pixel to its next.
    pub row: usize,
    /// From a pixel to the one on its right.
    step: usize,
    /// From a pixel to the one below.
    line: usize,
}

impl Layout {
    /// The layout for kernels that take `group` values of a run at a time.
    pub(crate) fn new(shape: &ConvShape, group: usize) -> Self {
        let [height, width] = shape.kernel;
        let by_rows = height * (width * shape.channels).next_multiple_of(group);
        let by_patches = shape.filter_len().next_multiple_of(group);
        let gaps = shape.stride[1] > width;
        if gaps || by_rows as f64 > MOST_WASTE * by_patches as f64 {
            return Self::patches(shape, by_patches);
        }
        let used = width * shape.channels;
        let row = columns_seen(shape) * shape.channels;
        Self {
            patches: false,
            runs: height,
            used,
            run: used.next_multiple_of(group),
            row,
            step: shape.stride[1] * shape.channels,
            line: shape.stride[0] * row,
        }
    }

    fn patches(shape: &ConvShape, run: usize) -> Self {
        let line = run * shape.output()[1];
        Self { patches: true, runs: 1, used: shape.filter_len(), run, row: 0, step: run, line }
    }

    /// Values of all runs of a pixel: the length of a filter's packed weights.
    pub(crate) fn depth(&self) -> usize {
        self.runs * self.run
    }

    /// Which value of a filter each packed weight is; none for what counts for nothing.
    fn order(&self) -> impl Iterator<Item = Option<usize>> {
        let Self { runs, used, run, .. } = *self;
        (0..runs).flat_map(move |row| (0..run).map(move |at| (at < used).then_some(row * used + at)))
    }

    /// Values of a copy for `rows` output rows.
    fn values(&self, rows: usize, shape: &ConvShape) -> usize {
        let last = (rows - 1) * self.line + (shape.output()[1] - 1) * self.step;
        last + (self.runs - 1) * self.row + self.run
    }

    /// Output rows of a band.
    fn band_rows(&self, shape: &ConvShape, bytes: usize) -> usize {
        let height = shape.output()[0];
        let most = (BAND_BYTES / (bytes * self.line.max(1))).saturating_sub(self.runs - 1).clamp(1, height);
        height.div_ceil(height.div_ceil(most))
    }
}

/// Columns of the padded input that some output sees.
fn columns_seen(shape: &ConvShape) -> usize {
    (shape.output()[1] - 1) * shape.stride[1] + shape.kernel[1]
}

/// Some output pixels, in rows of `width`, and where their first runs begin.
pub(crate) struct Band<'a> {
    /// The copy; values of [`Value::BYTES`].
    pub values: &'a [i8],
    pub layout: Layout,
    pub count: usize,
    width: usize,
}

impl Band<'_> {
    /// Where the first runs of `M` pixels from `pixel` begin, in values.
    #[inline(always)]
    pub(crate) fn starts<const M: usize>(&self, pixel: usize) -> [usize; M] {
        let (mut x, mut y) = (pixel % self.width, pixel / self.width);
        let mut starts = [0; M];
        for start in &mut starts {
            *start = y * self.layout.line + x * self.layout.step;
            x += 1;
            if x == self.width {
                (x, y) = (0, y + 1);
            }
        }
        starts
    }
}

/// `count` pixels in tiles of at most `most`, as equal as can be: the first and the size of each.
#[inline(always)]
pub(crate) fn tiles(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = count.div_ceil(most);
    let (size, larger) = (count / tiles, count % tiles);
    (0..tiles).map(move |tile| (tile * size + tile.min(larger), size + usize::from(tile < larger)))
}

/// Bytes of scratch that [`for_bands`] needs.
pub(crate) fn scratch_len<V: Value>(spec: &ConvSpec, layout: &Layout) -> usize {
    if is_direct::<V>(spec, layout) {
        return 0;
    }
    V::BYTES * layout.values(layout.band_rows(&spec.shape, V::BYTES), &spec.shape)
}

/// Whether the input can be read as it is.
fn is_direct<V: Value>(spec: &ConvSpec, layout: &Layout) -> bool {
    V::PLAIN && spec.shape.is_pointwise() && layout.run == spec.shape.channels
}

/// Calls `run` with band after band and the place of its outputs, until all `rows` are done.
pub(crate) fn for_bands<V: Value>(
    spec: &ConvSpec,
    layout: &Layout,
    input: &[i8],
    rows: Range<usize>,
    (scratch, out): (&mut [i8], &mut [i8]),
    mut run: impl FnMut(Band<'_>, &mut [i8]),
) {
    let shape = &spec.shape;
    let width = shape.output()[1];
    let most = layout.band_rows(shape, V::BYTES);
    let bands = rows.clone().step_by(most).zip(out.chunks_mut(most * shape.output_row()));
    for (first, out) in bands {
        let band = first..(first + most).min(rows.end);
        let len = layout.values(band.len(), shape);
        let values = if is_direct::<V>(spec, layout) {
            &input[first * layout.line..][..len]
        } else {
            let values = &mut scratch[..V::BYTES * len];
            if layout.patches {
                gather::<V>(spec, layout, input, band.clone(), values);
            } else {
                pad::<V>(spec, layout, input, band.clone(), values);
            }
            &*values
        };
        run(Band { values, layout: *layout, count: band.len() * width, width }, out);
    }
}

/// Copies the input's rows below the output rows `band`, with their padding.
fn pad<V: Value>(spec: &ConvSpec, layout: &Layout, input: &[i8], band: Range<usize>, values: &mut [i8]) {
    let shape = &spec.shape;
    let channels = shape.channels;
    let left = shape.pad_before[1].min(columns_seen(shape)) * channels;
    let taken = (shape.input[1] * channels).min(layout.row - left);
    let top = band.start * shape.stride[0];
    for (index, row) in values.chunks_mut(V::BYTES * layout.row).enumerate() {
        let source = (top + index).checked_sub(shape.pad_before[0]).filter(|&y| y < shape.input[0]);
        match source {
            Some(y) if row.len() == V::BYTES * layout.row => {
                let (before, rest) = row.split_at_mut(V::BYTES * left);
                let (inside, behind) = rest.split_at_mut(V::BYTES * taken);
                V::fill(spec.input_zero_point, before);
                V::put(&input[y * shape.input[1] * channels..][..taken], inside);
                V::fill(spec.input_zero_point, behind);
            }
            _ => V::fill(spec.input_zero_point, row),
        }
    }
}

/// Copies what each pixel of the output rows `band` sees.
fn gather<V: Value>(spec: &ConvSpec, layout: &Layout, input: &[i8], band: Range<usize>, values: &mut [i8]) {
    let shape = &spec.shape;
    let run = shape.kernel[1] * shape.channels;
    let mut patches = values.chunks_exact_mut(V::BYTES * layout.run);
    for y in band {
        let (rows, top) = shape.taps(0, y);
        for (x, patch) in (0..shape.output()[1]).zip(&mut patches) {
            let (columns, left) = shape.taps(1, x);
            let len = columns.len() * shape.channels;
            if rows.len() != shape.kernel[0] || len != run {
                V::fill(spec.input_zero_point, patch);
            }
            for (index, row) in rows.clone().enumerate() {
                let from = ((top + index) * shape.input[1] + left) * shape.channels;
                let to = row * run + columns.start * shape.channels;
                V::put(&input[from..from + len], &mut patch[V::BYTES * to..V::BYTES * (to + len)]);
            }
        }
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

/// Weights as `[panel][kernel row][run / group][lane][group]`: what a kernel of `lanes` columns that takes
/// `group` values of each at a time reads in a row; the last group of a run may be smaller. `columns` names
/// the filter of each lane, panel by panel.
pub(crate) fn pack(
    spec: &ConvSpec,
    columns: &[Option<usize>],
    (lanes, group): (usize, usize),
    layout: &Layout,
) -> Vec<i8> {
    let len = spec.shape.filter_len();
    let order: Vec<Option<usize>> = layout.order().collect();
    let mut packed = Vec::with_capacity(columns.len() * order.len());
    for panel in columns.chunks_exact(lanes) {
        for group in order.chunks_exact(layout.run).flat_map(|run| run.chunks(group)) {
            for filter in panel {
                packed.extend(group.iter().map(|at| match (filter, at) {
                    (Some(filter), Some(at)) => spec.weights[filter * len + at],
                    _ => 0,
                }));
            }
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(channels: usize, kernel: usize) -> ConvShape {
        ConvShape {
            input: [28, 28],
            channels,
            filters: 40,
            kernel: [kernel; 2],
            stride: [1, 1],
            pad_before: [1, 1],
            pad_after: [1, 1],
            depthwise: false,
        }
    }

    #[test]
    fn few_channels_are_gathered_and_many_are_not() {
        assert_eq!(Layout::new(&shape(3, 3), 8).runs, 1);
        assert_eq!(Layout::new(&shape(40, 3), 8).runs, 3);
        assert_eq!(Layout::new(&shape(40, 3), 8).depth(), 360);
    }

    #[test]
    fn tiles_are_as_equal_as_can_be() {
        let tiles: Vec<_> = tiles(49, 6).collect();
        assert_eq!(tiles.iter().map(|tile| tile.1).sum::<usize>(), 49);
        assert!(tiles.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0));
        assert!(tiles.iter().all(|tile| (5..=6).contains(&tile.1)));
    }

    #[test]
    fn pixels_follow_one_another_over_the_end_of_a_row() {
        let layout = Layout::new(&shape(40, 3), 8);
        let band = Band { values: &[], layout, count: 784, width: 28 };
        assert_eq!(band.starts::<3>(26), [26 * 40, 27 * 40, 30 * 40]);
    }
}
