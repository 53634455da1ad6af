//! ONNX operators to [`Pattern`]s: the whole register of operators, in place of tract's own.
//!
//! Only what is registered is linked into a program: tract's two hundred readers, and the operators and
//! kernels that they lead to, would make up most of the firmware.

use tract_onnx::Onnx;
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::pattern::{Operator, Padding, Pattern, Window};

/// A parser that knows [`OPERATORS`] only.
pub(crate) fn parser() -> Onnx {
    let mut op_register = OnnxOpRegister::default();
    for (name, builder) in OPERATORS {
        op_register.insert(name, builder);
    }
    Onnx { op_register, ..Onnx::default() }
}

/// Whether some fusion understands the operator.
pub(crate) fn knows(operator: &str) -> bool {
    OPERATORS.iter().any(|(name, _)| *name == operator)
}

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;
type Builder = fn(&ParsingContext, &NodeProto) -> Built;

const OPERATORS: [(&str, Builder); 12] = [
    ("QuantizeLinear", |_, _| read(Reader::Quantise)),
    ("DequantizeLinear", |_, node| read(Reader::Dequantise { axis: quantisation_axis(node)? })),
    ("Conv", |_, node| read(Reader::Conv(window(node)?))),
    ("Gemm", |_, node| read(gemm(node)?)),
    ("Relu", |_, _| read(Reader::Relu)),
    ("PRelu", |_, _| read(Reader::Prelu)),
    ("Add", |_, _| read(Reader::Add)),
    ("Resize", |_, node| read(double(node)?)),
    ("GlobalAveragePool", |_, _| read(Reader::Mean)),
    ("Flatten", |_, node| read(flatten(node)?)),
    ("Reshape", |_, node| read(Reader::Reshape { zero_is_zero: flag(node, "allowzero")? })),
    ("Transpose", |_, node| read(transpose(node)?)),
];

/// One ONNX operator with its attributes, while tract derives shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Quantise,
    Dequantise { axis: i64 },
    Relu,
    Prelu,
    Add,
    Mean,
    Double,
    Conv(Window),
    Gemm { transposed: bool },
    ChannelsFirst,
    ChannelsLast,
    Flatten,
    Reshape { zero_is_zero: bool },
}

fn read(reader: Reader) -> Built {
    Ok((Box::new(reader), vec![]))
}

fn flag(node: &NodeProto, name: &str) -> TractResult<bool> {
    Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(0) != 0)
}

/// Two numbers, `default` where the attribute is missing.
fn pair(node: &NodeProto, name: &str, default: usize) -> TractResult<[usize; 2]> {
    let list = node.get_attr_opt_vec::<usize>(name)?.unwrap_or_else(|| vec![default; 2]);
    list.try_into().map_err(|_| format_err!("{name} is not two numbers: only pictures are understood"))
}

fn quantisation_axis(node: &NodeProto) -> TractResult<i64> {
    ensure!(!flag(node, "block_size")?, "blocked quantisation");
    Ok(node.get_attr_opt("axis")?.unwrap_or(1))
}

fn window(node: &NodeProto) -> TractResult<Window> {
    ensure!(pair(node, "dilations", 1)? == [1, 1], "dilated convolution");
    let pads = node.get_attr_opt_vec::<usize>("pads")?.unwrap_or_else(|| vec![0; 4]);
    let padding = match (node.get_attr_opt::<&str>("auto_pad")?.unwrap_or("NOTSET"), &pads[..]) {
        ("NOTSET", &[top, left, bottom, right]) => {
            Padding::Explicit { before: [top, left], after: [bottom, right] }
        }
        ("VALID", _) => Padding::Explicit { before: [0, 0], after: [0, 0] },
        ("SAME_UPPER", _) => Padding::Same { odd_after: true },
        ("SAME_LOWER", _) => Padding::Same { odd_after: false },
        (mode, pads) => bail!("auto_pad {mode} with pads {pads:?}"),
    };
    let groups = node.get_attr_opt::<usize>("group")?.unwrap_or(1);
    Ok(Window { stride: pair(node, "strides", 1)?, padding, groups })
}

