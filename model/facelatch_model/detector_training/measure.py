"""The released detector on photographs that were never trained on, against SCRFD: recall, landmarks, false faces, recognition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..chain import Chain, Face, overlaps
from ..detector import Detect
from ..drawing import Layers
from ..metrics import FOLDS, fold_accuracy
from ..packs import read_pack
from ..quality import Pairs, distance, read_pairs

FOUND = 0.4
"""Least intersection over union of two boxes of one face."""


@dataclass
class Photograph:
    """The central face of one photograph as both detectors see it, and the templates of both alignments `[128]`."""

    error: float
    """Mean distance of the five landmarks over the distance of the eyes."""
    ours: np.ndarray
    theirs: np.ndarray


def central(faces: list[Face], picture: np.ndarray) -> Face | None:
    """The face whose middle is nearest to the picture's."""
    middle = np.array(picture.shape[1::-1]) / 2
    return min(faces, key=lambda face: float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - middle)), default=None)


def photograph(picture: np.ndarray, chain: Chain, reference: Detect) -> Photograph | None:
    """Both looks at a photograph whose reference face is found by ours; None where it is not."""
    theirs = central([Face(face.box, face.landmarks, face.score) for face in reference(picture)], picture)
    layers = Layers(picture)
    ours = central(chain.faces(layers), picture)
    if theirs is None or ours is None or overlaps(theirs.box, ours.box)[0] < FOUND:
        return None
    eyes = float(np.linalg.norm(theirs.landmarks[1] - theirs.landmarks[0]))
    error = float(np.linalg.norm(ours.landmarks - theirs.landmarks, axis=1).mean()) / eyes
    templates = [chain.template(chain.crop(layers, face.landmarks)) for face in (ours, theirs)]
    return Photograph(error, *templates)


def accuracy(templates: dict[str, np.ndarray], pairs: Pairs) -> tuple[float, float, int]:
    """Accuracy over ten folds, its standard error, and the number of pairs both of whose faces are there."""
    known = [pair for pair in pairs if pair[0] in templates and pair[1] in templates]
    known = known[: len(known) // FOLDS * FOLDS]
    order = np.random.default_rng(0).permutation(len(known))
    distances = np.array([distance(templates[known[i][0]], templates[known[i][1]]) for i in order])
    return *fold_accuracy(distances, np.array([known[i][2] for i in order])), len(known)


def measure(packs: Path, models: Path, reference: Detect) -> dict[str, Any]:
    """All figures, from the packs eval-lfw-photos and nofaces."""
    chain, found, total = Chain(models), {}, 0
    for picture, row in read_pack(packs, "eval-lfw-photos"):
        total += 1
        seen = photograph(picture, chain, reference)
        if seen is not None:
            found[str(row["picture"]).removesuffix(".jpg")] = seen
    empty = [len(chain.detector.detect(Layers(picture))) for picture, _ in read_pack(packs, "nofaces")]
    pairs = read_pairs(packs / "lfw-pairs.txt", set(found), total)
    ours, theirs = (accuracy({name: getattr(p, which) for name, p in found.items()}, pairs) for which in ("ours", "theirs"))
    return {
        "photographs": total,
        "central_face_found": len(found),
        "landmark_error": float(np.mean([p.error for p in found.values()])),
        "pictures_without_people": len(empty),
        "of_them_with_a_face": sum(count > 0 for count in empty),
        "pairs": ours[2],
        "accuracy_with_our_alignment": ours[0],
        "accuracy_with_theirs": theirs[0],
        "standard_error": ours[1],
    }
