"""From trained weights to what is released: int8, measured as the device will run it, with manifest and card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from .. import card, qdq, quantise
from . import measure
from .crops import DETAIL_WEIGHT, FACTOR, FULL_DETAIL, SIDE
from .train import Library, Recipe, Training, augmented, float_scores, loss_of_votes, middle, penalties, pool_of

OUTPUT = "live"
FRAMES = 8
"""Frames of a track whose logits the device averages."""
CALIBRATION = 8
"""Batches that choose the ranges of activations."""
FINE_TUNING = 150
"""Steps of training with the rounding in place."""
FINE_RATE = 2e-5
SCREEN_PEOPLE = 2
"""People whose screens are held out, for the card: smeared pictures of one man are several clusters."""


@dataclass(frozen=True)
class Figures:
    """What a network does on subjects that it was not trained on."""

    frames: int
    """Pictures whose logits are averaged: 1, or a track's."""
    results: list[measure.Result]

    def worst(self) -> measure.Result:
        """The species and group with the highest APCER."""
        return measure.worst(self.results)


def figures(rows: dict[str, np.ndarray], scores: np.ndarray, pictures: np.ndarray) -> list[Figures]:
    """Single pictures and tracks: by group, and all groups at one threshold."""
    groups = np.array([pool_of("real", str(subject)) for subject in rows["subject"]])
    found = []
    for frames in (1, FRAMES):
        logits = scores if frames == 1 else measure.tracked(rows, scores, pictures, frames)
        columns = (logits, rows["living"], rows["species"])
        found.append(Figures(frames, measure.by_group(groups, *columns) + measure.by_species("all", *columns)))
    return found


def quantised(training: Training, steps: int) -> fx.GraphModule:
    """The averaged weights in int8, calibrated and fine-tuned on the batches that they were trained on."""
    library, recipe = training.library, training.recipe
    network = quantise.prepare(training.run.average.eval())
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    draws = (library.draw(rng, recipe.shares, recipe.batch)[0] for _ in range(CALIBRATION))
    quantise.calibrate(network, [augmented(pictures, generator) for pictures in draws])
    for step, loss in quantise.fine_tune(network, losses(library, recipe), steps, FINE_RATE):
        if step % 50 == 0:
            print(f"int8 step {step} loss {loss:.4f}", flush=True)
    return network


def losses(library: Library, recipe: Recipe) -> Iterator[Any]:
    """One loss for each batch, as a function of the network."""
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    while True:
        pictures, labels = library.draw(rng, recipe.shares, recipe.batch)
        value = augmented(pictures, generator)

        def loss(network: nn.Module, value: torch.Tensor = value, labels: torch.Tensor = labels) -> torch.Tensor:
            return loss_of_votes(network(value), labels, recipe)

        yield loss


def file_scores(path: Path, pictures: np.ndarray, batch: int = 128) -> np.ndarray:
    """Logits `[n]` of the released file for stored squares."""
    session = qdq.session(path)
    return np.concatenate(
        [session.run(None, {"pixels": middle(pictures[i : i + batch])})[0].ravel() for i in range(0, len(pictures), batch)]
    )


def release(training: Training, folder: Path, version: int, fine_tuning: int = FINE_TUNING) -> dict[str, Any]:
    """Writes liveness.onnx, .toml and -metrics.json into `folder`; returns the metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    network = quantised(training, fine_tuning)
    path = folder / "liveness.onnx"
    qdq.export(network, path, (SIDE, SIDE), [OUTPUT], {"name": "liveness", "version": str(version)})
    pictures, rows = training.library.held_out_rows()
    agreement = qdq.compare(path, network, middle(pictures[:64]))
    lacking = penalties(pictures)
    scores = file_scores(path, pictures) + lacking
    floats = float_scores(training.run.average, pictures) + lacking
    int8 = figures(rows, scores, pictures)
    at = next(result.threshold for result in int8[0].results if result.group == "all")
    metrics = {
        "version": version,
        "recipe": asdict(training.recipe) | {"start": Path(training.recipe.start).name},
        "steps": training.run.step,
        "weights": sum(weight.numel() for weight in training.run.average.parameters()),
        "file_bytes": path.stat().st_size,
        "torch_agreement": asdict(agreement),
        "least_score": round(float(1 / (1 + np.exp(-at))), 2),
        "int8": [asdict(item) for item in int8],
        "fp32": [asdict(item) for item in figures(rows, floats, pictures)],
    }
    (folder / "liveness-metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    (folder / "liveness.toml").write_text(manifest(path, metrics))
    return metrics


def manifest(path: Path, metrics: dict[str, Any]) -> str:
    """What the device needs to feed and read the network."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return "\n".join(
        [
            "# How the liveness network is fed and read: one logit, above 0 for a living face,",
            "# less `detail_weight` for each unit of fine detail that its square has below `full_detail`.",
            'name = "liveness"',
            f"version = {metrics['version']}",
            'file = "liveness.onnx"',
            f'sha256 = "{digest}"',
            f"input = [{SIDE}, {SIDE}, 3]",
            f"crop_factor = {FACTOR}",
            "outputs = 1",
            "live_index = 0",
            f"full_detail = {FULL_DETAIL}",
            f"detail_weight = {DETAIL_WEIGHT}",
            f"least_score = {metrics['least_score']}",
            "",
        ]
    )


def card_of(manifest_: dict[str, Any], metrics: dict[str, Any]) -> str:
    """The whole card of measured figures; `manifest_` is the released one."""
    found = metrics["measured"]["released"]["collected"][0]["results"]
    keys = {key: manifest_[key] for key in ("version", "full_detail", "detail_weight")}
    return card.filled(
        "liveness/card.md.jinja",
        notes=(Path(__file__).parent / "notes.md").read_text(),
        worst_apcer=max(result["apcer"] for result in found if result["group"] == "all"),
        screen_people=SCREEN_PEOPLE,
        **{**{"without_screens": None, "motion": None}, **metrics, **keys},
    )