fn gemm(node: &NodeProto) -> TractResult<Reader> {
    let factor = |name: &str| TractResult::Ok(node.get_attr_opt::<f32>(name)?.unwrap_or(1.0));
    ensure!(factor("alpha")? == 1.0 && factor("beta")? == 1.0, "Gemm with factors");
    ensure!(!flag(node, "transA")?, "Gemm with a transposed input");
    Ok(Reader::Gemm { transposed: flag(node, "transB")? })
}

fn double(node: &NodeProto) -> TractResult<Reader> {
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
    Ok(Reader::Double)
}

fn flatten(node: &NodeProto) -> TractResult<Reader> {
    ensure!(node.get_attr_opt::<i64>("axis")?.unwrap_or(1) == 1, "only Flatten behind the first axis");
    Ok(Reader::Flatten)
}

fn transpose(node: &NodeProto) -> TractResult<Reader> {
    match node.get_attr_opt_vec::<i64>("perm")?.as_deref() {
        Some([0, 3, 1, 2]) => Ok(Reader::ChannelsFirst),
        Some([0, 2, 3, 1]) => Ok(Reader::ChannelsLast),
        other => bail!("Transpose by {other:?}"),
    }
}

impl Op for Reader {
    fn name(&self) -> StaticName {
        "QdqReader".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Reader {
    not_out_of_plan!();
}

impl InferenceRulesOp for Reader {
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
        let shapes = inputs[..self.least_inputs()].iter().map(|input| &input.shape);
        if let Self::Reshape { zero_is_zero } = *self {
            return s.given_2(&inputs[0].shape, &inputs[1].value, move |s, shape, target| {
                let target = target.cast_to::<i64>()?;
                let shape = reshaped(&sizes(&shape)?, target.try_as_plain_ram()?.as_slice()?, zero_is_zero)?;
                s.equals(&outputs[0].shape, ShapeFactoid::from(shape))
            });
        }
        s.given_all(shapes, move |s, shapes| {
            let shapes = shapes.iter().map(sizes).collect::<TractResult<Vec<_>>>()?;
            s.equals(&outputs[0].shape, ShapeFactoid::from(self.output_shape(&shapes)?))
        })
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|outlet| mapping[outlet]).collect();
        let shape =
            source.node_output_facts(node.id)?[0].shape.concretize().context("a size is not known")?;
        let pattern = Pattern { operator: self.operator(target, &inputs)?, shape: sizes(&shape)? };
        let used = match self {
            Self::Conv(_) | Self::Gemm { .. } => inputs.len(),
            Self::Add => 2,
            _ => 1,
        };
        target.wire_node(&*node.name, pattern, &inputs[..used])
    }

    as_op!();
}

impl Reader {
    fn least_inputs(self) -> usize {
        match self {
            Self::Relu | Self::Mean | Self::ChannelsFirst | Self::ChannelsLast | Self::Flatten => 1,
            _ => 2,
        }
    }

    /// The output's shape, from those of the inputs.
    fn output_shape(self, inputs: &[TVec<usize>]) -> TractResult<TVec<usize>> {
        let first = &inputs[0];
        let picture = || <[usize; 4]>::try_from(&first[..]).context("not [n, c, h, w]");
        Ok(match self {
            Self::Mean => picture().map(|[n, c, ..]| tvec![n, c, 1, 1])?,
            Self::Double => picture().map(|[n, c, h, w]| tvec![n, c, 2 * h, 2 * w])?,
            Self::ChannelsFirst => picture().map(|[n, h, w, c]| tvec![n, c, h, w])?,
            Self::ChannelsLast => picture().map(|[n, c, h, w]| tvec![n, h, w, c])?,
            Self::Flatten => tvec![first[0], first[1..].iter().product()],
            Self::Conv(window) => {
                let shape = window.shape(first, &inputs[1]);
                let shape = shape.with_context(|| format!("{window:?} of {first:?} by {:?}", inputs[1]))?;
                let [height, width] = shape.output();
                tvec![first[0], shape.filters, height, width]
            }
            Self::Gemm { transposed } => {
                ensure!(first.len() == 2 && inputs[1].len() == 2, "Gemm of {inputs:?}");
                tvec![first[0], inputs[1][usize::from(!transposed)]]
            }
            Self::Add => {
                ensure!(first == &inputs[1], "addition of different shapes");
                first.clone()
            }
            _ => first.clone(),
        })
    }

