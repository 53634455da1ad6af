"""Any judge of liveness on the collected pictures: the released network, or another one for comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from ..chain import Chain
from ..drawing import Layers, Square
from . import collected, release
from .measure import THUMB

Judge = Callable[[Layers, np.ndarray], float]
"""Takes a picture and the box `[4]` of a face in it, gives a logit: higher for living."""
MINIFAS_SIDE, MINIFAS_FACTOR = 128, 1.5
"""MiniFASNet reads RGB / 255 of a square of 1.5 face boxes and gives [live, attack] logits."""


def released(chain: Chain) -> Judge:
    """The released network, fed as its manifest says."""
    return chain.liveness_logit


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


def measure_collections(packs: Path, chain: Chain, judge: Judge, held_out: list[str] | None) -> list[release.Figures]:
    """Figures of `judge` on all collected pictures, or on those of the subjects `held_out`."""
    pictures = [item for name in collected.PACKS for item in collected.found(packs, name, chain)]
    rows = collected.columns(pictures, chain)
    wanted = rows["subject"] != collected.NOBODY if held_out is None else np.isin(rows["subject"], held_out)
    kept = [item for item, want in zip(pictures, wanted, strict=True) if want]
    if not kept:
        raise SystemExit(f"no picture of {held_out}; there are {', '.join(sorted(set(rows['subject'])))}")
    layers = [Layers(item.picture) for item in kept]
    scores = np.array([judge(layer, item.face.box) for layer, item in zip(layers, kept, strict=True)])
    small = np.stack([layer.window(Square.around(item.face.box, 1.0), THUMB) for layer, item in zip(layers, kept, strict=True)])
    return release.figures({key: column[wanted] for key, column in rows.items()}, scores, small)
