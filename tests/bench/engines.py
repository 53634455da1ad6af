"""One maker for each engine and form: gives a function that runs a round, on one thread.

A maker gets a [`Case`][engines.Case]. What an engine cannot read is translated in `qdq`, `tflite` and `ncnn_int8`.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hold
import numpy as np
import onnx
import qdq

RUNS = 10
CALIBRATION_PICTURES = 4

# Runs a network RUNS times; the fastest of them in seconds.
Round = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """A QDQ network, u8 `pixels` `[1, height, width, 3]` to run it on, and a folder to write files into."""

    model: Path
    pixels: np.ndarray
    folder: Path
    program: Path
    isa: str

    def proto(self) -> onnx.ModelProto:
        return onnx.load(self.model)

    def network(self) -> qdq.Network:
        return qdq.read(self.proto())

    def real_pixels(self) -> np.ndarray:
        """The input as f32 `[1, 3, height, width]`, behind its DequantizeLinear."""
        source = self.network().input
        steps = self.pixels.astype(np.float32) - (128 + source.zero_point)
        return np.ascontiguousarray((steps * np.float32(source.scale)).transpose(0, 3, 1, 2))

    def in_float(self, behind_input: bool = False) -> Path:
        """The network in f32 as a file; `behind_input` takes [`real_pixels`][engines.Case.real_pixels]."""
        model = qdq.in_float(self.proto())
        path = self.folder / f"fp32{'-behind-input' if behind_input else ''}.onnx"
        if behind_input:
            model = onnx.shape_inference.infer_shapes(model)
            first = next(node.output[0] for node in model.graph.node if node.op_type == "Transpose")
            outputs = [output.name for output in model.graph.output]
            model = onnx.utils.Extractor(model).extract_model([first], outputs)
        onnx.save(model, path)
        return path


def fastest(run: Callable[[], object]) -> Round:
    def once() -> float:
        best = float("inf")
        for _ in range(RUNS):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
        return best

    return once


def program(command: list[str]) -> Round:
    """A program that reads how many runs a round has, and answers with the fastest in nanoseconds."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once() -> float:
        process.stdin.write(f"{RUNS}\n")
        process.stdin.flush()
        return int(process.stdout.readline()) * 1e-9

    return once


def facelatch(case: Case) -> Round:
    return program([str(case.program), str(case.model), *([case.isa] if case.isa else [])])


def onnx_runtime(model: Path, pixels: np.ndarray) -> Round:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return fastest(lambda: session.run(None, {name: pixels}))


def open_vino(model: Path, pixels: np.ndarray) -> Round:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(str(model), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(pixels))
    return fastest(request.infer)


def lite_rt(case: Case) -> Round:
    import tflite
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tflite.write(case.network()), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (case.pixels ^ 0x80).view(np.int8))
    return fastest(interpreter.invoke)


def ncnn(case: Case) -> Round:
    import ncnn as engine
    import ncnn_int8

    network = case.network()
    text, weights = ncnn_int8.write(network)
    (case.folder / "ncnn.param").write_text(text)
    (case.folder / "ncnn.bin").write_bytes(weights)
    net = engine.Net()
    net.opt.num_threads = 1
    net.load_param(str(case.folder / "ncnn.param"))
    net.load_model(str(case.folder / "ncnn.bin"))
    picture = engine.Mat(case.real_pixels()[0])

    def run() -> None:
        extractor = net.create_extractor()
        extractor.input(network.input.name, picture)
        for output in network.outputs:
            extractor.extract(output.name)

    return fastest(run)


def mnn_tool(*command: str) -> None:
    """In a process of its own, because its converter crashes on some networks.

    The engine's own command-line tools send usage records; the functions behind them do not.
    """
    call = "import sys, _tools; getattr(_tools, sys.argv[1])(sys.argv[1:])"
    subprocess.run([sys.executable, "-c", call, *command], check=True, stdout=subprocess.DEVNULL)


