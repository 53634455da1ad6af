//! QDQ patterns to fused int8 operators.
//!
//! Walks the graph that [`super::pattern`] left, in order, and builds another of [`Fused`] operators:
//!
//! ```text
//! pixels -> DQ -> Transpose ----------------> Pixels
//! DQ -> Conv/Gemm/Mean -> [Relu|PRelu] -> Q -> Conv
//! DQ, DQ -> Add -> [Relu|PRelu] -> Q --------> Add
//! DQ -> Resize -> Q (same scale) ------------> Double
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::*;

use super::error::LoadError;
use super::layer;
use super::onnx::damaged;
use super::operator::Fused;
use super::pattern::{Operator, Pattern};
use super::plan::MAX_ARENA_BYTES;

/// What an i8 tensor means: `(q - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantisation {
    pub scale: f32,
    pub zero_point: i8,
}

/// Order of a tensor's axes in the ONNX graph; fused tensors are always `[1, height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Layout {
    Nhwc,
    Nchw,
    Flat,
}

/// An i8 tensor of the fused graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor8 {
    pub wire: OutletId,
    pub shape: [usize; 3],
    pub quantisation: Quantisation,
    pub layout: Layout,
}

/// What follows a sum before it is quantised.
#[derive(Debug, Clone)]
pub(crate) enum Activation {
    None,
    Relu,
    Prelu(Vec<f32>),
}

/// An operator whose output scale is not known yet.
#[derive(Debug, Clone)]
pub(crate) enum Open {
    Conv { input: Tensor8, filters: layer::Filters },
    Add([Tensor8; 2]),
}

#[derive(Debug, Clone)]
enum Value {
    /// The u8 input.
    Pixels(OutletId, [usize; 3]),
    /// A quantised tensor.
    Int8(Tensor8),
    /// A quantised tensor behind its `DequantizeLinear`.
    Real(Tensor8),
    /// A sum that is not quantised yet.
    Open(Box<(Open, Activation, Layout)>),
    /// A constant, or one behind its `DequantizeLinear`.
    Constant(layer::Constant),
}

/// An output of the network: its name and its tensor.
pub(crate) type Output = (String, Tensor8);

/// The graph of [`Fused`] operators, and its outputs in the order of the ONNX file.
pub(crate) struct FusedGraph {
    pub model: TypedModel,
    pub outputs: Vec<Output>,
}

impl FusedGraph {
    /// Height, width and channels of the input.
    pub(crate) fn input(&self) -> Result<[usize; 3], LoadError> {
        let inputs = self.model.input_outlets().map_err(damaged)?;
        let fact = self.model.outlet_fact(inputs[0]).map_err(damaged)?;
        match fact.shape.as_concrete() {
            Some(&[1, height, width, channels]) => Ok([height, width, channels]),
            _ => Err(LoadError::Contract { what: "the input's size is not known".to_owned() }),
        }
    }
}

/// Fuses `source`.
///
/// # Errors
/// [`LoadError::Unsupported`] with the name of the first node that fits no pattern.
pub(crate) fn fuse(source: &TypedModel) -> Result<FusedGraph, LoadError> {
    let mut fuser = Fuser { source, model: TypedModel::default(), values: HashMap::new() };
    for id in source.eval_order().map_err(damaged)? {
        let node = source.node(id);
        if node.outputs.len() != 1 {
            return Err(unsupported(&node.name, "more than one output"));
        }
        let value = fuser.value(node)?;
        fuser.values.insert(id, value);
    }
    fuser.finish()
}

pub(crate) fn unsupported(node: &str, reason: impl Into<String>) -> LoadError {
    LoadError::Unsupported { node: node.to_owned(), reason: reason.into() }
}

fn open(sum: Open, layout: Layout) -> Value {
    Value::Open(Box::new((sum, Activation::None, layout)))
}

struct Fuser<'a> {
    source: &'a TypedModel,
    model: TypedModel,
    values: HashMap<usize, Value>,
}

