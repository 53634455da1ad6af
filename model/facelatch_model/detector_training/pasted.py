"""Windows of many small faces: aligned crops pasted on pictures without people.

So that a pasted square itself says nothing, patches without faces are pasted as well, and borders are soft.
"""

from __future__ import annotations

import cv2
import numpy as np

from .network import HEIGHT, WIDTH
from .windows import SMALL_LOWEST, Picture, Window, blurred, drawn, moved, placement, random_turn, turned

MOST = 7
"""Most patches in a window."""
LARGEST = 40.0
"""Longer side of the largest pasted face, pixels of the window."""
WITHOUT_FACE = 0.3
"""Share of patches that show no face."""
SOFT = 8
"""Width of a patch's soft border, pixels of the crop."""


def crowd(faces: list[Picture], empty: list[Picture], rng: np.random.Generator) -> Window:
    """A window of several patches, each a crop of `faces` or a part of an `empty` picture; none covers another."""
    background = empty[rng.integers(len(empty))]
    canvas = drawn(background.pixels, placement(background, rng), cv2.BORDER_REPLICATE).astype(np.float32)
    taken: list[np.ndarray] = []
    found: list[np.ndarray] = []
    for _ in range(rng.integers(1, MOST + 1)):
        shows = rng.random() >= WITHOUT_FACE
        pool = faces if shows else empty
        patch = pool[rng.integers(len(pool))]
        matrix = patch_placement(patch, rng)
        corners = extent(patch.pixels, matrix)
        if any((corners[:2] < other[2:]).all() and (corners[2:] > other[:2]).all() for other in taken):
            continue
        taken.append(corners)
        paste(canvas, patch.pixels, matrix)
        if shows:
            found.append(moved(patch.faces[0], matrix, flipped=False))
    places = np.array(found, np.float32).reshape(-1, 14)
    window = Window(blurred(canvas.astype(np.uint8), rng), places, np.zeros((0, 4), np.float32))
    return mirrored(window) if rng.random() < 0.5 else window


def patch_placement(patch: Picture, rng: np.random.Generator) -> np.ndarray:
    """The map `[2, 3]` from a patch to a random, wholly visible place of the window."""
    side = float(np.exp(rng.uniform(np.log(SMALL_LOWEST), np.log(LARGEST))))
    face = patch.faces[0] if len(patch.faces) else None
    longer = 0.85 * max(patch.pixels.shape[:2]) if face is None else max(face[2] - face[0], face[3] - face[1])
    scale = side / float(longer)
    middle = np.float64(patch.pixels.shape[1::-1]) / 2
    room = np.minimum(scale * float(np.hypot(*middle)), [0.45 * WIDTH, 0.45 * HEIGHT])
    return turned(scale, random_turn(rng), middle, rng.uniform(room, np.array([WIDTH, HEIGHT]) - room))


def extent(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Edges x1 y1 x2 y2 of a patch in the window."""
    height, width = pixels.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [0, height], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(0), corners.max(0)])


def paste(canvas: np.ndarray, pixels: np.ndarray, matrix: np.ndarray) -> None:
    """Draws a patch through `matrix` on `canvas` `[HEIGHT, WIDTH, 3]` f32 with a soft border."""
    cover = np.zeros(pixels.shape[:2], np.uint8)
    cover[SOFT:-SOFT, SOFT:-SOFT] = 255
    cover = cv2.blur(cover, (SOFT, SOFT), borderType=cv2.BORDER_CONSTANT)
    patch = drawn(np.dstack([pixels, cover]), matrix)
    share = patch[..., 3:].astype(np.float32) / 255
    canvas += share * (patch[..., :3] - canvas)


def mirrored(window: Window) -> Window:
    """The window and its faces, left and right exchanged."""
    edges = window.faces[:, :4][:, [2, 1, 0, 3]]
    marks = window.faces[:, 4:].reshape(-1, 5, 2)[:, [1, 0, 2, 4, 3]]
    faces = np.concatenate([edges, marks.reshape(-1, 10)], 1)
    faces[:, 0::2] = WIDTH - faces[:, 0::2]
    return Window(np.ascontiguousarray(window.pixels[:, ::-1]), faces, window.partial)
