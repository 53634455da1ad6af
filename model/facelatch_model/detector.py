"""Faces in a picture on the host: the released detector, or an SCRFD file, through ONNX Runtime."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from . import qdq
from .people import similarity

TEMPLATE = np.float32([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
"""Where eyes, nose tip and mouth corners lie in a 112x112 crop: the template of ArcFace (Deng et al., CVPR 2019)."""
REFINED_EYES, REFINED_MIDDLE = 33.0, 0.6
"""The second look: distance of the eyes in the network's input, and how far down the crop its middle lies; as on the device."""
SCRFD_SIDE = 640
SCRFD_SCORE, SCRFD_OVERLAP = 0.5, 0.4
SCRFD_STRIDES, SCRFD_ANCHORS = (8, 16, 32), 2
Detect = Callable[[np.ndarray], list["Face"]]
"""A picture `[h, w, 3]` u8 RGB to its faces, the largest first."""


class DetectorError(ValueError):
    """A detector that cannot be used; says what to do."""


@dataclass(frozen=True)
class Face:
    """A found face: box x1 y1 x2 y2 and landmarks `[5, 2]` (x, y) in pixels, score in 0..=1."""

    box: np.ndarray
    landmarks: np.ndarray
    score: float

    @property
    def eye_distance(self) -> float:
        """Distance of the eyes in pixels."""
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


def open_detector(path: Path) -> Detect:
    """The detector of a manifest (`.toml`, as in `release/`) or of an SCRFD file with landmarks (`.onnx`)."""
    if not path.exists():
        raise DetectorError(f"there is no detector {path}; give release/detector.toml or an SCRFD file with landmarks")
    return Released(path).detect if path.suffix == ".toml" else Scrfd(path).detect


