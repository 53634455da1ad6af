//! The fused int8 operators, as operators of tract's graph.
//!
//! Activations are i8 `[1, height, width, channels]`. tract can run the fused graph itself; the
//! [`Network`](super::Network) runs the same operators over one arena instead, because a tract plan
//! allocates every activation anew.

use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use crate::kernels::add::AddSpec;
use crate::kernels::conv::{Conv, ConvSpec};
use crate::kernels::isa::Isa;
use crate::kernels::scalar;

/// One fused operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fused {
    /// u8 pixels to i8 with zero point 0: `p - 128`.
    Pixels,
    /// Convolution or dense layer, with bias, requantisation and activation.
    Conv(Arc<ConvSpec>),
    /// Residual addition, with requantisation and activation.
    Add(Arc<AddSpec>),
    /// Twice the height and width by repeating pixels.
    Double,
}

impl Eq for Fused {}

impl Op for Fused {
    fn name(&self) -> StaticName {
        match self {
            Self::Pixels => "FusedPixels".into(),
            Self::Conv(_) => "FusedConv".into(),
            Self::Add(_) => "FusedAdd".into(),
            Self::Double => "FusedDouble".into(),
        }
    }

    op_as_typed_op!();
}

impl TypedOp for Fused {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = inputs[0].shape.as_concrete().context("sizes must be known")?;
        ensure!(shape.len() == 4, "activations are [1, height, width, channels]");
        let shape = match self {
            Self::Pixels | Self::Add(_) => [shape[1], shape[2], shape[3]],
            Self::Double => [2 * shape[1], 2 * shape[2], shape[3]],
            Self::Conv(spec) => {
                let [height, width] = spec.shape.output();
                [height, width, spec.shape.filters]
            }
        };
        Ok(tvec!(i8::fact([1, shape[0], shape[1], shape[2]])))
    }

    as_op!();
}

impl EvalOp for Fused {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let facts: TVec<TypedFact> = inputs.iter().map(|i| TypedFact::shape_and_dt_of(i)).collect();
        let fact = self.output_facts(&facts.iter().collect::<TVec<_>>())?.remove(0);
        let mut output = Tensor::zero::<i8>(fact.shape.as_concrete().context("sizes must be known")?)?;
        let mut plain = output.try_as_plain_ram_mut()?;
        let out = plain.as_slice_mut::<i8>()?;
        match self {
            Self::Pixels => {
                let pixels = inputs[0].try_as_plain_ram()?;
                pixels_to_i8(pixels.as_slice::<u8>()?, out);
            }
            Self::Conv(spec) => {
                let conv = Conv::new(spec.as_ref().clone(), Isa::Scalar)?;
                let input = inputs[0].try_as_plain_ram()?;
                ensure!(input.as_slice::<i8>()?.len() == spec.shape.input_len(), "input size");
                conv.run_rows(input.as_slice()?, 0..spec.shape.output()[0], &mut [], out);
            }
            Self::Add(spec) => {
                let (a, b) = (inputs[0].try_as_plain_ram()?, inputs[1].try_as_plain_ram()?);
                ensure!(inputs[0].shape() == inputs[1].shape(), "equal shapes");
                spec.run(Isa::Scalar, a.as_slice()?, b.as_slice()?, out);
            }
            Self::Double => {
                let shape = inputs[0].shape();
                let input = inputs[0].try_as_plain_ram()?;
                scalar::upsample2(input.as_slice()?, shape[2], shape[3], out);
            }
        }
        Ok(tvec!(output.into_tvalue()))
    }
}

/// `p - 128` of every pixel.
pub(crate) fn pixels_to_i8(pixels: &[u8], out: &mut [i8]) {
    for (value, &pixel) in out.iter_mut().zip(pixels) {
        *value = (pixel ^ 0x80) as i8;
    }
}
