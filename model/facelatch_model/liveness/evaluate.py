"""Any judge of liveness on the collected pictures and on photographs: the released network, or another one for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..chain import Chain
from ..detector_training.measure import central
from ..drawing import Layers, Square
from ..faces import as_grey
from ..packs import read_pack
from . import collected, motion, release
from .measure import THUMB, by_species, tracked
from .train import Training, float_scores, penalties, pool_of

Judge = Callable[[Layers, np.ndarray], float]
"""Takes a picture and the box `[4]` of a face in it, gives a logit: higher for living."""
MINIFAS_SIDE, MINIFAS_FACTOR = 128, 1.5
"""MiniFASNet reads RGB / 255 of a square of 1.5 face boxes and gives [live, attack] logits."""


@dataclass
class Shown:
    """A picture as drawn from, and the box `[4]` of the face in it."""

    layers: Layers
    box: np.ndarray

    def grey(self) -> Shown:
        """The same without colours."""
        return Shown(Layers(as_grey(self.layers.levels[0])), self.box)


@dataclass
class Bench:
    """What judges are measured on: collected pictures with their rows, and living faces of photographs."""

    pictures: list[Shown]
    rows: dict[str, np.ndarray]
    landmarks: np.ndarray
    small: np.ndarray
    photographs: list[Shown]

    def grey(self) -> Bench:
        """The same without colours."""
        return replace(
            self, pictures=[p.grey() for p in self.pictures], photographs=[p.grey() for p in self.photographs]
        )

    def kept(self, wanted: np.ndarray) -> Bench:
        """The pictures of `wanted` `[n]` alone."""
        pictures = [shown for shown, want in zip(self.pictures, wanted, strict=True) if want]
        rows = {key: column[wanted] for key, column in self.rows.items()}
        return replace(self, pictures=pictures, rows=rows, landmarks=self.landmarks[wanted], small=self.small[wanted])

    def of(self, subjects: list[str]) -> Bench:
        """The pictures of these subjects alone."""
        wanted = np.isin(self.rows["subject"], subjects)
        if not wanted.any():
            raise SystemExit(f"no picture of {subjects}; there are {', '.join(sorted(set(self.rows['subject'])))}")
        return self.kept(wanted)

    def motion(self) -> list[dict[str, Any]]:
        """APCER by species of the landmarks' motion alone."""
        return [asdict(result) for result in motion.figures(self.rows, self.landmarks, release.FRAMES)]

    def figures(self, judge: Judge) -> dict[str, Any]:
        """APCER by species and group, and how many of the photographs the threshold of all groups refuses."""
        scores = np.array([judge(shown.layers, shown.box) for shown in self.pictures])
        found = release.figures(self.rows, scores, self.small)
        at = next(result.threshold for result in found[0].results if result.group == "all")
        refused = sum(judge(shown.layers, shown.box) < at for shown in self.photographs)
        return {"collected": [asdict(item) for item in found], "photographs": len(self.photographs), "refused": refused}


def bench(packs: Path, chain: Chain) -> Bench:
    """All collected pictures of somebody, and LFW's photographs."""
    pictures = [item for name in collected.PACKS for item in collected.found(packs, name, chain)]
    shown = [Shown(Layers(item.picture), item.face.box) for item in pictures]
    small = np.stack([one.layers.window(Square.around(one.box, 1.0), THUMB) for one in shown])
    landmarks = np.stack([item.face.landmarks for item in pictures])
    whole = Bench(shown, collected.columns(pictures, chain), landmarks, small, list(photographs(packs, chain)))
    return whole.kept(whole.rows["subject"] != collected.NOBODY)


def photographs(packs: Path, chain: Chain) -> Iterator[Shown]:
    """The central face of each of LFW's photographs: living people before cameras that no training saw."""
    for picture, _ in read_pack(packs, "eval-lfw-photos"):
        layers = Layers(picture)
        face = central(chain.detector.detect(layers), picture)
        if face is not None:
            yield Shown(layers, face.box)


def minifas(path: Path) -> Judge:
    """A MiniFASNet file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def judge(layers: Layers, box: np.ndarray) -> float:
        window = layers.window(Square.around(box, MINIFAS_FACTOR), MINIFAS_SIDE)
        live, attack = session.run(None, {name: window.astype(np.float32).transpose(2, 0, 1)[None] / 255})[0].ravel()[:2]
        return float(live - attack)

    return judge


def network_alone(chain: Chain) -> Judge:
    """The released network without the penalty for a lack of detail."""
    weight = chain.liveness.manifest.get("detail_weight", 0.0)

    def judge(layers: Layers, box: np.ndarray) -> float:
        chain.liveness.manifest["detail_weight"] = 0.0
        try:
            return chain.liveness_logit(layers, box)
        finally:
            chain.liveness.manifest["detail_weight"] = weight

    return judge


def measure(colour: Bench, chain: Chain, teachers: list[Path]) -> dict[str, Any]:
    """Figures of the released judge in colour and grey, of its network alone, and of `teachers`, all on the same pictures."""
    found = {"released": colour.figures(chain.liveness_logit), "released, grey": colour.grey().figures(chain.liveness_logit)}
    found["its network alone"] = colour.figures(network_alone(chain))
    return found | {f"teacher {path.stem}": colour.figures(minifas(path)) for path in teachers}


def by_subject(training: Training) -> list[dict[str, Any]]:
    """Figures of a run's averaged weights, with the penalty, for each webcam collection that it held out."""
    pictures, rows = training.library.held_out_rows()
    scores = float_scores(training.run.average, pictures) + penalties(pictures)
    tracks = tracked(rows, scores, pictures, release.FRAMES)
    webcams = np.array([pool_of("real", str(subject)) == "webcam" for subject in rows["subject"]])
    names = np.append(np.unique(rows["origin"][webcams]), "all webcams")
    found = []
    for name in names:
        mine = webcams & ((rows["origin"] == name) | (name == "all webcams"))
        one, track = (by_species(str(name), x[mine], rows["living"][mine], rows["species"][mine]) for x in (scores, tracks))
        found += [asdict(a) | {"track": b.apcer} for a, b in zip(one, track, strict=True)]
    return found
