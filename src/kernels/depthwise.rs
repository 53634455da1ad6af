//! Depthwise convolutions: rows of the input, with padding made real.

use std::ops::Range;

use super::conv::{ConvSpec, MAX_DEPTHWISE_ROWS};

/// Rows of the input below one row of outputs: `rows[i]` begins at the first tap of the first output in
/// kernel row `i`; the next output's begins `step` bytes behind, the next tap's `channels` behind.
pub(crate) struct Taps<'a> {
    pub rows: &'a [&'a [i8]],
    pub step: usize,
    pub count: usize,
}

/// Bytes of scratch that [`for_rows`] needs: a padding row, and the patch of one pixel.
pub(crate) fn scratch_len(spec: &ConvSpec) -> usize {
    let shape = &spec.shape;
    shape.input[1].max(shape.kernel[1]) * shape.channels + patch_len(spec)
}

fn patch_len(spec: &ConvSpec) -> usize {
    spec.shape.kernel[0] * spec.shape.kernel[1] * spec.shape.channels
}

/// Calls `run` for parts of output rows, with the inputs that they see, until all `rows` are done.
pub(crate) fn for_rows(
    spec: &ConvSpec,
    input: &[i8],
    rows: Range<usize>,
    (scratch, out): (&mut [i8], &mut [i8]),
    mut run: impl FnMut(Taps<'_>, &mut [i8]),
) {
    let shape = &spec.shape;
    let (channels, [height, kernel_width]) = (shape.channels, shape.kernel);
    let (patch, padding) = scratch.split_at_mut(patch_len(spec));
    padding.fill(spec.input_zero_point);
    let row_len = shape.input[1] * channels;
    let inner = inner_columns(spec);
    let mut views: [&[i8]; MAX_DEPTHWISE_ROWS] = [&[]; MAX_DEPTHWISE_ROWS];
    for (y, out) in rows.zip(out.chunks_exact_mut(shape.output_row())) {
        let (taps, top) = shape.taps(0, y);
        for (row, view) in views[..height].iter_mut().enumerate() {
            *view = match row.checked_sub(taps.start) {
                Some(below) if row < taps.end => &input[(top + below) * row_len..][..row_len],
                _ => &padding[..row_len],
            };
        }
        for (x, out) in out.chunks_exact_mut(channels).enumerate() {
            if !inner.contains(&x) {
                gather(spec, &views[..height], x, patch);
                let mut edge: [&[i8]; MAX_DEPTHWISE_ROWS] = [&[]; MAX_DEPTHWISE_ROWS];
                for (row, part) in edge.iter_mut().zip(patch.chunks_exact(kernel_width * channels)) {
                    *row = part;
                }
                run(Taps { rows: &edge[..height], step: 0, count: 1 }, out);
            }
        }
        if !inner.is_empty() {
            let first = (inner.start * shape.stride[1] - shape.pad_before[1]) * channels;
            for view in &mut views[..height] {
                *view = &view[first..];
            }
            let step = shape.stride[1] * channels;
            let out = &mut out[inner.start * channels..inner.end * channels];
            run(Taps { rows: &views[..height], step, count: inner.len() }, out);
        }
    }
}

/// Output columns that see no padding to the left or right.
fn inner_columns(spec: &ConvSpec) -> Range<usize> {
    let shape = &spec.shape;
    let [kernel, stride, before] = [shape.kernel[1], shape.stride[1], shape.pad_before[1]];
    let start = before.div_ceil(stride);
    match (shape.input[1] + before).checked_sub(kernel) {
        Some(last) => start..(last / stride + 1).min(shape.output()[1]).max(start),
        None => start..start,
    }
}

/// Copies the inputs of the output in column `x`, with padding left and right.
fn gather(spec: &ConvSpec, rows: &[&[i8]], x: usize, patch: &mut [i8]) {
    let channels = spec.shape.channels;
    let (taps, left) = spec.shape.taps(1, x);
    patch.fill(spec.input_zero_point);
    for (row, part) in rows.iter().zip(patch.chunks_exact_mut(spec.shape.kernel[1] * channels)) {
        let len = taps.len() * channels;
        part[taps.start * channels..][..len].copy_from_slice(&row[left * channels..][..len]);
    }
}
