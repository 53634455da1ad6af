"""The device's whole way from a picture to templates, again in numpy and ONNX Runtime.

    picture --letterbox--> detector --decode, suppress, look again--> faces --align--> crop --embedder--> template
                                                                        '--square--> liveness logit

It is what tests hold the device's code against, and what draws training pictures as the device will see them.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .detail import penalty
from .drawing import Layers, Similarity, Square

CROP = 112
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
"""Where the landmarks lie in an aligned crop: ArcFace's template."""
PADDING = 128
"""Value of a picture's outside: zero to the networks."""
MOST_WITHIN = 0.7
"""Greatest share of a face's box that another's may cover."""
BLEND_OVERLAP = 0.8
"""Where a manifest does not say."""
REFINED_EYES, REFINED_MIDDLE = 33.0, 0.6
"""Distance of the eyes, and place of the crop's middle, when a face is looked at again."""
LENGTH = 320
"""Length of a template's vector."""


@dataclass
class Face:
    """Box `[4]`, landmarks `[5, 2]`, score; in pixels."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    disagreement: float = 0.0
    """Of a second look: mean distance between the landmarks and the mirror image's, over the distance between the eyes."""


def area(box: np.ndarray) -> float:
    """Area of `[4]`."""
    return max(0.0, float(box[2] - box[0])) * max(0.0, float(box[3] - box[1]))


