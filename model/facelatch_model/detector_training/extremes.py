"""The released detector where finding is hard: small, tilted, dark, bright, blurred, covered faces, and many at once.

Faces of photographs that were never trained on are spoiled step by step or put together on pictures without people; a face is
found when a box overlaps the one that the detector gives the unspoiled photograph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from ..chain import overlaps
from ..device import Device
from ..quality import blurred, covered, gained
from .measure import FOUND

WIDTH, HEIGHT = 320, 240
"""A camera's picture; the detector sees half of it along both sides."""
INPUT_PIXELS = (8, 10, 12, 14, 16, 20, 24, 32)
"""Longer side of a face's box in the detector's input, pixels."""
TILTS = (10, 20, 30, 45, 60)
GAINS = (0.3, 0.2, 0.12, 0.07, 1.8, 2.4, 3.2)
BLURS = (1, 2, 3, 4)
COVERS = (0.1, 0.2, 0.3, 0.4)
GROUPS = (2, 4, 6, 8)
GROUP_SIDE = 90
"""Side of each photograph in a group, pixels of the picture: faces of about 50."""


@dataclass(frozen=True)
class Found:
    """One step: faces shown, and how many of them were found; faces found where none was shown."""

    step: float
    faces: int
    found: int
    false: int


@dataclass
class Example:
    """A photograph and the box `[4]` of its central face."""

    picture: np.ndarray
    box: np.ndarray


def examples(pictures: dict[str, np.ndarray], device: Device, most: int) -> list[Example]:
    """Up to `most` photographs in which the device finds one face alone, for others would be counted as false."""
    alone = [Example(pictures[name], faces[0].box) for name, faces in device.look(pictures).items() if len(faces) == 1]
    return alone[:most]


def pasted(canvas: np.ndarray, example: Example, scale: float, left: float, top: float) -> np.ndarray:
    """Draws a photograph `scale` times as large with its corner at (left, top); returns where its face is, `[4]`."""
    small = cv2.resize(example.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = round(left), round(top)
    height, width = min(small.shape[0], canvas.shape[0] - y), min(small.shape[1], canvas.shape[1] - x)
    canvas[y : y + height, x : x + width] = small[:height, :width]
    return example.box * scale + np.array([x, y, x, y])


Shown = tuple[np.ndarray, list[np.ndarray]]
"""A picture, and the boxes `[4]` of the faces in it."""


def count(step: float, shown: list[Shown], device: Device) -> Found:
    """How many of the boxes in each picture are found."""
    faces = found = false = 0
    seen = device.look({str(index): picture for index, (picture, _) in enumerate(shown)})
    for index, (_, boxes) in enumerate(shown):
        others = [face.box for face in seen[str(index)]]
        faces, found = faces + len(boxes), found + sum(any(overlaps(box, o)[0] >= FOUND for o in others) for box in boxes)
        false += sum(all(overlaps(box, o)[0] < FOUND for box in boxes) for o in others)
    return Found(step, faces, found, false)


def sized(example: Example, background: np.ndarray, pixels: float, rng: np.random.Generator) -> Shown:
    """A photograph so small that its face has `pixels` in the input, somewhere on a background."""
    canvas = cv2.resize(background, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    longer = max(example.box[2] - example.box[0], example.box[3] - example.box[1])
    scale = 2 * pixels / longer
    room = np.maximum([WIDTH, HEIGHT] - scale * np.array(example.picture.shape[1::-1]), 1)
    return canvas, [pasted(canvas, example, scale, *(rng.random(2) * room))]


def tilted(example: Example, degrees: float) -> Shown:
    """A photograph turned around the middle of its face: the box keeps middle and size, nearly."""
    middle = (example.box[:2] + example.box[2:]) / 2
    matrix = cv2.getRotationMatrix2D(middle.tolist(), degrees, 1.0)
    size = example.picture.shape[1::-1]
    return cv2.warpAffine(example.picture, matrix, size, borderMode=cv2.BORDER_REFLECT), [example.box]


def group(members: list[Example], background: np.ndarray) -> Shown:
    """Several photographs side by side, three in a row."""
    canvas = cv2.resize(background, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    across = WIDTH // 3
    boxes = []
    for index, member in enumerate(members):
        scale = min(GROUP_SIDE, HEIGHT // 3 - 1) / max(member.picture.shape[:2])
        boxes.append(pasted(canvas, member, scale, across * (index % 3) + 8, HEIGHT // 3 * (index // 3)))
    return canvas, boxes


def measure(photographs: list[Example], backgrounds: list[np.ndarray], device: Device) -> dict[str, list[Found]]:
    """All series."""
    rng = np.random.default_rng(0)

    def background() -> np.ndarray:
        return backgrounds[rng.integers(len(backgrounds))]

    spoiled: dict[str, tuple[tuple[float, ...], Callable[[Example, float], Shown]]] = {
        "pixels": (INPUT_PIXELS, lambda e, step: sized(e, background(), step, rng)),
        "tilt": (TILTS, lambda e, step: tilted(e, step * rng.choice([-1, 1]))),
        "gain": (GAINS, lambda e, step: (gained(e.picture, step), [e.box])),
        "blur": (BLURS, lambda e, step: (blurred(e.picture, step), [e.box])),
        "cover": (COVERS, lambda e, step: (covered(e.picture, step), [e.box])),
    }
    series = {
        name: [count(step, [spoil(example, step) for example in photographs], device) for step in steps]
        for name, (steps, spoil) in spoiled.items()
    }
    series["group"] = []
    for size in GROUPS:
        members = [photographs[i : i + size] for i in range(0, len(photographs) - size + 1, size)]
        series["group"].append(count(size, [group(chosen, background()) for chosen in members], device))
    return series
