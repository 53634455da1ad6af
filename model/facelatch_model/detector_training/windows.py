"""What the detector learns from: random windows of photographs, with their faces, as the camera might show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..packs import read_pack
from .network import HEIGHT, WIDTH

PADDING = 128
LOWEST, LARGEST = 24.0, 112.0
"""Longer side of the face that a window is made for, in pixels of the window, unless it is small."""
SMALL, SMALL_LOWEST, SMALL_HIGHEST = 0.45, 12.0, 28.0
"""Share of photographs' windows whose face is small, and how small: these are the hardest to find."""
LEAST_TALL = 9.0
"""Pixels of the window; a face that is less tall is neither a face nor none."""
MOST_TURN = 65.0
"""Limit of a window's turn, degrees, all as likely; a share of STRAIGHT has none."""
STRAIGHT = 0.45
BEHIND = 0.5
"""Share of photographs' windows that show a picture without people beyond the photograph's edges."""
CLOSE_EYES, CLOSE_SIZE, CLOSE_SHIFT, CLOSE_TURN = 33.0, 0.12, 3.0, 4.0
"""A second look: distance of the eyes in pixels, and the deviations of its logarithm, of its place (pixels) and of its turn
(degrees): about twice what the first look's landmarks leave."""
COVERED, MOST_COVERED = 0.15, 0.45
"""Share of photographs' windows whose faces are covered from below, and up to which share of a box's height."""
CLOSE_STRETCH = 0.05
"""Deviation of the logarithm of a second look's stretch along the face: where a mouth is must be seen, not guessed."""
BLURRED = 0.3
"""Share of windows."""
CLOSE_LEAST = 20.0
"""Distance of the eyes in a photograph from which on its landmarks teach a second look: those of smaller faces are rough."""
WITHOUT = 0.17
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


def near(picture: Picture) -> Picture:
    """The picture with those of its faces that are large enough for a second look."""
    marks = picture.faces[:, 4:8].reshape(-1, 2, 2)
    return Picture(picture.pixels, picture.faces[np.linalg.norm(marks[:, 1] - marks[:, 0], axis=1) >= CLOSE_LEAST])


def empty_pictures(packs: Path) -> tuple[list[Picture], list[Picture]]:
    """Pictures without people: for training, and those held out."""
    pictures = [Picture(pixels, np.zeros((0, 15), np.float32)) for pixels, _ in read_pack(packs, "nofaces")]
    held_out = int(len(pictures) * HELD_OUT)
    return pictures[held_out:], pictures[:held_out]


def window_of(picture: Picture, rng: np.random.Generator, empty: Sequence[Picture] = ()) -> Window:
    """A random window: scaled for one of the faces, turned, mirrored half of the time; of `empty` is what lies beyond."""
    behind = None
    if empty and rng.random() < BEHIND:
        other = empty[rng.integers(len(empty))]
        behind = drawn(other.pixels, placement(other, rng), cv2.BORDER_REPLICATE)
    if rng.random() < COVERED:
        picture = covered(picture, rng)
    return shown(picture, placement(picture, rng), rng, behind)


