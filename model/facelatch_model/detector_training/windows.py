"""What the detector learns from: random windows of photographs, with their faces, as the camera might show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..packs import read_pack
from .network import HEIGHT, WIDTH

PADDING = 128
SMALLEST, LARGEST = 11.0, 112.0
"""Longer side of the face that a window is made for, in pixels of the window: what is to be found is 16 and more."""
SMALL, SMALL_LOWEST, SMALL_HIGHEST = 0.35, 12.0, 28.0
"""Share of photographs' windows whose face is small, and how small: these are the hardest to find."""
TURN, MOST_TURN = 25.0, 60.0
"""Deviation and limit of a window's turn, degrees; a share of STRAIGHT has none."""
STRAIGHT = 0.35
CLOSE_EYES, CLOSE_SIZE, CLOSE_SHIFT, CLOSE_TURN = 33.0, 0.12, 3.0, 4.0
"""A second look: distance of the eyes in pixels, and the deviations of its logarithm, of its place (pixels) and of its turn
(degrees): about twice what the first look's landmarks leave."""
WITHOUT = 0.2
"""Share of windows of pictures without people."""
LEAST_SEEN = 0.6
"""A face of which less than this lies in the window is no face; more than none is neither."""
HELD_OUT = 0.25
"""Share of the pictures without people that is never trained on."""


@dataclass
class Picture:
    """A photograph `[h, w, 3]` u8 RGB and its faces `[n, 15]`: box, five landmarks, score."""

    pixels: np.ndarray
    faces: np.ndarray


@dataclass
class Window:
    """`[HEIGHT, WIDTH, 3]` u8 and faces `[n, 14]` (box, landmarks) in its pixels; boxes `partial` `[m, 4]` teach nothing."""

    pixels: np.ndarray
    faces: np.ndarray
    partial: np.ndarray


def photographs(packs: Path) -> list[Picture]:
    """Photographs with labelled faces."""
    return [Picture(pixels, np.float32(row["faces"][: row["count"]])) for pixels, row in read_pack(packs, "detect-photos")]


def empty_pictures(packs: Path) -> tuple[list[Picture], list[Picture]]:
    """Pictures without people: for training, and those held out."""
    pictures = [Picture(pixels, np.zeros((0, 15), np.float32)) for pixels, _ in read_pack(packs, "nofaces")]
    held_out = int(len(pictures) * HELD_OUT)
    return pictures[held_out:], pictures[:held_out]


def window_of(picture: Picture, rng: np.random.Generator) -> Window:
    """A random window: scaled for one of the faces, turned, mirrored half of the time."""
    return shown(picture, placement(picture, rng), rng)


def close_look(picture: Picture, rng: np.random.Generator) -> Window:
    """A face of `picture` as the device's second look sees it."""
    return shown(picture, close_placement(picture.faces[rng.integers(len(picture.faces))], rng), rng)


def shown(picture: Picture, matrix: np.ndarray, rng: np.random.Generator) -> Window:
    """The window that `matrix` `[2, 3]` shows, mirrored half of the time; beyond the picture is grey, or its border.

    A mirrored pixel x is at WIDTH - 1 - x. Detector 1's answers agree with its mirror image's at WIDTH - x (0.2 pixels apart,
    else 1.2), so that the second look of `chain` and of the device mirrors there: measure and change it with the next detector.
    """
    flipped = rng.random() < 0.5
    if flipped:
        matrix = np.float32([[-1, 0, WIDTH - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]]).astype(np.float32)
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    pixels = drawn(picture.pixels, matrix, border)
    faces = (
        np.stack([moved(face, matrix, flipped) for face in picture.faces])
        if len(picture.faces)
        else np.zeros((0, 14), np.float32)
    )
    inside = np.array([seen(face) for face in faces])
    tall = np.array([face[3] - face[1] for face in faces])
    keep = (inside >= LEAST_SEEN) & (tall >= SMALLEST * 0.8) if len(faces) else np.zeros(0, bool)
    partial = faces[~keep & (inside > 0)][:, :4] if len(faces) else np.zeros((0, 4), np.float32)
    return Window(coloured(pixels, rng), faces[keep], partial)


