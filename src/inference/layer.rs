//! One layer's constants: from ONNX order and float scales to what the kernels take.

use std::sync::Arc;

use tract_onnx::tract_hir::internal::*;

use super::error::LoadError;
use super::fuse::{Activation, Quantisation, Tensor8, unsupported};
use super::pattern::Window;
use crate::kernels::add::AddSpec;
use crate::kernels::conv::ConvSpec;
use crate::kernels::requant::Requant;
use crate::kernels::shape::ConvShape;

/// Largest relative difference between a bias' scale and the product of its input's and weights' scales;
/// a choice that allows for f32 rounding in exporters.
const BIAS_SCALE_TOLERANCE: f64 = 1e-4;

/// A constant, perhaps behind a `DequantizeLinear` with zero point 0.
#[derive(Debug, Clone)]
pub(crate) struct Constant {
    tensor: Arc<Tensor>,
    /// Scale (one, or one per index of the axis) and axis.
    scale: Option<(Vec<f32>, usize)>,
}

impl Constant {
    pub(crate) fn plain(tensor: Arc<Tensor>) -> Self {
        Self { tensor, scale: None }
    }

    /// The same, dequantised; none where a zero point is not 0 or it was dequantised before.
    pub(crate) fn scaled(self, scale: &[f32], zero_point: &[i32], axis: usize) -> Option<Self> {
        let fits = self.scale.is_none() && zero_point.iter().all(|&zero| zero == 0);
        fits.then(|| Self { tensor: self.tensor, scale: Some((scale.to_vec(), axis)) })
    }

    fn values<T: Datum + Copy>(&self) -> Option<Vec<T>> {
        let plain = self.tensor.try_as_plain_ram().ok()?;
        Some(plain.as_slice::<T>().ok()?.to_vec())
    }
}

/// A convolution without its output scale.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    shape: ConvShape,
    /// In the order of [`ConvSpec::weights`].
    weights: Vec<i8>,
    bias: Vec<i32>,
    /// Scale of the sums, by filter.
    scale: Vec<f64>,
}

/// Filters of a convolution of the ONNX graph.
pub(crate) fn conv(
    name: &str,
    window: Window,
    input: &Tensor8,
    weights: &Constant,
    bias: Option<&Constant>,
) -> Result<Filters, LoadError> {
    let [height, width, channels] = input.shape;
    let dims = weights.tensor.shape();
    let shape = window.shape(&[1, channels, height, width], dims);
    let shape = shape.ok_or_else(|| unsupported(name, format!("weights of shape {dims:?}")))?;
    filters(name, shape, input, weights, bias, 0)
}

/// The mean over height and width, as a depthwise convolution of ones.
pub(crate) fn mean(input: &Tensor8) -> Filters {
    let [height, width, channels] = input.shape;
    let shape = whole_input(input, channels, true);
    let pixels = height * width;
    let scale = f64::from(input.quantisation.scale) / pixels as f64;
    Filters {
        shape,
        weights: vec![1; pixels * channels],
        bias: vec![0; channels],
        scale: vec![scale; channels],
    }
}

/// A dense layer, as a convolution whose kernel is the whole input.
pub(crate) fn dense(
    name: &str,
    input: &Tensor8,
    weights: &Constant,
    bias: Option<&Constant>,
    transposed: bool,
) -> Result<Filters, LoadError> {
    let dims = weights.tensor.shape();
    let filter_axis = usize::from(!transposed);
    if dims.len() != 2 || dims[1 - filter_axis] != input.shape.iter().product::<usize>() {
        return Err(unsupported(name, format!("weights of shape {dims:?}")));
    }
    filters(name, whole_input(input, dims[filter_axis], false), input, weights, bias, filter_axis)
}

fn whole_input(input: &Tensor8, filters: usize, depthwise: bool) -> ConvShape {
    let [height, width, channels] = input.shape;
    ConvShape {
        input: [height, width],
        channels,
        filters,
        kernel: [height, width],
        stride: [1, 1],
        pad_before: [0, 0],
        pad_after: [0, 0],
        depthwise,
    }
}

fn filters(
    name: &str,
    shape: ConvShape,
    input: &Tensor8,
    weights: &Constant,
    bias: Option<&Constant>,
    filter_axis: usize,
) -> Result<Filters, LoadError> {
    let values: Vec<i8> = weights.values().ok_or_else(|| unsupported(name, "weights are not int8"))?;
    let Some((scales, axis)) = &weights.scale else {
        return Err(unsupported(name, "weights come from no DequantizeLinear"));
    };
    let per_filter = scales.len() == shape.filters && *axis == filter_axis;
    if values.len() != shape.filters * shape.filter_len() || !(scales.len() == 1 || per_filter) {
        return Err(unsupported(name, "one weight scale per filter is needed"));
    }
    let input_scale = f64::from(input.quantisation.scale);
    let scale: Vec<f64> = (0..shape.filters)
        .map(|filter| input_scale * f64::from(scales[if scales.len() == 1 { 0 } else { filter }]))
        .collect();
    let bias = match bias {
        Some(bias) => bias_steps(bias, &scale).ok_or_else(|| {
            unsupported(name, "the bias is neither float nor i32 with input scale times weight scale")
        })?,
        None => vec![0; shape.filters],
    };
    let weights = channels_last(&shape, &values, filter_axis);
    Ok(Filters { shape, weights, bias, scale })
}

