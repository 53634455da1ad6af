//! What the quantised parts of an ONNX graph look like while they wait to be fused.
//!
//! tract lowers `DequantizeLinear` of a constant to a float constant at once, and PReLU, Gemm and the mean
//! to several nodes. These readers, put into tract's operator register in place of its own, keep each as
//! one node with its parameters, until [`super::fuse`] replaces them. They cannot be evaluated.

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

/// One operator of the QDQ graph, with its constants.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pattern {
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
    /// `x * w^T + bias`; `transposed` says that `w` is stored as `[outputs, inputs]`.
    Gemm { transposed: bool },
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
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape: TVec<TDim> = inputs[0].shape.iter().cloned().collect();
        let kind = match self {
            Self::Quantise { .. } => DatumType::I8,
            _ => DatumType::F32,
        };
        match self {
            Self::Mean => shape[2..].fill(1.to_dim()),
            Self::Double => shape[2..].iter_mut().for_each(|side| *side = side.clone() * 2),
            Self::Gemm { transposed } => {
                shape[1] = inputs[1].shape[usize::from(!transposed)].clone();
            }
            _ => (),
        }
        Ok(tvec!(kind.fact(shape)))
    }

    as_op!();
}

/// Reads one ONNX operator into a [`Pattern`].
#[derive(Debug, Clone, Copy)]
enum Reader {
    Quantise,
    Dequantise { axis: i64 },
    Relu,
    Prelu,
    Add,
    Mean,
    Double,
    Gemm { transposed: bool },
}

/// Replaces tract's readers of the operators that are fused.
pub(crate) fn register(onnx: &mut Onnx) {
    let register = &mut onnx.op_register;
    register.insert("QuantizeLinear", |_, _| read(Reader::Quantise));
    register.insert("DequantizeLinear", |_, node| read(Reader::Dequantise { axis: axis(node)? }));
    register.insert("Relu", |_, _| read(Reader::Relu));
    register.insert("PRelu", |_, _| read(Reader::Prelu));
    register.insert("Add", |_, _| read(Reader::Add));
    register.insert("GlobalAveragePool", |_, _| read(Reader::Mean));
    register.insert("Resize", double);
    register.insert("Gemm", gemm);
}

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

fn read(reader: Reader) -> Built {
    Ok((expand(reader), vec![]))
}

fn axis(node: &NodeProto) -> TractResult<i64> {
    ensure!(node.get_attr_opt::<i64>("block_size")?.unwrap_or(0) == 0, "blocked quantisation");
    Ok(node.get_attr_opt("axis")?.unwrap_or(1))
}

fn double(_: &ParsingContext, node: &NodeProto) -> Built {
    let text = |name: &str| node.get_attr_opt::<&str>(name);
    ensure!(text("mode")?.unwrap_or("nearest") == "nearest", "only nearest Resize");
    let place = text("coordinate_transformation_mode")?.unwrap_or("half_pixel");
    let rounding = text("nearest_mode")?.unwrap_or("round_prefer_floor");
    // At a factor of two all of these pick source pixel x / 2.
    let repeats = match place {
        "asymmetric" => rounding == "floor",
        "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric" => rounding.starts_with("round_prefer"),
        _ => false,
    };
    ensure!(repeats, "Resize by {place} and {rounding} does not repeat pixels");
    read(Reader::Double)
}

fn gemm(_: &ParsingContext, node: &NodeProto) -> Built {
    let factor = |name: &str| TractResult::Ok(node.get_attr_opt::<f32>(name)?.unwrap_or(1.0));
    let flag = |name: &str| TractResult::Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0);
    ensure!(factor("alpha")? == 1.0 && factor("beta")? == 1.0 && !flag("transA")?, "only x * w + bias");
    read(Reader::Gemm { transposed: flag("transB")? })
}

impl Expansion for Reader {
    fn name(&self) -> StaticName {
        "QdqReader".into()
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        ensure!(outputs.len() == 1 && inputs.len() >= self.least_inputs(), "too few inputs");
        match self {
            Self::Quantise if inputs.len() > 2 => {
                s.equals(&outputs[0].datum_type, &inputs[2].datum_type)?;
            }
            Self::Quantise => s.equals(&outputs[0].datum_type, u8::datum_type())?,
            _ => s.equals(&outputs[0].datum_type, f32::datum_type())?,
        }
        match self {
            Self::Mean => self.map_image(s, inputs, outputs, |_| 1.to_dim()),
            Self::Double => self.map_image(s, inputs, outputs, |side| side * 2),
            Self::Gemm { transposed } => {
                s.equals(&inputs[0].rank, 2)?;
                s.equals(&inputs[1].rank, 2)?;
                s.equals(&outputs[0].rank, 2)?;
                s.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
                s.equals(&outputs[0].shape[1], &inputs[1].shape[usize::from(!transposed)])
            }
            _ => s.equals(&outputs[0].shape, &inputs[0].shape),
        }
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let pattern = self.pattern(model, inputs)?;
        let used = match pattern {
            Pattern::Gemm { .. } => inputs.len(),
            Pattern::Add => 2,
            _ => 1,
        };
        model.wire_node(prefix, pattern, &inputs[..used])
    }
}