def placement(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """The map `[2, 3]` from a picture to a window."""
    height, width = picture.pixels.shape[:2]
    middle, scale = rng.uniform([0.2 * width, 0.2 * height], [0.8 * width, 0.8 * height]), rng.uniform(0.4, 1.2)
    target = np.float64([WIDTH / 2, HEIGHT / 2])
    if len(picture.faces):
        face = picture.faces[rng.integers(len(picture.faces))]
        middle = (face[:2] + face[2:4]) / 2
        small = rng.random() < SMALL
        lowest, highest = (SMALL_LOWEST, SMALL_HIGHEST) if small else (SMALLEST, LARGEST)
        side = np.exp(rng.uniform(np.log(lowest), np.log(highest)))
        scale = side / max(face[3] - face[1], face[2] - face[0])
        room = max(0.0, 0.5 - 0.45 * side / HEIGHT)
        target = np.float64([WIDTH, HEIGHT]) * (0.5 + rng.uniform(-room, room, 2))
    return turned(scale, random_turn(rng), middle, target)


def close_placement(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The map `[2, 3]` from a picture to a second look at `face` `[15]`, nearly upright and in the middle."""
    marks = face[4:14].reshape(5, 2).astype(np.float64)
    across = marks[1] - marks[0]
    scale = CLOSE_EYES * float(np.exp(rng.normal(0, CLOSE_SIZE))) / max(float(np.hypot(*across)), 1e-3)
    turn = -np.arctan2(across[1], across[0]) + np.radians(rng.normal(0, CLOSE_TURN))
    return turned(scale, turn, marks.mean(0), np.float64([WIDTH / 2, HEIGHT / 2]) + rng.normal(0, CLOSE_SHIFT, 2))


def random_turn(rng: np.random.Generator) -> float:
    """Radians."""
    degrees = 0.0 if rng.random() < STRAIGHT else rng.normal(0, TURN)
    return float(np.radians(np.clip(degrees, -MOST_TURN, MOST_TURN)))


def turned(scale: float, turn: float, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The map `[2, 3]` that scales, turns by `turn` radians and takes `source` to `target`."""
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.float64([[cos, -sin, 0], [sin, cos, 0]])
    matrix[:, 2] = target - matrix[:, :2] @ source
    return matrix.astype(np.float32)


def drawn(pixels: np.ndarray, matrix: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """The picture through `matrix` `[2, 3]`, halved first where it shrinks by more than two; `border` is one of OpenCV's.

    What has a fourth channel is nothing beyond its border.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    while scale < 0.5:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        pixels = cv2.resize(pixels[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        middle = matrix[:, 2] + matrix[:, :2].sum(1) / 2
        matrix, scale = np.column_stack([2 * matrix[:, :2], middle]).astype(np.float32), 2 * scale
    padding = (PADDING,) * 3 if pixels.shape[2] == 3 else (0,) * 4
    return cv2.warpAffine(pixels, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=padding)


def moved(face: np.ndarray, matrix: np.ndarray, flipped: bool) -> np.ndarray:
    """Box and landmarks `[14]` through `matrix`; the box keeps its sides' lengths, as an upright box of a turned face."""
    marks = face[4:14].reshape(5, 2) @ matrix[:, :2].T + matrix[:, 2]
    if flipped:
        marks = marks[[1, 0, 2, 4, 3]]
    middle = matrix[:, :2] @ ((face[:2] + face[2:4]) / 2) + matrix[:, 2]
    half = float(np.hypot(matrix[0, 0], matrix[1, 0])) * (face[2:4] - face[:2]) / 2
    return np.concatenate([middle - half, middle + half, marks.ravel()]).astype(np.float32)


def seen(face: np.ndarray) -> float:
    """Share of a box `[>=4]` that lies in the window."""
    low, high = np.maximum(face[:2], 0), np.minimum(face[2:4], [WIDTH, HEIGHT])
    whole = max(1e-6, float(np.prod(face[2:4] - face[:2])))
    return float(np.prod(np.maximum(high - low, 0))) / whole


def coloured(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light and camera: dark, bright, grey, tinted, blurred, noisy."""
    value = pixels.astype(np.float32)
    if rng.random() < 0.3:
        value = cv2.GaussianBlur(value, (0, 0), float(rng.uniform(0.3, 1.2)))
    if rng.random() < 0.2:
        value = np.repeat(value.mean(2, keepdims=True), 3, 2)
    value = 255 * (np.clip(value, 0, 255) / 255) ** float(np.exp(rng.normal(0, 0.35)))
    value = value * np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.07, 3)) + rng.normal(0, 12)
    value = value + rng.normal(0, rng.exponential(3.0), value.shape)
    return np.clip(value, 0, 255).astype(np.uint8)
