"""The student's int8 form: calibrated, fine-tuned towards target and fp32 student, exported and checked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional

from . import qdq, quantise
from .batches import Batch, endless
from .configuration import Distill, Quantise
from .data import Crops
from .embedding import embed_all, of_network
from .metrics import normalised
from .progress import Progress
from .student import SIDE, Student
from .teacher import middle

LEAST_COSINE = 0.95
"""Least mean cosine of the int8 to the fp32 embedding. A choice: a wrong scale is far below."""
CHECKED = 64
"""Pictures on which both are compared."""


class DisagreementError(RuntimeError):
    """The written file does not compute what was trained."""


def losses_of(student: Student, batches: Iterator[Batch], weight_student: float) -> Iterator:
    """For each batch a loss of an int8 network: cosine to the target, and to what the fp32 student says."""
    student = student.eval()
    for pixels, target, _ in batches:
        with torch.no_grad():
            wanted = functional.normalize(student(pixels).float())

        def loss(network: nn.Module, pixels=pixels, target=target, wanted=wanted) -> torch.Tensor:  # noqa: ANN001
            embedding = functional.normalize(network(pixels))
            to_target = (1 - (embedding * target).sum(1)).mean()
            return to_target + weight_student * (1 - (embedding * wanted).sum(1)).mean()

        yield loss


def calibrated(student: Student, crops: Crops, config: Quantise, seed: int) -> fx.GraphModule:
    """The student with ranges from `config.calibration_pictures` unspoiled pictures."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(crops.pictures))[: config.calibration_pictures])
    pictures = torch.from_numpy(middle(np.stack([crops.pictures[i] for i in chosen])))
    prepared = quantise.prepare(student)
    device = next(student.parameters()).device
    quantise.calibrate(prepared, (qdq.as_input(part).to(device) for part in pictures.split(config.batch)))
    return prepared


def run(
    student: Student, crops: Crops, targets: np.ndarray, config: Quantise, distill: Distill, folder: Path, seed: int
) -> Path:
    """Makes `embedder.onnx` in `folder`; a finished one stays. `targets` `[n, d]`: one for each crop."""
    path = folder / "embedder.onnx"
    if path.exists():
        print(f"{path}: quantised already", file=sys.stderr)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    device = next(student.parameters()).device
    prepared = calibrated(student, crops, config, seed)
    batches = endless(crops, targets, batch_of(distill, config.batch), seed, device)
    progress = Progress("quantise", config.steps)
    losses = losses_of(student, batches, config.weight_student)
    for _, loss in quantise.fine_tune(prepared, losses, config.steps, config.learning_rate):
        progress.step(note=f"loss {loss:.4f}")
    prepared.cpu()
    qdq.export(prepared, path.with_suffix(".writing"), (SIDE, SIDE), ["embedding"], {"input": "u8 RGB [1, 112, 112, 3]"})
    check(path.with_suffix(".writing"), prepared, student, crops)
    path.with_suffix(".writing").rename(path)
    return path


def batch_of(distill: Distill, batch: int) -> Distill:
    """The same sampling and augmentation in batches of another size, a quarter of it known people."""
    people = min(distill.people, batch // (4 * distill.pictures_each))
    return Distill(batch=batch, people=people, pictures_each=distill.pictures_each, augmentation=distill.augmentation)


def check(path: Path, prepared: fx.GraphModule, student: Student, crops: Crops) -> None:
    """Compares ONNX Runtime with torch on aligned faces, and int8 with fp32; raises `DisagreementError`."""
    pictures = middle(np.stack([crops.pictures[i] for i in range(min(CHECKED, len(crops.pictures)))]))
    agreement = qdq.compare(path, prepared, pictures)
    int8 = normalised(embed_all(of_network(prepared), pictures, "int8"))
    real = normalised(embed_all(of_network(student.cpu()), pictures, "fp32"))
    cosine = float((int8 * real).sum(1).mean())
    print(f"quantise: ONNX Runtime against torch: {agreement}; mean cosine of int8 to fp32 {cosine:.5f}", file=sys.stderr)
    if agreement.most > 0:
        raise DisagreementError(f"{path} does not compute the bits that were trained: {agreement}")
    if cosine < LEAST_COSINE:
        raise DisagreementError(f"int8 lost the embedding: mean cosine to fp32 {cosine:.4f}; lower quantise.learning_rate")
