//! The definition of every int8 operator, in plain Rust.
//!
//! Slow and simple on purpose. Activations are i8 in `[height, width, channels]`; a value `q` means
//! `q - zero_point` steps. Padding is the input's zero point.

use std::ops::Range;

use super::add::AddSpec;
use super::conv::ConvSpec;

/// Computes `rows` of the output of a convolution into `out`, which holds exactly these rows.
pub fn conv_rows(spec: &ConvSpec, input: &[i8], rows: Range<usize>, out: &mut [i8]) {
    let shape = &spec.shape;
    let [_, width] = shape.output();
    for (index, value) in out.iter_mut().enumerate().take(rows.len() * shape.output_row()) {
        let filter = index % shape.filters;
        let x = index / shape.filters % width;
        let y = rows.start + index / shape.output_row();
        *value = spec.requant.apply(conv_sum(spec, input, [y, x], filter), filter);
    }
}

/// Bias plus the products of one filter at one place.
fn conv_sum(spec: &ConvSpec, input: &[i8], at: [usize; 2], filter: usize) -> i32 {
    let shape = &spec.shape;
    let depth = if shape.depthwise { 1 } else { shape.channels };
    let first_channel = if shape.depthwise { filter } else { 0 };
    let weights = &spec.weights[filter * shape.filter_len()..][..shape.filter_len()];
    let (rows, top) = shape.taps(0, at[0]);
    let (columns, left) = shape.taps(1, at[1]);
    let mut sum = spec.bias[filter];
    for (y, row) in rows.enumerate() {
        for (x, column) in columns.clone().enumerate() {
            let pixel = ((top + y) * shape.input[1] + left + x) * shape.channels + first_channel;
            let tap = (row * shape.kernel[1] + column) * depth;
            for (&value, &weight) in input[pixel..][..depth].iter().zip(&weights[tap..][..depth]) {
                let steps = i32::from(value) - i32::from(spec.input_zero_point);
                sum = sum.wrapping_add(steps * i32::from(weight));
            }
        }
    }
    sum
}

/// Adds two tensors of equal shape, each with its own scale and zero point.
///
/// `steps = f32(a - zero_a) * factor_a + f32(b - zero_b) * factor_b`, two products and a sum in f32,
/// each rounded; negative results times the channel's PReLU slope; then rounded half to even.
pub fn add(spec: &AddSpec, a: &[i8], b: &[i8], out: &mut [i8]) {
    for (index, ((&a, &b), value)) in a.iter().zip(b).zip(out).enumerate() {
        *value = spec.apply(a, b, index % spec.channels);
    }
}

/// Doubles height and width of `[height, width, channels]` by repeating each pixel.
pub fn upsample2(input: &[i8], width: usize, channels: usize, out: &mut [i8]) {
    let row = width * channels;
    for (source, target) in input.chunks_exact(row).zip(out.chunks_exact_mut(4 * row)) {
        let (upper, lower) = target.split_at_mut(2 * row);
        for (pixel, pair) in source.chunks_exact(channels).zip(upper.chunks_exact_mut(2 * channels)) {
            pair[..channels].copy_from_slice(pixel);
            pair[channels..].copy_from_slice(pixel);
        }
        lower.copy_from_slice(upper);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upsampling_repeats_every_pixel_twice_each_way() {
        let mut out = [0; 16];
        upsample2(&[1, 2, 3, 4], 2, 1, &mut out);
        assert_eq!(out, [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
        let mut out = [0; 16];
        upsample2(&[1, 2, 3, 4], 1, 2, &mut out);
        assert_eq!(out, [1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4]);
    }
}
