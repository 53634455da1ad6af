"""What a door camera does to a face, drawn at random: geometry, light, blur, compression, occlusion.

For the CPU, one picture at a time; `augment_batch` does the same to a batch on a GPU.
"""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 112


def warp(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`[120, 120, 3]` to `[112, 112, 3]`: mirrored half of the time, with the small errors of an alignment."""
    angle = np.deg2rad(rng.normal(0, 2.5))
    scale = np.exp(rng.normal(0, 0.03))
    dx, dy = rng.normal(0, 1.3, 2)
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    sx = -1.0 if rng.random() < 0.5 else 1.0
    m = np.array([[a * sx, -b, 0.0], [b * sx, a, 0.0]])
    centre_in, centre_out = (120 - 1) / 2, (SIDE - 1) / 2
    m[:, 2] = np.array([centre_out + dx, centre_out + dy]) - m[:, :2] @ np.array([centre_in, centre_in])
    return cv2.warpAffine(crop, m, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def light(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma, contrast, brightness and a colour cast, as one table for each channel."""
    ramp = np.arange(256, dtype=np.float32) / 255
    gamma, contrast = np.exp(rng.normal(0, 0.25)), np.exp(rng.normal(0, 0.15))
    cast = np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    curve = (ramp[:, None] ** gamma - 0.5) * contrast + 0.5 + rng.normal(0, 0.06)
    table = np.clip(curve * cast * 255, 0, 255).astype(np.uint8)
    return cv2.LUT(face, table.reshape(1, 256, 3))


def shade(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from one side."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.5)
    plane = 1 + strength * (np.cos(angle) * x + np.sin(angle) * y)
    return np.clip(face * plane[:, :, None], 0, 255).astype(np.uint8)


def smaller(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The face as a camera sees it from afar: fewer pixels, enlarged again."""
    side = int(rng.uniform(24, 80))
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def blur(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or moved along a line."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(face, (0, 0), rng.uniform(0.5, 2.0))
    length, angle = int(rng.integers(3, 9)), rng.uniform(0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    half = (length - 1) / 2
    dx, dy = np.cos(angle) * half, np.sin(angle) * half
    ends = (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy))
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(face, -1, kernel / kernel.sum())


def compress(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG of a quality from 15 to 80."""
    _, coded = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def noise(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dark sensor's noise."""
    grain = rng.standard_normal(face.shape, dtype=np.float32) * rng.uniform(2, 14)
    return np.clip(face + grain, 0, 255).astype(np.uint8)


def occlude(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A mask over nose and mouth, dark glasses, or something anywhere."""
    face, colour = face.copy(), tuple(int(v) for v in rng.integers(0, 256, 3))
    kind = rng.random()
    if kind < 0.35:
        top = int(rng.uniform(62, 78))
        outline = np.array([[18, top], [56, top - rng.integers(0, 8)], [94, top], [88, 100], [56, 112], [24, 100]], np.int32)
        cv2.fillPoly(face, [outline + rng.integers(-3, 4, 2)], colour)
    elif kind < 0.6:
        dark = tuple(int(v) for v in rng.integers(0, 60, 3))
        radius = int(rng.uniform(11, 17))
        for x in (38, 74):
            cv2.ellipse(face, (x, 52), (radius + 2, radius - 1), 0, 0, 360, dark, -1)
        cv2.line(face, (38, 50), (74, 50), dark, 3)
    else:
        w, h = rng.integers(15, 50, 2)
        x, y = int(rng.integers(0, SIDE - w)), int(rng.integers(0, SIDE - h))
        face[y : y + h, x : x + w] = colour
    return face


def grey(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What an infrared or grey camera sees: one channel three times, mixed at random."""
    mix = rng.dirichlet((1.5, 2.0, 1.0)).astype(np.float32)
    one = np.clip(face.astype(np.float32) @ mix, 0, 255).astype(np.uint8)
    return np.repeat(one[:, :, None], 3, 2)


STEPS = ((light, 0.6), (shade, 0.1), (occlude, 0.12), (smaller, 0.15), (blur, 0.12), (noise, 0.1), (compress, 0.12), (grey, 0.08))


def augment(crop: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """`[120, 120, 3]` u8 RGB to `[112, 112, 3]`; each step at its own chance times `strength`."""
    face = warp(crop, rng)
    for step, chance in STEPS:
        if rng.random() < chance * strength:
            face = step(face, rng)
    return face