def letterbox(picture: np.ndarray, height: int, width: int, padding: int) -> tuple[np.ndarray, float]:
    """The picture scaled to fit in the upper left of `[height, width, 3]`, and input pixels for each of its own."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    canvas = np.full((height, width, 3), padding, np.uint8)
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[: size[1], : size[0]] = shrunk
    return canvas, scale


def suppressed(rows: np.ndarray, overlap: float) -> list[Face]:
    """Faces of `[n, 15]` rows (box, landmarks, score), the best of those that overlap more, the largest first."""
    boxes = [[float(r[0]), float(r[1]), float(r[2] - r[0]), float(r[3] - r[1])] for r in rows]
    kept = cv2.dnn.NMSBoxes(boxes, rows[:, 14].astype(float).tolist(), 0.0, overlap) if len(rows) else []
    faces = [Face(rows[i, :4], rows[i, 4:14].reshape(5, 2).astype(np.float32), float(rows[i, 14])) for i in kept]
    return sorted(faces, key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))


class Released:
    """A detector as the device reads it: u8 pixels in, one level of score, box and landmarks for each stride."""

    def __init__(self, manifest: Path) -> None:
        """Opens the file that `manifest` names."""
        self.settings = tomllib.loads(manifest.read_text())
        self.session = qdq.session(manifest.parent / self.settings["file"])
        self.height, self.width = self.settings["input"][:2]
        self.names = [output.name for output in self.session.get_outputs()]

    def rows(self, pixels: np.ndarray) -> np.ndarray:
        """All candidates in one input `[height, width, 3]` u8: `[n, 15]` box, landmarks, score, in input pixels."""
        value = dict(zip(self.names, self.session.run(None, {"pixels": pixels[None]}), strict=True))
        found = []
        for level in self.settings["level"]:
            stride = level["stride"]
            score = 1 / (1 + np.exp(-value[level["score"]][0, 0]))
            row, column = np.nonzero(score >= self.settings["least_score"])
            at = (np.stack([column, row], 1) + self.settings["cell_offset"]) * stride
            box = value[level["box"]][0][:, row, column].T * stride
            marks = value[level["landmarks"]][0][:, row, column].T * stride + np.tile(at, 5)
            found.append(np.concatenate([at - box[:, :2], at + box[:, 2:], marks, score[row, column, None]], 1))
        return np.concatenate(found)

    def detect(self, picture: np.ndarray) -> list[Face]:
        """All faces; each is looked at again from near where the manifest says so."""
        pixels, scale = letterbox(picture, self.height, self.width, 128)
        rows = self.rows(pixels)
        rows[:, :14] /= scale
        faces = suppressed(rows, self.settings["most_overlap"])
        return [self.second_look(picture, face) for face in faces] if self.settings["refine"] else faces

    def second_look(self, picture: np.ndarray, face: Face) -> Face:
        """The same face with landmarks from an upright view of the best size, and its mirror."""
        size = REFINED_EYES / float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))
        middle = np.float32([self.width / 2, self.height / 2])
        matrix = similarity(face.landmarks, middle + size * (TEMPLATE - np.float32([56, REFINED_MIDDLE * 112])))
        of_pixels = np.column_stack([matrix[:, :2], matrix[:, :2].sum(1) / 2 + matrix[:, 2] - 0.5])
        view = cv2.warpAffine(picture, of_pixels, (self.width, self.height), borderValue=(128, 128, 128))
        seen = matrix[:, :2] @ ((face.box[:2] + face.box[2:]) / 2) + matrix[:, 2]
        direct = self.nearest(view, seen)
        mirrored = self.nearest(np.ascontiguousarray(view[:, ::-1]), np.float32([self.width - seen[0], seen[1]]))
        if mirrored is not None:
            mirrored = (mirrored * [-1, 1] + [self.width, 0])[[1, 0, 2, 4, 3]]
        looks = [look for look in (direct, mirrored) if look is not None]
        if not looks:
            return face
        inverse = cv2.invertAffineTransform(matrix)
        landmarks = np.mean(looks, axis=0) @ inverse[:, :2].T + inverse[:, 2]
        return Face(face.box, landmarks.astype(np.float32), face.score)

    def nearest(self, view: np.ndarray, place: np.ndarray) -> np.ndarray | None:
        """Landmarks `[5, 2]` of the face in `view` whose middle is nearest to `place`, within half of its width."""
        best = None
        for face in suppressed(self.rows(view), self.settings["most_overlap"]):
            distance = float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - place))
            if distance <= 0.5 * (face.box[2] - face.box[0]) and (best is None or distance < best[0]):
                best = distance, face.landmarks
        return None if best is None else best[1]


class Scrfd:
    """SCRFD with landmarks (Guo et al., ICLR 2022): distances from two anchors at each cell of strides 8, 16 and 32."""

    def __init__(self, path: Path, side: int = SCRFD_SIDE) -> None:
        """Opens a file with nine outputs: three scores, three boxes, three sets of landmarks; pictures fill `side` pixels."""
        self.side = side
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        if len(self.session.get_outputs()) != 3 * len(SCRFD_STRIDES):
            raise DetectorError(f"{path} is no SCRFD file with landmarks: give release/detector.toml instead")

    def detect(self, picture: np.ndarray) -> list[Face]:
        """All faces."""
        pixels, scale = letterbox(picture, self.side, self.side, 0)
        value = (pixels.astype(np.float32) - 127.5) / 128
        outputs = self.session.run(None, {self.input: np.ascontiguousarray(value.transpose(2, 0, 1))[None]})
        outputs = [o.reshape(-1, o.shape[-1]) for o in outputs]
        rows = [self.level(outputs[i], outputs[i + 3], outputs[i + 6], stride) for i, stride in enumerate(SCRFD_STRIDES)]
        found = np.concatenate(rows)
        found[:, :14] /= scale
        return suppressed(found, SCRFD_OVERLAP)

    def level(self, score: np.ndarray, box: np.ndarray, marks: np.ndarray, stride: int) -> np.ndarray:
        """Candidates of one stride, `[n, 15]`."""
        cells = self.side // stride
        y, x = np.mgrid[0:cells, 0:cells]
        at = np.repeat(np.stack([x.ravel(), y.ravel()], 1) * stride, SCRFD_ANCHORS, axis=0).astype(np.float32)
        kept = np.flatnonzero(score[:, 0] >= SCRFD_SCORE)
        at, box, marks = at[kept], box[kept] * stride, marks[kept] * stride
        return np.concatenate([at - box[:, :2], at + box[:, 2:], marks + np.tile(at, 5), score[kept]], 1)
