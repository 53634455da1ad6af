"""The released detector on photographs that were never trained on, against SCRFD: recall, landmarks, false faces, recognition."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..chain import Chain, Face, overlaps
from ..detector import SCRFD_SIDE, Scrfd
from ..device import Device, Seen
from ..drawing import Layers
from ..faces import as_grey
from ..metrics import FOLDS, fold_accuracy
from ..quality import Pairs, distance
from . import alignment

YAWS = (0, 15, 25, 35, 45)
"""Degrees from which on turned heads are counted."""
FOUND = 0.4
"""Least intersection over union of two boxes of one face."""


@dataclass(frozen=True)
class Reference:
    """The central face of a photograph by SCRFD, and again when it sees the photograph at half the size."""

    face: Face
    again: Face


@dataclass
class Photograph:
    """The central face of one photograph as both detectors see it, and the templates `[128]` of each alignment."""

    error: float
    """Mean distance of the five landmarks over the distance of the eyes."""
    error_of_theirs: float
    """The same between SCRFD's two looks."""
    yaw: float
    """By how much the head is turned, degrees, by our landmarks."""
    ours: np.ndarray
    theirs: np.ndarray
    again: np.ndarray


AnyFace = TypeVar("AnyFace", Face, Seen)


def central(faces: list[AnyFace], picture: np.ndarray) -> AnyFace | None:
    """The face whose middle is nearest to the picture's."""
    middle = np.array(picture.shape[1::-1]) / 2
    return min(faces, key=lambda face: float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - middle)), default=None)


def references(pictures: dict[str, np.ndarray], scrfd: Path, kept: Path | None = None) -> dict[str, Reference]:
    """The central face of each picture by SCRFD; where it is too large for one look, the other counts for both.

    `kept` is a file (.npz) that holds what was found, for the next time: it takes longest of all.
    """
    if kept is not None and kept.exists():
        table = np.load(kept)
        return {str(name): Reference(*map(face_of, rows)) for name, rows in zip(table["names"], table["faces"], strict=True)}
    whole, half = Scrfd(scrfd), Scrfd(scrfd, SCRFD_SIDE // 2)
    found = {}
    for name, picture in pictures.items():
        looks = [central([Face(f.box, f.landmarks, f.score) for f in look.detect(picture)], picture) for look in (whole, half)]
        face, again = looks[0] or looks[1], looks[1] or looks[0]
        if face is not None and again is not None:
            found[name] = Reference(face, again)
    if kept is not None:
        faces = [[row_of(reference.face), row_of(reference.again)] for reference in found.values()]
        np.savez(kept, names=np.array(list(found)), faces=np.array(faces))
    return found


def face_of(row: np.ndarray) -> Face:
    """Of `[15]`: box, landmarks, score."""
    return Face(row[:4], row[4:14].reshape(5, 2), float(row[14]))


def row_of(face: Face) -> np.ndarray:
    """`[15]`."""
    return np.concatenate([face.box, face.landmarks.ravel(), [face.score]])


def error_of(landmarks: np.ndarray, reference: np.ndarray) -> float:
    """Mean distance of landmarks `[5, 2]` over the distance of the reference's eyes."""
    eyes = float(np.linalg.norm(reference[1] - reference[0]))
    return float(np.linalg.norm(landmarks - reference, axis=1).mean()) / eyes


def photograph(picture: np.ndarray, faces: list[Seen], reference: Reference, chain: Chain) -> Photograph | None:
    """All looks at a photograph whose reference face is found by ours; None where it is not."""
    ours, theirs, again = central(faces, picture), reference.face, reference.again
    if ours is None or ours.template is None or overlaps(theirs.box, ours.box)[0] < FOUND:
        return None
    layers = Layers(picture)
    aligned = [chain.template(chain.crop(layers, marks)) for marks in (theirs.landmarks, again.landmarks)]
    errors = error_of(ours.landmarks, theirs.landmarks), error_of(again.landmarks, theirs.landmarks)
    return Photograph(*errors, abs(ours.measures["yaw"]), ours.template, *aligned)


def accuracy(templates: dict[str, np.ndarray], pairs: Pairs) -> tuple[float, float, int]:
    """Accuracy over ten folds, its standard error, and the number of pairs both of whose faces are there."""
    known = [pair for pair in pairs if pair[0] in templates and pair[1] in templates]
    known = known[: len(known) // FOLDS * FOLDS]
    order = np.random.default_rng(0).permutation(len(known))
    distances = np.array([distance(templates[known[i][0]], templates[known[i][1]]) for i in order])
    return *fold_accuracy(distances, np.array([known[i][2] for i in order])), len(known)


def measure(
    device: Device,
    pictures: dict[str, np.ndarray],
    theirs: dict[str, Reference],
    empty: dict[str, np.ndarray],
    pairs: Pairs,
    grey: bool,
) -> dict[str, Any]:
    """All figures on photographs, the faces in them by another detector, and pictures without people; `grey`: without colours."""
    chain, found = Chain(device.models), {}
    for name, faces in device.look(pictures, grey).items():
        picture = as_grey(pictures[name]) if grey else pictures[name]
        seen = photograph(picture, faces, theirs[name], chain) if name in theirs else None
        if seen is not None:
            found[name] = seen
    false = sum(bool(faces) for faces in device.look(empty, grey).values())
    templates = {which: {name: getattr(p, which) for name, p in found.items()} for which in ("ours", "theirs", "again")}
    listed = {which: accuracy(of, pairs) for which, of in templates.items()}
    return {
        "photographs": len(pictures),
        "with_a_reference": len(theirs),
        "central_face_found": len(found),
        "landmark_error": float(np.mean([p.error for p in found.values()])),
        "landmark_error_of_scrfd_at_half_the_size": float(np.mean([p.error_of_theirs for p in found.values()])),
        "pictures_without_people": len(empty),
        "of_them_with_a_face": false,
        "pairs": listed["ours"][2],
        "accuracy_with_our_alignment": listed["ours"][0],
        "accuracy_with_theirs": listed["theirs"][0],
        "accuracy_with_theirs_at_half_the_size": listed["again"][0],
        "standard_error": listed["ours"][1],
        "all_pairs": asdict(alignment.compare(templates["ours"], templates["theirs"])),
        "all_pairs_of_scrfd_at_half_the_size": asdict(alignment.compare(templates["again"], templates["theirs"])),
        "yaw": {str(low): sum(p.yaw >= low for p in found.values()) for low in YAWS},
    }
