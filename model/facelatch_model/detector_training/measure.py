"""The released detector on photographs that were never trained on, against SCRFD: recall, landmarks, false faces, recognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..chain import Chain, Face, overlaps
from ..detail import LUMA
from ..detector import Detect
from ..device import Device, Seen
from ..drawing import Layers
from ..metrics import FOLDS, fold_accuracy
from ..quality import Pairs, distance

YAWS = (0, 15, 25, 35, 45)
"""Degrees from which on turned heads are counted."""
FOUND = 0.4
"""Least intersection over union of two boxes of one face."""


@dataclass
class Photograph:
    """The central face of one photograph as both detectors see it, and the templates of both alignments `[128]`."""

    error: float
    """Mean distance of the five landmarks over the distance of the eyes."""
    yaw: float
    """By how much the head is turned, degrees, by our landmarks."""
    ours: np.ndarray
    theirs: np.ndarray


AnyFace = TypeVar("AnyFace", Face, Seen)


def central(faces: list[AnyFace], picture: np.ndarray) -> AnyFace | None:
    """The face whose middle is nearest to the picture's."""
    middle = np.array(picture.shape[1::-1]) / 2
    return min(faces, key=lambda face: float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - middle)), default=None)


def references(pictures: dict[str, np.ndarray], detect: Detect) -> dict[str, Face]:
    """The central face of each picture by another detector."""
    found = {}
    for name, picture in pictures.items():
        face = central([Face(face.box, face.landmarks, face.score) for face in detect(picture)], picture)
        if face is not None:
            found[name] = face
    return found


def photograph(picture: np.ndarray, faces: list[Seen], theirs: Face, chain: Chain) -> Photograph | None:
    """Both looks at a photograph whose reference face is found by ours; None where it is not."""
    ours = central(faces, picture)
    if ours is None or ours.template is None or overlaps(theirs.box, ours.box)[0] < FOUND:
        return None
    eyes = float(np.linalg.norm(theirs.landmarks[1] - theirs.landmarks[0]))
    error = float(np.linalg.norm(ours.landmarks - theirs.landmarks, axis=1).mean()) / eyes
    template = chain.template(chain.crop(Layers(picture), theirs.landmarks))
    return Photograph(error, abs(ours.measures["yaw"]), ours.template, template)


def accuracy(templates: dict[str, np.ndarray], pairs: Pairs) -> tuple[float, float, int]:
    """Accuracy over ten folds, its standard error, and the number of pairs both of whose faces are there."""
    known = [pair for pair in pairs if pair[0] in templates and pair[1] in templates]
    known = known[: len(known) // FOLDS * FOLDS]
    order = np.random.default_rng(0).permutation(len(known))
    distances = np.array([distance(templates[known[i][0]], templates[known[i][1]]) for i in order])
    return *fold_accuracy(distances, np.array([known[i][2] for i in order])), len(known)


def without_colours(picture: np.ndarray) -> np.ndarray:
    """`[h, w, 3]` u8 as the device makes it grey."""
    luma = (picture.astype(np.uint32) @ LUMA.astype(np.uint32) + 128) >> 8
    return np.repeat(luma.astype(np.uint8)[..., None], 3, 2)


def measure(
    device: Device,
    pictures: dict[str, np.ndarray],
    theirs: dict[str, Face],
    empty: dict[str, np.ndarray],
    pairs: Pairs,
    grey: bool,
) -> dict[str, Any]:
    """All figures on photographs, the faces in them by another detector, and pictures without people; `grey`: without colours."""
    chain, found = Chain(device.models), {}
    for name, faces in device.look(pictures, grey).items():
        picture = without_colours(pictures[name]) if grey else pictures[name]
        seen = photograph(picture, faces, theirs[name], chain) if name in theirs else None
        if seen is not None:
            found[name] = seen
    false = sum(bool(faces) for faces in device.look(empty, grey).values())
    both = (accuracy({name: getattr(p, which) for name, p in found.items()}, pairs) for which in ("ours", "theirs"))
    (ours, deviation, count), (others, _, _) = both
    return {
        "photographs": len(pictures),
        "central_face_found": len(found),
        "landmark_error": float(np.mean([p.error for p in found.values()])),
        "pictures_without_people": len(empty),
        "of_them_with_a_face": false,
        "pairs": count,
        "accuracy_with_our_alignment": ours,
        "accuracy_with_theirs": others,
        "standard_error": deviation,
        "yaw": {str(low): sum(p.yaw >= low for p in found.values()) for low in YAWS},
    }
