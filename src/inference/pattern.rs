//! What the quantised parts of an ONNX graph look like while they wait to be fused.
//!
//! tract lowers `DequantizeLinear` of a constant to a float constant at once, and PReLU, Gemm and the mean
//! to several nodes. Here each ONNX node stays one node with its constants, until [`super::fuse`] replaces
//! it. It cannot be evaluated.

use tract_onnx::tract_hir::internal::*;

use crate::kernels::shape::ConvShape;

/// One operator of the QDQ graph, with its constants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operator {
    /// `round(x / scale) + zero_point`, saturated to i8; u8 zero points are moved by -128.
    Quantise { scale: f32, zero_point: i8 },
    /// `(q - zero_point) * scale`, each one value or one per index of `axis`.
    Dequantise { scale: Vec<f32>, zero_point: Vec<i32>, axis: usize },
    /// `max(x, 0)`.
    Relu,
    /// `x < 0 ? slope * x : x`, one slope or one per channel.
    Prelu { slope: Vec<f32> },
    /// Sum of two tensors of equal shape.
    Add,
    /// Mean over height and width.
    Mean,
    /// Nearest neighbour, twice the height and width.
    Double,
    /// Two-dimensional convolution; weights `[filters, channels / groups, height, width]`.
    Conv(Window),
    /// `x * w^T + bias`; `transposed` says that `w` is stored as `[outputs, inputs]`.
    Gemm { transposed: bool },
    /// `[1, h, w, c]` to `[1, c, h, w]`.
    ChannelsFirst,
    /// `[1, c, h, w]` to `[1, h, w, c]`.
    ChannelsLast,
    /// The same values in the same order in another shape.
    Reshape,
}

/// How a convolution moves over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    pub padding: Padding,
    pub groups: usize,
}

/// ONNX `pads` and `auto_pad`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    Explicit {
        before: [usize; 2],
        after: [usize; 2],
    },
    /// As much as makes the output `ceil(input / stride)`; the odd pixel is at the end if `odd_after`.
    Same {
        odd_after: bool,
    },
}

impl Window {
    /// The geometry of a convolution of `[1, channels, height, width]` with weights
    /// `[filters, channels / groups, height, width]`; none where they do not fit, or for groups that are
    /// neither one nor one per channel.
    pub(crate) fn shape(&self, input: &[usize], weights: &[usize]) -> Option<ConvShape> {
        let (&[_, channels, height, width], &[filters, depth, kernel_height, kernel_width]) =
            (input, weights)
        else {
            return None;
        };
        let depthwise = self.groups == channels && self.groups == filters && channels > 1;
        let fits = depth == if depthwise { 1 } else { channels };
        if !fits || (self.groups != 1 && !depthwise) || self.stride.contains(&0) {
            return None;
        }
        let (input, kernel) = ([height, width], [kernel_height, kernel_width]);
        let [vertical, horizontal] = [0, 1].map(|axis| self.pads(axis, input[axis], kernel[axis]));
        Some(ConvShape {
            input,
            channels,
            filters,
            kernel,
            stride: self.stride,
            pad_before: [vertical.0, horizontal.0],
            pad_after: [vertical.1, horizontal.1],
            depthwise,
        })
    }

    fn pads(&self, axis: usize, input: usize, kernel: usize) -> (usize, usize) {
        match self.padding {
            Padding::Explicit { before, after } => (before[axis], after[axis]),
            Padding::Same { odd_after } => {
                let stride = self.stride[axis];
                let last = input.div_ceil(stride).saturating_sub(1) * stride;
                let all = (last + kernel).saturating_sub(input);
                if odd_after { (all / 2, all.div_ceil(2)) } else { (all.div_ceil(2), all / 2) }
            }
        }
    }
}

/// An [`Operator`] as a node of tract's graph.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    pub operator: Operator,
    /// Of its only output.
    pub shape: TVec<usize>,
}

impl Eq for Pattern {}

impl Op for Pattern {
    fn name(&self) -> StaticName {
        "QdqPattern".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Pattern {
    not_out_of_plan!();
}

impl TypedOp for Pattern {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let kind = match self.operator {
            Operator::Quantise { .. } => DatumType::I8,
            _ => DatumType::F32,
        };
        Ok(tvec!(kind.fact(&*self.shape)))
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(stride: usize, padding: Padding) -> Window {
        Window { stride: [stride; 2], padding, groups: 1 }
    }

    #[test]
    fn same_padding_gives_the_input_divided_by_the_stride() {
        for (side, kernel, stride) in [(7, 3, 1), (8, 3, 2), (9, 3, 2), (10, 2, 3), (5, 1, 2)] {
            for odd_after in [true, false] {
                let window = window(stride, Padding::Same { odd_after });
                let shape = window.shape(&[1, 4, side, side], &[6, 4, kernel, kernel]).unwrap();
                assert_eq!(shape.output(), [side.div_ceil(stride); 2], "{shape:?}");
                assert_eq!(
                    shape.pad_before[0] > shape.pad_after[0],
                    !odd_after && shape.pad_before[0] > 0 && shape.pad_before[0] != shape.pad_after[0]
                );
            }
        }
    }

    #[test]
    fn weights_that_do_not_fit_have_no_shape() {
        let none = Padding::Explicit { before: [0, 0], after: [0, 0] };
        assert_eq!(window(1, none).shape(&[1, 4, 8, 8], &[6, 3, 3, 3]), None);
        assert_eq!(window(0, none).shape(&[1, 4, 8, 8], &[6, 4, 3, 3]), None);
        let grouped = Window { groups: 2, ..window(1, none) };
        assert_eq!(grouped.shape(&[1, 4, 8, 8], &[6, 2, 3, 3]), None);
        let depthwise = Window { groups: 4, ..window(1, none) };
        assert!(depthwise.shape(&[1, 4, 8, 8], &[4, 1, 3, 3]).is_some_and(|shape| shape.depthwise));
    }
}
