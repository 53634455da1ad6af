"""A prepared network (`quantise`) as a standard QDQ ONNX file, and the proof that both compute the same.

The file's input is `pixels`, u8 `[1, height, width, 3]` RGB. Opset 13; weights i8 and biases i32 behind DequantizeLinear,
activations i8 between QuantizeLinear and DequantizeLinear:

    pixels -> DQ -> Transpose -> Conv -> Relu -> Q -> DQ -> Conv -> Q -> DQ -> Add -> Relu -> Q -> DQ -> ... -> output

Any ONNX runtime can run it; the device fuses each pattern into one int8 operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from . import quantise, rounding
from .quantise import Kind, UnsupportedNode

OPSET, IR_VERSION = 13, 8
"""Opset 13 is the first with per-channel DequantizeLinear; higher ones bring nothing that is used."""


class Graph:
    """ONNX nodes and constants so far."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds a constant; returns its name."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def dequantised(self, name: str, steps: np.ndarray, scales: np.ndarray) -> str:
        """A constant of whole `steps` times `scales` (along axis 0); returns the name of the real tensor."""
        zeros = np.zeros(len(scales), steps.dtype)
        names = [self.constant(f"{name}_{part}", v) for part, v in (("steps", steps), ("scale", scales), ("zero", zeros))]
        return self.node("DequantizeLinear", names, name, axis=0)

    def filters(self, name: str, rounded: rounding.Rounded) -> list[str]:
        """Weights and bias of a layer in int8 and i32; returns the names of both real tensors."""
        weight, bias = rounded.layer.weight.detach(), rounded.layer.bias.detach()
        scales, sums = rounded.scales(), rounded.sum_scales()
        shape = [-1] + [1] * (weight.dim() - 1)
        steps = torch.round(weight * (1.0 / scales).reshape(shape)).clamp(-rounding.WEIGHT_HIGH, rounding.WEIGHT_HIGH)
        bias_steps = torch.round(bias / sums)
        if bias_steps.abs().max() >= 2**31:
            raise ValueError(f"{name}: a bias is too large for i32 beside its weights")
        return [
            self.dequantised(f"{name}_weight", steps.cpu().numpy().astype(np.int8), scales.cpu().numpy()),
            self.dequantised(f"{name}_bias", bias_steps.cpu().numpy().astype(np.int32), sums.cpu().numpy()),
        ]

    def quantised(self, name: str, real: str, scale: float, zero_point: int) -> str:
        """`real` to int8 and back; returns the name of the result."""
        parameters = [
            self.constant(f"{name}_scale", np.float32([scale])),
            self.constant(f"{name}_zero", np.int8([zero_point])),
        ]
        steps = self.node("QuantizeLinear", [real, *parameters], f"{name}_steps")
        return self.node("DequantizeLinear", [steps, *parameters], name)


def export(
    network: fx.GraphModule,
    path: Path,
    size: tuple[int, int],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
) -> None:
    """Writes a calibrated `network` for pictures of `size` (height, width) to `path`.

    `outputs` names its outputs, in their order (of a dictionary: sorted as it is). `metadata` goes into the file.
    """
    graph = Graph()
    values: dict[fx.Node, str] = {}
    results: list[str] = []
    for node in network.graph.nodes:
        if node.op == "output":
            results = [values[result] for result in output_nodes(node)]
        else:
            values[node] = write_node(graph, network, node, [values[i] for i in node.all_input_nodes])
    if len(results) != len(outputs):
        raise ValueError(f"the network has {len(results)} outputs, but {len(outputs)} names were given: {', '.join(outputs)}")
    rename(graph, dict(zip(results, outputs, strict=True)))
    save(graph, path, size, outputs, metadata)


def output_nodes(node: fx.Node) -> list[fx.Node]:
    """The nodes that a network's output consists of."""
    result = node.args[0]
    if isinstance(result, dict):
        result = list(result.values())
    return list(result) if isinstance(result, list | tuple) else [result]


def write_node(graph: Graph, network: fx.GraphModule, node: fx.Node, inputs: list[str]) -> str:
    """Adds one node of the traced network, whose inputs have the names `inputs`; returns the name of its result."""
    kind, name = quantise.kind_of(node, network), node.name
    module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    if kind is Kind.INPUT:
        return "pixels"
    if kind is Kind.QUANTISER:
        return write_quantiser(graph, name, module, inputs[0])
    if isinstance(module, rounding.Rounded):
        return write_layer(graph, node, module, inputs[0])
    if kind is Kind.PRELU:
        slope = module.weight.detach().cpu().numpy().reshape(-1, 1, 1)  # type: ignore[union-attr]
        return graph.node("PRelu", [inputs[0], graph.constant(f"{name}_slope", slope)], name)
    if kind is Kind.DOUBLE:
        return write_double(graph, node, quantise.source_of(node, network), inputs[0])
    if kind is Kind.FLATTEN:
        return graph.node("Flatten", inputs, name, axis=1)
    if kind is Kind.NOTHING:
        return inputs[0]
    operators = {Kind.ADD: "Add", Kind.RELU: "Relu", Kind.MEAN: "GlobalAveragePool"}
    both = inputs * 2 if kind is Kind.ADD and len(inputs) == 1 else inputs
    return graph.node(operators[kind], both, name)


