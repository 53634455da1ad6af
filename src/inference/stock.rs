//! A network that stays unfused: tract's own operators, for graphs with operators that have no int8 form.
//!
//! Slower by far, in floating point, and it allocates: for trying models out, not for the device.

use std::sync::Arc;

use tract_onnx::tract_core::ops::quant::DequantizeLinearF32;
use tract_onnx::tract_hir::internal::*;

use super::error::{LoadError, RunError};
use super::network::Output;
use super::onnx::damaged;

/// A plan of tract's, and the int8 outputs of its last run.
#[derive(Debug)]
pub(crate) struct Stock {
    plan: Arc<TypedRunnableModel>,
    input: [usize; 3],
    results: Vec<Vec<i8>>,
}

impl Stock {
    /// Compiles `model`, whose outputs must be dequantised tensors, `[1, C, H, W]` or `[1, C]`.
    ///
    /// # Errors
    /// When they are not, or tract cannot compile it.
    pub(crate) fn new(mut model: TypedModel) -> Result<(Self, Vec<Output>), LoadError> {
        let outlets = model.output_outlets().map_err(damaged)?.to_vec();
        let (wires, outputs): (Vec<OutletId>, Vec<Output>) = outlets
            .iter()
            .map(|&outlet| quantised(&model, outlet))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .unzip();
        let input = model.input_fact(0).map_err(damaged)?.shape.as_concrete().map(<[usize]>::to_vec);
        let input = match input.as_deref() {
            Some(&[1, height, width, 3]) => [height, width, 3],
            _ => return Err(LoadError::Contract { what: "the input is not u8 [1, H, W, 3]".to_owned() }),
        };
        model.select_output_outlets(&wires).map_err(damaged)?;
        let plan = model.into_optimized().and_then(|model| model.into_runnable()).map_err(damaged)?;
        let results = outputs.iter().map(|output| vec![0; output.shape.iter().product()]).collect();
        Ok((Self { plan, input, results }, outputs))
    }

    /// Height, width and channels of the input.
    pub(crate) fn input(&self) -> [usize; 3] {
        self.input
    }

    /// Runs tract on pixels of the right length.
    pub(crate) fn run(&mut self, pixels: &[u8]) -> Result<(), RunError> {
        self.try_run(pixels).map_err(|error| RunError::Tract { reason: format!("{error:#}") })
    }

    fn try_run(&mut self, pixels: &[u8]) -> TractResult<()> {
        let [height, width, channels] = self.input;
        let picture = Tensor::from_shape(&[1, height, width, channels], pixels)?;
        for (value, result) in self.plan.run(tvec!(picture.into_tvalue()))?.iter().zip(&mut self.results) {
            let plain = value.try_as_plain_ram()?;
            let channels = value.shape()[1];
            let signed: Vec<i8> = if value.datum_type() == u8::datum_type() {
                plain.as_slice::<u8>()?.iter().map(|&q| (q ^ 0x80) as i8).collect()
            } else {
                plain.as_slice::<i8>()?.to_vec()
            };
            let pixels = signed.len() / channels;
            for (index, q) in signed.into_iter().enumerate() {
                result[index % pixels * channels + index / pixels] = q;
            }
        }
        Ok(())
    }

    /// The values of output `index`, in `[height, width, channels]`.
    pub(crate) fn output(&self, index: usize) -> &[i8] {
        &self.results[index]
    }
}

/// The int8 tensor behind an output, and what it means.
fn quantised(model: &TypedModel, outlet: OutletId) -> Result<(OutletId, Output), LoadError> {
    let node = model.node(outlet.node);
    let name = model.outlet_label(outlet).unwrap_or(&node.name).to_owned();
    let refused =
        || LoadError::Unsupported { node: name.clone(), reason: "the output is not quantised".to_owned() };
    let dequantise = node.op_as::<DequantizeLinearF32>().ok_or_else(refused)?;
    let fact = model.outlet_fact(node.inputs[0]).map_err(damaged)?;
    let shape = match fact.shape.as_concrete() {
        Some(&[1, channels]) => [1, 1, channels],
        Some(&[1, channels, height, width]) => [height, width, channels],
        _ => return Err(refused()),
    };
    let moved = if fact.datum_type == u8::datum_type() { 128 } else { 0 };
    let zero_point = i8::try_from(dequantise.zero_point - moved).map_err(|_| refused())?;
    Ok((node.inputs[0], Output { name: name.clone(), shape, scale: dequantise.scale, zero_point }))
}