impl Fuser<'_> {
    fn value(&mut self, node: &TypedNode) -> Result<Value, LoadError> {
        if let Some(pattern) = node.op_as::<Pattern>() {
            return self.pattern(node, pattern);
        }
        if let Some(constant) = node.op_as::<Const>() {
            return Ok(Value::Constant(layer::Constant::plain(constant.val().clone())));
        }
        if node.op_is::<TypedSource>() {
            return self.source(node);
        }
        Err(unsupported(&node.name, format!("operator {} has no int8 form", node.op.name())))
    }

    fn pattern(&mut self, node: &TypedNode, pattern: &Pattern) -> Result<Value, LoadError> {
        match &pattern.operator {
            Operator::Dequantise { scale, zero_point, axis } => {
                self.dequantise(node, scale, zero_point, *axis)
            }
            Operator::Quantise { scale, zero_point } => {
                self.quantise(node, Quantisation { scale: *scale, zero_point: *zero_point })
            }
            Operator::Relu => self.activate(node, Activation::Relu),
            Operator::Prelu { slope } => self.activate(node, Activation::Prelu(slope.clone())),
            Operator::Add => {
                let inputs = [self.real(node, 0, Layout::Nchw)?, self.real(node, 1, Layout::Nchw)?];
                if inputs[0].shape != inputs[1].shape {
                    return Err(unsupported(&node.name, "addition of different shapes"));
                }
                Ok(open(Open::Add(inputs), Layout::Nchw))
            }
            Operator::Mean => {
                let input = self.real(node, 0, Layout::Nchw)?;
                Ok(open(Open::Conv { input, filters: layer::mean(&input) }, Layout::Nchw))
            }
            Operator::Double => {
                let input = self.real(node, 0, Layout::Nchw)?;
                let [height, width, channels] = input.shape;
                let wire = self.wire(&node.name, Fused::Double, &[input.wire])?;
                Ok(Value::Real(Tensor8 { wire, shape: [2 * height, 2 * width, channels], ..input }))
            }
            Operator::Conv(window) => {
                let input = self.real(node, 0, Layout::Nchw)?;
                let (weights, bias) = self.weights_and_bias(node)?;
                let filters = layer::conv(&node.name, *window, &input, &weights, bias.as_ref())?;
                Ok(open(Open::Conv { input, filters }, Layout::Nchw))
            }
            Operator::Gemm { transposed } => {
                let input = self.real(node, 0, Layout::Flat)?;
                let (weights, bias) = self.weights_and_bias(node)?;
                let filters = layer::dense(&node.name, &input, &weights, bias.as_ref(), *transposed)?;
                Ok(open(Open::Conv { input, filters }, Layout::Flat))
            }
            Operator::ChannelsFirst | Operator::ChannelsLast | Operator::Reshape => {
                self.reorder(node, pattern)
            }
        }
    }

    fn weights_and_bias(
        &self,
        node: &TypedNode,
    ) -> Result<(layer::Constant, Option<layer::Constant>), LoadError> {
        let bias = if node.inputs.len() > 2 { Some(self.constant(node, 2)?) } else { None };
        Ok((self.constant(node, 1)?, bias))
    }

    fn source(&mut self, node: &TypedNode) -> Result<Value, LoadError> {
        let fact = &node.outputs[0].fact;
        let shape = fact.shape.as_concrete().map(<[usize]>::to_vec);
        match shape.as_deref() {
            Some(&[1, height, width, 3]) if fact.datum_type == u8::datum_type() => {
                let fact = u8::fact([1, height, width, 3]);
                let wire = self.model.add_source(node.name.clone(), fact).map_err(damaged)?;
                Ok(Value::Pixels(wire, [height, width, 3]))
            }
            _ => Err(unsupported(&node.name, "the input is not u8 [1, H, W, 3]")),
        }
    }

    fn dequantise(
        &mut self,
        node: &TypedNode,
        scale: &[f32],
        zero_point: &[i32],
        axis: usize,
    ) -> Result<Value, LoadError> {
        match self.input(node, 0)? {
            Value::Constant(constant) => {
                let scaled = constant.scaled(scale, zero_point, axis);
                scaled
                    .map(Value::Constant)
                    .ok_or_else(|| unsupported(&node.name, "zero point of weights not 0"))
            }
            Value::Pixels(input, shape) => {
                let zero_point = i8::try_from(zero_point[0])
                    .map_err(|_| unsupported(&node.name, "zero point outside of i8"))?;
                let quantisation = Quantisation { scale: scale[0], zero_point };
                let wire = self.wire(&node.name, Fused::Pixels, &[input])?;
                Ok(Value::Real(Tensor8 { wire, shape, quantisation, layout: Layout::Nhwc }))
            }
            Value::Int8(tensor) => {
                let Quantisation { scale: known, zero_point: zero } = tensor.quantisation;
                if scale != [known] || zero_point != [i32::from(zero)] {
                    return Err(unsupported(&node.name, "Q and DQ disagree on scale or zero point"));
                }
                Ok(Value::Real(tensor))
            }
            _ => Err(unsupported(&node.name, "DequantizeLinear of what is not quantised")),
        }
    }

    fn quantise(&mut self, node: &TypedNode, quantisation: Quantisation) -> Result<Value, LoadError> {
        match self.input(node, 0)? {
            Value::Real(tensor) if tensor.quantisation == quantisation => Ok(Value::Int8(tensor)),
            Value::Open(open) => {
                let (open, activation, layout) = *open;
                let name = &node.name;
                let (fused, inputs, shape) = match open {
                    Open::Conv { input, filters } => {
                        let spec = layer::finish_conv(name, &input, filters, activation, quantisation)?;
                        let [height, width] = spec.shape.output();
                        let shape = [height, width, spec.shape.filters];
                        (Fused::Conv(Arc::new(spec)), vec![input.wire], shape)
                    }
                    Open::Add(inputs) => {
                        let spec = layer::finish_add(name, &inputs, activation, quantisation)?;
                        (Fused::Add(Arc::new(spec)), inputs.map(|i| i.wire).to_vec(), inputs[0].shape)
                    }
                };
                let wire = self.wire(name, fused, &inputs)?;
                Ok(Value::Int8(Tensor8 { wire, shape, quantisation, layout }))
            }
            _ => Err(unsupported(&node.name, "QuantizeLinear changes the scale without an operator")),
        }
    }

    fn activate(&mut self, node: &TypedNode, activation: Activation) -> Result<Value, LoadError> {
        match self.input(node, 0)? {
            Value::Open(mut open) if matches!(open.1, Activation::None) => {
                open.1 = activation;
                Ok(Value::Open(open))
            }
            _ => Err(unsupported(&node.name, "an activation that follows no Conv or Add")),
        }
    }

    /// Only the axes' names change here: fused tensors keep their order.
    fn reorder(&self, node: &TypedNode, pattern: &Pattern) -> Result<Value, LoadError> {
        let Value::Real(mut tensor) = self.input(node, 0)? else {
            return Err(unsupported(&node.name, "reordering of what is not behind a DequantizeLinear"));
        };
        tensor.layout = match (&pattern.operator, tensor.layout) {
            (Operator::ChannelsFirst, Layout::Nhwc) => Layout::Nchw,
            (Operator::ChannelsLast, Layout::Nchw) => Layout::Nhwc,
            (Operator::Reshape, Layout::Nhwc) => Layout::Nhwc,
            (Operator::Reshape, _) if pattern.shape.len() == 2 => Layout::Flat,
            (operator, layout) => {
                let what = format!("{operator:?} to {:?} of a tensor in {layout:?}", pattern.shape);
                return Err(unsupported(&node.name, what));
            }
        };
        Ok(Value::Real(tensor))
    }

    fn input(&self, node: &TypedNode, at: usize) -> Result<Value, LoadError> {
        let value = node.inputs.get(at).and_then(|outlet| self.values.get(&outlet.node));
        value.cloned().ok_or_else(|| unsupported(&node.name, format!("input {at} is missing")))
    }

    fn real(&self, node: &TypedNode, at: usize, layout: Layout) -> Result<Tensor8, LoadError> {
        match self.input(node, at)? {
            Value::Real(tensor) if tensor.layout == layout => Ok(tensor),
            Value::Real(_) => {
                Err(unsupported(&node.name, format!("input {at} has its axes in another order")))
            }
            _ => Err(unsupported(&node.name, format!("input {at} comes from no DequantizeLinear"))),
        }
    }

    fn constant(&self, node: &TypedNode, at: usize) -> Result<layer::Constant, LoadError> {
        match self.input(node, at)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(unsupported(&node.name, format!("input {at} is not constant"))),
        }
    }

    fn wire(&mut self, name: &str, op: Fused, inputs: &[OutletId]) -> Result<OutletId, LoadError> {
        let wired = self.model.wire_node(name, op, inputs).map_err(damaged)?[0];
        let shape = &self.model.outlet_fact(wired).map_err(damaged)?.shape;
        let sizes = shape.as_concrete().unwrap_or_default();
        let needed = sizes.iter().fold(1, |bytes: usize, &size| bytes.saturating_mul(size));
        if needed > MAX_ARENA_BYTES {
            return Err(LoadError::Memory { needed, max: MAX_ARENA_BYTES });
        }
        Ok(wired)
    }

    fn finish(mut self) -> Result<FusedGraph, LoadError> {
        let mut outputs = vec![];
        for outlet in self.source.output_outlets().map_err(damaged)? {
            let node = self.source.node(outlet.node);
            let name = self.source.outlet_label(*outlet).unwrap_or(&node.name).to_owned();
            match self.values.get(&outlet.node) {
                Some(Value::Real(tensor) | Value::Int8(tensor)) => outputs.push((name, *tensor)),
                _ => {
                    return Err(unsupported(&node.name, format!("output {name} is not quantised")));
                }
            }
        }
        let wires: Vec<OutletId> = outputs.iter().map(|(_, tensor)| tensor.wire).collect();
        self.model.select_output_outlets(&wires).map_err(damaged)?;
        Ok(FusedGraph { model: self.model, outputs })
    }
}