    fn operator(self, model: &TypedModel, inputs: &[OutletId]) -> TractResult<Operator> {
        Ok(match self {
            Self::Quantise => quantise(model, inputs)?,
            Self::Dequantise { axis } => dequantise(model, inputs, axis)?,
            Self::Relu => Operator::Relu,
            Self::Prelu => Operator::Prelu { slope: values::<f32>(model, inputs, 1)? },
            Self::Add => Operator::Add,
            Self::Mean => Operator::Mean,
            Self::Double => {
                let scales = inputs.len() - 1;
                ensure!(values::<f32>(model, inputs, scales)? == [1.0, 1.0, 2.0, 2.0], "only Resize by two");
                Operator::Double
            }
            Self::Conv(window) => Operator::Conv(window),
            Self::Gemm { transposed } => Operator::Gemm { transposed },
            Self::ChannelsFirst => Operator::ChannelsFirst,
            Self::ChannelsLast => Operator::ChannelsLast,
            Self::Flatten | Self::Reshape { .. } => Operator::Reshape,
        })
    }
}

fn sizes(shape: &TVec<TDim>) -> TractResult<TVec<usize>> {
    shape.iter().map(|size| Ok(size.to_usize()?)).collect()
}

/// ONNX `Reshape`: -1 takes what is left, 0 keeps the size unless `zero_is_zero`.
fn reshaped(shape: &[usize], target: &[i64], zero_is_zero: bool) -> TractResult<TVec<usize>> {
    let all: usize = shape.iter().product();
    let mut open = None;
    let mut new: TVec<usize> = tvec![];
    for (axis, &size) in target.iter().enumerate() {
        new.push(match size {
            -1 if open.replace(axis).is_none() => 1,
            0 if !zero_is_zero => *shape.get(axis).context("no size to keep")?,
            size => usize::try_from(size).context("a negative size")?,
        });
    }
    if let Some(axis) = open {
        let known: usize = new.iter().product();
        new[axis] = all.checked_div(known).context("nothing to divide by")?;
    }
    ensure!(new.iter().product::<usize>() == all, "{all} values do not fit into {new:?}");
    Ok(new)
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

fn quantise(model: &TypedModel, inputs: &[OutletId]) -> TractResult<Operator> {
    let scale = values::<f32>(model, inputs, 1)?;
    let zero_point = zero_points(model, inputs)?;
    ensure!(scale.len() == 1 && zero_point.len() == 1, "activations have one scale per tensor");
    ensure!(scale[0] > 0.0 && scale[0].is_finite(), "a scale must be positive");
    let zero_point = i8::try_from(zero_point[0]).context("zero point outside of i8")?;
    Ok(Operator::Quantise { scale: scale[0], zero_point })
}

fn dequantise(model: &TypedModel, inputs: &[OutletId], axis: i64) -> TractResult<Operator> {
    let scale = values::<f32>(model, inputs, 1)?;
    ensure!(scale.iter().all(|s| *s > 0.0 && s.is_finite()), "a scale must be positive");
    let zero_point = zero_points(model, inputs)?;
    let rank = model.outlet_fact(inputs[0])?.rank() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    ensure!(scale.len() == 1 || (0..rank).contains(&axis), "no axis {axis}");
    Ok(Operator::Dequantise { scale, zero_point, axis: axis.max(0) as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_follows_onnx() {
        assert_eq!(reshaped(&[1, 4, 2, 3], &[0, -1], false).unwrap()[..], [1, 24]);
        assert_eq!(reshaped(&[1, 4, 2, 3], &[1, 4, -1, 1], true).unwrap()[..], [1, 4, 6, 1]);
        for wrong in [&[-1, -1][..], &[5, 5], &[0, 0, 0, 0, 0], &[-2, -12]] {
            assert!(reshaped(&[1, 4, 2, 3], wrong, false).is_err(), "{wrong:?}");
        }
    }
}
