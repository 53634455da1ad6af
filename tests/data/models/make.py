"""Write small random QDQ networks with what ONNX Runtime computes from them.

    python make.py OUT_DIR [NAME...]

Each network NAME gives NAME.onnx, NAME.pixels (u8, [1, H, W, 3]) and NAME.expected: for every output, in order,
its int8 values in NHWC. The reference runs unfused in f32, so a value may differ by one step. Those that only fill
packages (finder, student-a, student-b) give NAME.onnx alone. The embedder in earlier/ is no such network: see its manifest.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

INPUT_SCALE = 1.0 / 128.0
SPREAD = 45.0  # int8 steps per standard deviation, so that values rarely saturate


class Net:
    """Builds a QDQ graph; a tensor is (name, scale, zero point, shape NCHW) behind its DequantizeLinear."""

    def __init__(self, seed: int, height: int, width: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.outputs: list[tuple[str, float, int, tuple[int, ...]]] = []
        self.height, self.width = height, width
        self.picture = self.rng.integers(0, 256, (1, height, width, 3)).astype(np.uint8)
        self.scale_of: dict[str, tuple[float, int]] = {}
        real = self.node("DequantizeLinear", ["pixels", self.constant(np.float32(INPUT_SCALE)), self.constant(np.uint8(128))])
        self.pixels = self.node("Transpose", [real], perm=[0, 3, 1, 2])
        self.shape = {self.pixels: (1, 3, height, width)}

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def measure(self, real: str) -> np.ndarray:
        """The values of `real` for a random picture, to choose its scale from."""
        return self.run([real])[0]

    def run(self, names: list[str]) -> list[np.ndarray]:
        """What ONNX Runtime computes, unfused, from the net's picture."""
        picture = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, self.height, self.width, 3])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
        graph = helper.make_graph(self.nodes, "net", [picture], outputs, self.constants)
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        data = self.model.SerializeToString()
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return session.run(None, {"pixels": self.picture})

    def quantise(self, real: str, relu: bool = False) -> str:
        value = self.measure(real)
        step = np.float32(value.max() / 255 if relu else max(value.std(), abs(value.mean())) / SPREAD)
        return self.quantise_as(real, step, -128 if relu else -int(np.round(value.mean() / step)))

    def quantise_as(self, real: str, step: float, zero_point: int) -> str:
        scale = self.constant(np.float32(step))
        zero = self.constant(np.int8(zero_point))
        out = self.node("DequantizeLinear", [self.node("QuantizeLinear", [real, scale, zero]), scale, zero])
        self.shape[out] = self.shape[real]
        self.scale_of[out] = (step, zero_point)
        return out

    def weights(self, x_scale: float, shape: tuple[int, ...]) -> tuple[str, str]:
        """int8 per output channel and an i32 bias; returns the two names."""
        fan_in = int(np.prod(shape[1:]))
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = (self.rng.uniform(0.6, 1.4, shape[0]) / 73.0 / np.sqrt(fan_in)).astype(np.float32)
        zeros = np.zeros(shape[0], np.int8)
        w = self.node("DequantizeLinear", [self.constant(values), self.constant(scales), self.constant(zeros)], axis=0)
        bias_scale = (scales * np.float32(x_scale)).astype(np.float32)
        bias = np.round(self.rng.normal(0, 0.2, shape[0]) / bias_scale).astype(np.int32)
        b = self.node("DequantizeLinear", [self.constant(bias), self.constant(bias_scale), self.constant(np.zeros(shape[0], np.int32))], axis=0)
        return w, b

    def x_scale(self, x: str) -> float:
        return INPUT_SCALE if x == self.pixels else self.scale_of[x][0]

    def activate(self, real: str, kind: str) -> str:
        if kind == "relu":
            out = self.node("Relu", [real])
            self.shape[out] = self.shape[real]
            return self.quantise(out, relu=True)
        if kind == "prelu":
            slope = self.rng.uniform(-0.1, 0.5, (self.shape[real][1], 1, 1)).astype(np.float32)
            out = self.node("PRelu", [real, self.constant(slope)])
            self.shape[out] = self.shape[real]
            return self.quantise(out)
        return self.quantise(real)

    def conv(self, x: str, channels: int, kernel: int = 1, stride: int = 1, pad: int | None = None, depthwise: bool = False, activation: str = "") -> str:
        _, c, h, w = self.shape[x]
        pad = kernel // 2 if pad is None else pad
        weights, bias = self.weights(self.x_scale(x), (channels, 1 if depthwise else c, kernel, kernel))
        real = self.node("Conv", [x, weights, bias], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=c if depthwise else 1)
        self.shape[real] = (1, channels, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        return self.activate(real, activation)

    def add(self, a: str, b: str, activation: str = "") -> str:
        real = self.node("Add", [a, b])
        self.shape[real] = self.shape[a]
        return self.activate(real, activation)

    def upsample(self, x: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        real = self.node("Resize", [x, "", scales], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        n, c, h, w = self.shape[x]
        self.shape[real] = (n, c, 2 * h, 2 * w)
        return self.quantise_as(real, *self.scale_of[x])

    def dense(self, x: str, features: int) -> str:
        flat = self.node("Flatten", [x], axis=1)
        size = int(np.prod(self.shape[x]))
        weights, bias = self.weights(self.x_scale(x), (features, size))
        real = self.node("Gemm", [flat, weights, bias], transB=1)
        self.shape[real] = (1, features)
        return self.quantise(real)

    def mean(self, x: str) -> str:
        real = self.node("GlobalAveragePool", [x])
        self.shape[real] = (1, self.shape[x][1], 1, 1)
        return self.quantise(real)

    def output(self, x: str, name: str) -> None:
        self.nodes[-1 if self.nodes[-1].output[0] == x else next(i for i, n in enumerate(self.nodes) if n.output[0] == x)].output[0] = name
        for node in self.nodes:
            for i, used in enumerate(node.input):
                if used == x:
                    node.input[i] = name
        self.outputs.append((name, *self.scale_of[x], self.shape[x]))

    def write(self, directory: Path, name: str, reference: bool) -> None:
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, self.height, self.width, 3])
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(shape)) for n, _, _, shape in self.outputs]
        graph = helper.make_graph(self.nodes, name, [pixels], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        data = model.SerializeToString()
        (directory / f"{name}.onnx").write_bytes(data)
        if not reference:
            return
        (directory / f"{name}.pixels").write_bytes(self.picture.tobytes())
        expected = b""
        for value, (_, scale, zero, shape) in zip(self.run([name for name, *_ in self.outputs]), self.outputs, strict=True):
            steps = np.clip(np.round(value / np.float32(scale)) + zero, -128, 127).astype(np.int8)
            print(name, shape, "deviation", steps.std().round(1), "saturated", (np.abs(steps) > 126).mean().round(3))
            expected += (steps.transpose(0, 2, 3, 1) if steps.ndim == 4 else steps).tobytes()
        (directory / f"{name}.expected").write_bytes(expected)


def embedder() -> Net:
    net = Net(1, 32, 32)
    x = net.conv(net.pixels, 16, 3, 2, activation="prelu")
    x = net.conv(x, 16, 3, depthwise=True, activation="relu")
    y = net.conv(x, 24, activation="prelu")
    y = net.conv(y, 24, 3, 2, depthwise=True, activation="prelu")
    x = net.conv(y, 20)
    for activation in ("relu", "prelu"):
        y = net.conv(x, 40, activation=activation)
        y = net.conv(y, 40, 3, depthwise=True, activation=activation)
        x = net.add(x, net.conv(y, 20), activation if activation == "prelu" else "")
    x = net.conv(x, 70, activation="relu")
    x = net.conv(x, 70, 8, pad=0, depthwise=True)
    net.output(net.conv(x, 128), "embedding")
    return net


def detector() -> Net:
    net = Net(2, 24, 32)
    x = net.conv(net.pixels, 8, 3, 2, activation="relu")
    x = net.conv(x, 13, 3, 2, activation="relu")
    c3 = net.conv(net.conv(x, 13, 3, 2, depthwise=True, activation="relu"), 17, activation="relu")
    c2 = net.conv(x, 17)
    p2 = net.add(c2, net.upsample(c3), "relu")
    for name, level in (("fine", p2), ("coarse", c3)):
        y = net.conv(level, 17, 5, depthwise=True, activation="relu")
        net.output(net.conv(y, 1), f"score_{name}")
        net.output(net.conv(y, 14), f"shape_{name}")
    return net


def classifier() -> Net:
    net = Net(3, 20, 12)
    x = net.conv(net.pixels, 9, 3, 2, activation="relu")
    x = net.conv(x, 33, 3, 1, pad=0, activation="prelu")
    net.output(net.dense(net.mean(x), 2), "logits")
    return net


def finder() -> Net:
    """A detector with the outputs that the firmware reads, which finds nothing sensible."""
    net = Net(5, 24, 32)
    x = net.conv(net.pixels, 8, 3, 2, activation="relu")
    x = net.conv(net.conv(x, 8, 3, 2, activation="relu"), 8, 3, 2, activation="relu")
    for name, channels in (("score", 1), ("box", 4), ("landmarks", 10)):
        net.output(net.conv(x, channels), name)
    return net


def student(seed: int) -> Net:
    """An embedder of aligned crops that nobody trained: those of two seeds have nothing in common."""
    net = Net(seed, 112, 112)
    x = net.conv(net.pixels, 8, 3, 2, activation="relu")
    for channels in (12, 16, 16):
        x = net.conv(x, net.shape[x][1], 3, 2, depthwise=True, activation="relu")
        x = net.conv(x, channels, activation="prelu")
    x = net.conv(x, 16, 7, pad=0, depthwise=True)
    net.output(net.conv(x, 128), "embedding")
    return net


WITH_REFERENCE = {"embedder": embedder, "detector": detector, "classifier": classifier}
ALONE = {"finder": finder, "student-a": lambda: student(6), "student-b": lambda: student(7)}


def main() -> None:
    directory = Path(sys.argv[1])
    known = WITH_REFERENCE | ALONE
    for name in sys.argv[2:] or known:
        known[name]().write(directory, name, reference=name in WITH_REFERENCE)


if __name__ == "__main__":
    main()