def write_quantiser(graph: Graph, name: str, quantiser: nn.Module | None, source: str) -> str:
    """Adds a quantiser; that of the input also brings the axes into their order."""
    if isinstance(quantiser, rounding.Pixels):
        scale = graph.constant("pixels_scale", np.float32([quantiser.scale]))
        zero = graph.constant("pixels_zero", np.uint8([quantiser.zero_point]))
        real = graph.node("DequantizeLinear", [source, scale, zero], "pixels_real")
        return graph.node("Transpose", [real], "picture", perm=[0, 3, 1, 2])
    assert isinstance(quantiser, rounding.Activation), "there are two quantisers"
    if quantiser.watching:
        raise ValueError("calibrate the network before its export")
    return graph.quantised(name, source, float(quantiser.scale.detach()), int(quantiser.zero_point))


def write_layer(graph: Graph, node: fx.Node, rounded: rounding.Rounded, source: str) -> str:
    """Adds a convolution or a dense layer; returns the name of its sums."""
    layer, inputs = rounded.layer, [source, *graph.filters(node.name, rounded)]
    if isinstance(layer, nn.Linear):
        return graph.node("Gemm", inputs, node.name, transB=1)
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or layer.dilation != (1, 1):
        raise UnsupportedNode(node, "only zero padding, given in numbers, and no dilation")
    attributes = {"kernel_shape": list(layer.kernel_size), "strides": list(layer.stride), "pads": list(layer.padding) * 2}
    return graph.node("Conv", inputs, node.name, group=layer.groups, **attributes)


def write_double(graph: Graph, node: fx.Node, quantiser: nn.Module, source: str) -> str:
    """Adds an upsampling by two; its output has the steps of its input, so it is quantised alike."""
    if not isinstance(quantiser, rounding.Activation):
        raise UnsupportedNode(node, "the input itself is not upsampled")
    scales = graph.constant(f"{node.name}_factors", np.float32([1, 1, 2, 2]))
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    real = graph.node("Resize", [source, "", scales], f"{node.name}_real", **modes)
    return graph.quantised(node.name, real, float(quantiser.scale.detach()), int(quantiser.zero_point))


def rename(graph: Graph, names: Mapping[str, str]) -> None:
    """Gives the graph's outputs their names."""
    for node in graph.nodes:
        for field in (node.input, node.output):
            for at, name in enumerate(field):
                field[at] = names.get(name, name)


def save(graph: Graph, path: Path, size: tuple[int, int], outputs: Sequence[str], metadata: Mapping[str, str]) -> None:
    """Checks the graph and writes it."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, *size, 3])
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    proto = helper.make_graph(graph.nodes, path.stem, [pixels], results, graph.constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="facelatch")
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    del model.graph.value_info[:]
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def session(path: Path, exact: bool = True, threads: int = 1) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session of a QDQ file that takes any number of pictures.

    `exact` runs every node as it is written, in f32: what the file means. Otherwise ONNX Runtime fuses as it likes.
    """
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if exact else levels.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def output_parameters(path: Path) -> list[tuple[str, float, int]]:
    """Name, scale and zero point of every output of a QDQ file, in order."""
    graph = onnx.load(path).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    makers = {n.output[0]: n for n in graph.node}
    found = []
    for output in graph.output:
        node = makers[output.name]
        while node.op_type in ("Flatten", "Reshape"):
            node = makers[node.input[0]]
        found.append((output.name, constants[node.input[1]].item(), constants[node.input[2]].item()))
    return found


@dataclass(frozen=True)
class Agreement:
    """How ONNX Runtime and torch agree over all outputs: in steps of int8."""

    values: int
    equal: float
    """Share of equal values."""
    within_one: float
    """Share of values that are at most one step apart."""
    most: int
    """Greatest difference in steps."""


def compare(path: Path, network: nn.Module, pictures: np.ndarray) -> Agreement:
    """Runs `pictures` (`[n, height, width, 3]` u8) through the file and through the network that it was written from."""
    parameters = output_parameters(path)
    from_file = session(path).run(None, {"pixels": pictures})
    with torch.no_grad():
        result = network.eval()(as_input(torch.from_numpy(pictures)))
    if isinstance(result, dict):
        result = list(result.values())
    from_torch = list(result) if isinstance(result, list | tuple) else [result]
    gaps = [
        np.abs(np.round(a / scale) - np.round(b.numpy() / scale)).ravel()
        for a, b, (_, scale, _) in zip(from_file, from_torch, parameters, strict=True)
    ]
    gap = np.concatenate(gaps)
    return Agreement(len(gap), float((gap == 0).mean()), float((gap <= 1).mean()), int(gap.max()))


def as_input(pixels: torch.Tensor) -> torch.Tensor:
    """`[n, height, width, 3]` u8 to what networks take: `[n, 3, height, width]` f32 of (p - 128) / 128."""
    return (pixels.permute(0, 3, 1, 2).float() - rounding.PIXEL_ZERO) * rounding.PIXEL_SCALE
