"""A QDQ network as a TFLite flatbuffer, int8 per channel: what TensorFlow's own converter would write."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from qdq import Add, Conv, Layer, Network, Tensor

BUILTIN = schema.BuiltinOperator
INT8, INT32 = schema.TensorType.INT8, schema.TensorType.INT32
VALID = schema.Padding.VALID
IDENTIFIER = b"TFL3"


class Writer:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.buffers = [schema.BufferT()]
        self.tensors: list[schema.TensorT] = []
        self.index: dict[str, int] = {}
        self.codes: list[int] = []
        self.operators: list[schema.OperatorT] = []

    def write(self) -> bytes:
        source = self.activation(self.network.input)
        for layer in self.network.layers:
            self.layer(layer)
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [source], [self.index[t.name] for t in self.network.outputs]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes = [self.code(builtin) for builtin in self.codes]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    @staticmethod
    def code(builtin: int) -> schema.OperatorCodeT:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 3 if builtin != BUILTIN.ADD else 2
        return code

    def tensor(self, name: str, kind: int, shape: list[int], scales: np.ndarray, zero_point: int = 0) -> int:
        made = schema.TensorT()
        made.name, made.type, made.shape, made.buffer = name.encode(), kind, shape, 0
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.asarray(scales, np.float32)
        made.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
        self.tensors.append(made)
        self.index[name] = len(self.tensors) - 1
        return self.index[name]

    def activation(self, tensor: Tensor) -> int:
        if tensor.name in self.index:
            return self.index[tensor.name]
        channels, height, width = tensor.shape
        return self.tensor(tensor.name, INT8, [1, height, width, channels], [tensor.scale], tensor.zero_point)

    def constant(self, name: str, values: np.ndarray, scales: np.ndarray, axis: int = 0) -> int:
        index = self.tensor(name, INT8 if values.dtype == np.int8 else INT32, list(values.shape), scales)
        self.tensors[index].quantization.quantizedDimension = axis
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(buffer)
        self.tensors[index].buffer = len(self.buffers) - 1
        return index

    def operator(self, builtin: int, inputs: list[int], output: int, kind: int = 0, options: object = None) -> None:
        if builtin not in self.codes:
            self.codes.append(builtin)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self.codes.index(builtin), inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        self.operators.append(made)

    def layer(self, layer: Layer) -> None:
        if isinstance(layer, Add):
            options = schema.AddOptionsT()
            options.fusedActivationFunction = int(layer.relu)
            inputs = [self.activation(tensor) for tensor in layer.inputs]
            kind = schema.BuiltinOptions.AddOptions
            self.operator(BUILTIN.ADD, inputs, self.activation(layer.output), kind, options)
        else:
            self.conv(layer)

    def padded(self, conv: Conv) -> int:
        top, left, bottom, right = conv.pads
        source = self.activation(conv.input)
        if not any(conv.pads):
            return source
        channels, height, width = conv.input.shape
        shape = (channels, height + top + bottom, width + left + right)
        target = Tensor(conv.name + "/padded", conv.input.scale, conv.input.zero_point, shape)
        pads = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
        inputs = [source, self.constant(conv.name + "/pads", pads, [])]
        output = self.activation(target)
        self.operator(BUILTIN.PAD, inputs, output, schema.BuiltinOptions.PadOptions, schema.PadOptionsT())
        return output

    def conv(self, conv: Conv) -> None:
        depthwise = conv.groups > 1
        order, axis = ((1, 2, 3, 0), 3) if depthwise else ((0, 2, 3, 1), 0)
        weights = self.constant(conv.name + "/weights", conv.weights.transpose(order), conv.weight_scale, axis)
        bias = self.constant(conv.name + "/bias", conv.bias, conv.weight_scale * np.float32(conv.input.scale))
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        options.padding, options.fusedActivationFunction = VALID, int(conv.relu)
        options.strideH, options.strideW = conv.stride
        options.dilationHFactor = options.dilationWFactor = 1
        kind = schema.BuiltinOptions.Conv2DOptions
        builtin = BUILTIN.CONV_2D
        if depthwise:
            options.depthMultiplier = 1
            kind, builtin = schema.BuiltinOptions.DepthwiseConv2DOptions, BUILTIN.DEPTHWISE_CONV_2D
        inputs = [self.padded(conv), weights, bias]
        self.operator(builtin, inputs, self.activation(conv.output), kind, options)


def write(network: Network) -> bytes:
    return Writer(network).write()