def mnn_file(case: Case) -> Path:
    path = case.folder / "fp32.mnn"
    source = case.in_float(behind_input=True)
    mnn_tool("mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(path))
    return path


def mnn_quantised(case: Case) -> Path:
    """The f32 network quantised by MNN itself: its converter turns QDQ back into f32."""
    source, path, pictures = mnn_file(case), case.folder / "int8.mnn", case.folder / "pictures"
    pictures.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    _, height, width, _ = case.pixels.shape
    for index in range(CALIBRATION_PICTURES):
        pixels = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        (pictures / f"{index}.ppm").write_bytes(f"P6\n{width} {height}\n255\n".encode() + pixels.tobytes())
    settings = {"format": "RGB", "mean": [128.0] * 3, "normal": [1 / 128] * 3, "width": width, "height": height}
    settings |= {"path": f"{pictures}/", "used_sample_num": CALIBRATION_PICTURES, "feature_quantize_method": "KL"}
    settings |= {"weight_quantize_method": "MAX_ABS", "model": source.name}
    (case.folder / "mnn.json").write_text(json.dumps(settings))
    mnn_tool("mnnquant", str(source), str(path), str(case.folder / "mnn.json"))
    return path


def mnn(model: Path, pixels: np.ndarray) -> Round:
    import MNN

    interpreter = MNN.Interpreter(str(model))
    session = interpreter.createSession({"numThread": 1, "precision": "normal", "backend": "CPU"})
    tensor = MNN.Tensor(pixels.shape, MNN.Halide_Type_Float, pixels, MNN.Tensor_DimensionType_Caffe)
    interpreter.getSessionInput(session).copyFrom(tensor)
    return fastest(lambda: interpreter.runSession(session))


def tract(model: Path, pixels: np.ndarray) -> Round:
    import tract as engine

    loaded = engine.onnx().load(model)
    loaded.set_input_fact(0, f"{','.join(map(str, pixels.shape))},u8")
    runnable = loaded.into_model().into_runnable()
    source = engine.Tensor.from_numpy(pixels)
    return fastest(lambda: runnable.run([source]))


def rten(case: Case, model: Path) -> Round:
    """Needs `cargo`: rten is a Rust crate, built once beside the other files."""
    here = Path(__file__).parent
    project = Path(os.environ.get("FACELATCH_CACHE", Path.home() / ".cache/facelatch")) / "bench-rten"
    (project / "src").mkdir(parents=True, exist_ok=True)
    (project / "Cargo.toml").write_text((here / "rten.toml").read_text())
    (project / "src/main.rs").write_text((here / "rten.rs").read_text())
    subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", "target"], cwd=project, check=True)
    named = onnx.load(model)
    for index, node in enumerate(named.graph.node):
        node.name = f"node {index}"  # rten takes a node for the value of the same name
    source = case.folder / f"rten-{model.name}"
    onnx.save(named, source)
    built = project / "target/release/bench-rten"
    if case.isa == "avx2":
        built = Path(shutil.copy(built, case.folder / f"rten-{model.stem}"))
        hold.hold(built)
    return program([str(built), str(source)])


# By name: how the engine runs the network, in the words of the table.
ENGINES: dict[str, Callable[[Case], Round]] = {
    "facelatch int8": facelatch,
    "ONNX Runtime int8": lambda case: onnx_runtime(case.model, case.pixels),
    "ONNX Runtime fp32": lambda case: onnx_runtime(case.in_float(), case.pixels),
    "OpenVINO int8": lambda case: open_vino(case.model, case.pixels),
    "OpenVINO fp32": lambda case: open_vino(case.in_float(), case.pixels),
    "LiteRT (XNNPACK) int8": lite_rt,
    "ncnn int8": ncnn,
    "MNN int8": lambda case: mnn(mnn_quantised(case), case.real_pixels()),
    "MNN fp32": lambda case: mnn(mnn_file(case), case.real_pixels()),
    "rten int8": lambda case: rten(case, case.model),
    "rten fp32": lambda case: rten(case, case.in_float()),
    "tract int8": lambda case: tract(case.model, case.pixels),
    "tract fp32": lambda case: tract(case.in_float(), case.pixels),
}
