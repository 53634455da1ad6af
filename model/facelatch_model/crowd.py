"""Draw folders of synthetic people, to try the tools on: faces of nobody, several pictures of each."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from .people import SIZE, FaceModel, aligned_faces, fit

FRAME = (240, 320)
"""Height and width of a picture, as the simulated board's camera has them."""
GREY = 96
"""The wall behind them."""
CHANGE = 0.35
"""How far a person's small components move from picture to picture, in deviations."""
FACES = 800
"""Photographed faces that the model of faces is made of."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--packs", type=Path, required=True, help="folder with the pack detect-photos")
    parser.add_argument("--out", type=Path, required=True, help="folder for one folder of each person")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=6, help="of each person")
    parser.add_argument("--seed", type=int, default=12)


def picture(model: FaceModel, coefficients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A person a moment later, in other light, perhaps mirrored, before a wall: `[240, 320, 3]` u8 RGB."""
    face = model.render(model.change(coefficients, rng, CHANGE)).astype(np.float32)
    face = np.clip(face * rng.uniform(0.8, 1.15) + rng.normal(0.0, 2.0, face.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        face = face[:, ::-1]
    frame = np.full((*FRAME, 3), GREY, np.uint8)
    top, left = (FRAME[0] - SIZE) // 2, (FRAME[1] - SIZE) // 2
    frame[top : top + SIZE, left : left + SIZE] = face
    return frame


def write(model: FaceModel, out: Path, people: int, pictures: int, seed: int) -> None:
    """Writes `out/person01/1.jpg` and so on."""
    rng = np.random.default_rng(seed)
    for number in range(people):
        coefficients = model.sample(rng)
        folder = out / f"person{number + 1:02}"
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(pictures):
            drawn = picture(model, coefficients, rng)[:, :, ::-1]
            cv2.imwrite(str(folder / f"{index + 1}.jpg"), drawn, [cv2.IMWRITE_JPEG_QUALITY, 92])


def run(arguments: argparse.Namespace) -> None:
    """Fits the model of faces and draws the people."""
    model = fit(aligned_faces(arguments.packs, FACES))
    write(model, arguments.out, arguments.people, arguments.pictures, arguments.seed)
    print(f"{arguments.people} people who do not exist are in {arguments.out}")
