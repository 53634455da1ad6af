"""A measured student to the files that the device and its users get.

    embedder.onnx               QDQ, u8 pixels in
    embedder.toml               how it is fed and read, what its distances mean, a golden vector
    embedder.md                 the card, made of the measured figures
    embedder-fp32.safetensors   weights to train on from
    embedder-metrics.json       every figure, as the measurement wrote it
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from . import card, qdq
from .configuration import Release
from .student import SIDE

PARTS = ("verification", "distances", "robustness", "sizes", "occlusion", "groups", "training")
"""Figures that a measurement writes, each to a JSON file; only the first two are always there."""
REQUIRED = PARTS[:2]


class ReleaseError(ValueError):
    """A student that must not be released; says why."""


def painted(count: int) -> np.ndarray:
    """A picture of `count` bytes that uses all values and is the same everywhere: byte i is (7 i + 13 (i / 251)) mod 251."""
    i = np.arange(count)
    return ((i * 7 + i // 251 * 13) % 251).astype(np.uint8)


def golden(onnx_file: Path) -> list[int]:
    """What ONNX Runtime computes from the painted picture, in int8 steps, `[128]`."""
    pixels = painted(SIDE * SIDE * 3).reshape(1, SIDE, SIDE, 3)
    value = np.asarray(qdq.session(onnx_file).run(None, {"pixels": pixels})[0])[0]
    ((_, scale, zero),) = qdq.output_parameters(onnx_file)
    return np.clip(np.round(value / scale) + zero, -128, 127).astype(int).tolist()


def figures_in(folder: Path) -> dict[str, Any]:
    """All measured figures in `folder`, by their part."""
    found = {part: json.loads((folder / f"{part}.json").read_text()) for part in PARTS if (folder / f"{part}.json").exists()}
    missing = [part for part in REQUIRED if part not in found]
    if missing:
        raise ReleaseError(f"{folder} has no {missing[0]}.json: evaluate the student first")
    return found


def manifest(release: Release, onnx_file: Path, figures: dict[str, Any]) -> str:
    """The TOML manifest."""
    threshold = figures["distances"]["threshold"]
    if threshold is None:
        raise ReleaseError("no distance has a false accept rate of at most 1e-3: this student tells nobody apart")
    lines = [
        "# How the embedder is fed and read, and what its distances mean: measured on LFW, all pairs of different people.",
        'name = "embedder"',
        f"version = {release.version}",
        'file = "embedder.onnx"',
        f'sha256 = "{hashlib.sha256(onnx_file.read_bytes()).hexdigest()}"',
        f"input = [{SIDE}, {SIDE}, 3]",
        f"embedding_id = {release.embedding_id}",
        "# Squared Euclidean distance up to which two faces are one person: the 95 % upper bound of the FAR is at most 1e-3.",
        f"threshold = {threshold}",
        "",
        "# What ONNX Runtime computes, in int8 steps, from the picture whose byte i is (7 i + 13 (i / 251)) mod 251.",
        "[golden]",
        f"output = {golden(onnx_file)}",
    ]
    for row in figures["distances"]["table"]:
        lines += ["", "[[distance_far]]", f"distance = {row['distance']}"]
        lines += [f"{name} = {row[name]:.3e}" for name in ("far", "far_upper_95")]
    return "\n".join(lines) + "\n"


def write(release: Release, onnx_file: Path, weights: Path, figures_folder: Path, out: Path) -> None:
    """Writes the five files into `out`; the manifest comes last, since its digest makes the others valid."""
    figures = figures_in(figures_folder)
    text = manifest(release, onnx_file, figures)
    notes = release.notes.read_text() if release.notes else ""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(onnx_file, out / "embedder.onnx")
    shutil.copyfile(weights, out / "embedder-fp32.safetensors")
    (out / "embedder-metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "embedder.md").write_text(card.of(release.version, figures, notes))
    (out / "embedder.toml").write_text(text)