impl Reader {
    fn least_inputs(self) -> usize {
        match self {
            Self::Relu | Self::Mean => 1,
            _ => 2,
        }
    }

    /// Output shape of what changes only height and width of `[n, c, h, w]`.
    fn map_image<'r, 'p: 'r>(
        &self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
        side: impl Fn(TDim) -> TDim + Copy + 'r,
    ) -> InferenceResult {
        s.equals(&inputs[0].rank, 4)?;
        s.equals(&outputs[0].rank, 4)?;
        for axis in 0..4 {
            s.given(&inputs[0].shape[axis], move |s, size| {
                s.equals(&outputs[0].shape[axis], if axis < 2 { size } else { side(size) })
            })?;
        }
        Ok(())
    }

    fn pattern(self, model: &TypedModel, inputs: &[OutletId]) -> TractResult<Pattern> {
        Ok(match self {
            Self::Quantise => quantise(model, inputs)?,
            Self::Dequantise { axis } => dequantise(model, inputs, axis)?,
            Self::Relu => Pattern::Relu,
            Self::Prelu => Pattern::Prelu { slope: values::<f32>(model, inputs, 1)? },
            Self::Add => {
                let shape = |i: usize| TractResult::Ok(model.outlet_fact(inputs[i])?.shape.clone());
                ensure!(shape(0)? == shape(1)?, "Add of different shapes");
                Pattern::Add
            }
            Self::Mean => Pattern::Mean,
            Self::Double => {
                let scales = inputs.len() - 1;
                ensure!(values::<f32>(model, inputs, scales)? == [1.0, 1.0, 2.0, 2.0], "only Resize by two");
                Pattern::Double
            }
            Self::Gemm { transposed } => Pattern::Gemm { transposed },
        })
    }
}

/// The constant at input `at`, as a list of `T`.
fn values<T: Datum + Copy>(model: &TypedModel, inputs: &[OutletId], at: usize) -> TractResult<Vec<T>> {
    let fact = model.outlet_fact(*inputs.get(at).context("a constant is missing")?)?;
    let tensor = fact.konst.as_ref().context("scales and zero points must be constants")?;
    Ok(tensor.cast_to::<T>()?.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
}

/// Zero points as i32, moved by -128 when they are u8; 128 less than nothing when there are none.
fn zero_points(model: &TypedModel, inputs: &[OutletId]) -> TractResult<Vec<i32>> {
    let zeros = if inputs.len() > 2 { values::<i32>(model, inputs, 2)? } else { vec![0] };
    let kind = match inputs.get(2) {
        Some(&zero_point) => model.outlet_fact(zero_point)?.datum_type,
        None => model.outlet_fact(inputs[0])?.datum_type,
    };
    let unsigned = kind == u8::datum_type() || (inputs.len() == 2 && kind == f32::datum_type());
    Ok(zeros.into_iter().map(|zero| if unsigned { zero - 128 } else { zero }).collect())
}

fn quantise(model: &TypedModel, inputs: &[OutletId]) -> TractResult<Pattern> {
    let scale = values::<f32>(model, inputs, 1)?;
    let zero_point = zero_points(model, inputs)?;
    ensure!(scale.len() == 1 && zero_point.len() == 1, "activations have one scale per tensor");
    ensure!(scale[0] > 0.0 && scale[0].is_finite(), "a scale must be positive");
    let zero_point = i8::try_from(zero_point[0]).context("zero point outside of i8")?;
    Ok(Pattern::Quantise { scale: scale[0], zero_point })
}

fn dequantise(model: &TypedModel, inputs: &[OutletId], axis: i64) -> TractResult<Pattern> {
    let scale = values::<f32>(model, inputs, 1)?;
    ensure!(scale.iter().all(|s| *s > 0.0 && s.is_finite()), "a scale must be positive");
    let zero_point = zero_points(model, inputs)?;
    let rank = model.outlet_fact(inputs[0])?.rank() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    ensure!(scale.len() == 1 || (0..rank).contains(&axis), "no axis {axis}");
    Ok(Pattern::Dequantise { scale, zero_point, axis: axis.max(0) as usize })
}
