"""Time the int8 networks against other engines: one thread, one run, interleaved rounds, minimum of wall times.

    cargo build --release --example time_network
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy onnx onnxruntime openvino
    taskset -c 0 /tmp/peers/bin/python tests/bench/peers.py target/release/examples/time_network MODEL.onnx [ISA]

An engine that is not installed is named and left out. Engines of AVX-512 machines are held to AVX2 with ISA `avx2` and
`ONEDNN_MAX_CPU_ISA=AVX2` in the environment (OpenVINO); ONNX Runtime offers no such switch.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

ROUNDS = 40
RUNS = 10

Round = Callable[[], float]


def fastest(run: Callable[[], object]) -> Round:
    """A round of RUNS calls of `run`: the fastest, in seconds."""

    def once() -> float:
        best = float("inf")
        for _ in range(RUNS):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
        return best

    return once


def facelatch(program: str, model: Path, isa: list[str]) -> Round:
    process = subprocess.Popen([program, str(model), *isa], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once() -> float:
        process.stdin.write(f"{RUNS}\n")
        process.stdin.flush()
        return int(process.stdout.readline()) * 1e-9

    return once


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
    return model


def onnx_runtime(data: bytes, pixels: np.ndarray) -> Round:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return fastest(lambda: session.run(None, {name: pixels}))


def open_vino(model: Path, pixels: np.ndarray) -> Round:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    request = openvino.Core().compile_model(str(model), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(pixels))
    return fastest(request.infer)


def main() -> None:
    program, model, isa = sys.argv[1], Path(sys.argv[2]), sys.argv[3:4]
    proto = onnx.load(model)
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    pixels = (np.arange(np.prod(shape)) * 7 % 251).astype(np.uint8).reshape(shape)
    makers: dict[str, Callable[[], Round]] = {
        "facelatch int8": lambda: facelatch(program, model, isa),
        "ONNX Runtime int8": lambda: onnx_runtime(model.read_bytes(), pixels),
        "ONNX Runtime fp32": lambda: onnx_runtime(in_float(onnx.load(model)).SerializeToString(), pixels),
        "OpenVINO int8": lambda: open_vino(model, pixels),
    }
    rounds: dict[str, Round] = {}
    for name, make in makers.items():
        try:
            rounds[name] = make()
        except ImportError as missing:
            print(f"{name}: left out ({missing})")
    best = dict.fromkeys(rounds, float("inf"))
    for _ in range(ROUNDS):
        for name, once in rounds.items():
            best[name] = min(best[name], once())
    ours = best["facelatch int8"]
    for name, seconds in sorted(best.items(), key=lambda item: item[1]):
        print(f"{name:20} {seconds * 1e3:8.3f} ms   facelatch takes {ours / seconds:5.2f} of it")


if __name__ == "__main__":
    main()