/// The bias in units of `scale`; float biases are rounded to it.
fn bias_steps(bias: &Constant, scale: &[f64]) -> Option<Vec<i32>> {
    let each = |len: usize, index: usize| if len == 1 { 0 } else { index };
    let filters = scale.len();
    if let Some(floats) = bias.values::<f32>() {
        let fits = bias.scale.is_none() && (floats.len() == filters || floats.len() == 1);
        return fits.then(|| {
            scale
                .iter()
                .enumerate()
                .map(|(i, s)| (f64::from(floats[each(floats.len(), i)]) / s).round_ties_even() as i32)
                .collect()
        });
    }
    let steps: Vec<i32> = bias.values()?;
    let (scales, _) = bias.scale.as_ref()?;
    let agrees = |(i, s): (usize, &f64)| {
        let given = f64::from(scales[each(scales.len(), i)]);
        (given - s).abs() <= BIAS_SCALE_TOLERANCE * s
    };
    let lengths = steps.len() == filters && (scales.len() == filters || scales.len() == 1);
    (lengths && scale.iter().enumerate().all(agrees)).then_some(steps)
}

/// `[filter, channel, row, column]` (or `[channel.., filter]`) to `[filter, row, column, channel]`.
fn channels_last(shape: &ConvShape, values: &[i8], filter_axis: usize) -> Vec<i8> {
    let depth = if shape.depthwise { 1 } else { shape.channels };
    let taps = shape.kernel[0] * shape.kernel[1];
    let len = depth * taps;
    let mut out = Vec::with_capacity(values.len());
    for filter in 0..shape.filters {
        for tap in 0..taps {
            for channel in 0..depth {
                let inner = channel * taps + tap;
                let at = if filter_axis == 0 { filter * len + inner } else { inner * shape.filters + filter };
                out.push(values[at]);
            }
        }
    }
    out
}

fn slopes(name: &str, slope: Vec<f32>, channels: usize) -> Result<Vec<f32>, LoadError> {
    match slope.len() {
        len if len == channels => Ok(slope),
        1 => Ok(vec![slope[0]; channels]),
        len => Err(unsupported(name, format!("{len} PReLU slopes for {channels} channels"))),
    }
}

/// A convolution, now that its output scale is known.
pub(crate) fn finish_conv(
    name: &str,
    input: &Tensor8,
    filters: Filters,
    activation: Activation,
    output: Quantisation,
) -> Result<ConvSpec, LoadError> {
    let Filters { shape, weights, bias, scale } = filters;
    let factors: Vec<f64> = scale.iter().map(|s| s / f64::from(output.scale)).collect();
    let mut requant = Requant {
        scale: factors.iter().map(|&f| f as f32).collect(),
        slope: None,
        zero_point: output.zero_point,
        low: -128,
    };
    match activation {
        Activation::None => (),
        Activation::Relu => requant.low = output.zero_point,
        Activation::Prelu(slope) => {
            let slope = slopes(name, slope, shape.filters)?;
            requant.slope =
                Some(slope.iter().zip(&factors).map(|(&s, f)| (f64::from(s) * f) as f32).collect());
        }
    }
    let input_zero_point = input.quantisation.zero_point;
    let spec = ConvSpec { shape, weights, bias, input_zero_point, requant };
    match spec.check() {
        Ok(()) => Ok(spec),
        Err(source) => Err(LoadError::Conv { node: name.to_owned(), source }),
    }
}

/// An addition, now that its output scale is known.
pub(crate) fn finish_add(
    name: &str,
    inputs: &[Tensor8; 2],
    activation: Activation,
    output: Quantisation,
) -> Result<AddSpec, LoadError> {
    let channels = inputs[0].shape[2];
    let factor = |input: &Tensor8| (f64::from(input.quantisation.scale) / f64::from(output.scale)) as f32;
    let low = if matches!(activation, Activation::Relu) { output.zero_point } else { -128 };
    let slope = match activation {
        Activation::Prelu(slope) => Some(slopes(name, slope, channels)?),
        _ => None,
    };
    let spec = AddSpec {
        channels,
        zero_points: inputs.map(|input| input.quantisation.zero_point),
        factors: [factor(&inputs[0]), factor(&inputs[1])],
        slope,
        zero_point: output.zero_point,
        low,
    };
    if spec.fits() { Ok(spec) } else { Err(unsupported(name, "its scales are too far apart")) }
}