def overlaps(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Intersection over union, and over the smaller box."""
    shared = area(np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:4], b[2:4])]))
    return shared / (area(a) + area(b) - shared), shared / min(area(a), area(b))


def suppress(rows: list[np.ndarray], most_overlap: float, blend: float) -> list[np.ndarray]:
    """The most certain of overlapping candidates (box, ten landmark numbers, score), blended with their nearest."""
    rows = sorted(rows, key=lambda row: (-row[14], row[1], row[0]))
    kept: list[np.ndarray] = []
    for row in rows:
        if all(o <= most_overlap and w <= MOST_WITHIN for o, w in (overlaps(k, row) for k in kept)):
            kept.append(row)
    for i, face in enumerate(kept):
        near = np.array([row for row in rows if overlaps(row, face)[0] >= blend])
        kept[i] = np.append((near[:, :14] * near[:, 14:]).sum(0) / near[:, 14].sum(), face[14])
    return kept


def rounded(value: np.ndarray) -> np.ndarray:
    """An embedding `[128]` of any length as a template: length 320, whole numbers, halves away from zero."""
    scaled = LENGTH * value / np.sqrt((value**2).sum())
    return np.clip(np.sign(scaled) * np.floor(np.abs(scaled) + 0.5), -127, 127).astype(int)


class Network:
    """One released network and its manifest."""

    def __init__(self, folder: Path, name: str) -> None:
        self.manifest: dict[str, Any] = tomllib.loads((folder / f"{name}.toml").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = folder / self.manifest["file"]
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.height, self.width = self.manifest["input"][:2]

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs for `[height, width, 3]` u8, without their first axis."""
        values = self.session.run(None, {"pixels": np.ascontiguousarray(pixels)[None]})
        return {name: value[0] for name, value in zip(self.names, values, strict=True)}


class Detector(Network):
    """Faces of a picture."""

    def __init__(self, folder: Path, least_score: float | None = None) -> None:
        super().__init__(folder, "detector")
        self.least = self.manifest["least_score"] if least_score is None else least_score

    def look_through(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Rows of box, landmarks and score in pixels of the input."""
        value, rows = self.run(pixels), []
        for level in self.manifest["level"]:
            stride = level["stride"]
            score = 1 / (1 + np.exp(-value[level["score"]][0]))
            for r, c in zip(*np.nonzero(score >= self.least), strict=True):
                at = (np.array([c, r]) + self.manifest["cell_offset"]) * stride
                box, marks = value[level["box"]][:, r, c] * stride, value[level["landmarks"]][:, r, c] * stride
                rows.append(np.concatenate([at - box[:2], at + box[2:], np.tile(at, 5) + marks, [score[r, c]]]))
        rows = [row for row in rows if area(row) > 0]
        return suppress(rows, self.manifest["most_overlap"], self.manifest.get("blend_overlap", BLEND_OVERLAP))

    def detect(self, layers: Layers) -> list[Face]:
        """The faces, the largest first, in pixels of the picture; after one look."""
        height, width = layers.levels[0].shape[:2]
        shrink = max(width / self.width, height / self.height)
        across, down = (
            min(max(int(side / shrink + 0.5), 1), limit) for side, limit in ((width, self.width), (height, self.height))
        )
        pixels = np.full((self.height, self.width, 3), PADDING, np.uint8)
        pixels[:down, :across] = layers.all(across, down)
        scale = np.array([width / across, height / down])
        faces = [
            Face(row[:4] * np.tile(scale, 2), row[4:14].reshape(5, 2) * scale, float(row[14]))
            for row in self.look_through(pixels)
        ]
        return sorted(faces, key=lambda face: -area(face.box))

    def refine(self, layers: Layers, face: Face) -> Face:
        """The face with the mean landmarks of a closer look, as it is and mirrored; with its own when it is not seen then."""
        if not self.manifest["refine"]:
            return face
        size = REFINED_EYES / float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))
        middle = np.array([CROP / 2, REFINED_MIDDLE * CROP])
        to_input = Similarity.between(face.landmarks, np.array([self.width, self.height]) / 2 + size * (TEMPLATE - middle))
        to_picture = to_input.inverse()
        pixels = layers.padded(to_picture.of_pixels(), PADDING, self.width, self.height)
        seen = to_input.apply([(face.box[:2] + face.box[2:]) / 2])[0]
        direct = self.landmarks_near(pixels, seen)
        mirrored = self.landmarks_near(pixels[:, ::-1], np.array([self.width - seen[0], seen[1]]))
        if mirrored is not None:
            mirrored = (mirrored * [-1, 1] + [self.width, 0])[[1, 0, 2, 4, 3]]
        both = [marks for marks in (direct, mirrored) if marks is not None]
        apart = float(np.linalg.norm(both[0] - both[1], axis=1).mean()) / REFINED_EYES if len(both) == 2 else math.inf
        landmarks = to_picture.apply(np.mean(both, 0)) if both else face.landmarks
        return Face(face.box, landmarks, face.score, apart)

    def landmarks_near(self, pixels: np.ndarray, place: np.ndarray) -> np.ndarray | None:
        """Landmarks of the face in the input nearest to `place`, within half of its width."""
        rows = self.look_through(pixels)
        if not rows:
            return None
        distances = [float(np.linalg.norm((row[:2] + row[2:4]) / 2 - place)) for row in rows]
        nearest = rows[int(np.argmin(distances))]
        return nearest[4:14].reshape(5, 2) if min(distances) <= 0.5 * (nearest[2] - nearest[0]) else None


class Chain:
    """The three released networks of a folder."""

    def __init__(self, folder: Path, least_score: float | None = None) -> None:
        self.detector = Detector(folder, least_score)
        self.liveness, self.embedder = Network(folder, "liveness"), Network(folder, "embedder")

    def faces(self, layers: Layers, looked_at: int = 2) -> list[Face]:
        """All faces, the largest first; the `looked_at` largest are looked at again."""
        faces = self.detector.detect(layers)
        return [self.detector.refine(layers, face) if i < looked_at else face for i, face in enumerate(faces)]

    def crop(self, layers: Layers, landmarks: np.ndarray) -> np.ndarray:
        """The aligned crop, `[112, 112, 3]` u8; black outside of the picture."""
        return layers.through(Similarity.between(landmarks, TEMPLATE).inverse(), CROP, CROP)

    def template(self, crop: np.ndarray) -> np.ndarray:
        """`[128]` integers of length 320."""
        return rounded(next(iter(self.embedder.run(crop).values())).astype(np.float64))

    def liveness_logit(self, layers: Layers, box: np.ndarray) -> float:
        """Above 0 for a living face."""
        manifest = self.liveness.manifest
        square = Square.around(box, manifest["crop_factor"])
        window = layers.window(square, self.liveness.width)
        value = next(iter(self.liveness.run(window).values())).ravel()
        live = manifest["live_index"]
        logit = float(value[live] - value[1 - live]) if manifest["outputs"] == 2 else float(value[live])
        weight = manifest.get("detail_weight", 0.0)
        return logit + penalty(window, manifest["full_detail"], weight) if weight else logit
