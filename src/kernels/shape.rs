//! The geometry of a convolution.

use std::ops::Range;

/// Sizes of one convolution; activations are `[height, width, channels]` (NHWC with batch 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output; equal to `channels` when `depthwise`.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Rows above and columns left of the input.
    pub pad_before: [usize; 2],
    /// Rows below and columns right of the input.
    pub pad_after: [usize; 2],
    /// Whether each filter sees only the channel of its own number.
    pub depthwise: bool,
}

impl ConvShape {
    /// Height and width of the output; zero where the kernel does not fit.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = self.input[axis] + self.pad_before[axis] + self.pad_after[axis];
            padded.checked_sub(self.kernel[axis]).map_or(0, |rest| rest / self.stride[axis] + 1)
        })
    }

    /// Every size there is.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = usize> {
        let pairs = [self.input, self.kernel, self.stride, self.pad_before, self.pad_after];
        pairs.into_iter().flatten().chain([self.channels, self.filters])
    }

    /// Bytes of the input.
    pub fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Bytes of the output.
    pub fn output_len(&self) -> usize {
        self.output().iter().product::<usize>() * self.filters
    }

    /// Bytes of one row of the output.
    pub fn output_row(&self) -> usize {
        self.output()[1] * self.filters
    }

    /// Weights of one filter.
    pub fn filter_len(&self) -> usize {
        let taps = self.kernel[0] * self.kernel[1];
        if self.depthwise { taps } else { taps * self.channels }
    }

    /// Multiply-accumulates of the layer, counted over the padded input.
    pub fn macs(&self) -> usize {
        self.output_len() * self.filter_len()
    }

    /// Whether each output pixel sees exactly one input pixel, in order.
    pub fn is_pointwise(&self) -> bool {
        !self.depthwise
            && [self.kernel, self.stride] == [[1, 1]; 2]
            && [self.pad_before, self.pad_after] == [[0, 0]; 2]
    }

    /// The kernel taps of `axis` that fall into the input at output position `at`, and where the first
    /// of them lies.
    pub(crate) fn taps(&self, axis: usize, at: usize) -> (Range<usize>, usize) {
        let start = at * self.stride[axis];
        let skipped = self.pad_before[axis].saturating_sub(start).min(self.kernel[axis]);
        let first = (start + skipped).saturating_sub(self.pad_before[axis]).min(self.input[axis]);
        let end = (self.input[axis] + self.pad_before[axis]).saturating_sub(start).min(self.kernel[axis]);
        (skipped..end.max(skipped), first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> ConvShape {
        ConvShape {
            input: [5, 8],
            channels: 3,
            filters: 4,
            kernel: [3, 3],
            stride: [2, 2],
            pad_before: [1, 1],
            pad_after: [1, 1],
            depthwise: false,
        }
    }

    #[test]
    fn output_sizes_follow_the_onnx_formula() {
        assert_eq!(shape().output(), [3, 4]);
        assert_eq!(ConvShape { kernel: [9, 9], ..shape() }.output(), [0, 1]);
        assert_eq!(shape().macs(), 3 * 4 * 4 * 27);
    }

    #[test]
    fn taps_leave_out_the_padding() {
        assert_eq!(shape().taps(0, 0), (1..3, 0));
        assert_eq!(shape().taps(0, 1), (0..3, 1));
        assert_eq!(shape().taps(0, 2), (0..2, 3));
        assert_eq!(shape().taps(1, 3), (0..3, 5));
    }
}