def covered(picture: Picture, rng: np.random.Generator) -> Picture:
    """The picture with all its faces covered from below in one colour, as by a mask or a scarf."""
    pixels, colour, share = picture.pixels.copy(), rng.integers(0, 256, 3), rng.uniform(0, MOST_COVERED)
    for left, top, right, bottom in picture.faces[:, :4]:
        edge = bottom - share * (bottom - top)
        side = rng.uniform(0, 0.2) * (right - left)
        low, high = np.maximum([left - side, edge], 0), np.maximum([right + side, 2 * bottom - edge], 0)
        pixels[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = colour
    return Picture(pixels, picture.faces)


def close_look(picture: Picture, rng: np.random.Generator) -> Window:
    """A face of `picture` as the device's second look sees it."""
    return shown(picture, close_placement(picture.faces[rng.integers(len(picture.faces))], rng), rng)


def shown(picture: Picture, matrix: np.ndarray, rng: np.random.Generator, behind: np.ndarray | None = None) -> Window:
    """The window that `matrix` `[2, 3]` shows, mirrored half of the time.

    Beyond the picture is `behind` `[HEIGHT, WIDTH, 3]`, or grey, or the picture's border. A mirrored place x is at
    WIDTH - x.
    """
    flipped = rng.random() < 0.5
    if flipped:
        matrix = np.float32([[-1, 0, WIDTH - 1], [0, 1, 0]]) @ np.vstack([matrix, [0, 0, 1]]).astype(np.float32)
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    pixels = drawn(picture.pixels, matrix, border) if behind is None else drawn_onto(behind, picture.pixels, matrix)
    faces = (
        np.stack([moved(face, matrix, flipped) for face in picture.faces])
        if len(picture.faces)
        else np.zeros((0, 14), np.float32)
    )
    inside = np.array([seen(face) for face in faces])
    tall = np.array([face[3] - face[1] for face in faces])
    keep = (inside >= LEAST_SEEN) & (tall >= LEAST_TALL) if len(faces) else np.zeros(0, bool)
    partial = faces[~keep & (inside > 0)][:, :4] if len(faces) else np.zeros((0, 4), np.float32)
    return Window(blurred(pixels, rng), faces[keep], partial)


def placement(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """The map `[2, 3]` from a picture to a window."""
    height, width = picture.pixels.shape[:2]
    middle, scale = rng.uniform([0.2 * width, 0.2 * height], [0.8 * width, 0.8 * height]), rng.uniform(0.4, 1.2)
    target = np.float64([WIDTH / 2, HEIGHT / 2])
    if len(picture.faces):
        face = picture.faces[rng.integers(len(picture.faces))]
        middle = (face[:2] + face[2:4]) / 2
        small = rng.random() < SMALL
        lowest, highest = (SMALL_LOWEST, SMALL_HIGHEST) if small else (LOWEST, LARGEST)
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
    middle = np.float64([WIDTH / 2, HEIGHT / 2]) + rng.normal(0, CLOSE_SHIFT, 2)
    stretch, matrix = float(np.exp(rng.normal(0, CLOSE_STRETCH))), turned(scale, turn, marks.mean(0), middle)
    return np.float32([matrix[0], stretch * matrix[1] + [0, 0, (1 - stretch) * middle[1]]])


def random_turn(rng: np.random.Generator) -> float:
    """Radians."""
    degrees = 0.0 if rng.random() < STRAIGHT else rng.uniform(-MOST_TURN, MOST_TURN)
    return float(np.radians(degrees))


def turned(scale: float, turn: float, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The map `[2, 3]` that scales, turns by `turn` radians and takes `source` to `target`."""
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.float64([[cos, -sin, 0], [sin, cos, 0]])
    matrix[:, 2] = target - matrix[:, :2] @ source
    return matrix.astype(np.float32)


def drawn(pixels: np.ndarray, matrix: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """The picture through `matrix` `[2, 3]`; `border` is one of OpenCV's.

    What has a fourth channel is nothing beyond its border.
    """
    pixels, matrix = halved(pixels, matrix)
    padding = (PADDING,) * 3 if pixels.shape[2] == 3 else (0,) * 4
    return cv2.warpAffine(pixels, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=padding)


def drawn_onto(canvas: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """`canvas` `[HEIGHT, WIDTH, 3]` with the picture on it through `matrix` `[2, 3]`."""
    pixels, matrix = halved(pixels, matrix)
    return cv2.warpAffine(pixels, matrix, (WIDTH, HEIGHT), dst=canvas, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)


def halved(pixels: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A picture halved until `matrix` `[2, 3]` shrinks it by two at most, and the matrix for it."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    while scale < 0.5:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        pixels = cv2.resize(pixels[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        middle = matrix[:, 2] + matrix[:, :2].sum(1) / 2
        matrix, scale = np.column_stack([2 * matrix[:, :2], middle]).astype(np.float32), 2 * scale
    return pixels, matrix


def moved(face: np.ndarray, matrix: np.ndarray, flipped: bool) -> np.ndarray:
    """Box and landmarks `[14]` through `matrix`; the box keeps its proportions, as an upright box of a turned face does.

    Places are measured from a picture's corner, as the device measures them; `matrix` takes middles of pixels to such.
    """
    marks = (face[4:14].reshape(5, 2) - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
    if flipped:
        marks = marks[[1, 0, 2, 4, 3]]
    middle = matrix[:, :2] @ ((face[:2] + face[2:4]) / 2 - 0.5) + matrix[:, 2] + 0.5
    half = float(np.hypot(matrix[0, 0], matrix[1, 0])) * (face[2:4] - face[:2]) / 2
    return np.concatenate([middle - half, middle + half, marks.ravel()]).astype(np.float32)


def seen(face: np.ndarray) -> float:
    """Share of a box `[>=4]` that lies in the window."""
    low, high = np.maximum(face[:2], 0), np.minimum(face[2:4], [WIDTH, HEIGHT])
    whole = max(1e-6, float(np.prod(face[2:4] - face[:2])))
    return float(np.prod(np.maximum(high - low, 0))) / whole


def blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A share of BLURRED out of focus."""
    return cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.3, 1.2))) if rng.random() < BLURRED else pixels
