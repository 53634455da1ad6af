"""Heads that are turned away: how many the released detector finds, of crops that were never trained on.

Photographs of LFW show few. Crops of faces show many, but no more than a face: they are shown on pictures without people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..chain import TEMPLATE
from ..detector import Detect
from ..device import Device
from ..packs import read_pack
from ..progress import Progress
from .extremes import Example, Found, count, sized
from .labels import label

YAWS = (0, 15, 25, 35, 45)
"""Degrees from which on turned heads are counted, up to the next."""
PIXELS = 32
"""Longer side of a face's box in the detector's input."""
NOSE_DEPTH = 22.0
"""How far the nose stands before eyes and mouth in pixels of the aligned crop. Source: `src/face/pose.rs`."""


@dataclass
class Head:
    """A crop with its face, and by how many degrees the head is turned to a side."""

    example: Example
    yaw: float


def yaw_of(landmarks: np.ndarray) -> float:
    """Degrees by which a head with `landmarks` `[5, 2]` is turned around the vertical axis; as the device's `Pose::of`."""
    solid = np.column_stack([TEMPLATE, [0, 0, NOSE_DEPTH, 0, 0], np.ones(5)])
    across = landmarks[1] - landmarks[0]
    cos, sin = across / np.linalg.norm(across)
    level = (landmarks - landmarks[0]) @ np.array([[cos, -sin], [sin, cos]])
    rows = (np.linalg.pinv(solid) @ level)[:3].T
    return float(np.degrees(np.arcsin(np.clip(rows[0, 2] / np.linalg.norm(rows, axis=1).max(), -1, 1))))


def heads(packs: Path, names: Sequence[str], most: int, detect: Detect) -> Iterator[Head]:
    """The faces that another detector finds in up to `most` crops of each pack."""
    progress = Progress("turned heads", most * len(names))
    for name in names:
        for picture, _ in islice(read_pack(packs, name), most):
            progress.step()
            face = label(picture, detect)
            if face is not None:
                yield Head(Example(picture, face[:4]), abs(yaw_of(face[4:14].reshape(5, 2))))


def measure(shown: Sequence[Head], backgrounds: list[np.ndarray], device: Device) -> list[Found]:
    """One step for each of `YAWS`."""
    rng, found = np.random.default_rng(0), []
    for low, high in zip(YAWS, (*YAWS[1:], np.inf), strict=True):
        turned = [head.example for head in shown if low <= head.yaw < high]
        pictures = [sized(example, backgrounds[rng.integers(len(backgrounds))], PIXELS, rng) for example in turned]
        found.append(count(low, pictures, device))
    return found
