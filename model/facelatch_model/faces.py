"""Pictures to measure on: LFW's pairs, occluded faces, groups of people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .configuration import Source
from .data import DataError, source_items
from .detail import LUMA
from .detector import Detect
from .metrics import FOLDS, Pairs
from .teacher import middle

AGES = ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 120))
"""FairFace's groups of age (Karkkainen and Joo, WACV 2021), in years."""
GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
"""UTKFace's numbers for gender and race, as its file names have them."""
UTK_NAME = re.compile(r"^(\d+)_([01])_([0-4])_")


@dataclass(frozen=True)
class Faces:
    """Aligned pictures `[n, 112, 112, 3]` u8 RGB, with what is known of each (`[n]` of text)."""

    pictures: np.ndarray
    person: np.ndarray
    source: np.ndarray
    condition: np.ndarray


def read_faces(source: Source, detect: Detect | None) -> Faces:
    """All faces of a source, aligned if they are not."""
    items = list(source_items(source, detect))
    if not items:
        raise DataError(f"no usable picture in {source.path}")
    pictures = middle(np.stack([item.picture for item in items]))  # type: ignore[type-var]
    person, names, condition = (np.array([getattr(i, key) for i in items]) for key in ("person", "source", "condition"))
    return Faces(pictures, person, names, condition)


def read_pairs(path: Path, faces: Faces) -> Pairs:
    """LFW's `pairs.txt`, its pictures found in `faces` by their names (`Name_0001`).

    After a head of folds and pairs, each fold has so many lines `Name i j` (same) and then so many `Name i Other j`.
    """
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if len(lines[0]) != 2 or lines[0][0] != str(FOLDS):
        raise DataError(f"{path} does not begin with the number of folds ({FOLDS}) and of pairs: is it LFW's pairs.txt?")
    at = {str(name): index for index, name in enumerate(faces.source)}

    def index(name: str, number: str) -> int:
        key = f"{name}_{int(number):04d}"
        if key not in at:
            raise DataError(f"{path} names {key}, which is not among the pictures: give all pictures of its pairs")
        return at[key]

    first, second, same = [], [], []
    for fields in lines[1:]:
        first.append(index(fields[0], fields[1]))
        second.append(index(fields[0], fields[2]) if len(fields) == 3 else index(fields[2], fields[3]))
        same.append(len(fields) == 3)
    if len(same) % FOLDS:
        raise DataError(f"{path} has {len(same)} pairs, which make no {FOLDS} equal folds")
    person = np.array([str(name).rpartition("_")[0] for name in faces.source])
    return Pairs(np.array(first), np.array(second), np.array(same), person)


def as_jpeg(pictures: np.ndarray, quality: int) -> np.ndarray:
    """The pictures after JPEG of `quality` 1..=100."""
    coded = (cv2.imencode(".jpg", p[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for p in pictures)
    return np.stack([cv2.imdecode(c, cv2.IMREAD_COLOR)[:, :, ::-1] for c in coded])


def as_grey(pictures: np.ndarray) -> np.ndarray:
    """Pictures `[..., 3]` u8 RGB as the device makes them grey (`camera.kind`): luma, three times."""
    luma = (pictures.astype(np.uint32) @ LUMA.astype(np.uint32) + 128) >> 8
    return np.repeat(luma.astype(np.uint8)[..., None], 3, -1)


def as_small(pictures: np.ndarray, side: int) -> np.ndarray:
    """The pictures as if the whole crop had been `side` pixels wide, enlarged again."""
    full = pictures.shape[1]

    def shrunk(picture: np.ndarray) -> np.ndarray:
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (full, full), interpolation=cv2.INTER_LINEAR)

    return np.stack([shrunk(picture) for picture in pictures])


def groups_of(source: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Who belongs to which group, by UTKFace's file names: kind of group -> group -> indices."""
    found = [UTK_NAME.match(str(name)) for name in source]
    known = np.array([index for index, match in enumerate(found) if match])
    values = np.array([[int(v) for v in match.groups()] for match in found if match]).reshape(-1, 3)
    ages = {f"{low}-{high}": known[(values[:, 0] >= low) & (values[:, 0] <= high)] for low, high in AGES}
    genders = {name: known[values[:, 1] == number] for number, name in enumerate(GENDERS)}
    races = {name: known[values[:, 2] == number] for number, name in enumerate(RACES)}
    return {"age": ages, "gender": genders, "race": races}
