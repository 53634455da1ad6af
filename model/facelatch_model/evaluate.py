"""What a student is worth: everything that its card tells, measured and written to JSON files.

    verification.json  LFW's pairs: teachers, their target, fp32, int8, int8 with 128-byte templates
    distances.json     distance -> FAR with its bounds, for 128-byte templates
    robustness.json    accuracy against JPEG quality and number of pixels, and without colours
    occlusion.json     masks and sunglasses
    groups.json        distance to the target, and FAR, by age, gender and race

One forward pass for each face, as on the device.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import metrics, plots
from .embedding import embed_all
from .faces import Faces, as_grey, as_jpeg, as_small, groups_of
from .metrics import Pairs, normalised, rounded, templates
from .teacher import Embed, Target, fit_target

QUALITIES = (10, 20, 30, 50, 70, 90)
SIDES = (14, 20, 28, 40, 56, 80, 112)
"""Widths of the crop in pixels; its eyes are 0.31 of that apart."""
DIMENSIONS = (64, 128, 256, 512)
WANTED_FAR = 1e-3
"""The released threshold is the greatest distance whose FAR is at most this, by its upper bound."""
RIDGE = 1e-3
"""Regularisation of heads, in units of the features' mean square. A choice."""
DIFFERENT = 1.0
"""Squared distance of targets beyond which two unlabelled pictures count as two people. A choice, on the safe side."""


@dataclass(frozen=True)
class Subject:
    """What is measured: the released file, its fp32 weights, and what it was to learn."""

    int8: Embed
    fp32: Embed
    trunk: Embed
    """Features `[n, f]` before the last layer."""
    teachers: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    """Embeddings of pictures by each teacher, `[n, d]` of unit length (cached)."""
    target: Target

    def wanted(self, pictures: np.ndarray) -> np.ndarray:
        """The targets of pictures."""
        return self.target.of(np.concatenate([embed(pictures) for embed in self.teachers.values()], axis=1))


def write(folder: Path, name: str, value: Any) -> Any:
    """Writes one JSON file, whole or not at all; returns `value`."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting = folder / f"{name}.writing"
    waiting.write_text(json.dumps(rounded(value), indent=1) + "\n")
    waiting.rename(folder / f"{name}.json")
    return value


def verification(subject: Subject, faces: Faces, pairs: Pairs, folder: Path) -> dict[str, Any]:
    """LFW's pairs for everything; also the ROC and DET pictures. Returns the table of distances with it."""
    known = {name: embed(faces.pictures) for name, embed in subject.teachers.items()}
    both = np.concatenate(list(known.values()), axis=1)
    int8 = embed_all(subject.int8, faces.pictures, "int8 on LFW")
    embeddings = {
        **{f"teacher {name}": normalised(value) for name, value in known.items()},
        "teachers together": normalised(both),
        "target": subject.target.of(both),
        "student fp32": normalised(embed_all(subject.fp32, faces.pictures, "fp32 on LFW")),
        "student int8": normalised(int8),
        "student int8, 128 bytes": templates(int8),
    }
    found = {name: metrics.verify(value, pairs).as_json() for name, value in embeddings.items()}
    plots.roc(found, folder / "roc.png")
    plots.det(found, folder / "det.png")
    table = metrics.far_table(embeddings["student int8, 128 bytes"], pairs)
    cost = found["student fp32"]["accuracy"] - found["student int8, 128 bytes"]["accuracy"]
    write(folder, "verification", {"pairs": len(pairs.same), "int8_cost_points": 100 * cost, "models": found})
    threshold = metrics.threshold_for(table, WANTED_FAR)
    return write(folder, "distances", {"pictures": len(faces.pictures), "threshold": threshold, "table": table})


def accuracy_of(embeddings: np.ndarray, pairs: Pairs) -> dict[str, float]:
    """The short form of a verification: accuracy, and TAR at the FARs that the listed pairs can show."""
    distances = metrics.pair_distances(embeddings, pairs)
    genuine, impostor = distances[pairs.same], distances[~pairs.same]
    tars = {f"tar_{far:g}": metrics.tar_at(genuine, impostor, far) for far in metrics.FARS[:2]}
    known = {name: tar for name, tar in tars.items() if tar is not None}
    return {"accuracy": metrics.fold_accuracy(distances, pairs.same)[0], **known}


def robustness(subject: Subject, faces: Faces, pairs: Pairs, folder: Path) -> dict[str, Any]:
    """FaceNet's tables (Schroff et al., 2015, tables 4 and 5) for the int8 student."""

    def row(pictures: np.ndarray, what: str) -> dict[str, float]:
        return accuracy_of(templates(embed_all(subject.int8, pictures, what)), pairs)

    found = {
        "jpeg": [{"quality": q, **row(as_jpeg(faces.pictures, q), f"JPEG {q}")} for q in QUALITIES],
        "pixels": [{"side": s, "pixels": s * s, **row(as_small(faces.pictures, s), f"{s} pixels")} for s in SIDES],
        "grey": row(as_grey(faces.pictures), "grey"),
    }
    plots.robustness(found, folder / "robustness.png")
    return write(folder, "robustness", found)


