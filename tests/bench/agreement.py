"""How far this crate's output is from ONNX Runtime's on the same QDQ file: cosine by picture.

    python tests/bench/agreement.py target/release/examples/run_network MODEL.onnx CROPS.npy [ISA]

CROPS.npy: u8 `[n, height, width, 3]`, RGB. ONNX Runtime runs as it likes (fused) and without optimisation.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import qdq


def reference(model: Path, crops: np.ndarray, level: onnxruntime.GraphOptimizationLevel) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: crop[None]})[0].ravel() for crop in crops])


def main() -> None:
    program, model, crops = sys.argv[1], Path(sys.argv[2]), np.load(sys.argv[3])
    done = subprocess.run([program, model, *sys.argv[4:5]], input=crops.tobytes(), stdout=subprocess.PIPE, check=True)
    output = qdq.read(onnx.load(model)).outputs[0]
    steps = np.frombuffer(done.stdout, np.int8).reshape(len(crops), -1)[:, : int(np.prod(output.shape))]
    ours = (steps.astype(np.float32) - output.zero_point) * output.scale
    levels = onnxruntime.GraphOptimizationLevel
    for name, level in (("optimised", levels.ORT_ENABLE_ALL), ("unfused", levels.ORT_DISABLE_ALL)):
        theirs = reference(model, crops, level)
        cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
        equal = (np.abs(ours - theirs) < output.scale / 2).mean()
        print(
            f"{name}: {len(crops)} pictures, cosine least {cosine.min():.6f}, mean {cosine.mean():.6f}; "
            f"{100 * equal:.1f} % of the values equal"
        )


if __name__ == "__main__":
    main()
