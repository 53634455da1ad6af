"""The device's own eyes on any pictures: `facelatch faces`, read back."""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

LANDMARKS = [f"{part}_{axis}" for part in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"]
MEASURES = (
    *("eye_distance", "sharpness", "brightness", "contrast", "clipped", "side_light"),
    *("yaw", "pitch", "roll", "misfit", "disagreement"),
)


@dataclass
class Seen:
    """One face: box `[4]`, landmarks `[5, 2]`, score; and of the two largest what a close look showed."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    measures: dict[str, float]
    logit: float | None
    """Of being alive."""
    template: np.ndarray | None
    """`[128]`."""


@dataclass(frozen=True)
class Device:
    """The host tool, and the folder of the networks that it uses."""

    program: Path
    models: Path

    def look(self, pictures: dict[str, np.ndarray], grey: bool = False) -> dict[str, list[Seen]]:
        """All faces, the largest first, in each of `pictures` `[h, w, 3]` u8 RGB; the quality gate is open."""
        with tempfile.TemporaryDirectory() as folder:
            for name, picture in pictures.items():
                cv2.imwrite(f"{folder}/{name}.bmp", picture[:, :, ::-1])
            options = ["--csv", "--templates", "--ungated", "--models", str(self.models)] + ["--grey"] * grey
            command = [self.program, "faces", folder, *options]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seen: dict[str, list[Seen]] = {name: [] for name in pictures}
        for row in csv.DictReader(told.splitlines()):
            seen[Path(row["picture"]).stem].append(of_row(row))
        return seen


def of_row(row: dict[str, str]) -> Seen:
    """A row of the table."""
    return Seen(
        np.array([float(row[edge]) for edge in ("left", "top", "right", "bottom")]),
        np.array([float(row[key]) for key in LANDMARKS]).reshape(5, 2),
        float(row["score"]),
        {key: float(row[key]) for key in MEASURES if row[key]},
        float(row["liveness_logit"]) if row["liveness_logit"] else None,
        np.float64(row["template"].split()) if row["template"] else None,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that asks the device."""
    parser.add_argument("--program", type=Path, required=True, help="the host tool, such as target/release/facelatch")
    parser.add_argument("--models", type=Path, required=True, help="folder of the released networks")
