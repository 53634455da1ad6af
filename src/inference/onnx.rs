//! ONNX bytes to a typed tract graph, without trusting them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};
use tract_onnx::prelude::*;

use super::error::LoadError;
use super::reader;

/// Largest model file that is read, in bytes; a choice, four times the largest expected.
pub const MAX_MODEL_BYTES: usize = 32 << 20;

/// Most nodes that are read; a choice that bounds the time that a hostile file can take.
const MAX_NODES: usize = 4096;

/// Longest side of the input picture, in pixels; a choice.
const MAX_INPUT_SIDE: usize = 2048;

/// Who reads the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operators {
    /// Those that are fused; others are refused before tract looks at them.
    Fused,
    /// Any that tract knows.
    Any,
}

/// Reads `bytes` into a typed graph of [`super::pattern`]s, with `input_size` instead of the file's height
/// and width.
///
/// # Errors
/// For anything that is not a sound model within the limits, or has other operators; a panic inside tract
/// counts as damage.
pub(crate) fn read(bytes: &[u8], input_size: Option<[usize; 2]>) -> Result<TypedModel, LoadError> {
    parse(&reader::parser(), Operators::Fused, bytes, input_size)
}

/// Reads `bytes` into a typed graph of tract's own operators.
///
/// # Errors
/// As [`read`], but any operator that tract knows is let through.
pub(crate) fn read_unfused(bytes: &[u8], input_size: Option<[usize; 2]>) -> Result<TypedModel, LoadError> {
    parse(&tract_onnx::onnx(), Operators::Any, bytes, input_size)
}

fn parse(
    onnx: &Onnx,
    operators: Operators,
    bytes: &[u8],
    input_size: Option<[usize; 2]>,
) -> Result<TypedModel, LoadError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(LoadError::TooLarge { len: bytes.len(), max: MAX_MODEL_BYTES });
    }
    guarded(|| {
        let mut proto = onnx.proto_model_for_read(&mut &*bytes).map_err(damaged)?;
        check(&proto, operators)?;
        prepare(&mut proto, input_size)?;
        let parsed = onnx.parse(&proto, None).map_err(damaged)?;
        parsed.model.into_typed().map_err(damaged)
    })
}

/// Runs `work`, turning a panic into [`LoadError::Damaged`].
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(LoadError::Damaged { reason: "the graph made tract panic".to_owned() }))
}

/// tract's error chain in one line.
pub(crate) fn damaged(error: TractError) -> LoadError {
    LoadError::Damaged { reason: format!("{error:#}") }
}

fn contract(what: impl Into<String>) -> LoadError {
    LoadError::Contract { what: what.into() }
}

/// Refuses what is too large or cannot be understood, by name.
fn check(proto: &ModelProto, operators: Operators) -> Result<(), LoadError> {
    let graph = proto.graph.as_ref().ok_or_else(|| contract("the model has no graph"))?;
    if graph.node.len() > MAX_NODES || graph.initializer.len() > MAX_NODES {
        return Err(contract(format!("more than {MAX_NODES} nodes or constants")));
    }
    graph.initializer.iter().try_for_each(check_constant)?;
    for node in &graph.node {
        let supported = reader::knows(&node.op_type) && is_standard(&node.domain);
        if operators == Operators::Fused && !supported {
            return Err(LoadError::Unsupported {
                node: node.name.clone(),
                reason: format!("operator {} has no int8 form", node.op_type),
            });
        }
    }
    Ok(())
}

fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Refuses constants whose shape promises more than their data, or whose data lies elsewhere.
fn check_constant(tensor: &TensorProto) -> Result<(), LoadError> {
    let wrong = |what| contract(format!("constant {}: {what}", tensor.name));
    if !tensor.external_data.is_empty() || tensor.data_location.is_some_and(|place| place != 0) {
        return Err(wrong("its data is in another file"));
    }
    let len = tensor.dims.iter().try_fold(1_usize, |len, &d| len.checked_mul(usize::try_from(d).ok()?));
    let most = [
        tensor.raw_data.len(),
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
        tensor.string_data.len(),
    ];
    match len {
        Some(len) if len <= most.iter().sum() => Ok(()),
        _ => Err(wrong("its shape and its data disagree")),
    }
}

/// Checks the input's contract and sets its size; lets tract derive all other shapes.
fn prepare(proto: &mut ModelProto, size: Option<[usize; 2]>) -> Result<(), LoadError> {
    let graph = proto.graph.as_mut().ok_or_else(|| contract("the model has no graph"))?;
    graph.value_info.clear();
    let sizes = input_sizes(graph)?;
    let [height, width] = size.unwrap_or(sizes);
    if ![height, width].iter().all(|side| (1..=MAX_INPUT_SIDE).contains(side)) {
        return Err(contract(format!("{height}x{width} is no input size (at most {MAX_INPUT_SIDE})")));
    }
    set_input_size(graph, [height, width])
}

/// The dimensions of the only real input, which must be u8 `[1, H, W, 3]`.
fn input_dimensions(
    graph: &mut GraphProto,
) -> Result<&mut Vec<tract_onnx::pb::tensor_shape_proto::Dimension>, LoadError> {
    use tract_onnx::pb::type_proto::Value;
    let constants: Vec<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    let mut inputs: Vec<_> = graph.input.iter_mut().filter(|i| !constants.contains(&i.name)).collect();
    if inputs.len() != 1 {
        return Err(contract(format!("{} inputs instead of one", inputs.len())));
    }
    let what = "the input is not u8 [1, H, W, 3]";
    let Some(input) = inputs.pop().and_then(|i| i.r#type.as_mut()) else {
        return Err(contract(what));
    };
    let Some(Value::TensorType(tensor)) = &mut input.value else {
        return Err(contract(what));
    };
    let is_u8 = tensor.elem_type == tract_onnx::pb::tensor_proto::DataType::Uint8 as i32;
    match &mut tensor.shape {
        Some(shape) if is_u8 && shape.dim.len() == 4 => Ok(&mut shape.dim),
        _ => Err(contract(what)),
    }
}

fn input_sizes(graph: &mut GraphProto) -> Result<[usize; 2], LoadError> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    let fixed: Vec<usize> = input_dimensions(graph)?
        .iter()
        .map(|d| match &d.value {
            Some(Value::DimValue(v)) => usize::try_from(*v).unwrap_or(0),
            _ => 0,
        })
        .collect();
    if fixed[0] > 1 || fixed[3] != 3 {
        return Err(contract(format!("the input is {fixed:?} instead of [1, H, W, 3]")));
    }
    Ok([fixed[1], fixed[2]])
}

fn set_input_size(graph: &mut GraphProto, [height, width]: [usize; 2]) -> Result<(), LoadError> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    for (dimension, size) in input_dimensions(graph)?.iter_mut().zip([1, height, width, 3]) {
        dimension.value = Some(Value::DimValue(size as i64));
    }
    for output in &mut graph.output {
        if let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
            output.r#type.as_mut().and_then(|t| t.value.as_mut())
        {
            tensor.shape = None;
        }
    }
    Ok(())
}
