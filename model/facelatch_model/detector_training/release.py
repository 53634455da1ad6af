"""From trained weights to the released detector: int8, manifest, and how often it sees a face where there is none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import fx, nn

from .. import qdq, quantise, rounding
from ..chain import Detector
from ..drawing import Layers
from .light import lit
from .loss import Wanted, batch_targets, loss_of
from .network import HEADS, HEIGHT, STRIDES, WIDTH
from .train import Training

NAMES = [f"{kind}_{stride}" for stride in STRIDES for kind in HEADS]
CALIBRATION, TOGETHER = 8, 64
"""Batches that choose the ranges of activations, and the most windows in one of these and in one of fine-tuning."""
FINE_TUNING, FINE_RATE = 300, 2e-5
LEAST_SCORE = 0.6
"""Score of a face: the least at which at most two of a hundred pictures without people show one."""
MOST_OVERLAP = 0.35


REACH = {"box": (0.0, 4.0), "landmarks": (-2.0, 2.0)}
"""Range of the outputs in strides: what the cells that answer for a face may say. The others' answers are never read, and would
widen the range, that is coarsen the landmarks, several times."""


def quantised(training: Training, steps: int) -> fx.GraphModule:
    """The averaged weights in int8, calibrated and fine-tuned on windows."""
    network = quantise.prepare(training.run.average.eval())
    rng = np.random.default_rng(2)
    quantise.calibrate(network, [pictures_of(training, rng)[0] for _ in range(CALIBRATION)])
    settle_outputs(network)
    for step, loss in quantise.fine_tune(network, losses(training), steps, FINE_RATE):
        if step % 50 == 0:
            print(f"int8 step {step} loss {loss:.4f}", flush=True)
    return network


@torch.no_grad()
def settle_outputs(network: fx.GraphModule) -> None:
    """Gives boxes and landmarks the ranges of `REACH`."""
    for node in network.graph.nodes:
        kind = str(node.target).removeprefix("heads.").partition("_")[0]
        if node.op != "call_module" or kind not in REACH:
            continue
        low, high = REACH[kind]
        scale = (high - low) / (rounding.HIGH - rounding.LOW + 1)
        quantiser = network.get_submodule(str(next(iter(node.users)).target))
        quantiser.exponent.fill_(math.log2(scale))
        quantiser.zero_point.fill_(rounding.LOW - round(low / scale))


def pictures_of(training: Training, rng: np.random.Generator) -> tuple[torch.Tensor, Wanted]:
    """A batch on the CPU, where networks are quantised: pictures `[n, 3, HEIGHT, WIDTH]` and what is wanted."""
    batch = training.drawn.draw(rng, TOGETHER)
    return batch.pictures(), batch_targets(batch)


def losses(training: Training) -> Iterator[Any]:
    """One loss for each batch, as a function of the network."""
    rng = np.random.default_rng(3)
    while True:
        pictures, wanted = pictures_of(training, rng)

        def loss(network: nn.Module, pictures: torch.Tensor = pictures, wanted: Wanted = wanted) -> torch.Tensor:
            return loss_of(network(pictures), wanted)

        yield loss


def release(training: Training, folder: Path, version: int, fine_tuning: int = FINE_TUNING) -> dict[str, Any]:
    """Writes detector.onnx, .toml, -fp32.safetensors and -metrics.json into `folder`; returns the metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in training.run.average.state_dict().items()}
    save_file(weights, folder / "detector-fp32.safetensors")
    network = quantised(training, fine_tuning)
    path = folder / "detector.onnx"
    qdq.export(network, path, (HEIGHT, WIDTH), NAMES, {"name": "detector", "version": str(version)})
    (folder / "detector.toml").write_text(manifest(path, version))
    batch = training.drawn.draw(np.random.default_rng(4), 16)
    sample = lit(batch.pixels, batch.light).numpy()
    found = Detector(folder)
    false = sum(bool(found.detect(Layers(picture.pixels))) for picture in training.drawn.held_out)
    metrics = {
        "version": version,
        "recipe": asdict(training.recipe) | {"start": Path(training.recipe.start).name},
        "labelled_crops": len(training.drawn.crops),
        "weights": sum(weight.numel() for weight in training.run.average.parameters()),
        "file_bytes": path.stat().st_size,
        "torch_agreement": asdict(qdq.compare(path, network, sample)),
        "pictures_without_people": len(training.drawn.held_out),
        "of_them_with_a_face": false,
    }
    (folder / "detector-metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    return metrics


def manifest(path: Path, version: int) -> str:
    """What the device needs to feed and read the network."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [
        "# How the face detector is fed and read. Box distances and landmark offsets are in strides.",
        'name = "detector"',
        f"version = {version}",
        'file = "detector.onnx"',
        f'sha256 = "{digest}"',
        f"input = [{HEIGHT}, {WIDTH}, 3]",
        "cell_offset = 0.5",
        f"least_score = {LEAST_SCORE}",
        f"most_overlap = {MOST_OVERLAP}",
        "refine = true",
        "",
    ]
    for stride in STRIDES:
        lines += ["[[level]]", f"stride = {stride}"]
        lines += [f'{kind} = "{kind}_{stride}"' for kind in HEADS] + [""]
    return "\n".join(lines)
