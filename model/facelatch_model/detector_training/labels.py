"""Landmarks of aligned crops by another detector: small faces to show several at once, before other pictures.

A pack of crops becomes `NAME.npz`: `pixels` `[n, 120, 120, 3]` u8 RGB, and `faces` `[n, 15]` f32 (box, landmarks, score).
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ..detector import Detect
from ..packs import read_pack
from ..progress import Progress
from .windows import Picture

ENLARGED, MARGIN = 2.4, 0.133
"""Crops are shown this much larger, with this share of the enlarged side as a black margin: as faces lie in photographs."""


def label(pixels: np.ndarray, detect: Detect) -> np.ndarray | None:
    """The face in the middle of a crop, `[15]`; None when there is none."""
    side = round(ENLARGED * pixels.shape[0])
    margin = round(MARGIN * side)
    large = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR)
    framed = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    middle = np.array(framed.shape[1::-1]) / 2
    faces = detect(framed)
    if not faces:
        return None
    face = min(faces, key=lambda face: float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - middle)))
    places = np.concatenate([face.box, face.landmarks.ravel()])
    return np.append((places - margin) / ENLARGED, face.score).astype(np.float32)


def write_labelled(packs: Path, name: str, most: int, detect: Detect, folder: Path) -> int:
    """Labels up to `most` crops of a pack; a finished file stays. Returns how many faces it has."""
    path = folder / f"{name}.npz"
    if path.exists():
        return len(np.load(path)["faces"])
    folder.mkdir(parents=True, exist_ok=True)
    progress, pixels, faces = Progress(f"label {name}", most), [], []
    for picture, _ in islice(read_pack(packs, name), most):
        face = label(picture, detect)
        progress.step()
        if face is not None:
            pixels.append(picture)
            faces.append(face)
    np.savez(folder / f"{name}.writing.npz", pixels=np.stack(pixels), faces=np.stack(faces))
    (folder / f"{name}.writing.npz").rename(path)
    return len(faces)


def read_labelled(folder: Path) -> list[Picture]:
    """All labelled crops of a folder."""
    tables = [np.load(path) for path in sorted(folder.glob("*.npz"))]
    return [Picture(*row) for table in tables for row in zip(table["pixels"], table["faces"][:, None], strict=True)]
