"""Collections of living faces and attacks that somebody photographed: faces found, upright, and whose they are.

Training and test must share neither a person nor a camera. Some collections name the person; of the others, the embedder tells
who is the same, across collections: one of them may show a person alive whom another shows on a screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..chain import Chain, Face
from ..drawing import Layers
from ..packs import Row, read_pack

PACKS = ("live-nuaa", "live-webcam")
SPECIES = {"live": "living", "replay": "screen"}
"""Names of the packs that are called otherwise here."""
ROOM = 0.35
"""Border, over the longer side, that a picture gets first: the detector was not shown faces that fill a picture."""
GREY = (127, 127, 127)
MOST_ROLL = 45.0
"""Degrees from upright beyond which a picture is turned by a quarter."""
CLEARLY, CERTAIN = 0.05, 0.95
"""By how much another turn must score higher to be believed, and the score at which no other is tried. Choices."""
SAME = 0.9
"""Greatest squared distance of two templates of one person. A choice: stricter than the door's, as subjects must not mix."""
LEAST_PICTURES = 8
"""Fewer pictures are nobody of whom one could say anything: such a picture is left out."""
NOBODY = "odd"
"""Subject of the pictures that are left out."""


@dataclass
class Found:
    """A picture `[h, w, 3]` u8 RGB that stands upright, and its largest face."""

    picture: np.ndarray
    face: Face
    row: Row


def upright(picture: np.ndarray, chain: Chain) -> tuple[np.ndarray, Face] | None:
    """The quarter turn of `picture` in which a face stands upright, and that face; None where there is none."""
    best: tuple[Layers, Face] | None = None
    for turn in range(4):
        margin = int(ROOM * max(picture.shape[:2]))
        framed = cv2.copyMakeBorder(
            np.ascontiguousarray(np.rot90(picture, turn)), *(margin,) * 4, cv2.BORDER_CONSTANT, value=GREY
        )
        layers = Layers(framed)
        faces = [face for face in chain.detector.detect(layers) if abs(roll(face.landmarks)) < MOST_ROLL]
        if faces and (best is None or faces[0].score > best[1].score + CLEARLY):
            best = layers, faces[0]
        if best is not None and best[1].score >= CERTAIN:
            break
    if best is None:
        return None
    face = chain.detector.refine(*best)
    inner = best[0].levels[0][margin:-margin, margin:-margin]
    return np.ascontiguousarray(inner), Face(face.box - margin, face.landmarks - margin, face.score)


def roll(landmarks: np.ndarray) -> float:
    """Slope of the eyes in degrees; 180 is upside down."""
    across = landmarks[1] - landmarks[0]
    return float(np.degrees(np.arctan2(across[1], across[0])))


def found(packs: Path, name: str, chain: Chain) -> Iterator[Found]:
    """Pictures of a collection in which a face is found. What shows no face cannot open a door, and teaches nothing."""
    for picture, row in read_pack(packs, name):
        upright_face = upright(picture, chain)
        if upright_face is not None:
            yield Found(*upright_face, row)


def columns(pictures: list[Found], chain: Chain) -> dict[str, np.ndarray]:
    """What is known of each picture, `[n]` each: `living`, `species`, `subject`, `origin`."""
    rows = [item.row for item in pictures]
    species = [SPECIES.get(str(row["species"]), str(row["species"])) for row in rows]
    return {
        "living": np.array([bool(row["live"]) for row in rows]),
        "species": np.array(species),
        "subject": np.array(subjects(pictures, chain)),
        "origin": np.array([str(row["session"]) for row in rows]),
    }


def subjects(pictures: list[Found], chain: Chain) -> list[str]:
    """Who is on each picture: the pack's word, or the number of a cluster of templates."""
    named = [str(item.row["person"]) for item in pictures]
    unnamed = [index for index, name in enumerate(named) if not name]
    crops = (chain.crop(Layers(pictures[i].picture), pictures[i].face.landmarks) for i in unnamed)
    templates = np.array([chain.template(crop) for crop in crops], np.float64).reshape(len(unnamed), -1)
    for index, cluster in zip(unnamed, clusters(templates), strict=True):
        named[index] = NOBODY if cluster < 0 else f"person{cluster}"
    return named


def clusters(vectors: np.ndarray) -> np.ndarray:
    """Numbers `[n]` of people for templates `[n, d]`, most neighbours first; -1 for people with too few pictures."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    near = 1 - SAME / 2
    similar = unit @ unit.T
    found, left = np.full(len(unit), -1), np.arange(len(unit))
    for number in range(len(unit)):
        if not len(left):
            break
        neighbours = similar[np.ix_(left, left)] >= near
        seed = left[neighbours[neighbours.sum(1).argmax()]]
        mean = unit[seed].mean(0)
        mine = left[unit[left] @ (mean / np.linalg.norm(mean)) >= near]
        mine = mine if len(mine) else seed
        found[mine] = number
        left = np.setdiff1d(left, mine)
    count = np.bincount(found, minlength=1) if len(found) else np.zeros(1, int)
    return np.where(count[found] >= LEAST_PICTURES, found, -1) if len(found) else found
