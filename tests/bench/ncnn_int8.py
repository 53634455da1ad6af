"""A QDQ network in ncnn's files: int8 weights by channel, int8 between layers.

ncnn's activations are symmetric, so zero points are lost: the numbers differ, the work is the same. As its own tool
does, a convolution gives int8 only where nothing but convolutions read it: additions are in f32.

Source: ncnn's wiki, "operators" and "param and model file structure".
"""

from io import BytesIO

import numpy as np
from qdq import Add, Conv, Layer, Network, Tensor

INT8_TAG = 0x000D4B38
# Values of `int8_scale_term`: the output is float, or int8 by a scale of its own.
DEQUANTISED, REQUANTISED = 1, 101


def per_step(tensor: Tensor) -> np.ndarray:
    """Steps per unit of a symmetric int8 tensor that covers what `tensor` can hold."""
    most = max(127 - tensor.zero_point, 128 + tensor.zero_point)
    return np.array([127 / (most * tensor.scale)], np.float32)


def consumers(network: Network) -> dict[str, list[Layer]]:
    """The layers that read each tensor."""
    readers: dict[str, list[Layer]] = {}
    for layer in network.layers:
        for tensor in layer.inputs if isinstance(layer, Add) else (layer.input,):
            readers.setdefault(tensor.name, []).append(layer)
    return readers


class Writer:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.readers = consumers(network)
        self.lines: list[str] = []
        self.weights = BytesIO()
        self.blobs = 0

    def write(self) -> tuple[str, bytes]:
        source = self.network.input.name
        self.line("Input", source, [], [source])
        for layer in self.network.layers:
            if isinstance(layer, Conv):
                self.conv(layer)
            else:
                self.add(layer)
        return f"7767517\n{len(self.lines)} {self.blobs}\n" + "\n".join(self.lines) + "\n", self.weights.getvalue()

    def line(self, kind: str, name: str, inputs: list[str], outputs: list[str], parameters: str = "") -> None:
        blobs = " ".join(inputs + outputs)
        self.lines.append(f"{kind} {name} {len(inputs)} {len(outputs)} {blobs} {parameters}".rstrip())
        self.blobs += len(outputs)

    def blob(self, name: str, reader: str) -> str:
        """The name under which `reader` sees tensor `name`: a copy of its own where several read it."""
        return f"{name}_for_{reader}" if len(self.readers.get(name, [])) > 1 else name

    def split(self, name: str) -> None:
        readers = self.readers.get(name, [])
        if len(readers) > 1:
            self.line("Split", f"split_{name}", [name], [f"{name}_for_{reader.name}" for reader in readers])

    def raw(self, values: np.ndarray) -> None:
        data = values.tobytes()
        self.weights.write(data + bytes(-len(data) % 4))

    def conv(self, conv: Conv) -> None:
        filters, _, height, width = conv.weights.shape
        top, left, bottom, right = conv.pads
        fields = {
            0: filters,
            1: width,
            11: height,
            3: conv.stride[1],
            13: conv.stride[0],
            4: left,
            14: top,
            15: right,
            16: bottom,
        }
        readers = self.readers.get(conv.output.name, [])
        requantised = readers and all(isinstance(reader, Conv) for reader in readers)
        fields |= {5: 1, 6: conv.weights.size, 8: REQUANTISED if requantised else DEQUANTISED, 9: int(conv.relu)}
        kind = "Convolution"
        if conv.groups > 1:
            kind, fields[7] = "ConvolutionDepthWise", conv.groups
        parameters = " ".join(f"{key}={value}" for key, value in fields.items())
        self.line(kind, conv.name, [self.blob(conv.input.name, conv.name)], [conv.output.name], parameters)
        self.weights.write(np.uint32(INT8_TAG).tobytes())
        self.raw(conv.weights)
        self.raw((conv.bias * conv.weight_scale * np.float32(conv.input.scale)).astype(np.float32))
        self.raw((1 / conv.weight_scale).astype(np.float32))
        self.raw(per_step(conv.input))
        if requantised:
            self.raw(per_step(conv.output))
        self.split(conv.output.name)

    def add(self, add: Add) -> None:
        inputs = [self.blob(tensor.name, add.name) for tensor in add.inputs]
        self.line("BinaryOp", add.name, inputs, [add.output.name + ("_sum" if add.relu else "")], "0=0")
        if add.relu:
            self.line("ReLU", f"relu_{add.name}", [add.output.name + "_sum"], [add.output.name])
        self.split(add.output.name)


def write(network: Network) -> tuple[str, bytes]:
    """The `.param` text and the `.bin` bytes."""
    return Writer(network).write()
