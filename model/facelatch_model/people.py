"""Synthetic people: faces of nobody, sampled from an eigenface model of many.

A model of `COMPONENTS` principal components is made from aligned photographs; a random point in it is
a face that belongs to no one. Pictures are `[SIZE, SIZE, 3]` u8 RGB, wide enough for hair and neck.
Only sampled pictures may leave this module: the model itself is made of real photographs and is
neither released nor committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .packs import read_pack

SIZE = 192
"""Width and height of a person's picture in pixels."""
COMPONENTS = 150
"""Principal components kept: enough for identity, few enough that a sample is nobody."""
LANDMARKS = np.float32([[76, 84], [116, 84], [96, 108], [80, 130], [112, 130]])
"""Where the eyes, the nose tip and the mouth corners lie in a person's picture (x, y)."""
MIN_EYE_DISTANCE = 14.0
"""Faces whose eyes are nearer (in pixels of the photograph) are too coarse to learn from."""


@dataclass(frozen=True)
class FaceModel:
    """Mean `[SIZE*SIZE*3]`, components `[COMPONENTS, SIZE*SIZE*3]` (unit rows), deviations `[COMPONENTS]`."""

    mean: np.ndarray
    components: np.ndarray
    deviations: np.ndarray

    def sample(self, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
        """Coefficients of a random person, `[COMPONENTS]`; cut at two deviations, where faces stay faces."""
        draw = np.clip(rng.normal(0.0, 1.0, len(self.deviations)), -2.0, 2.0)
        return (draw * spread * self.deviations).astype(np.float32)

    def render(self, coefficients: np.ndarray) -> np.ndarray:
        """The picture `[SIZE, SIZE, 3]` u8 of a person's coefficients."""
        flat = self.mean + coefficients @ self.components
        return np.clip(flat, 0, 255).astype(np.uint8).reshape(SIZE, SIZE, 3)

    def change(self, coefficients: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
        """The same person a moment later: the small components move by `amount` deviations."""
        weight = np.linspace(0.0, 1.0, len(self.deviations)) ** 2
        moved = rng.normal(0.0, amount, len(self.deviations)) * weight * self.deviations
        return (coefficients + moved).astype(np.float32)


EDGES, PORES = 4.0, 6.0
"""How much of the model's finest detail is added to itself, and the deviation of the pores in grey levels. Choices: before the
simulated camera a face then has the fine detail of a photographed one (`detail.py`)."""


def in_the_flesh(face: np.ndarray, seed: int) -> np.ndarray:
    """A rendered `face` `[SIZE, SIZE, 3]` u8 with the fine detail that a mean of many lacks; the pores are those of `seed`."""
    soft = cv2.GaussianBlur(face, (0, 0), 1.5).astype(np.float32)
    pores = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (SIZE, SIZE)).astype(np.float32), (0, 0), 0.7)
    sharp = face + EDGES * (face - soft) + (PORES / pores.std() * pores)[..., None]
    return np.clip(sharp, 0, 255).astype(np.uint8)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity `[2, 3]` that brings `source` points nearest to `target` (least squares, no mirror).

    Source: Umeyama, "Least-squares estimation of transformation parameters", PAMI 13(4), 1991.
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    a, b = source - mean_source, target - mean_target
    scale = (a * b).sum() / (a * a).sum()
    turn = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / (a * a).sum()
    matrix = np.float32([[scale, -turn, 0], [turn, scale, 0]])
    matrix[:, 2] = mean_target - matrix[:, :2] @ mean_source
    return matrix


def is_frontal(landmarks: np.ndarray) -> bool:
    """Whether the nose lies between the eyes: a turned head blurs the model."""
    left, right, nose = landmarks[:3]
    distance = float(np.linalg.norm(right - left))
    middle = abs(float(nose[0] - (left[0] + right[0]) / 2))
    return distance >= MIN_EYE_DISTANCE and middle < 0.16 * distance


def aligned_faces(packs: Path, most: int) -> np.ndarray:
    """Up to `most` frontal faces of the photographs, `[n, SIZE, SIZE, 3]` u8."""
    faces = []
    for picture, row in read_pack(packs, "detect-photos"):
        for label in row["faces"][: row["count"]]:
            points = label[4:14].reshape(5, 2).astype(np.float32)
            if not is_frontal(points):
                continue
            matrix = similarity(points, LANDMARKS)
            face = cv2.warpAffine(picture, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
            faces += [face, face[:, ::-1]]
        if len(faces) >= most:
            break
    return np.stack(faces[:most])


def fit(faces: np.ndarray) -> FaceModel:
    """Principal components of `faces` by way of their Gram matrix: fewer faces than pixels."""
    flat = faces.reshape(len(faces), -1).astype(np.float32)
    mean = flat.mean(0)
    flat -= mean
    values, vectors = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(-values)[:COMPONENTS]
    lengths = np.sqrt(np.maximum(values[order], 1e-6))
    components = (vectors[:, order].T @ flat) / lengths[:, None]
    return FaceModel(mean, components.astype(np.float32), lengths / np.sqrt(len(faces)))