def embedding_sizes(subject: Subject, train: np.ndarray, faces: Faces, pairs: Pairs, folder: Path) -> list[dict[str, Any]]:
    """Accuracy against the number of coordinates: heads on the student's trunk, solved by least squares.

    `train` are training pictures `[n, 112, 112, 3]`. Each head is a linear map to the teachers' target of that size, so the
    figures compare with one another, not with the trained student. Sizes that the teachers do not have are left out.
    """
    known = np.concatenate([embed(train) for embed in subject.teachers.values()], axis=1)
    tested = np.concatenate([embed(faces.pictures) for embed in subject.teachers.values()], axis=1)
    features = embed_all(subject.trunk, train, "features for heads").astype(np.float64)
    of_faces = embed_all(subject.trunk, faces.pictures, "features of LFW").astype(np.float64)
    gram = features.T @ features
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    found = []
    for dimensions in (d for d in DIMENSIONS if d <= min(known.shape)):
        target = fit_target(known, dimensions)
        head = np.linalg.solve(gram, features.T @ target.of(known))
        student, teacher = accuracy_of(normalised(of_faces @ head), pairs), accuracy_of(target.of(tested), pairs)
        found.append({"dimensions": dimensions, "student": student, "target": teacher})
    return write(folder, "sizes", found)


def occlusion(subject: Subject, faces: Faces, folder: Path, unseen: np.ndarray) -> dict[str, Any]:
    """Bare faces against bare, masked and sunglassed ones: TAR at FARs of all pairs. `unseen` `[n]`: not trained on."""
    embeddings = templates(embed_all(subject.int8, faces.pictures, "occluded faces"))
    known = normalised(subject.wanted(faces.pictures))
    found: dict[str, Any] = {}
    for who, kept in (("all people", np.ones(len(unseen), bool)), ("people not trained on", unseen)):
        if kept.any():
            found[who] = {
                condition: {
                    "student": compared(embeddings, faces, kept, condition),
                    "target": compared(known, faces, kept, condition),
                }
                for condition in sorted(set(faces.condition[kept]) - {""})
            }
    return write(folder, "occlusion", found)


def compared(embeddings: np.ndarray, faces: Faces, kept: np.ndarray, condition: str) -> dict[str, float]:
    """Pairs of a neutral picture and one of `condition`: how many there are, and TAR at each FAR that they can show."""
    left = np.flatnonzero(kept & (faces.condition == "neutral"))
    right = np.flatnonzero(kept & (faces.condition == condition))
    distances = 2.0 - 2.0 * normalised(embeddings[left]) @ normalised(embeddings[right]).T
    same = faces.person[left][:, None] == faces.person[right][None, :]
    if condition == "neutral":
        same &= left[:, None] < right[None, :]
    different = faces.person[left][:, None] != faces.person[right][None, :]
    genuine, impostor = distances[same], distances[different]
    rates = {f"tar_{far:g}": metrics.tar_at(genuine, impostor, far) for far in (1e-2, 1e-3)}
    return {"same": int(same.sum()), "different": int(different.sum()), **{k: v for k, v in rates.items() if v is not None}}


def groups(subject: Subject, faces: Faces, threshold: float, folder: Path) -> dict[str, Any]:
    """By group: mean squared distance of the student to its target, and FAR among the group's own people.

    The pictures have no names. Pairs whose targets are farther apart than `DIFFERENT` count as two people.
    """
    student = templates(embed_all(subject.int8, faces.pictures, "groups of people"))
    target = normalised(subject.wanted(faces.pictures))
    gap = np.square(student - target).sum(1)
    found: dict[str, Any] = {"threshold": threshold, "all": {"pictures": len(gap), "distance_to_target": float(gap.mean())}}
    for kind, members in groups_of(faces.source).items():
        found[kind] = {name: group_row(student, target, gap, index, threshold) for name, index in members.items() if len(index)}
    return write(folder, "groups", found)


def group_row(student: np.ndarray, target: np.ndarray, gap: np.ndarray, index: np.ndarray, threshold: float) -> dict[str, float]:
    """One group's figures; `index` are its pictures."""
    upper = np.triu_indices(len(index), 1)
    apart = (2.0 - 2.0 * target[index] @ target[index].T)[upper] > DIFFERENT
    near = (2.0 - 2.0 * student[index] @ student[index].T)[upper] <= threshold
    row: dict[str, float] = {"pictures": len(index), "distance_to_target": float(gap[index].mean())}
    if apart.any():
        row["far"] = float(near[apart].mean())
    return row
