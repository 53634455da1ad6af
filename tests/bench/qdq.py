"""A QDQ network as a list of layers, for engines that do not read ONNX; and the same network in f32."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper


@dataclass(frozen=True)
class Tensor:
    """An int8 tensor `[1, channels, height, width]`: the real value is `(q - zero_point) * scale`."""

    name: str
    scale: float
    zero_point: int
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Conv:
    """Weights `[filters, channels / groups, height, width]`, `pads` top, left, bottom, right."""

    name: str
    input: Tensor
    output: Tensor
    weights: np.ndarray
    weight_scale: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    groups: int
    relu: bool


@dataclass(frozen=True)
class Add:
    name: str
    inputs: tuple[Tensor, Tensor]
    output: Tensor
    relu: bool


Layer = Conv | Add


@dataclass(frozen=True)
class Network:
    """`input` has zero point 0 where pixels are `p - 128`."""

    input: Tensor
    layers: list[Layer]
    outputs: list[Tensor]

    def macs(self) -> int:
        convs = [layer for layer in self.layers if isinstance(layer, Conv)]
        return sum(c.weights.size * c.output.shape[1] * c.output.shape[2] for c in convs)


class Reader:
    """Walks a graph of `Conv`, `Gemm` of single pixels, `Add` and `Relu` between `QuantizeLinear` and `DequantizeLinear`."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.scaled: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.tensors: dict[str, Tensor] = {}
        self.sums: dict[str, tuple[onnx.NodeProto, bool]] = {}
        self.layers: list[Layer] = []

    def read(self) -> Network:
        for node in self.graph.node:
            self.node(node)
        first = next(iter(self.tensors.values()))
        return Network(first, self.layers, [self.tensors[output.name] for output in self.graph.output])

    def node(self, node: onnx.NodeProto) -> None:
        name, out = node.input[0], node.output[0]
        match node.op_type:
            case "DequantizeLinear" if name in self.constants:
                self.scaled[out] = (self.constants[name], self.constants[node.input[1]])
            case "DequantizeLinear" if name in self.tensors:
                self.tensors[out] = self.tensors[name]
            case "DequantizeLinear":
                self.tensors[out] = Tensor(name, *self.quantisation(node), self.input_shape())
            case "Transpose" | "Flatten":
                self.tensors[out] = self.tensors[name]
            case "Conv" | "Gemm" | "Add":
                self.sums[out] = (node, False)
            case "Relu":
                self.sums[out] = (self.sums[name][0], True)
            case "QuantizeLinear":
                self.finish(*self.sums[name], node)
            case other:
                raise ValueError(f"{node.name}: {other} is not translated for other engines")

    def quantisation(self, node: onnx.NodeProto) -> tuple[float, int]:
        scale, zero_point = self.constants[node.input[1]], self.constants[node.input[2]]
        return scale.item(), zero_point.item() - (128 if zero_point.dtype == np.uint8 else 0)

    def input_shape(self) -> tuple[int, int, int]:
        _, height, width, channels = (d.dim_value for d in self.graph.input[0].type.tensor_type.shape.dim)
        return channels, height, width

    def finish(self, node: onnx.NodeProto, relu: bool, quantise: onnx.NodeProto) -> None:
        out, scale, zero_point = quantise.output[0], *self.quantisation(quantise)
        if node.op_type == "Add":
            a, b = (self.tensors[name] for name in node.input)
            layer: Layer = Add(node.name, (a, b), Tensor(out, scale, zero_point, a.shape), relu)
        else:
            layer = self.conv(node, relu, (out, scale, zero_point))
        self.layers.append(layer)
        self.tensors[out] = layer.output

    def conv(self, node: onnx.NodeProto, relu: bool, output: tuple[str, float, int]) -> Conv:
        source = self.tensors[node.input[0]]
        weights, weight_scale = self.scaled[node.input[1]]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        (down, right), (top, left, bottom, end) = attributes.get("strides", (1, 1)), attributes.get("pads", (0,) * 4)
        if node.op_type == "Gemm":
            if source.shape[1:] != (1, 1) or attributes.get("transB") != 1:
                raise ValueError(f"{node.name}: only a dense layer over one pixel, with transB, is translated")
            weights = weights[:, :, None, None]
        filters, _, kernel_height, kernel_width = weights.shape
        height = (source.shape[1] + top + bottom - kernel_height) // down + 1
        width = (source.shape[2] + left + end - kernel_width) // right + 1
        target = Tensor(*output, (filters, height, width))
        bias = self.scaled[node.input[2]][0] if len(node.input) > 2 else np.zeros(filters, np.int32)
        scales = np.broadcast_to(weight_scale, filters).astype(np.float32)
        pads, groups = (top, left, bottom, end), attributes.get("group", 1)
        return Conv(node.name, source, target, weights, scales, bias, (down, right), pads, groups, relu)


def read(model: onnx.ModelProto) -> Network:
    return Reader(model).read()


def in_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in f32: weights dequantised, the QDQ pairs of activations taken out."""
    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        inputs = [renamed.get(name, name) for name in node.input]
        if node.op_type == "QuantizeLinear" or (node.op_type == "DequantizeLinear" and inputs[0] in renamed.values()):
            renamed[node.output[0]] = inputs[0]
            continue
        if node.op_type == "DequantizeLinear" and inputs[0] in values:
            weights, scale = values[inputs[0]], values[inputs[1]]
            shape = [-1] + [1] * (weights.ndim - 1) if scale.size > 1 else [1] * weights.ndim
            real = weights.astype(np.float32) * scale.reshape(shape)
            graph.initializer.append(numpy_helper.from_array(real.astype(np.float32), node.output[0]))
            continue
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        del kept.input[:]
        kept.input.extend(inputs)
        nodes.append(kept)
    outputs = [renamed.get(output.name, output.name) for output in graph.output]
    del graph.node[:]
    graph.node.extend(nodes)
    for output, name in zip(graph.output, outputs, strict=True):
        output.name = name
    return without_unused(model)


def without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    used = set(names_used(model))
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def names_used(model: onnx.ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        yield from node.input
